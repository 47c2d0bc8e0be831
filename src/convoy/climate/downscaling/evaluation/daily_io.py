"""A table of daily errors: one row per model, split and day."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from convoy.core.errors import ConvoyError
from convoy.core.files import atomic_file
from convoy.core.printable import reason

_KEYS = ("model", "split", "domain", "day")
# The first training's column; those of others are squared_error_2, squared_error_3, ...
_ERROR = "squared_error"


@dataclass(frozen=True, eq=False)
class Daily:
    """Area-weighted mean squared error of T days, domain by domain; `ordinal` counts from 1850-01-01.

    NaN on a day without values to compare. `squared_error` is that of the first training, whose weights are
    published; `others` are those of trainings with other seeds, each (T,).
    """

    domain: npt.NDArray[Any]
    ordinal: npt.NDArray[np.int64]
    squared_error: npt.NDArray[np.float64]
    others: tuple[npt.NDArray[np.float64], ...] = ()

    @property
    def trainings(self) -> npt.NDArray[np.float64]:
        """The squared errors of all S trainings, (T, S)."""
        return np.stack([self.squared_error, *self.others], axis=1)

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """The days with a squared error, (T,)."""
        return np.asarray(np.isfinite(self.trainings).all(axis=1))

    @property
    def rmse(self) -> float:
        """RMSE over the known days, the mean of all trainings; NaN without known days."""
        known = self.known
        if not known.any():
            return float("nan")
        return float(np.mean([np.sqrt(error[known].mean()) for error in (self.squared_error, *self.others)]))

    def at(self, chosen: Any) -> "Daily":
        """The days at these indices or where this mask is true."""
        others = tuple(errors[chosen] for errors in self.others)
        return Daily(self.domain[chosen], self.ordinal[chosen], self.squared_error[chosen], others)


Table: TypeAlias = Mapping[str, Mapping[str, Daily]]


def write(path: Path, table: Table) -> None:
    """Write model -> split -> days as Parquet; the same table gives the same bytes.

    The splits of one table have as many trainings each.
    """
    rows: dict[str, list[Any]] = {}
    for model, splits in table.items():
        for split, days in splits.items():
            count = len(days.ordinal)
            keys = ([model] * count, [split] * count, list(days.domain), days.ordinal)
            errors = dict(zip(_columns(1 + len(days.others)), days.trainings.T, strict=True))
            for name, values in {**dict(zip(_KEYS, keys, strict=True)), **errors}.items():
                rows.setdefault(name, []).append(np.asarray(values))
    columns = {name: np.concatenate(parts) for name, parts in rows.items()}
    columns = columns or {name: np.array([]) for name in (*_KEYS, _ERROR)}
    with atomic_file(path) as partial:
        pq.write_table(pa.table(columns), partial, compression="zstd", write_page_checksum=True)


def read(path: Path) -> dict[str, dict[str, Daily]]:
    """The table, in the order of its rows; ConvoyError where the file is missing or broken."""
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        trainings = _columns(sum(name.startswith(_ERROR) for name in table.column_names) or 1)
        columns = [table[name].to_numpy(zero_copy_only=False) for name in (*_KEYS, *trainings)]
    except (OSError, pa.ArrowException, KeyError) as error:
        raise ConvoyError(
            f"cannot be read ({reason(error)})", path=path, hint="run `dvc repro` to make it"
        ) from None
    model, split, domain, day, first, *others = columns
    every = Daily(domain, day, first, tuple(others))
    return {
        name: {
            part: every.at((model == name) & (split == part)) for part in dict.fromkeys(split[model == name])
        }
        for name in dict.fromkeys(model)
    }


def _columns(trainings: int) -> list[str]:
    """The names of the columns of `trainings` trainings."""
    return [_ERROR, *(f"{_ERROR}_{number}" for number in range(2, trainings + 1))]
