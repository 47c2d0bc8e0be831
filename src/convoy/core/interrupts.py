"""Signals that end a command: Ctrl-C, SIGTERM, SIGHUP.

Each raises an exception where it arrives, so that atomic writers remove their temporary files. A library may
swallow that exception (an import in a callback of C, a destructor), so the signal is recorded too: writers
call `check` before an output appears.
"""

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType

_received: list[int] = []


def handle() -> None:
    """Record the signals that end a command and raise their exceptions; those ignored so far stay ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as SIGHUP is under nohup
            signal.signal(number, _receive)


def received() -> int | None:
    """The first signal that arrived since `handle`."""
    return _received[0] if _received else None


def check() -> None:
    """Raise the exception of a signal that arrived: KeyboardInterrupt, SystemExit with 128 + its number."""
    if _received:
        _raise(_received[0])


@contextlib.contextmanager
def until_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C end the block inside, as its usual end."""
    try:
        yield
    except KeyboardInterrupt:
        _received.clear()


def _receive(number: int, _frame: FrameType | None) -> None:
    _received.append(number)
    _raise(number)


def _raise(number: int) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)
