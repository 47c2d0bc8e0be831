"""Fixtures shared by all tests."""

import os
import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Triton reads this when it is first imported, by whichever test comes first: without a GPU its kernels run in
# its interpreter, on the CPU.
if not Path("/dev/nvidiactl").exists():
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data files; tests that need it skip, saying so, where there is none."""
    folder = Path(os.environ.get("CONVOY_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data: CONVOY_REAL_DATA or {folder.name}/ beside the checkout")
    return folder


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_reaches_children() -> None:
    """A shell that starts the tests in the background has them ignore Ctrl-C, and children inherit that."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
