"""Files and folders that commands write: errors about them, and clean-up after a failure."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from convoy.core.errors import ConvoyError


@contextmanager
def naming(out: Path, what: str, *inputs: Path) -> Iterator[None]:
    """Raise ConvoyError for an OSError: about the user's path, not the temporary one next to it.

    what: a word for `out`, as `folder`; inputs: paths that are read.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        refused = Path(str(error.filename or out))
        for path in inputs:
            if path in (refused, *refused.parents):
                raise ConvoyError(f"cannot be read: {error.strerror}", path=refused) from None
        raise ConvoyError(
            f"cannot be written: {error.strerror}", path=out, hint=f"name another {what}"
        ) from None


@contextmanager
def without_new_parents(out: Path) -> Iterator[None]:
    """Remove the folders that were made for `out` where writing it fails."""
    new = [folder for folder in out.parents if not folder.exists()]
    try:
        yield
    except BaseException:
        for folder in new:
            with suppress(OSError):
                folder.rmdir()
        raise
