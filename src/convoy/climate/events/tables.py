"""Images as the table that a served model takes."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from convoy.climate.events.data.io import Images


def table_of(images: Images, rows: npt.NDArray[np.int64]) -> pd.DataFrame:
    """One row per image and one column per channel, each value a list of numbers row by row."""
    shape = (len(rows), images.facts.edges[0] * images.facts.edges[1])
    return pd.DataFrame({
        name: list(images.values[rows, place].reshape(shape).astype(np.float32))
        for place, name in enumerate(images.facts.channels)
    })  # fmt: skip
