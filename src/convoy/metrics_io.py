"""Metrics files, of which DVC shows every key: headline figures alone; all others are in files of details."""

import json
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from convoy.core.files import read_json

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
    patterns = [pattern.split(".") for pattern in headline]
    chosen: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for path, value in _leaves(figures):
        section = chosen if any(_matches(path, value, pattern) for pattern in patterns) else others
        for key in path[:-1]:
            section = section.setdefault(key, {})
        section[path[-1]] = value
    return chosen, json.dumps(others, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def read_metrics(path: Path, details: Path | None) -> dict[str, Any]:
    """All figures of a model, as they were before `split_figures`; details: None where `path` has them all.

    Raises ConvoyError for a file that is missing or broken.
    """
    figures: dict[str, Any] = read_json(path)
    return figures if details is None else _merged(figures, read_json(details))


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


def _merged(one: Any, other: Any) -> Any:
    """Sections of both together, with sorted keys, as a file of all would be read."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return one
    both = {**other, **one}
    return {key: _merged(both[key], other.get(key)) for key in sorted(both)}
