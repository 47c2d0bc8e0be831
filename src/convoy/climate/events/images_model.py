"""A served model of images: from one list of numbers per channel to the class and its probability."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from convoy.climate.events.judging import Judge
from convoy.core.errors import ConvoyError
from convoy.tasks import Column


class ImagesModel:
    """Predicts tables of images."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def columns(self) -> tuple[Column, ...]:
        """The columns of the input: a list of numbers per channel."""
        return tuple(Column(name, "numbers") for name in self._judge.channels)

    def predict(self, model_input: pd.DataFrame) -> pd.DataFrame:
        """Class (string), its probability, and the probabilities of all classes (float32) of each row.

        Each value of a channel's column is an image as one list, row by row from the top, in the units of
        training. Raises ConvoyError for other columns, lengths and values.
        """
        if not isinstance(model_input, pd.DataFrame):
            raise ConvoyError(f"input: expected a table, found {type(model_input).__name__}")
        names = [str(name) for name in model_input.columns]
        if sorted(names) != sorted(self._judge.channels):
            expected = ", ".join(self._judge.channels)
            raise ConvoyError(f"input: expected the columns {expected}, found {', '.join(names) or 'none'}")
        values = np.empty((len(model_input), len(self._judge.channels), *self._judge.edges), np.float32)
        for place, name in enumerate(self._judge.channels):
            for row, value in enumerate(model_input[name].tolist()):
                values[row, place] = self._image(name, row + 1, value)
        judged = self._judge(values)
        return pd.DataFrame(
            {
                "class": judged.names,
                "probability": judged.probability,
                "probabilities": list(judged.probabilities.astype(np.float32)),
            },
            index=model_input.index,
        )

    def fault(self) -> str | None:
        """Description of a fault in its prediction for an image of zeros, or None."""
        zeros = np.zeros(int(np.prod(self._judge.edges)))
        try:
            self.predict(pd.DataFrame({name: [zeros] for name in self._judge.channels}))
        except ConvoyError as error:
            return str(error)
        return None

    def _image(self, name: str, row: int, value: Any) -> npt.NDArray[np.float32]:
        height, width = self._judge.edges
        try:
            given = np.asarray(value)
            with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and refused
                numbers = (given if given.dtype.kind in "biufO" else np.empty(0)).astype(np.float32)
        except (TypeError, ValueError, OverflowError):
            numbers = np.empty(0, np.float32)
        fits = numbers.shape == (height * width,)
        if not fits or not np.isfinite(numbers).all():
            found = "missing or infinite ones" if fits else f"an array of numbers of shape {numbers.shape}"
            raise ConvoyError(
                f"{name}, row {row}: expected {height * width} finite numbers, {height} rows of {width}; "
                f"found {found}"
            )
        return numbers.reshape(height, width)
