"""Site-years from the synthetic sites or from files of stations."""

from collections import Counter
from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from convoy.climate.data.variables import VariableParams
from convoy.climate.series.data.site_years import SPLITS, VARIABLES, SiteYears, split_of, texts
from convoy.climate.series.sources.naming import SHOWN
from convoy.climate.series.sources.stations import SplitParams, site_years
from convoy.climate.series.sources.stations_io import read_stations
from convoy.climate.series.sources.synthetic.bayes import posterior
from convoy.climate.series.sources.synthetic.regimes import REGIMES
from convoy.climate.series.sources.synthetic.weather import SyntheticParams, simulate, variables
from convoy.climate.series.sources.tables_io import read_labels
from convoy.core.params import Section
from convoy.core.printable import cut, one_line

SYNTHETIC: Literal["synthetic"] = "synthetic"
FIRST_YEAR = 2001

Name: TypeAlias = Annotated[str, Field(min_length=1)]
Paths: TypeAlias = Annotated[
    tuple[Name, ...],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    Field(min_length=1, strict=False),
]


class StationsParams(Section):
    """Stations: CSV tables (site, date, variables), or NetCDF or Zarr with a station dimension."""

    paths: Paths
    labels: str | None = Field(
        None, min_length=1, description="CSV: site, label and, if wanted, split; left out: columns of the CSV"
    )


def _kind(value: Any) -> str:
    return "stations" if isinstance(value, dict | StationsParams) else "name"


Source: TypeAlias = Annotated[
    Annotated[Literal["synthetic"], Tag("name")] | Annotated[StationsParams, Tag("stations")],
    Discriminator(_kind),
]


class SeriesParams(Section):
    """Source of the site-years."""

    source: Source = Field(SYNTHETIC, description="`synthetic`, or files of stations: {paths, labels}")
    folder: str = Field(
        SYNTHETIC, min_length=1, description="The file or folder of the source's paths, which DVC watches."
    )
    inputs: tuple[Name, ...] | None = Field(
        None, min_length=1, description="Variables that models see; left out: all that exist."
    )
    variables: dict[str, VariableParams] = Field(
        {}, description="By our name: the name and units in files, where they differ."
    )
    max_missing: float = Field(
        0.1, ge=0, le=0.5, description="share of a year's days that may be missing, and are interpolated"
    )
    split: SplitParams = Field(
        SplitParams.model_validate({}), description="Shares of the sites in each split."
    )
    synthetic: SyntheticParams = Field(
        SyntheticParams.model_validate({}), description="For `source: synthetic`."
    )

    @model_validator(mode="after")
    def _names_are_ours(self) -> "SeriesParams":
        for name in (*(self.inputs or ()), *self.variables):
            if name not in VARIABLES:
                raise ValueError(f"unknown variable '{name}'; expected some of {', '.join(VARIABLES)}")
        if self.inputs is not None and len(set(self.inputs)) != len(self.inputs):
            raise ValueError("inputs: expected each variable once")
        if self.split.validation + self.split.test >= 1:
            raise ValueError("split: expected validation and test to leave sites for training")
        return self

    def in_order(self) -> tuple[str, ...] | None:
        """The chosen variables in the order of our list; None for all."""
        return None if self.inputs is None else tuple(name for name in VARIABLES if name in self.inputs)

    def unwatched(self) -> list[str]:
        """Files of the source that lie outside `folder`, so that DVC does not notice when they change."""
        if not isinstance(self.source, StationsParams):
            return []
        given = [*self.source.paths, *([self.source.labels] if self.source.labels else [])]
        return [path for path in given if not PurePath(path).is_relative_to(self.folder)]


def made(params: SeriesParams) -> tuple[SiteYears, npt.NDArray[np.float64], dict[str, Any]]:
    """Synthetic site-years, the probability of each regime (N, R) given all six variables, and facts."""
    section = params.synthetic
    weather = simulate(section)
    chosen = params.in_order() or VARIABLES
    of_variables = variables(weather.u)
    names = [f"site-{number:05d}" for number in range(section.sites)]
    splits = [split_of(name, params.split.validation, params.split.test) for name in names]
    site_years = SiteYears(
        variables=chosen, categories=REGIMES,
        values=np.stack([of_variables[name] for name in chosen], axis=1),
        site=texts(names[site] for site in weather.site),
        year=np.tile(FIRST_YEAR + np.arange(section.years), section.sites),
        label=texts(REGIMES[regime] for regime in weather.regime),
        split=texts(splits[site] for site in weather.site),
        latitude=weather.latitude, interpolated=np.zeros(len(weather.site), np.int64),
    )  # fmt: skip
    return site_years, posterior(weather.u, section), {"source": SYNTHETIC}


def of_stations(params: SeriesParams) -> tuple[SiteYears, dict[str, Any]]:
    """Site-years of files of stations, and facts: the source and what was interpolated and left out."""
    assert isinstance(params.source, StationsParams)
    found, labels, chosen = read_stations(params.source.paths, params.variables, params.in_order())
    if params.source.labels is not None:
        labels = read_labels(params.source.labels)
    where = cut(", ".join(params.source.paths), SHOWN)
    held, counts = site_years(
        found, labels, chosen, params.max_missing, params.split, where, params.source.labels or ""
    )
    return held, {"source": ", ".join(PurePath(path).name for path in params.source.paths), **counts}


def summary(held: SiteYears, facts: Mapping[str, Any]) -> str:
    """The content of the folder in three lines that are safe to print."""
    splits = Counter(held.split)
    shares = ", ".join(f"{name} {splits[name]:,}" for name in SPLITS)
    labels = one_line(", ".join(f"{name} {count:,}" for name, count in sorted(Counter(held.label).items())))
    counts = {name.replace("_", " "): value for name, value in facts.items() if name != "source"}
    more = "".join(f", {name} {value:,}" for name, value in counts.items())
    return (
        f"{len(held):,} site-years of {one_line(facts['source'])}: {', '.join(held.variables)}{more}\n"
        f"split: {shares}\nlabels: {labels}"
    )
