"""One section of params.yaml becomes one strict, frozen object."""

import json
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from convoy.errors import ConvoyError


class Section(BaseModel):
    """Base of every params model: unknown keys are refused, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


S = TypeVar("S", bound=Section)


def load(section: str, model: type[S], path: Path = Path("params.yaml")) -> S:
    """Read the dotted `section` of the YAML file at `path` into `model`.

    Raises ConvoyError (one line: file, section, key, expected, found) for a missing file or section,
    an unknown key, a wrong type, a value out of bounds or an impossible combination.
    """
    try:
        values: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConvoyError(f"{path}: no such file; run from the root of the checkout") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConvoyError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    for depth, key in enumerate(section.split(".")):
        if not isinstance(values, dict) or key not in values:
            parent = ".".join(section.split(".")[:depth]) or "the top level"
            raise ConvoyError(f"{path}: section '{section}': no key '{key}' in {parent}")
        values = values[key]
    return parse(values, model, where=f"{path}: section '{section}'")


def parse(values: Any, model: type[S], where: str) -> S:
    """Validate plain `values` (what YAML or JSON gives) as `model`; `where` begins the error line."""
    # JSON mode: strict about scalars, while a YAML list may become a tuple and a string a path.
    try:
        return model.model_validate_json(json.dumps({} if values is None else values, default=str))
    except ValidationError as error:
        raise ConvoyError(f"{where}: {_one_line(error)}") from None


def _one_line(error: ValidationError) -> str:
    problems = []
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            problems.append(f"unknown key '{key}'")
        elif problem["type"] == "missing":
            problems.append(f"key '{key}' is missing")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            found = "" if not key else f"; found {json.dumps(problem['input'], default=str)}"
            problems.append(f"key '{key}': {message}{found}" if key else message)
    return "; ".join(problems)
