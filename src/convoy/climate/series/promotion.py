"""Predictions of a served model for the test site-years of a candidate."""

import numpy as np
import pandas as pd
import pyarrow as pa

from convoy.classifiers.evaluation.io import Predictions
from convoy.climate.series.data.site_years import SiteYears
from convoy.core.errors import ConvoyError
from convoy.tasks import ServedModel


def remeasure(held: SiteYears, predictions: Predictions, model: ServedModel) -> Predictions:
    """Predictions of the model for the site-years of `predictions`, whose values `held` has."""
    place = {name: row for row, name in enumerate(held.item_ids)}
    wanted = predictions.item_ids.to_pylist()
    lacking = [name for name in wanted if name not in place]
    if lacking:
        raise ConvoyError(
            f"the site-years lack {len(lacking)} of the candidate's test cases; run `dvc repro`"
        )
    table = table_of(held.at(np.array([place[name] for name in wanted], np.int64)))
    category = model.predict(table)["category"]
    return Predictions(
        predictions.item_ids, predictions.category, {0: pa.array(category.tolist(), pa.string())}
    )


def table_of(held: SiteYears) -> pd.DataFrame:
    """Site-years as a served model reads them: a column per variable, whose values are lists of days."""
    return pd.DataFrame({
        name: list(held.values[:, number].astype(np.float64)) for number, name in enumerate(held.variables)
    })  # fmt: skip
