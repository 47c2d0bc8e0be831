"""Reads pictures from class folders: JPEG, PNG and WebP of any size, repaired to RGB of one size.

Layouts: `CLASS/*.jpg`, split by a hash of the pixels, or torchvision's `train/CLASS/*.jpg` with `test` or
`val` next to it. A part that is missing is taken from the training pictures, by the same hash.
"""

import hashlib
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.Image import Transpose

from convoy.climate.events.data.io import (
    LARGEST_BYTES,
    TEST,
    TRAIN,
    VALIDATION,
    Facts,
    Images,
    split_by_hash,
    too_large,
)
from convoy.core.errors import ConvoyError
from convoy.core.printable import reason

FORMATS = ("JPEG", "PNG", "WEBP")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
MOST_PIXELS = 64_000_000
"""Of one picture; a small file may expand to gigabytes."""
_PARTS = {
    "train": TRAIN, "training": TRAIN, "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION,
    "test": TEST,
}  # fmt: skip
_ORIENTATION = 0x0112  # the tag of EXIF
# By its value. ImageOps.exif_transpose writes the EXIF anew as well, and fails where that is broken.
_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE, 6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90,
}  # fmt: skip


@dataclass(frozen=True)
class Decoded:
    """A picture as RGB bytes (3, size, size), what was repaired, and the SHA-256 of its pixels as read."""

    pixels: npt.NDArray[np.uint8]
    repaired: tuple[str, ...]
    sha256: str


def read_folders(folder: Path, size: int, most: int) -> Images:
    """The pictures of a folder of class folders, as size x size; at most `most` of them.

    Raises ConvoyError for a folder without two classes, a class without pictures, a picture that is
    unreadable, truncated or too large to decode, a file that is none, and a name that is no plain text.
    """
    files = list(_files(folder, most))
    classes = sorted({file.parent.name for file, _ in files})
    if len(classes) < 2:
        raise ConvoyError(
            "one class only" if classes else "no pictures in class folders", path=folder,
            expected="a folder of pictures (JPEG, PNG, WebP) for each of at least two classes",
            found=", ".join(classes),
        )  # fmt: skip
    shape = (len(files), 3, size, size)
    if 4 * int(np.prod(shape)) > LARGEST_BYTES:
        raise too_large(folder, shape)
    values = np.empty(shape, np.uint8)
    repaired: Counter[str] = Counter()
    sums = []
    for row, (file, _) in enumerate(files):
        decoded = decode(file, size)
        values[row] = decoded.pixels
        repaired.update(decoded.repaired)
        sums.append(decoded.sha256)
    split = split_by_hash(sums, np.array([part for _, part in files], np.int64))
    return Images(
        values=values,
        labels=np.array([classes.index(file.parent.name) for file, _ in files], np.int64),
        split=split,
        ids=pa.array([file.relative_to(folder).as_posix() for file, _ in files], pa.string()),
        sha256=pa.array(sums, pa.string()),
        masks=None,
        facts=Facts(
            source=folder.name or "folder", classes=tuple(classes), channels=("red", "green", "blue"),
            units=("", "", ""), edges=(size, size), repaired=dict(sorted(repaired.items())),
        ),
    )  # fmt: skip


def decode(file: Path, size: int) -> Decoded:
    """Decode one picture and bring it to RGB of size x size; ConvoyError where that cannot be done.

    Rotated as its EXIF states, first frame of an animation, 16 bits to 8, alpha over white, grey and CMYK to
    RGB, then cut to a square about its centre and resampled. Each of these counts as a repair.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of broken EXIF and of sizes, which are checked here
            with Image.open(file, formats=FORMATS) as picture:
                width, height = picture.size
                if width * height > MOST_PIXELS:
                    raise ConvoyError(
                        f"{width} x {height} pixels", path=file, expected=f"at most {MOST_PIXELS:,}",
                        hint="make it smaller",
                    )  # fmt: skip
                picture.load()
                return _repaired(picture, size)
    except Image.DecompressionBombError:
        raise ConvoyError(
            "a picture of far too many pixels", path=file, expected=f"at most {MOST_PIXELS:,}"
        ) from None
    except UnidentifiedImageError:
        raise ConvoyError(
            "unreadable", path=file, expected="a picture (JPEG, PNG or WebP)", hint="remove or replace it"
        ) from None
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        # Pillow raises each of them for broken contents.
        raise ConvoyError(
            f"unreadable or truncated ({reason(error, 80)})", path=file, hint="remove or replace it"
        ) from None


def _repaired(picture: Image.Image, size: int) -> Decoded:
    repaired = []
    if getattr(picture, "n_frames", 1) > 1:
        repaired.append("animated")
        picture.seek(0)
    upright = picture
    if (turn := _UPRIGHT.get(picture.getexif().get(_ORIENTATION, 1))) is not None:
        repaired.append("rotated")
        upright = picture.transpose(turn)
    if upright.mode.startswith("I") or upright.mode == "F":
        repaired.append("16-bit")
        numbers = np.asarray(upright, np.float64)
        upright = Image.fromarray((numbers / 257).round().clip(0, 255).astype(np.uint8))
    if upright.mode in ("1", "L", "LA", "La"):
        repaired.append("grey")
    elif upright.mode == "CMYK":
        repaired.append("cmyk")
    if upright.has_transparency_data:
        repaired.append("alpha")
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright.convert("RGBA"))
    colours = upright.convert("RGB")
    digest = hashlib.sha256(f"{colours.size}".encode() + colours.tobytes()).hexdigest()
    if colours.size != (size, size):
        repaired.append("resized")
        colours = ImageOps.fit(colours, (size, size), Image.Resampling.BICUBIC)
    return Decoded(np.ascontiguousarray(np.asarray(colours).transpose(2, 0, 1)), tuple(repaired), digest)


def _files(folder: Path, most: int) -> Iterator[tuple[Path, int]]:
    """Pictures in order of their names, and their split; -1 where the layout does not give it."""
    parts = [path for path in _entries(folder) if path.is_dir()]
    given = {path: _PARTS[path.name.lower()] for path in parts if path.name.lower() in _PARTS}
    if TRAIN not in given.values():
        given = {folder: -1}
    elif len(given) < len(parts):
        other = next(path for path in parts if path not in given)
        raise ConvoyError("stands next to `train`", path=other, expected="train, val and test only")
    count = 0
    for top, number in given.items():
        of_classes = [path for path in _entries(top) if path.is_dir()]
        if not of_classes and number != -1:
            raise ConvoyError("no class folders", path=top, hint="remove it, or make one for each class")
        for of_class in of_classes:
            files = _entries(of_class)
            if not files:
                raise ConvoyError("no pictures of this class", path=of_class, hint="add some or remove it")
            for file in files:
                if not file.is_file() or file.suffix.lower() not in SUFFIXES:
                    raise ConvoyError("not a picture", path=file, expected=f"one of {', '.join(SUFFIXES)}")
                count += 1
                if count > most:
                    raise ConvoyError(
                        f"more than {most:,} pictures",
                        path=folder,
                        hint="raise climate.events.images.max_images",
                    )
                yield file, number


def _entries(folder: Path) -> list[Path]:
    """What is in a folder by name, hidden files left out; ConvoyError for names that no table can hold."""
    try:
        found = sorted(path for path in folder.iterdir() if path.name[0] != ".")
    except OSError as error:
        raise ConvoyError(f"cannot be read: {error.strerror}", path=folder) from None
    for path in found:
        if not path.name.isprintable():
            raise ConvoyError(
                "a name with characters that do not print, or that are not UTF-8", path=path, hint="rename it"
            )
    return found
