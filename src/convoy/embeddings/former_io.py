"""A former version of an embeddings folder, from which unchanged items are taken."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from convoy.core.errors import ConvoyError
from convoy.core.files import sha256
from convoy.core.printable import cut, reason
from convoy.embeddings.io import IDS, MANIFEST, OK, SCHEMA, STATUSES, VECTORS, read_manifest
from convoy.embeddings.row_groups import SHA256_BYTES, state_rows
from convoy.embeddings.rows import RowFile

_BATCH_ROWS = 8_192
_VALUE = 20  # characters of a value in a message
_IN_FULL = "embed every item, without --since"


class Former:
    """An embeddings folder that matches its manifest and was made by the same model in the same way."""

    def __init__(self, path: Path, dimension: int, facts: Mapping[str, Any]) -> None:
        """Raise ConvoyError as `read_manifest` does, and where one of `facts` or the dimension differs."""
        self.path = Path(path)
        manifest = read_manifest(self.path)
        for name, value in {**facts, "dimension": dimension}.items():
            if (there := manifest.get(name)) != value:
                raise ConvoyError(
                    "made by another model or in another way", path=self.path, key=name,
                    expected=cut(str(value), _VALUE), found=cut(str(there), _VALUE), hint=_IN_FULL,
                )  # fmt: skip
        self.items: int = manifest["items"]
        self.dimension = dimension
        self._parts: list[str] = sorted(manifest["rows"])
        self._manifest_sha256 = sha256(self.path / MANIFEST)

    def fill(self, ids: RowFile, vectors: RowFile, states: RowFile) -> int:
        """Write the vector and state of every item that `ids` has too; return the number of these items.

        The ids of both sides are sorted, so each is read once, block by block. Raises ConvoyError where the
        folder changes meanwhile or holds what no embedding wrote.
        """
        first = row = found = 0
        count = ids.shape[0]
        last = ""
        with self._rows(IDS, ()) as former_ids, self._rows(VECTORS, (self.dimension,)) as former_vectors:
            for block in self._states():
                names, rows = (file.get(row, row + len(block)) for file in (former_ids, former_vectors))
                self._check(rows, block, row)
                if not (names[1:] > names[:-1]).all() or (row and not names[0] > last):
                    raise ConvoyError(
                        "ids twice or not sorted", path=self.path / IDS, hint=_IN_FULL
                    )  # fmt: skip
                last = names[-1]
                row += len(block)
                while first < count:
                    window = ids.get(first, min(first + _BATCH_ROWS, count))
                    places = np.searchsorted(window, names)
                    both = places < len(window)
                    both[both] = window[places[both]] == names[both]
                    vectors.scatter(first + places[both], rows[both])
                    states.scatter(first + places[both], block[both])
                    found += int(both.sum())
                    passed = int(np.searchsorted(window, names[-1], "right"))
                    first += passed
                    if passed < len(window):
                        break  # what is left of the window belongs to the next block
        self._refuse_changed()
        return found

    def _refuse_changed(self) -> None:
        if sha256(self.path / MANIFEST) != self._manifest_sha256:
            raise ConvoyError("changed while it was read", path=self.path, hint="run again")

    def _rows(self, name: str, values: tuple[int, ...]) -> RowFile:
        """Open the ids or vectors, whose rows have the shape `values`; ConvoyError for another array."""
        path = self.path / name
        try:
            file = RowFile(path, writable=False)
        except ValueError as error:
            self._refuse_changed()
            raise ConvoyError(f"not as embeddings ({reason(error, 80)})", path=path, hint=_IN_FULL) from None
        kind = "f4" if values else "U"
        if file.shape != (self.items, *values) or not file.dtype.str[1:].startswith(kind):
            file.close()
            self._refuse_changed()
            raise ConvoyError("does not match the manifest", path=path, hint=_IN_FULL)
        return file

    def _states(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Digests and statuses of all items in blocks of (n, STATE_BYTES), in the order of the ids."""
        numbers = {name: number for number, name in enumerate(STATUSES)}
        for name in self._parts:
            part = self.path / name
            try:
                with pq.ParquetFile(part, page_checksum_verification=True) as file:
                    if not file.schema_arrow.remove_metadata().equals(SCHEMA):
                        raise ValueError("its columns are others")
                    for batch in file.iter_batches(_BATCH_ROWS, columns=["text_sha256", "status"]):
                        digests, status = (column.to_pylist() for column in batch.columns)
                        yield state_rows(digests, np.array([numbers[each] for each in status], np.uint8))
            except (pa.ArrowException, OSError, ValueError, KeyError) as error:
                raise ConvoyError(
                    f"not a part of embeddings ({reason(error)})", path=part, hint=_IN_FULL
                ) from None

    def _check(self, vectors: npt.NDArray[np.float32], states: npt.NDArray[np.uint8], row: int) -> None:
        sound = np.isfinite(vectors).all(1) & (vectors.any(1) == (states[:, SHA256_BYTES] == OK))
        if not sound.all():
            raise ConvoyError(
                "not finite, or not zero exactly where the status is not ok",
                path=self.path / VECTORS, key=f"row {row + int(np.argmin(sound)) + 1}", hint=_IN_FULL,
            )  # fmt: skip
