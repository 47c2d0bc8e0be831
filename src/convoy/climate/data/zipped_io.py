"""Zarr stores in zip archives: where the store is in its archive, and what is refused of an archive.

Nothing is unpacked to disk. An archive is refused where a name leads out of it, an entry is encrypted, or an
entry is too large to be one chunk: a small archive may expand to any size.
"""

import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath

from convoy.core.errors import ConvoyError
from convoy.core.printable import cut, reason

MAGIC = b"PK\x03\x04"
ZARR_MARKS = ("zarr.json", ".zgroup", ".zmetadata")
LARGEST_CHUNK, LARGEST_METADATA = 1 << 30, 1 << 24  # bytes of an entry
_METADATA = (*ZARR_MARKS, ".zarray", ".zattrs")


def is_zip(path: Path) -> bool:
    """Whether a path is a file that begins as zip archives do."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def root_of(path: Path) -> str:
    """The folder of the Zarr store within the archive, "" at its top.

    Raises ConvoyError for an archive without one, with several, or that is refused.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ConvoyError(
            f"a zip archive that is truncated or broken ({reason(error)})", path=path,
            hint="copy or make it again",
        ) from None  # fmt: skip
    for entry in entries:
        if (what := _fault(entry)) is not None:
            raise ConvoyError(f"zip entry '{cut(entry.filename, 80)}' {what}", path=path)
    marked = {PurePosixPath(entry.filename).parent for entry in entries if _name(entry) in ZARR_MARKS}
    # Groups and, in format 3, arrays have a mark of their own, below that of the store.
    roots = [folder for folder in marked if not marked & set(folder.parents)]
    if len(roots) != 1:
        found = f"{len(roots)} Zarr stores" if roots else f"no Zarr store ({', '.join(ZARR_MARKS)})"
        raise ConvoyError(f"a zip archive with {found}", path=path, expected="one")
    return "" if roots[0] == PurePosixPath() else roots[0].as_posix()


def names_in(path: Path) -> list[str]:
    """The names of the entries of an archive."""
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def _name(entry: zipfile.ZipInfo) -> str:
    return PurePosixPath(entry.filename).name


def _fault(entry: zipfile.ZipInfo) -> str | None:
    """Why an entry is refused, or None."""
    parts = PurePosixPath(entry.filename.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or PureWindowsPath(entry.filename).drive:
        return "leads out of the archive"
    if entry.flag_bits & 1:
        return "is encrypted"
    most = LARGEST_METADATA if _name(entry) in _METADATA else LARGEST_CHUNK
    if entry.file_size > most:
        return f"expands to {entry.file_size:,} bytes, more than {most:,}"
    return None
