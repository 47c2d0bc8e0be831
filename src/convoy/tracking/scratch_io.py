"""Temporary folders: those that a killed process left are removed by the next one that needs a folder."""

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_NAME = re.compile(r"convoy-(?:evidence|lineage|model|pictures|upload)-\w{8}")
# A new folder is locked right after it is made; only older ones count as abandoned.
_SECONDS_TO_LOCK = 60.0


@contextlib.contextmanager
def scratch(kind: str) -> Iterator[str]:
    """Yield a folder below the system's temporary folder, which is removed at the end.

    While its process lives it holds a lock on the folder; abandoned ones are removed first. kind: evidence,
    lineage, model, pictures or upload.
    """
    _remove_abandoned(Path(tempfile.gettempdir()))
    folder = tempfile.mkdtemp(prefix=f"convoy-{kind}-")
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of ours that no process holds the lock of; those of other users stay."""
    for folder in parent.iterdir():
        if _NAME.fullmatch(folder.name) is None or folder.is_symlink():
            continue
        with contextlib.suppress(OSError):  # another process removes it, or holds it
            found = folder.stat()
            if found.st_uid != os.getuid() or time.time() - found.st_mtime < _SECONDS_TO_LOCK:
                continue
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
