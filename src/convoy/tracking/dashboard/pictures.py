"""Pictures for MLflow's pages: small in a description, and side by side among the charts.

A description shows a picture in its full size, and one that is wider than the page displaces the rest of the
page. Charts show pictures whose names have the form of `MlflowClient.log_image`.
"""

import uuid
from collections.abc import Mapping, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from convoy.tracking import runs
from convoy.tracking.scratch_io import scratch as scratch_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient

LOGGED = {"mlflow.loggedImages": "True"}  # the run's tag without which charts do not look for pictures
_NOTE_WIDTH, _THUMBNAIL = 640, 256  # pixels


def upload(
    client: "MlflowClient", run_id: str, files: Mapping[str, Path], shown: Sequence[Path]
) -> list[str]:
    """Upload the files, and copies of the pictures `shown` for the description and the charts.

    Returns the markdown that shows each picture in the run's description.
    """
    with scratch_folder("pictures") as name:
        folder = Path(name)
        more: dict[str, Path] = {}
        for picture in shown:
            more[f"notes/{picture.name}"] = _for_note(picture, folder)
            more |= _for_charts(picture, folder)
        runs.upload(client, run_id, {**files, **more})
    return [f"![{file.stem}](get-artifact?path=notes/{file.name}&run_uuid={run_id})" for file in shown]


def _for_note(picture: Path, folder: Path) -> Path:
    """A copy in `folder` that fits into a description."""
    out = folder / picture.name
    with Image.open(picture) as image:
        height = round(image.height * _NOTE_WIDTH / image.width)
        small = image.convert("RGB")  # resizing text needs more colours than a palette
        if image.width > _NOTE_WIDTH:
            small = small.resize((_NOTE_WIDTH, height), Image.Resampling.LANCZOS)
        small.save(out, "PNG", optimize=True)
    return out


def _for_charts(picture: Path, folder: Path) -> dict[str, Path]:
    """The picture and its thumbnail by their paths in the run: the same paths for the same bytes."""
    content = picture.read_bytes()
    name = uuid.UUID(bytes=sha256(content).digest()[:16])
    path = f"images/{picture.stem}+step+0+timestamp+0+{name}"
    small = folder / f"{picture.stem}.webp"
    with Image.open(BytesIO(content)) as image:
        thumbnail = image.convert("RGB")
        thumbnail.thumbnail((_THUMBNAIL, _THUMBNAIL))
        thumbnail.save(small, "WEBP", quality=90)
    return {f"{path}.png": picture, f"{path}+compressed.webp": small}
