"""A served model of site-years: from a row of daily values per site-year to regime and probability."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from convoy.climate.data.variables import VARIABLES
from convoy.climate.series.data.site_years import DAYS, Values
from convoy.climate.series.models.specs import probabilities
from convoy.climate.series.models.stored import check_model
from convoy.core.artifact import StoredModel
from convoy.core.errors import ConvoyError
from convoy.tasks import Column

_MOST_ROWS = 100_000


class SeriesModel:
    """Predicts tables of site-years."""

    def __init__(self, stored: StoredModel) -> None:
        """Raise ConvoyError for an invalid model."""
        self._stored = check_model(stored).on_any_machine()
        self.variables: list[str] = list(stored.config["variables"])
        self.categories: list[str] = list(stored.config["categories"])

    def columns(self) -> tuple[Column, ...]:
        """The columns of the input: a list of 365 numbers per variable."""
        return tuple(Column(name, "numbers") for name in self.variables)

    def predict(self, model_input: pd.DataFrame) -> pd.DataFrame:
        """Category, its probability and the embedding of each row.

        `model_input` has a column per variable; each value is a list of the 365 days of a year in SI units,
        29 February left out. Raises ConvoyError for other columns and lengths, and for values that are
        missing or not possible on Earth.
        """
        if not isinstance(model_input, pd.DataFrame):
            raise ConvoyError(f"input: expected a table, found {type(model_input).__name__}")
        names = [str(name) for name in model_input.columns]
        if sorted(names) != sorted(self.variables):
            raise ConvoyError(
                f"input: expected the columns {', '.join(self.variables)}, found {', '.join(names) or 'none'}"
            )
        if len(model_input) > _MOST_ROWS:
            raise ConvoyError(f"input: {len(model_input):,} rows; expected at most {_MOST_ROWS:,}")
        values = np.empty((len(model_input), len(self.variables), DAYS), np.float32)
        for number, name in enumerate(self.variables):
            values[:, number] = self._numbers(name, model_input[name].tolist())
        return self.of_values(values, model_input.index)

    def of_values(self, values: Values, index: Any = None) -> pd.DataFrame:
        """The same from checked values (N, V, 365)."""
        if len(values):
            found = next(iter(probabilities(self._stored, values).values()))
            embedding = self._embeddings(values)
        else:
            found, embedding = np.empty((0, len(self.categories))), None
        best = found.argmax(axis=1)
        columns: dict[str, Any] = {
            "category": [self.categories[number] for number in best],
            "probability": found[np.arange(len(found)), best],
        }
        if embedding is not None:
            columns["embedding"] = list(embedding)
        return pd.DataFrame(columns, index=index)

    def fault(self) -> str | None:
        """Description of a fault in its prediction for a year of mid-latitude values, or None."""
        usual = {"tas": 283, "tasmax": 287, "tasmin": 279, "psl": 101_500, "huss": 0.006, "sfcWind": 3}
        year = [np.full(DAYS, usual[name], np.float32) for name in self.variables]
        answer = self.of_values(np.stack(year)[None])
        if not np.isfinite(answer["probability"][0]):
            return "its stored model predicts no finite probability"
        if "embedding" in answer and not np.isfinite(answer["embedding"][0]).all():
            return "the embeddings of its stored model are not finite"
        return None

    def _embeddings(self, values: Values) -> npt.NDArray[Any] | None:
        if not self._stored.config["network"]:
            return None
        from convoy.climate.series.networks import fit

        return fit.embeddings(self._stored.config, self._stored.tensors, values)

    def _numbers(self, name: str, values: list[Any]) -> npt.NDArray[np.float64]:
        """(N, 365)."""
        found = np.empty((len(values), DAYS))
        row = VARIABLES[name]
        low, high = row.values
        for number, value in enumerate(values):
            try:
                line = np.asarray(value, np.float64)
            except (TypeError, ValueError, OverflowError):
                line = np.empty(0)
            if line.shape != (DAYS,):
                raise ConvoyError(
                    f"{name}, row {number + 1}: expected {DAYS} numbers, found "
                    f"{'an array of shape ' + str(line.shape) if line.size else 'no list of numbers'}"
                )
            if not ((line >= low - row.round_off) & (line <= high)).all():
                raise ConvoyError(
                    f"{name}, row {number + 1}: expected values from {low:g} to {high:g} {row.units}, found "
                    f"{line[~((line >= low - row.round_off) & (line <= high))][0]:g}"
                )
            found[number] = line
        return found
