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
from types import FrameType
from typing import Any, NoReturn

from convoy.core import threads
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
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as it is under nohup
        signal.signal(signal.SIGHUP, _terminate)
    try:
        action()
    except ConvoyError as error:
        print(f"convoy: {one_line(error)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return _interrupted()
    return 0


def launch() -> NoReturn:
    """Run the script that the command line names, as `python SCRIPT ...` would, and exit as `run` does."""
    sys.argv = sys.argv[1:]
    threads.sleep_soon()
    threads.keep_memory()
    interrupts: list[int] = []

    def interrupt(signum: int, frame: FrameType | None) -> None:
        interrupts.append(signum)
        signal.default_int_handler(signum, frame)

    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupt)
    code: Any
    try:
        code = guarded(_run_script)
    except SystemExit as end:  # of `run`
        code = end.code
    except BaseException:
        # Libraries that are interrupted while they load raise errors of their own, such as ImportError.
        if not interrupts:
            raise
        code = None
    # Others, such as an import in a callback, swallow the exception of an interrupt.
    _exit(_interrupted() if interrupts and not code else code)


def _run_script() -> None:
    script = "".join(sys.argv[:1])
    if not script.endswith(".py") or not Path(script).is_file():
        raise ConvoyError(f"no stage '{script}'", hint="name one, such as `pipelines/run climate/gate.py`")
    runpy.run_path(script, run_name="__main__")


def _locked(main: Callable[..., None], arguments: dict[str, str]) -> None:
    with workspace_lock():
        main(**arguments)


def _terminate(signum: int, _frame: object) -> NoReturn:
    # Raised as an exception, so that atomic writers remove their temporary files.
    sys.exit(128 + signum)


def _interrupted() -> int:
    print("convoy: interrupted; nothing half-written is left", file=sys.stderr)
    return 130


def _exit(code: Any) -> NoReturn:
    # Outputs are complete or absent; an interrupt while libraries shut down ends the process silently.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


if __name__ == "__main__":
    launch()
