"""What speaks for a version: its figures, its stored files, and its predictions beside the champion's."""

import json
import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from convoy import statistics
from convoy.errors import ConvoyError
from convoy.report.numbers import percent
from convoy.storage import catalogues, journal, predictions
from convoy.storage.files import read_json
from convoy.storage.predictions import Predictions
from convoy.streamrec.evaluation import HEADLINES
from convoy.tracking import dvclock
from convoy.tracking.decisions import name, side
from convoy.tracking.tasks import TASKS

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

# Artifacts of a run.
EVALUATION, FIGURES, PREDICTIONS = "evaluation", "metrics.json", "predictions.parquet"
_PROBE = "A detective returns to the city and finds an old friend."


@dataclass(frozen=True, eq=False)
class Scored:
    """What the evaluate stage found, as the version's run keeps it."""

    metrics: Mapping[str, Any]
    predictions: Predictions


def scored(client: "MlflowClient", version: "ModelVersion") -> Scored:
    """Figures and predictions of a version; ConvoyError where its run does not have them."""
    with tempfile.TemporaryDirectory(prefix="convoy-evidence-") as scratch:
        folder = _download(client, version, scratch)
        return Scored(read_json(folder / FIGURES), predictions.read(folder / PREDICTIONS))


def faults(registered: str, version: "ModelVersion", found: Scored, max_ece: float) -> list[str]:
    """The acceptance checks that a version fails, in words: figures, then the stored model itself."""
    test = found.metrics["test"]
    odd = [key for key in (*HEADLINES, "accuracy_low") if not _finite(test.get(key))]
    if odd:
        return [f"{', '.join(odd)} not finite"]
    failed = []
    measured = _correct(found.predictions).mean()
    if abs(measured - test["accuracy"]) > 1e-6:
        failed.append(
            f"its predictions are {percent(measured)} right, its figures say {percent(test['accuracy'])}"
        )
    if test["ece"] > max_ece:
        failed.append(f"calibration error {test['ece']:.3f}, at most {max_ece:g} is allowed")
    majority = found.metrics["majority"]
    if test["accuracy_low"] <= majority["accuracy"]:
        failed.append(
            f"accuracy {percent(test['accuracy'])}, from {percent(test['accuracy_low'])}, is not above that "
            f"of always naming '{majority['category']}', {percent(majority['accuracy'])}"
        )
    stored = _stored_fault(registered, version)
    return failed + ([stored] if stored else [])


def rival(
    client: "MlflowClient",
    registered: str,
    candidate: "ModelVersion",
    champion: "ModelVersion",
    found: Scored,
) -> Predictions:
    """The champion's predictions for the candidate's test items: stored ones, or made now from the texts.

    Raises ConvoyError where the two were tested on different items and the workspace has not their texts.
    """
    from convoy.tracking import pyfunc

    if candidate.tags.get("convoy.test_split") == champion.tags.get("convoy.test_split"):
        return scored(client, champion).predictions
    data = {task.registered: task.data for task in TASKS}[registered]
    catalogue = journal.repository() / data / "catalogue.parquet"
    md5 = json.loads(candidate.tags.get("convoy.data", "{}")).get(catalogue.name)
    if not catalogue.is_file() or dvclock.md5(catalogue) != md5:
        raise ConvoyError(
            f"{name(side(candidate))} and the champion, {name(side(champion))}, were tested on different "
            f"items, and {data / catalogue.name} is not the one of the former (md5 {md5}); bring it back "
            "with `git checkout` and `dvc checkout`, then run `convoy promote` again"
        )
    table, _ = catalogues.read(catalogue)
    ids = found.predictions.item_ids
    rows = pc.index_in(ids, table["item_id"].combine_chunks())
    if rows.null_count:
        raise ConvoyError(
            f"{catalogue}: without {rows.null_count} of the candidate's test items; `dvc repro`"
        )
    texts = table.select(["title", "synopsis"]).take(rows).to_pandas()
    named = pyfunc.load(_uri(registered, champion)).predict(texts)["category"]
    return Predictions(ids, found.predictions.category, {0: pa.array(named.tolist(), pa.string())})


def difference(candidate: Predictions, champion: Predictions, resamples: int, seed: int) -> dict[str, float]:
    """Accuracy of the candidate less the champion's on the same n items, with its 95% interval.

    Items are paired by id and resampled together, training seeds of each on their own; `mcnemar_p` is exact,
    for the first seeds. Raises ConvoyError where the items or their categories are not the same.
    """
    pair = [_by_id(candidate), _by_id(champion)]
    if not (pair[0].item_ids.equals(pair[1].item_ids) and pair[0].category.equals(pair[1].category)):
        raise ConvoyError(
            f"the predictions of the two versions are not about the same test items ({len(pair[0].item_ids)} "
            f"and {len(pair[1].item_ids)}); run `dvc repro` and `convoy publish`, then promote again"
        )
    first, second = map(_correct, pair)
    rng = np.random.default_rng(seed)
    drawn = statistics.resampled_sums(np.hstack([first, second]), resamples, rng) / len(first)
    sides = np.split(drawn, [first.shape[1]], axis=1)
    means = [statistics.resampled_seed_means(side, rng) for side in sides]
    low, high = statistics.percentile_interval(means[0] - means[1])
    if not (first.mean(axis=1) - second.mean(axis=1)).any():
        # No resample can differ; but of n new items a few might: Wilson's bound on their share.
        high = statistics.wilson(0, len(first))[1]
        low = -high
    only = [int(np.sum(one[:, 0] > other[:, 0])) for one, other in ((first, second), (second, first))]
    found = {
        "difference": float(first.mean() - second.mean()),
        "low": low,
        "high": high,
        "n": len(first),
        "mcnemar_p": statistics.mcnemar(*only),
    }
    return statistics.rounded(found)


def _by_id(found: Predictions) -> Predictions:
    order = pc.sort_indices(found.item_ids)
    predicted = {seed: names.take(order) for seed, names in found.predicted.items()}
    return Predictions(found.item_ids.take(order), found.category.take(order), predicted)


def _correct(found: Predictions) -> npt.NDArray[np.float64]:
    """Whether each seed is right about each item, (n, seeds) of 0 and 1."""
    columns = [np.asarray(pc.equal(names, found.category)) for names in found.predicted.values()]
    return np.column_stack(columns).astype(np.float64)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _stored_fault(registered: str, version: "ModelVersion") -> str | None:
    """What is wrong with the stored model: its files are checked, then it reads a text."""
    import pandas as pd

    from convoy.tracking import pyfunc

    try:
        answer = pyfunc.load(_uri(registered, version)).predict(pd.DataFrame({"synopsis": [_PROBE]}))
    except ConvoyError as error:
        return f"its stored model is refused: {error}"
    if "embedding" not in answer:
        return "its stored model has no embeddings"
    if not np.isfinite(answer["embedding"][0]).all():
        return "its stored model gives embeddings that are not finite"
    return None


def _uri(registered: str, version: "ModelVersion") -> str:
    return f"models:/{registered}/{version.version}"


def _download(client: "MlflowClient", version: "ModelVersion", scratch: str) -> Path:
    from mlflow.exceptions import MlflowException

    try:
        return Path(client.download_artifacts(str(version.run_id), EVALUATION, scratch))
    except (MlflowException, OSError) as error:
        raise ConvoyError(
            f"{name(side(version))}: no {EVALUATION}/ in its run {version.run_id} "
            f"({' '.join(str(error).split())[:200]}); run `convoy publish`, then promote again"
        ) from None
