"""How versions of a model of texts are judged: the share of the same test items that both name rightly."""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from convoy.core import statistics
from convoy.core.errors import ConvoyError
from convoy.report.numbers import percent, points
from convoy.streamrec.catalogue import io as catalogues
from convoy.streamrec.classification import io as predictions
from convoy.streamrec.classification.evaluate import HEADLINES
from convoy.streamrec.classification.io import Predictions
from convoy.tracking.task import Judge, Metrics

if TYPE_CHECKING:
    from convoy.tracking.promotion import PromotionParams


class Accuracy(Judge):
    """Accuracy; items are paired by id."""

    file = "predictions.parquet"
    source = "catalogue.parquet"

    def read(self, path: Path) -> Predictions:
        return predictions.read(path)

    def test_split(self, path: Path, data: Mapping[str, str]) -> str:  # noqa: ARG002 (truth is in the file)
        """A hash of the test items and their categories."""
        found = predictions.read(path)
        digest = hashlib.sha256()
        for column in (found.item_ids, found.category):
            digest.update("\0".join(column.to_pylist()).encode())
        return digest.hexdigest()

    def faults(
        self, metrics: Mapping[str, Any], measured: Predictions, params: "PromotionParams"
    ) -> list[str]:
        test = metrics["test"]
        odd = [key for key in (*HEADLINES, "accuracy_low") if not _finite(test.get(key))]
        if odd:
            return [f"{', '.join(odd)} not finite"]
        failed = []
        right = _correct(measured).mean()
        if abs(right - test["accuracy"]) > 1e-6:
            failed.append(
                f"its predictions are {percent(right)} right, its figures say {percent(test['accuracy'])}"
            )
        if test["ece"] > params.max_ece:
            failed.append(f"calibration error {test['ece']:.3f}, at most {params.max_ece:g} is allowed")
        majority = metrics["majority"]
        if test["accuracy_low"] <= majority["accuracy"]:
            failed.append(
                f"accuracy {percent(test['accuracy'])}, from {percent(test['accuracy_low'])}, is not above "
                f"that of always naming '{majority['category']}', {percent(majority['accuracy'])}"
            )
        return failed

    def again(self, source: Path, measured: Predictions, model: Any) -> Predictions:
        """What the model names for the items of `measured`, whose texts are in the catalogue `source`."""
        table, _ = catalogues.read(source)
        ids = measured.item_ids
        rows = pc.index_in(ids, table["item_id"].combine_chunks())
        if rows.null_count:
            raise ConvoyError(
                f"{source}: without {rows.null_count} of the candidate's test items; `dvc repro`"
            )
        texts = table.select(["title", "synopsis"]).take(rows).to_pandas()
        named = model.predict(texts)["category"]
        return Predictions(ids, measured.category, {0: pa.array(named.tolist(), pa.string())})

    def difference(
        self, candidate: Predictions, champion: Predictions, resamples: int, seed: int
    ) -> dict[str, float]:
        """Accuracy of the candidate less the champion's on the same n items, with its 95% interval.

        Items are paired by id and resampled together, training seeds of each on their own; `mcnemar_p` is
        exact, for the first seeds. Raises ConvoyError where the items or their categories are not the same.
        """
        pair = [_by_id(candidate), _by_id(champion)]
        if not (pair[0].item_ids.equals(pair[1].item_ids) and pair[0].category.equals(pair[1].category)):
            raise ConvoyError(
                "the predictions of the two versions are not about the same test items "
                f"({len(pair[0].item_ids)} and {len(pair[1].item_ids)}); run `dvc repro` and "
                "`convoy publish`, then promote again"
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

    def margin(self, params: "PromotionParams") -> float:
        return params.margin

    def words(self, difference: Mapping[str, float]) -> str:
        n, excluded = f"{difference['n']:,.0f}", difference["low"] >= -difference["margin"]
        return (
            f"{signed(difference['difference'])} points of accuracy on the same {n} test items "
            f"(95% interval {signed(difference['low'])} to {signed(difference['high'])}), so a loss of more "
            f"than {points(difference['margin'])} points {'is' if excluded else 'cannot be'} excluded"
        )

    def beside(self, new: Metrics, old: Metrics) -> tuple[float, str] | None:
        """The intervals of both are set against each other (Newcombe 1998, method 10)."""
        if not all({"accuracy", "accuracy_low", "accuracy_high"} <= set(side) for side in (new, old)):
            return None
        lead = new["accuracy"] - old["accuracy"]
        most = lead + math.hypot(
            new["accuracy_high"] - new["accuracy"], old["accuracy"] - old["accuracy_low"]
        )
        return most, f"{signed(lead)} points of accuracy on the same test items"

    def spoken(self, metrics: Mapping[str, float]) -> str | None:
        return f"accuracy {percent(metrics['accuracy'])}" if "accuracy" in metrics else None


def signed(difference: float) -> str:
    """A difference in percentage points with its sign."""
    text = points(difference)
    return f"+{text}" if difference > 0 and text != "0.0" else text


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
