"""Site embeddings: the mean over a site's years of the network's 128-d outputs."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from convoy.climate.series.data.site_years import SiteYears
from convoy.climate.series.models.specs import MODELS
from convoy.climate.series.models.stored import check_model
from convoy.core.artifact import WEIGHTS, StoredModel
from convoy.core.errors import ConvoyError
from convoy.embeddings.io import NO_SIGNAL, OK, Embedded


@dataclass(frozen=True, eq=False)
class Sites:
    """The sites of a folder, as `embeddings.write_io.write` reads them; `path`: the folder's manifest."""

    path: Path
    held: SiteYears

    def batches(self, rows: int, ids_only: bool = False) -> Iterator[pa.RecordBatch]:  # noqa: ARG002
        """Batches of item_id, the names of the sites."""
        names = sorted(set(self.held.site))
        for low in range(0, len(names), rows):
            yield pa.RecordBatch.from_pydict({"item_id": pa.array(names[low : low + rows], pa.string())})

    def sources(self) -> list[str] | None:
        """None: the folder is the source."""
        return None


class Embedder:
    """Embeds batches of sites with a stored network."""

    def __init__(self, stored: StoredModel, held: SiteYears) -> None:
        """Raise ConvoyError for a model without embeddings, or of other variables."""
        kind = stored.config.get("kind")
        able = [name for name, row in MODELS.items() if "embeddings" in row.exports]
        if kind not in able:
            raise ConvoyError(
                f"a {kind} model has no embeddings", path=stored.name, expected=" or ".join(able)
            )
        check_model(stored)
        if tuple(stored.config["variables"]) != held.variables:
            raise ConvoyError(f"{kind}: trained on other variables than the site-years have")
        self._stored, self._held = stored.on_any_machine(), held
        self.dimension: int = stored.config["network"]["output_dim"]
        self.facts: dict[str, Any] = {
            "model": kind, "pooling": "mean over days and years", "normalise": "none",
            "weights_sha256": stored.sha256[WEIGHTS],
        }  # fmt: skip

    def __call__(self, batch: pa.RecordBatch) -> Embedded:
        from convoy.climate.series.networks import fit

        names = batch["item_id"].to_pylist()
        place = {name: number for number, name in enumerate(names)}
        rows = np.array([row for row, site in enumerate(self._held.site) if site in place], np.int64)
        part = self._held.at(rows)
        outputs = fit.embeddings(self._stored.config, self._stored.tensors, part.values)
        site = np.array([place[name] for name in part.site], np.int64)
        sums = np.zeros((len(names), self.dimension))
        np.add.at(sums, site, outputs)
        vectors = (sums / np.bincount(site, minlength=len(names))[:, None]).astype(np.float32)
        digests = [hashlib.sha256() for _ in names]
        for number, values in zip(site, part.values, strict=True):
            digests[number].update(values.tobytes())
        silent = ~vectors.any(axis=1)
        return Embedded(
            vectors=vectors,
            text_sha256=[digest.hexdigest() for digest in digests],
            status=np.where(silent, NO_SIGNAL, OK).astype(np.uint8),
        )


def summary(manifest: Mapping[str, Any]) -> str:
    """One line for the log."""
    return (
        f"embeddings: {manifest['items']:,} sites by {manifest['model']}; {manifest['dimension']} dimensions"
    )
