"""Metrics files, of which DVC shows every key: headline figures alone; all others are in files of details."""

import json
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from convoy.core.errors import ConvoyError
from convoy.core.files import read_json

METRICS = "metrics.json"
"""Name in `Outputs.evaluation` of the metrics file."""
DETAILS = "details.json"
"""Name of the file of details, in a folder that the evaluate stage writes as well."""

# The headline figures of one model by kind of task: a key, with `*` for any name, of each level.
CLASSIFIER = (
    "bayes.*", "share_of_bayes.*",
    *(
        f"test.{name}{end}"
        for name in ("accuracy", "macro_f1", "log_loss", "ece")
        for end in ("", "_low", "_high")
    ),
)  # fmt: skip
EVENTS = (
    "test.accuracy", "test.macro_f1", "test.ece", "marked.test.accuracy",
    *(
        f"gradcam.{of}{name}"
        for of in ("", "random.", "center.", "randomised_weights.")
        for name in ("pointing", "energy_inside", "iou")
    ),
)  # fmt: skip
DOWNSCALING = (
    "*.rmse",  # of every split, and of the noise floor
    "*.skill_vs_best_baseline", "warmer_*.change_error",
    *(f"test.{name}" for name in ("rmse_low", "rmse_high", "bias", "sd_ratio", "noise_floor_share")),
)  # fmt: skip


def split_figures(figures: Mapping[str, Any], headline: Sequence[str]) -> tuple[dict[str, Any], str]:
    """The content of the metrics file, and the text of the file of details, which holds all else.

    A section that is null, such as `bayes` where it is not known, counts as the headline figures in it.
    """
    chosen: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for path, value in _leaves(figures):
        section = chosen if _is_headline(path, value, headline) else others
        for key in path[:-1]:
            section = section.setdefault(key, {})
        section[path[-1]] = value
    return chosen, json.dumps(others, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def read_metrics(path: Path, details: Path | None) -> dict[str, Any]:
    """All figures of a model, as they were before `split_figures`; details: None where `path` has them all.

    The details may be missing where the metrics file has other figures than headline ones: former versions
    of convoy wrote all figures there. Raises ConvoyError for a file that is missing or broken.
    """
    figures = _read(path)
    if details is None or (not details.is_file() and _is_whole(figures)):
        return figures
    return _merged(figures, _read(details), details)


def _read(path: Path) -> dict[str, Any]:
    found = read_json(path)
    if not isinstance(found, dict):
        raise _no_figures(path)
    return found


def _no_figures(path: Path) -> ConvoyError:
    return ConvoyError(
        path=path, expected="figures by name, in sections", found="others",
        hint="remove it and make it again",
    )  # fmt: skip


def _is_whole(figures: Mapping[str, Any]) -> bool:
    headline = (*CLASSIFIER, *EVENTS, *DOWNSCALING)
    return not all(_is_headline(path, value, headline) for path, value in _leaves(figures))


def _leaves(figures: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each value that is no section, or an empty one, with its keys from the top."""
    for key, value in figures.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


def _is_headline(path: tuple[str, ...], value: Any, headline: Sequence[str]) -> bool:
    return any(_matches(path, value, pattern.split(".")) for pattern in headline)


def _matches(path: tuple[str, ...], value: Any, pattern: Sequence[str]) -> bool:
    whole = len(path) == len(pattern) or (value is None and len(path) < len(pattern))
    return whole and all(map(fnmatchcase, path, pattern))


def _merged(one: Mapping[str, Any], other: Any, details: Path) -> dict[str, Any]:
    """Sections of both together, with sorted keys, as a file of all would be read."""
    if not isinstance(other, dict):
        raise _no_figures(details)
    return {
        key: _merged(one[key], other[key], details)
        if key in other and isinstance(one.get(key), dict)
        else {**other, **one}[key]
        for key in sorted({*one, *other})
    }
