"""Site-years: one year of daily weather at one site each, with labels and splits."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convoy.core.errors import ConvoyError

Values: TypeAlias = npt.NDArray[np.float32]
Texts: TypeAlias = npt.NDArray[np.object_]

DAYS = 365  # 29 February is left out
VARIABLES = ("tas", "tasmax", "tasmin", "psl", "huss", "sfcWind")
SPLITS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = SPLITS


@dataclass(frozen=True, eq=False)
class SiteYears:
    """N site-years of V variables in SI units.

    values (N, V, 365); site, label and split (N,) texts; year (N,); latitude (N,) in degrees, NaN where it is
    not known; interpolated (N,): days on which a value was missing. categories: the labels in the order of a
    model's outputs.
    """

    variables: tuple[str, ...]
    categories: tuple[str, ...]
    values: Values
    site: Texts
    year: npt.NDArray[np.int64]
    label: Texts
    split: Texts
    latitude: npt.NDArray[np.float64]
    interpolated: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.site)

    @property
    def item_ids(self) -> list[str]:
        """Site and year of each, as `oslo 1991`."""
        return [f"{site} {year}" for site, year in zip(self.site, self.year.tolist(), strict=True)]

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Index of each label among the categories, (N,)."""
        place = {name: number for number, name in enumerate(self.categories)}
        return np.array([place[label] for label in self.label], np.int64)

    def rows(self, split: str) -> npt.NDArray[np.int64]:
        """Indices of the site-years of one split."""
        return np.flatnonzero(self.split == split)

    def at(self, rows: Any) -> "SiteYears":
        """The site-years at these indices or where this mask is true."""
        fields = ("values", "site", "year", "label", "split", "latitude", "interpolated")
        return replace(self, **{name: getattr(self, name)[rows] for name in fields})

    def of(self, split: str) -> "SiteYears":
        """The site-years of one split."""
        return self.at(self.rows(split))


def texts(values: Iterable[str]) -> Texts:
    """An array of texts of any length, (N,)."""
    found = list(values)
    array = np.empty(len(found), object)
    array[:] = found
    return array


def split_of(site: str, validation: float, test: float) -> str:
    """The split of a site by a hash of its name, so that more data do not move a site to another split."""
    digest = hashlib.sha256(site.encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < test:
        return TEST
    return VALIDATION if place < test + validation else TRAIN


def require_every_category(model: str, training: SiteYears) -> None:
    """Raise ConvoyError where a category has no training site-year."""
    missing = [name for name in training.categories if name not in set(training.label)]
    if missing:
        raise ConvoyError(
            f"{model}: no training site-year with the label '{missing[0]}'; add sites, or state splits "
            "in the label file"
        )
