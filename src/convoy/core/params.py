"""One section of params.yaml becomes one strict, frozen object."""

import json
import re
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from convoy.core.errors import ConvoyError


class Section(BaseModel):
    """Base of every params model: unknown keys and infinities are refused, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class _Loader(yaml.SafeLoader):
    """PyYAML as it is, but for numbers like 4e-3, which DVC reads as YAML 1.2 does."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+"), list("-+.0123456789")
)

S = TypeVar("S", bound=Section)


def load(section: str, model: type[S], path: Path = Path("params.yaml")) -> S:
    """Read the dotted `section` of the YAML file at `path` into `model`.

    Raises ConvoyError (one line: file, section, key, expected, found) for a missing file or section,
    an unknown key, a wrong type, a value out of bounds or an impossible combination.
    """
    return parse(_at(section, path), model, where=f"{path}: section '{section}'")


def load_names(section: str, path: Path = Path("params.yaml")) -> tuple[str, ...]:
    """Read the dotted `section` of the YAML file at `path` as a list of names, each once.

    Raises ConvoyError (one line) where it is anything else, or empty.
    """
    names = _at(section, path)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        found = json.dumps(names, default=str)
        raise ConvoyError(f"{path}: section '{section}': expected a list of names; found {found[:80]}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConvoyError(f"{path}: section '{section}': named more than once: {', '.join(twice)}")
    return tuple(names)


def _at(section: str, path: Path) -> Any:
    """The plain values at the dotted `section` of a YAML file."""
    try:
        values: Any = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 (a SafeLoader)
    except FileNotFoundError:
        raise ConvoyError(f"{path}: no such file; run from the root of the checkout") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConvoyError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    for depth, key in enumerate(section.split(".")):
        if not isinstance(values, dict) or key not in values:
            parent = ".".join(section.split(".")[:depth]) or "the top level"
            raise ConvoyError(f"{path}: section '{section}': no key '{key}' in {parent}")
        values = values[key]
    return values


def parse(values: Any, model: type[S], where: str) -> S:
    """Validate plain `values` (what YAML or JSON gives) as `model`; `where` begins the error line."""
    # JSON mode: strict about scalars, while a YAML list may become a tuple and a string a path.
    try:
        return model.model_validate_json(json.dumps({} if values is None else values, default=str))
    except ValidationError as error:
        raise ConvoyError(f"{where}: {_one_line(error, model)}") from None
    except TypeError as error:  # a date as a key
        raise ConvoyError(f"{where}: {error}") from None


def _one_line(error: ValidationError, model: type[Section]) -> str:
    problems = []
    errors = error.errors(include_url=False)
    # A list counts what is wrong in it as missing, which is no second mistake.
    around = {other["loc"][:depth] for other in errors for depth in range(len(other["loc"]))}
    for problem in errors:
        if problem["loc"] in around:
            continue
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            known = ", ".join(_known_keys(model, problem["loc"][:-1]))
            problems.append(f"unknown key '{key}'" + (f"; known: {known}" if known else ""))
        elif problem["type"] == "missing":
            problems.append(f"key '{key}' is missing")
        else:
            message = problem["msg"].removeprefix("Value error, ").replace(" after validation", "")
            message = re.sub(r"^\w+ should (be|have) ", "expected ", message)
            message = message.replace("an object", "keys and values")
            found = json.dumps(problem["input"], default=str)
            if problem["type"] != "value_error" or not isinstance(problem["input"], dict):
                # Of an impossible combination the message itself quotes what matters.
                message += f"; found {found if len(found) <= 80 else f'{found[:77]}...'}"
            problems.append(f"key '{key}': {message}" if key else message)
    return "; ".join(problems)


def _known_keys(model: type[Section], path: Sequence[int | str]) -> list[str]:
    """The keys of the section at `path` below `model`, as far as its annotations tell."""
    for part in path:
        field = model.model_fields.get(str(part))
        kinds = () if field is None else (field.annotation, *typing.get_args(field.annotation))
        sections = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)]
        if len(sections) != 1:
            return []
        model = sections[0]
    return list(model.model_fields)
