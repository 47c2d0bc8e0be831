"""Grids as domains, from the synthetic climate or from files."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from convoy.climate.data.domains import Domain
from convoy.climate.data.sides import interpolated_in_words
from convoy.climate.data.splits import SplitParams
from convoy.climate.data.variables import DAILY, VARIABLES, VariableParams
from convoy.climate.synthetic import scenarios
from convoy.climate.synthetic.noise_floor import noise_floor_rmse
from convoy.core.params import Section

SYNTHETIC: Literal["synthetic"] = "synthetic"

Name: TypeAlias = Annotated[str, Field(min_length=1)]
Paths: TypeAlias = Annotated[
    tuple[Name, ...],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    Field(min_length=1, strict=False),
]


class FilesParams(Section):
    """NetCDF files or Zarr stores; several may hold different variables, or different years of one."""

    fine: Paths = Field(description="With the target; without `coarse` with the inputs as well.")
    factor: int | None = Field(
        None, ge=2, le=64, description="Coarse cells are means of factor x factor fine ones."
    )
    coarse: Paths | None = Field(None, description="Grids of their own, instead of a factor.")
    coarse_grid: Name | None = Field(
        None, description="The variable of `coarse` to whose grid all are interpolated; null: the target."
    )
    orography: str | None = Field(None, min_length=1, description="With the elevation, on any grid.")
    coarse_orography: str | None = Field(
        None, min_length=1, description="Of the coarse model; null: area means of `orography`."
    )

    @model_validator(mode="after")
    def _one_way_to_the_coarse_grid(self) -> "FilesParams":
        if (self.factor is None) == (self.coarse is None):
            raise ValueError("expected either 'factor' or 'coarse' in addition to 'fine'")
        for name in ("coarse_grid", "coarse_orography"):
            if self.coarse is None and getattr(self, name) is not None:
                raise ValueError(f"'{name}' is for 'coarse'; with a 'factor', leave it out")
        if self.coarse_orography is not None and self.orography is None:
            raise ValueError("'coarse_orography' needs 'orography', the heights of the fine grid")
        return self


def _kind(value: Any) -> str:
    return "files" if isinstance(value, dict | FilesParams) else "name"


Source: TypeAlias = Annotated[
    Annotated[Literal["synthetic"], Tag("name")] | Annotated[FilesParams, Tag("files")], Discriminator(_kind)
]


class GridsParams(Section):
    """Source of the grids, variables and splits."""

    source: Source = Field(SYNTHETIC, description="`synthetic`, or files: {fine, factor} or {fine, coarse}.")
    folder: str = Field(
        SYNTHETIC, min_length=1, description="The file or folder with the source's files, which DVC watches."
    )
    target: str = Field("tasmax", description="The variable to downscale.")
    inputs: tuple[Name, ...] | None = Field(
        None, min_length=1, description="Input variables of the models; null: all that exist."
    )
    variables: dict[str, VariableParams] = Field(
        {}, description="Per variable: its name and units in the files, where they differ."
    )
    split: SplitParams | None = Field(
        None, description="null: by years, or in blocks of 30 days where there are few years."
    )
    synthetic: scenarios.SyntheticParams = Field(
        scenarios.SyntheticParams.model_validate({}), description="For `source: synthetic`."
    )

    @model_validator(mode="after")
    def _names_are_ours(self) -> "GridsParams":
        synthetic = self.source == SYNTHETIC
        known = scenarios.VARIABLES if synthetic else DAILY
        # Any field of a file may be an input, under any name.
        for name in (self.target, *(self.inputs or ())) if synthetic else (self.target,):
            if name not in known:
                raise ValueError(
                    f"unknown variable '{name}' in target or inputs; expected one of {', '.join(known)}"
                )
        if self.inputs is not None and self.target not in self.inputs:
            raise ValueError(f"inputs lack the target '{self.target}'")
        for name, override in self.variables.items():
            if name not in VARIABLES and re.fullmatch(r"[A-Za-z]\w*", name) is None:
                raise ValueError(f"variables: '{name}': expected letters, digits and underscores")
            if name not in VARIABLES and override.name is None and override.level is None:
                raise ValueError(
                    f"variables: unknown '{name}'; expected one of {', '.join(VARIABLES)}, or, of another "
                    "input, its name in the file"
                )
        if self.source == SYNTHETIC and (self.target != "tasmax" or self.variables or self.split):
            raise ValueError("the synthetic source has the target tasmax, and no 'variables' or 'split'")
        return self

    def paths(self) -> list[str]:
        """All files of the source, each once."""
        if not isinstance(self.source, FilesParams):
            return []
        source = self.source
        given = (*source.fine, *(source.coarse or ()), source.orography, source.coarse_orography)
        return [path for path in dict.fromkeys(given) if path is not None]

    def unwatched(self) -> list[str]:
        """Files of the source that lie outside `folder`, so that DVC does not notice when they change."""
        return [path for path in self.paths() if not PurePath(path).is_relative_to(self.folder)]


def made(params: GridsParams) -> tuple[Iterator[Domain], dict[str, Any]]:
    """The domains of the synthetic climate, and the facts for `climate.data.io.write`."""
    section = params.synthetic
    perfect = section.inputs == "perfect"
    noise_floor = noise_floor_rmse(scenarios.random_part(), *scenarios.grids()) if perfect else None
    facts = {
        **scenarios.facts(section), "target": params.target,
        "inputs": target_first(params.target, params.inputs or scenarios.VARIABLES),
        "splits": scenarios.splits(section), "split_by": "years", "factor": scenarios.FACTOR,
        "perfect": perfect, "noise_floor": noise_floor, "left_out": {},
    }  # fmt: skip
    return scenarios.domains(section), facts


def summary(facts: Mapping[str, Any]) -> str:
    """The content of the folder in a line each for grids, splits and what was left out or changed."""
    splits = "; ".join(f"{name} {_spans(parts)}" for name, parts in facts["splits"].items())
    left_out = ", ".join(f"{name} {count}" for name, count in facts["left_out"].items()) or "nothing"
    ratio = "no whole ratio" if facts["factor"] is None else f"{facts['factor']} to 1"
    lines = [
        f"grids of {facts['source']}: {facts['target']} from {', '.join(facts['inputs'])}, {ratio}",
        f"split by {facts['split_by']}: {splits}", f"left out: {left_out}", *interpolated_in_words(facts),
    ]  # fmt: skip
    return "\n".join(lines)


def target_first(target: str, names: Iterable[str]) -> list[str]:
    """The input variables in the order of channels: the target, then the others."""
    return [target, *(name for name in names if name != target)]


def _spans(parts: Sequence[Mapping[str, str]]) -> str:
    more = f" and {len(parts) - 1} more" if len(parts) > 1 else ""
    return f"{parts[0]['domain']} {parts[0]['from']} to {parts[0]['to']}{more}"
