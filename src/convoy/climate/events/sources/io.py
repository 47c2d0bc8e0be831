"""Makes or reads images: the synthetic maps, a folder of class folders, or CIFAR-10's binary files."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import Field

from convoy.climate.events.data import synthetic
from convoy.climate.events.data.io import SPLITS, Facts, Images
from convoy.climate.events.sources.cifar_io import is_cifar, read_cifar
from convoy.climate.events.sources.class_folders_io import read_folders
from convoy.core.errors import ConvoyError
from convoy.core.params import Section

SYNTHETIC = "synthetic"


class SyntheticParams(Section):
    """The maps of `convoy.climate.events.data.synthetic`."""

    train: int = Field(3000, ge=50, le=200_000, description="maps")
    validation: int = Field(500, ge=50, le=200_000, description="maps")
    test: int = Field(1000, ge=50, le=200_000, description="maps")
    seed: int = Field(0, ge=0, le=2**32 - 1)
    amplitude: float = Field(
        1.8, ge=0, le=10, description="of events, in standard deviations of the weather noise"
    )
    decoys: float = Field(
        0.7, ge=0, le=1, description="share of maps with the parts of another event, each at its own place"
    )


class ImagesParams(Section):
    """Where the images come from and which size they get."""

    source: str = Field(
        SYNTHETIC, min_length=1, max_length=4096,
        description="`synthetic`, or a folder: one folder of images per class, or CIFAR-10's binary files",
    )  # fmt: skip
    size: int = Field(
        64, ge=16, le=1024, description="edge in pixels that images of class folders are brought to"
    )
    max_images: int = Field(200_000, ge=10, le=10_000_000, description="more are refused")
    synthetic: SyntheticParams = SyntheticParams()


def images_of(params: ImagesParams) -> Images:
    """The images that the params name; ConvoyError for a source that is not there or holds no images."""
    if params.source == SYNTHETIC:
        return drawn(params.synthetic)
    folder = Path(params.source)
    if not folder.is_dir():
        raise ConvoyError(
            "no such folder", path=folder, expected=f"`{SYNTHETIC}` or a folder",
            hint="set climate.events.images.source",
        )  # fmt: skip
    if is_cifar(folder):
        return read_cifar(folder, params.max_images)
    return read_folders(folder, params.size, params.max_images)


def drawn(params: SyntheticParams) -> Images:
    """The synthetic maps of all splits, each from a seed of its own."""
    counts = [getattr(params, split) for split in SPLITS]
    parts = [
        synthetic.maps(count, [params.seed, number], params.amplitude, params.decoys)
        for number, count in enumerate(counts)
    ]
    # As they are stored, so that a map is the same before and after.
    values = np.concatenate([part.values for part in parts]).astype(np.float16).astype(np.float32)
    ids = [f"{split}-{row:06d}" for split, count in zip(SPLITS, counts, strict=True) for row in range(count)]
    return Images(
        values=values,
        labels=np.concatenate([part.labels for part in parts]),
        split=np.repeat(np.arange(len(SPLITS), dtype=np.uint8), counts),
        ids=pa.array(ids, pa.string()),
        sha256=pa.array([hashlib.sha256(one.tobytes()).hexdigest() for one in values], pa.string()),
        masks=np.concatenate([part.masks for part in parts]),
        facts=Facts(
            source=SYNTHETIC, classes=synthetic.CLASSES, channels=synthetic.CHANNELS,
            units=synthetic.UNITS, edges=(synthetic.SIZE, synthetic.SIZE), marked=synthetic.MARKED,
        ),
    )  # fmt: skip


def summary(images: Images) -> str:
    """One line for the log: how many images of which classes, and what was repaired."""
    facts = images.facts
    splits = ", ".join(f"{len(images.rows(number)):,} {name}" for number, name in enumerate(SPLITS))
    repaired = ", ".join(f"{count:,} {what}" for what, count in facts.repaired.items())
    line = f"{len(images.labels):,} images of {len(facts.classes)} classes ({splits})"
    return f"{line}; repaired: {repaired}" if repaired else line
