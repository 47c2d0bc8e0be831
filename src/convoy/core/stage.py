"""Runner of stage scripts: arguments, the workspace lock, exit codes, errors in one line.

`python -m convoy.core.stage SCRIPT ...` runs a script and handles Ctrl-C from the start, also while libraries
load.
"""

import argparse
import contextlib
import inspect
import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from convoy.core import interrupts, threads
from convoy.core.errors import ConvoyError
from convoy.core.files import workspace_lock
from convoy.core.printable import one_line


def run(main: Callable[..., None]) -> NoReturn:
    """Call `main` with its parameters taken from the command line (`--model textcnn`), then exit.

    Exit codes: 0; 2 for a ConvoyError, printed as one line; 130 for Ctrl-C, 143 for SIGTERM and 129 for
    SIGHUP. Any other exception is a bug and keeps its traceback.
    """
    parser = argparse.ArgumentParser(description=inspect.getdoc(main))
    for name in inspect.signature(main).parameters:
        parser.add_argument(f"--{name}", required=True)
    arguments = vars(parser.parse_args())
    _exit(guarded(lambda: _locked(main, arguments)))


def guarded(action: Callable[[], Any]) -> int:
    """Run `action` and return its exit code; a signal that ends it ends the process here."""
    interrupts.handle()
    code = 0
    try:
        action()
    except ConvoyError as error:
        if interrupts.received() is None:  # else a library made this of the exception of a signal
            print(f"convoy: {one_line(error)}", file=sys.stderr)
            code = error.exit_code
    except (KeyboardInterrupt, SystemExit):
        if interrupts.received() is None:
            raise
    _leave_if_ended()
    return code


def launch() -> NoReturn:
    """Run the script that the command line names, as `python SCRIPT ...` would, and exit as `run` does."""
    sys.argv = sys.argv[1:]
    threads.sleep_soon()
    threads.keep_memory()
    interrupts.handle()
    code: Any
    try:
        code = guarded(_run_script)
    except SystemExit as end:  # of `run`
        code = end.code
    except BaseException:
        # Libraries that are interrupted while they load raise errors of their own, such as ImportError.
        _leave_if_ended()
        raise
    _exit(code)


def _run_script() -> None:
    script = "".join(sys.argv[:1])
    if not script.endswith(".py") or not Path(script).is_file():
        raise ConvoyError(f"no stage '{script}'", hint="name one, such as `pipelines/run climate/gate.py`")
    runpy.run_path(script, run_name="__main__")


def _locked(main: Callable[..., None], arguments: dict[str, str]) -> None:
    with workspace_lock():
        main(**arguments)


def _leave_if_ended() -> None:
    """Exit with the code of the signal that arrived, if one did, though a library swallowed its exception.

    At once: outputs are complete or absent, and threads of libraries may abort a slower exit.
    """
    number = interrupts.received()
    if number is None:
        return
    if number == signal.SIGINT:
        print("convoy: interrupted; nothing half-written is left", file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(128 + number)


def _exit(code: Any) -> NoReturn:
    # Outputs are complete or absent; an interrupt while libraries shut down ends the process silently.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


if __name__ == "__main__":
    launch()
