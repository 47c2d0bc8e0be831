"""The size of a NetCDF-3 file by its header: the library reads missing values of a truncated file as zeros.

Format: CDF-1, CDF-2 and CDF-5, https://docs.unidata.ucar.edu/netcdf-c/current/file_format_specifications.html
"""

import math
import struct
from pathlib import Path
from typing import BinaryIO

from convoy.core.errors import ConvoyError

MAGIC = (b"CDF\x01", b"CDF\x02", b"CDF\x05")
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}  # by external type


def refuse_truncated(path: Path) -> None:
    """Raise ConvoyError where the NetCDF-3 file at `path` is shorter than its variables require."""
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        try:
            needed = _bytes_needed(file)
        except (struct.error, KeyError, ValueError, IndexError, OverflowError, OSError):
            raise ConvoyError(
                "its NetCDF-3 header is broken", path=path, hint="copy or make the file again"
            ) from None
    if size < needed:
        raise ConvoyError(
            f"truncated: {size:,} bytes, {needed:,} by its header",
            path=path,
            hint="copy or make the file again",
        )


def _bytes_needed(file: BinaryIO) -> int:
    """The end of the last value of the last variable, by the header that `file` begins with, big-endian."""
    version = MAGIC.index(file.read(4))
    of_counts, of_offsets = ">q" if version == 2 else ">i", ">i" if version == 0 else ">q"

    def number(kind: str = of_counts) -> int:
        return int(struct.unpack(kind, file.read(struct.calcsize(kind)))[0])

    def count() -> int:
        if (found := number()) < 0:
            raise ValueError(found)
        return found

    def entries() -> range:
        number(">i")  # what kind of list; 0 where it is absent
        return range(count())

    def skip(size: int) -> None:
        file.seek(-(-size // 4) * 4, 1)

    def skip_attributes() -> None:
        for _ in entries():
            skip(count())  # the name
            width = _BYTES[number(">i")]
            skip(width * count())

    records, lengths = number(), []
    for _ in entries():
        skip(count())  # the name
        lengths.append(count())
    skip_attributes()
    fixed, recorded = [0], []
    for _ in entries():
        skip(count())  # the name
        shape = [lengths[count()] for _ in range(count())]
        skip_attributes()
        width = _BYTES[number(">i")]
        number()  # the size: too small a field for large variables
        begin = number(of_offsets)
        # The record dimension has length 0 and comes first.
        if shape and shape[0] == 0:
            recorded.append((begin, width * math.prod(shape[1:])))
        else:
            fixed.append(begin + width * math.prod(shape))
    # All bits set: written as a stream, of unknown length.
    if records <= 0 or not recorded:
        return max(fixed)
    # A single record variable is packed; several are padded to four bytes each.
    stride = recorded[0][1] if len(recorded) == 1 else sum(-(-size // 4) * 4 for _, size in recorded)
    return max(fixed + [begin + (records - 1) * stride + size for begin, size in recorded])
