"""Reads CIFAR-10's binary files (Krizhevsky 2009): records of one label and 3 x 32 x 32 bytes.

`data_batch_*.bin` are the training records, `test_batch.bin` the test ones, `batches.meta.txt` holds a name
per line. A tenth of the training records, by a hash of their pixels, is the validation split.
"""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from convoy.climate.events.data.io import LONGEST_NAME, TEST, TRAIN, Facts, Images, split_by_hash
from convoy.core.errors import ConvoyError
from convoy.core.printable import cut

EDGE = 32
NAMES, TEST_FILE, TRAIN_FILES = "batches.meta.txt", "test_batch.bin", "data_batch_*.bin"
_RECORD = 1 + 3 * EDGE * EDGE


def is_cifar(folder: Path) -> bool:
    """Whether a folder holds CIFAR-10's binary files."""
    return (folder / NAMES).is_file()


def read_cifar(folder: Path, most: int) -> Images:
    """The images of a folder; at most `most`.

    Raises ConvoyError for a missing file, one that is no whole number of records, and a label without a name.
    """
    names = _names(folder / NAMES)
    files = [*sorted(folder.glob(TRAIN_FILES)), folder / TEST_FILE]
    if len(files) < 2:
        raise ConvoyError(f"no {TRAIN_FILES}", path=folder, expected="CIFAR-10's binary files")
    records: list[np.ndarray] = []
    parts: list[np.ndarray] = []
    ids: list[str] = []
    for file in files:
        found = _records(file, len(names), most - len(ids))
        records.append(found)
        parts.append(np.full(len(found), TEST if file.name == TEST_FILE else TRAIN, np.int64))
        ids += [f"{file.name}:{number}" for number in range(len(found))]
    table = np.concatenate(records)
    sums = [hashlib.sha256(row[1:].tobytes()).hexdigest() for row in table]
    return Images(
        values=table[:, 1:].reshape(-1, 3, EDGE, EDGE).copy(),
        labels=table[:, 0].astype(np.int64),
        split=split_by_hash(sums, np.concatenate(parts)),
        ids=pa.array(ids, pa.string()),
        sha256=pa.array(sums, pa.string()),
        masks=None,
        facts=Facts(
            source="CIFAR-10", classes=names, channels=("red", "green", "blue"), units=("", "", ""),
            edges=(EDGE, EDGE),
        ),
    )  # fmt: skip


def _names(path: Path) -> tuple[str, ...]:
    if path.stat().st_size > 100_000:
        raise ConvoyError("too large for a list of names", path=path)
    try:
        names = tuple(filter(None, (line.strip() for line in path.read_text(encoding="utf-8").splitlines())))
    except UnicodeDecodeError as error:
        raise ConvoyError(f"not UTF-8 ({error.reason})", path=path) from None
    if not 2 <= len(set(names)) == len(names) <= 256:
        raise ConvoyError(path=path, expected="2 to 256 names of classes, each once", found=f"{len(names)}")
    for name in names:
        if len(name) > LONGEST_NAME or not name.isprintable():
            raise ConvoyError(
                path=path,
                expected=f"names of at most {LONGEST_NAME} characters that print",
                found=cut(name, 40),
            )
    return names


def _records(file: Path, classes: int, most: int) -> np.ndarray:
    """Records (n, 3073) of one file."""
    if not file.is_file():
        raise ConvoyError("no such file", path=file, expected="CIFAR-10's binary files")
    size = file.stat().st_size
    if size == 0 or size % _RECORD:
        raise ConvoyError(
            path=file, expected=f"a multiple of {_RECORD} bytes", found=f"{size:,}", hint="download it again"
        )
    if size // _RECORD > most:
        raise ConvoyError(
            "more images than allowed", path=file, hint="raise climate.events.images.max_images"
        )
    table = np.frombuffer(file.read_bytes(), np.uint8).reshape(-1, _RECORD)
    if (wrong := np.flatnonzero(table[:, 0] >= classes)).size:
        raise ConvoyError(
            path=file, key=f"record {wrong[0]}", expected=f"a label of 0 to {classes - 1}",
            found=str(table[wrong[0], 0]), hint="download it again",
        )  # fmt: skip
    return table
