"""A table of daily errors: one row per model, split and day."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from convoy.errors import ConvoyError
from convoy.storage.files import atomic_file

_COLUMNS = ("model", "split", "domain", "day", "squared_error")


@dataclass(frozen=True, eq=False)
class Daily:
    """Area-weighted mean squared error of T days, domain by domain; `ordinal` counts from 1850-01-01.

    NaN on a day on which nothing could be compared.
    """

    domain: npt.NDArray[Any]
    ordinal: npt.NDArray[np.int64]
    squared_error: npt.NDArray[np.float64]

    @property
    def rmse(self) -> float:
        """Over the days that are known; NaN without any."""
        known = self.squared_error[np.isfinite(self.squared_error)]
        return float(np.sqrt(known.mean())) if len(known) else float("nan")


Table: TypeAlias = Mapping[str, Mapping[str, Daily]]


def write(path: Path, table: Table) -> None:
    """Write model -> split -> days as Parquet; the same table gives the same bytes."""
    rows: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for model, splits in table.items():
        for split, days in splits.items():
            count = len(days.ordinal)
            for name, values in zip(
                _COLUMNS,
                ([model] * count, [split] * count, list(days.domain), days.ordinal, days.squared_error),
                strict=True,
            ):
                rows[name].append(np.asarray(values))
    columns = {name: np.concatenate(parts) if parts else np.array([]) for name, parts in rows.items()}
    with atomic_file(path) as partial:
        pq.write_table(pa.table(columns), partial, compression="zstd", write_page_checksum=True)


def read(path: Path) -> dict[str, dict[str, Daily]]:
    """The table back, in the order of its rows; ConvoyError where the file is missing or broken."""
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        columns = [table[name].to_numpy(zero_copy_only=False) for name in _COLUMNS]
    except (OSError, pa.ArrowException, KeyError) as error:
        reason = " ".join(str(error).split())
        raise ConvoyError(f"{path}: cannot be read ({reason}); run `dvc repro` to make it") from None
    model, split, domain, day, errors = columns
    return {
        name: {
            part: Daily(*(column[(model == name) & (split == part)] for column in (domain, day, errors)))
            for part in dict.fromkeys(split[model == name])
        }
        for name in dict.fromkeys(model)
    }
