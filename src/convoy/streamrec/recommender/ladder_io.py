"""The folder of the ladder: by representation its figures, params and learning curve, for tracking."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convoy.core.artifact import CONFIG
from convoy.core.figures_io import METRICS
from convoy.core.files import atomic_directory, write_json, write_manifest, write_text
from convoy.streamrec.recommender.ladder import Rung
from convoy.streamrec.recommender.params import ClickParams


def write_ladder(
    folder: Path, rungs: Mapping[str, Rung], details: Mapping[str, Any], params: ClickParams
) -> None:
    """Write a folder for each representation, with the first seed's learning curve of the click model."""
    network = params.model_dump(mode="json", include={"projection", "hidden"})
    training = params.training.model_dump(mode="json")
    with atomic_directory(folder) as partial:
        for name, rung in rungs.items():
            own = partial / name
            own.mkdir()
            fitted = bool(rung.consumers)
            config = {
                "schema": 1, "kind": name, "seeds": list(params.seeds),
                "network": network if fitted else {}, "training": training if fitted else {},
            }  # fmt: skip
            write_json(own / CONFIG, config)
            write_json(own / METRICS, {key: details[key].get(name, {}) for key in ("clicks", "retrieval")})
            if fitted:
                write_text(own / "curve.csv", rung.consumers[0].fitted.csv())
            write_manifest(own)
