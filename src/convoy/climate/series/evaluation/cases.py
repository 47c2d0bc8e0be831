"""Test site-years as cases of an evaluation, and their Bayes accuracy."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from convoy.classifiers.evaluation.evaluate import Cases
from convoy.climate.series.data.site_years import TEST, TRAIN, SiteYears
from convoy.core.artifact import StoredModel
from convoy.core.errors import ConvoyError

BAYES = "full"
"""Key of the Bayes accuracy in the metrics: of a whole site-year, with the order of its days."""


def check_belongs(model: str, stored: StoredModel, held: SiteYears) -> None:
    """Raise ConvoyError where a model was trained on other site-years."""
    for what, own, other in (
        ("labels", tuple(stored.config["categories"]), held.categories),
        ("variables", tuple(stored.config["variables"]), held.variables),
    ):
        if own != other:
            raise ConvoyError(
                f"{model}: trained on other {what} than the site-years have; run `dvc repro` to train again"
            )


def cases_of_test_split(held: SiteYears) -> Cases:
    """The site-years of the test split; ConvoyError where it holds none."""
    test, train = held.of(TEST), held.of(TRAIN)
    if len(test) == 0:
        raise ConvoyError("the test split holds no site-year; add sites, or state splits in the label file")
    return Cases(
        ids=pa.array(test.item_ids, pa.string()),
        labels=test.labels,
        categories=held.categories,
        majority=int(np.bincount(train.labels, minlength=len(held.categories)).argmax()),
        groups=sites_of(test.item_ids),
    )


def sites_of(item_ids: Sequence[str]) -> npt.NDArray[np.int64]:
    """A number from 0 for the site of each site-year, (n,), from its id (`SiteYears.item_ids`)."""
    return np.unique([item.rpartition(" ")[0] for item in item_ids], return_inverse=True)[1]


def bayes_accuracies(truth: pa.Table, cases: Cases) -> dict[str, float] | None:
    """Accuracy of the Bayes rule on the cases; None for real stations, of which no truth is known."""
    if len(truth) == 0:
        return None
    rows = pc.index_in(cases.ids, truth["item_id"].combine_chunks())
    if rows.null_count:
        unknown = cases.ids.filter(pc.is_null(rows))[0]
        raise ConvoyError(f"truth: no row of '{unknown}'; make the site-years again")
    found = truth.take(rows)
    posterior = np.stack([found[name].to_numpy() for name in cases.categories], axis=1)
    return {BAYES: float(np.mean(posterior.argmax(axis=1) == cases.labels))}
