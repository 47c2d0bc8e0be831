"""Runner of stage scripts: arguments, the workspace lock, exit codes, errors in one line.

`python -m convoy.core.stage SCRIPT ...` runs a script and handles Ctrl-C from the start, also while libraries
load.
"""

import argparse
import inspect
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
    """Run `action` and return its exit code."""
    interrupts.handle()
    try:
        action()
    except ConvoyError as error:
        print(f"convoy: {one_line(error)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return _interrupted()
    return _ended(0)


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
        if interrupts.received() is None:
            raise
        code = _ended(0)
    _exit(code)


def _run_script() -> None:
    script = "".join(sys.argv[:1])
    if not script.endswith(".py") or not Path(script).is_file():
        raise ConvoyError(f"no stage '{script}'", hint="name one, such as `pipelines/run climate/gate.py`")
    runpy.run_path(script, run_name="__main__")


def _locked(main: Callable[..., None], arguments: dict[str, str]) -> None:
    with workspace_lock():
        main(**arguments)


def _ended(code: int) -> int:
    """The exit code of what ended with `code`, or that of a signal whose exception a library swallowed."""
    number = interrupts.received()
    if number is None:
        return code
    return _interrupted() if number == signal.SIGINT else 128 + number


def _interrupted() -> int:
    print("convoy: interrupted; nothing half-written is left", file=sys.stderr)
    return 130


def _exit(code: Any) -> NoReturn:
    # Outputs are complete or absent; an interrupt while libraries shut down ends the process silently.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


if __name__ == "__main__":
    launch()
