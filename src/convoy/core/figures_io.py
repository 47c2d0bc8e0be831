"""A model's figures on disk: the headline in a metrics file, of which DVC shows every key, all in details."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from convoy.core.errors import ConvoyError
from convoy.core.files import read_json, write_json
from convoy.core.models import ModelSpec

METRICS, DETAILS = "metrics.json", "details.json"


@dataclass(frozen=True)
class FigureFiles:
    """Where the evaluation of a task's models is: `{model}` in a path stands for the name of a model.

    `metrics` has the headline figures. All others are outputs below `folder`, in a folder for each model:
    baselines and networks apart, so that the former are one output. Without `folder`, `metrics` has all
    figures, and there are no other outputs.
    """

    metrics: str
    folder: Path | None
    models: Mapping[str, ModelSpec[Any, Any]]
    headline: tuple[str, ...] = ()
    """The headline figures: a key, with `*` for any name, of each level."""

    def metrics_of(self, model: str) -> Path:
        """The metrics file of a model."""
        return Path(self.metrics.format(model=model))

    def folder_of(self, model: str) -> Path:
        """The folder with all outputs of a model's evaluation but the metrics file."""
        assert self.folder is not None
        return self.folder / f"{self.models[model].role}s" / model

    def of(self, model: str) -> dict[str, Path]:
        """The metrics file of a model, and its details where these are a file of their own."""
        found = {METRICS: self.metrics_of(model)}
        return found if self.folder is None else {**found, DETAILS: self.folder_of(model) / DETAILS}

    def write(self, model: str, figures: Mapping[str, Any]) -> None:
        """Write both files of a model."""
        write_json(self.folder_of(model) / DETAILS, figures)
        write_json(self.metrics_of(model), headline_of(figures, self.headline))

    def read(self, model: str) -> dict[str, Any]:
        """All figures of a model; ConvoyError for a file that is missing or broken."""
        return self.read_from(self.of(model))

    def read_from(self, files: Mapping[str, Path]) -> dict[str, Any]:
        """All figures in files as `of` names them, which may be copies.

        The details may be missing where the metrics file has other figures than headline ones: former
        versions of convoy wrote all figures there.
        """
        details = files.get(DETAILS)
        if details is None:
            return _read(files[METRICS])
        if not details.is_file() and files[METRICS].is_file():
            figures = _read(files[METRICS])
            if headline_of(figures, self.headline) != figures:
                return figures
        return _read(details)


def headline_of(figures: Mapping[str, Any], headline: Sequence[str]) -> dict[str, Any]:
    """The headline figures among all, in their sections.

    A section that is null, such as `bayes` where it is not known, counts as the headline figures in it.
    """
    chosen: dict[str, Any] = {}
    for path, value in _leaves(figures):
        if any(_matches(path, value, pattern.split(".")) for pattern in headline):
            section = chosen
            for key in path[:-1]:
                section = section.setdefault(key, {})
            section[path[-1]] = value
    return chosen


def _read(path: Path) -> dict[str, Any]:
    found = read_json(path)
    if not isinstance(found, dict):
        raise ConvoyError(
            path=path, expected="figures by name, in sections", found="others",
            hint="remove it and make it again",
        )  # fmt: skip
    return found


def _leaves(figures: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each value that is no section, or an empty one, with its keys from the top."""
    for key, value in figures.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


def _matches(path: tuple[str, ...], value: Any, pattern: Sequence[str]) -> bool:
    whole = len(path) == len(pattern) or (value is None and len(path) < len(pattern))
    return whole and all(map(fnmatchcase, path, pattern))
