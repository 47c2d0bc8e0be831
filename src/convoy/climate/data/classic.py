"""How long a NetCDF-3 file has to be, by its own header: the library reads what a cut one lacks as zeros.

Format: CDF-1, CDF-2 and CDF-5, https://docs.unidata.ucar.edu/netcdf-c/current/file_format_specifications.html
"""

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from convoy.core.errors import ConvoyError

MAGIC = (b"CDF\x01", b"CDF\x02", b"CDF\x05")
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}  # by external type


def refuse_truncated(path: Path) -> None:
    """Raise ConvoyError where the NetCDF-3 file at `path` is shorter than its variables are."""
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        try:
            needed = _Header(file).bytes_needed()
        except (struct.error, KeyError, ValueError, IndexError, OverflowError, OSError):
            raise ConvoyError(f"{path}: its NetCDF-3 header is broken; copy or make the file again") from None
    if size < needed:
        raise ConvoyError(
            f"{path}: truncated: {size:,} bytes, its header promises {needed:,}; copy or make the file again"
        )


class _Header:
    """Reads the header from the start of `file`; big-endian throughout."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        version = MAGIC.index(file.read(4))
        self._count_format = ">q" if version == 2 else ">i"  # counts, lengths and sizes
        self._offset_format = ">i" if version == 0 else ">q"

    def bytes_needed(self) -> int:
        """The end of the last value of the last variable."""
        records = self._number(self._count_format)
        lengths = [self._dimension() for _ in self._list()]
        self._attributes()
        fixed, recorded = [0], []
        for _ in self._list():
            shape, width, begin = self._variable(lengths)
            # The dimension that grows has length 0 and comes first.
            if shape and shape[0] == 0:
                recorded.append((begin, width * math.prod(shape[1:])))
            else:
                fixed.append(begin + width * math.prod(shape))
        # All ones: written as a stream, of unknown length.
        if records <= 0 or not recorded:
            return max(fixed)
        # One variable alone is packed; several are padded to four bytes each.
        stride = recorded[0][1] if len(recorded) == 1 else sum(-(-size // 4) * 4 for _, size in recorded)
        return max(fixed + [begin + (records - 1) * stride + size for begin, size in recorded])

    def _number(self, kind: str) -> int:
        (value,) = struct.unpack(kind, self._file.read(struct.calcsize(kind)))
        return int(value)

    def _list(self) -> Iterator[int]:
        self._number(">i")  # what kind of list; 0 where it is absent
        return iter(range(self._count()))

    def _count(self) -> int:
        count = self._number(self._count_format)
        if count < 0:
            raise ValueError(count)
        return count

    def _name(self) -> None:
        self._file.seek(-(-self._count() // 4) * 4, 1)

    def _dimension(self) -> int:
        self._name()
        return self._count()

    def _attributes(self) -> None:
        for _ in self._list():
            self._name()
            width = _BYTES[self._number(">i")]
            self._file.seek(-(-width * self._count() // 4) * 4, 1)

    def _variable(self, lengths: list[int]) -> tuple[list[int], int, int]:
        """Shape, bytes a value, and where the values begin."""
        self._name()
        shape = [lengths[self._count()] for _ in range(self._count())]
        self._attributes()
        width = _BYTES[self._number(">i")]
        self._number(self._count_format)  # the size: too small a field for large variables
        return shape, width, self._number(self._offset_format)
