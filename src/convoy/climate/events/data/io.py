"""A folder of images with labels, a split and, where they are known, the masks of events."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from convoy.core.errors import ConvoyError
from convoy.core.files import atomic_directory, check_manifest, read_json, write_json, write_manifest
from convoy.core.params import Section, parse
from convoy.core.printable import reason

TRAIN, VALIDATION, TEST = 0, 1, 2
SPLITS = ("train", "validation", "test")
PIXELS, ITEMS, FACTS = "images.safetensors", "items.parquet", "images.json"
LARGEST_BYTES = 16 * 2**30
_VALUES, _MASKS = "values", "masks"
_STORED = {"F16": np.dtype(np.float16), "U8": np.dtype(np.uint8)}
_AGAIN = "run `dvc repro climate-events` to make it"
_COLUMNS = {"id": pa.string(), "sha256": pa.string(), "label": pa.int64(), "split": pa.uint8()}

LONGEST_NAME = 500
"""Characters of the name of a class, a channel or a source."""
_Text = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class Facts(Section):
    """What the images are: the content of images.json."""

    source: _Text
    classes: tuple[_Text, ...] = Field(min_length=1, max_length=100_000)
    channels: tuple[_Text, ...] = Field(min_length=1, max_length=64)
    units: tuple[str, ...] = Field(max_length=64)
    edges: tuple[int, int]
    """Height and width in pixels."""
    repaired: dict[str, int] = Field(default_factory=dict)
    """Images that were changed to fit, by what was changed."""
    marked: int | None = None
    """The class that the mark of the confounded variant goes with; None: there is no such variant."""


@dataclass(frozen=True, eq=False)
class Images:
    """N images, of which row i is `values[i]` (C, H, W): uint8 for pictures, float32 for maps.

    labels (N,) index `facts.classes`; split (N,) holds 0 train, 1 validation, 2 test; sha256: of an image's
    pixels as they were read, so that equal images have equal ones; masks (N, H, W), None for pictures.
    """

    values: npt.NDArray[Any]
    labels: npt.NDArray[np.int64]
    split: npt.NDArray[np.uint8]
    ids: pa.Array
    sha256: pa.Array
    masks: npt.NDArray[np.bool_] | None
    facts: Facts

    def rows(self, split: int) -> npt.NDArray[np.int64]:
        """Rows of one split, ascending."""
        return np.flatnonzero(self.split == split)


def write(folder: Path, images: Images) -> None:
    """Write the folder as a whole, its manifest last; maps are rounded to float16 (three to four digits)."""
    values = images.values
    tensors = {_VALUES: values if values.dtype == np.uint8 else values.astype(np.float16)}
    if images.masks is not None:
        tensors[_MASKS] = np.packbits(images.masks.reshape(len(values), -1), axis=1)
    columns = {
        "id": images.ids, "sha256": images.sha256, "label": pa.array(images.labels, pa.int64()),
        "split": pa.array(images.split, pa.uint8()),
    }  # fmt: skip
    with atomic_directory(folder) as partial:
        table = pa.table(columns, schema=pa.schema(_COLUMNS))
        pq.write_table(table, partial / ITEMS, compression="zstd", write_page_checksum=True)
        (partial / PIXELS).write_bytes(save({name: np.ascontiguousarray(x) for name, x in tensors.items()}))
        write_json(partial / FACTS, images.facts.model_dump(mode="json"))
        write_manifest(partial)


def read_facts(folder: Path) -> Facts:
    """What the images of a folder are, without its images; ConvoyError where that cannot be read."""
    return parse(read_json(folder / FACTS), Facts, str(folder / FACTS))


def read(folder: Path) -> Images:
    """Read a folder of images after checking checksums, shapes, types and labels; ConvoyError for a fault."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ConvoyError("no such folder of images", path=folder, hint=_AGAIN)
    files = check_manifest(folder)["files"]
    for name in (PIXELS, ITEMS, FACTS):
        if name not in files:
            raise ConvoyError(f"no {name}, so this is no folder of images", path=folder, hint=_AGAIN)
    facts = read_facts(folder)
    table = _table(folder / ITEMS)
    count, classes = table.num_rows, len(facts.classes)
    labels, split = (np.array(table[name].combine_chunks()) for name in ("label", "split"))
    for name, numbers, most in (("label", labels, classes), ("split", split, len(SPLITS))):
        if count == 0 or numbers.min() < 0 or numbers.max() >= most:
            raise ConvoyError(
                path=folder / ITEMS,
                key=f"column '{name}'",
                expected=f"rows with 0 to {most - 1}",
                hint=_AGAIN,
            )
    values, masks = _pixels(folder / PIXELS, (count, len(facts.channels), *facts.edges))
    ids, sums = (table[name].combine_chunks() for name in ("id", "sha256"))
    return Images(values, labels, split, ids, sums, masks, facts)


def split_by_hash(sums: list[str], part: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """The split (N,): as given by `part`, -1 where it is not given; parts without an image come from others.

    By the first 32 bits of the SHA-256: 10% to validation, 10% to test.
    """
    share = np.array([int(digest[:8], 16) for digest in sums]) / 2**32
    split = part.copy()
    free = np.isin(part, (-1, TRAIN))
    if not (part == TEST).any():
        split[free & (share >= 0.9)] = TEST
    if not (part == VALIDATION).any():
        split[free & (share < 0.1)] = VALIDATION
    split[split == -1] = TRAIN
    return split.astype(np.uint8)


def _table(path: Path) -> pa.Table:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
    except (pa.ArrowInvalid, OSError) as error:
        raise ConvoyError(f"not a whole Parquet file ({reason(error)})", path=path, hint=_AGAIN) from None
    found: Mapping[str, pa.DataType] = {field.name: field.type for field in table.schema}
    if found != _COLUMNS or any(table[name].null_count for name in _COLUMNS):
        raise ConvoyError(
            path=path, expected=f"columns {', '.join(_COLUMNS)} without gaps",
            found=", ".join(f"{name} {kind}" for name, kind in found.items()), hint=_AGAIN,
        )  # fmt: skip
    return table


def _pixels(path: Path, shape: tuple[int, ...]) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None]:
    """Values of this shape, and masks where the file has them; sizes are checked before memory is taken."""
    cells = shape[2] * shape[3]
    expected = {_VALUES: list(shape), _MASKS: [shape[0], -(-cells // 8)]}
    try:
        with safe_open(path, framework="numpy") as file:
            names = tuple(file.keys())
            for name in names:
                part = file.get_slice(name)
                if name not in expected or part.get_shape() != expected[name]:
                    raise ConvoyError(
                        path=path, key=f"tensor '{name}'", expected=str(expected.get(name, "no such tensor")),
                        found=str(part.get_shape()), hint=_AGAIN,
                    )  # fmt: skip
                if part.get_dtype() not in (_STORED if name == _VALUES else ("U8",)):
                    raise ConvoyError(
                        path=path, key=f"tensor '{name}'", expected=" or ".join(_STORED),
                        found=part.get_dtype(), hint=_AGAIN,
                    )  # fmt: skip
            if 4 * int(np.prod(shape)) > LARGEST_BYTES:
                raise too_large(path, shape)
            values = file.get_tensor(_VALUES)
            bits = file.get_tensor(_MASKS) if _MASKS in names else None
    except (SafetensorError, OSError) as error:
        raise ConvoyError(f"not whole ({reason(error, 120)})", path=path, hint=_AGAIN) from None
    if values.dtype != np.uint8:
        values = values.astype(np.float32)
    if bits is None:
        return values, None
    masks = np.unpackbits(bits, axis=1, count=cells).astype(bool).reshape(shape[0], *shape[2:])
    return values, masks


def too_large(path: Path | str, shape: tuple[int, ...]) -> ConvoyError:
    """The error about images (N, C, H, W) that would take more than LARGEST_BYTES."""
    gib = 4 * float(np.prod(np.array(shape, float))) / 2**30
    return ConvoyError(
        f"{shape[0]:,} images of {shape[2]} x {shape[3]} take {gib:.0f} GiB", path=path,
        expected=f"at most {LARGEST_BYTES // 2**30}", hint="lower climate.events.images.size",
    )  # fmt: skip
