"""Sections of params.yaml as strict, frozen objects."""

import difflib
import json
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from convoy.core.errors import ConvoyError
from convoy.core.printable import cut
from convoy.core.yaml_io import read_yaml

PARAMS = Path("params.yaml")
# All sections of params.yaml: a misspelt one stops every stage. A test compares them with the file.
SECTIONS = {
    "streamrec": (
        "catalogue", "gate", "corpus", "networks", "baselines", "models", "train", "evaluate", "embed",
        "sweep", "recommender",
    ),
    "climate": (
        "grids", "gate", "networks", "baselines", "models", "train", "evaluate", "series", "events",
    ),
    "promotion": (),
}  # fmt: skip
_SHOWN = 80  # characters of a value in a message


class Section(BaseModel):
    """Base of every params model: unknown keys and infinities are refused, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


S = TypeVar("S", bound=Section)


def load(section: str, model: type[S], path: Path = PARAMS) -> S:
    """Read the dotted `section` of the YAML file at `path` into `model`.

    Raises ConvoyError (one line: file, section, key, expected, found) for a missing file or section, an
    unknown section anywhere in the file, an unknown key, a wrong type, a value out of bounds or an impossible
    combination.
    """
    return parse(_at(section, path), model, str(path), section)


def load_names(section: str, path: Path = PARAMS) -> tuple[str, ...]:
    """Read the dotted `section` of the YAML file at `path` as a list of names, each once; it may be empty.

    Raises ConvoyError (one line) where it is anything else.
    """
    names = _at(section, path)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConvoyError(
            path=path, key=f"section '{section}'", expected="a list of names", found=shown(names)
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConvoyError(f"named more than once: {', '.join(twice)}", path=path, key=f"section '{section}'")
    return tuple(names)


def _at(section: str, path: Path) -> Any:
    """Return the plain values at the dotted `section`; ConvoyError for an unknown section anywhere."""
    values = read_yaml(path)
    check_sections(values, path)
    for depth, key in enumerate(section.split(".")):
        if not isinstance(values, dict) or key not in values:
            parent = ".".join(section.split(".")[:depth]) or "the top level"
            raise ConvoyError(f"no key '{key}' in {parent}", path=path, key=f"section '{section}'")
        values = values[key]
    return values


def check_sections(values: Any, path: Path = PARAMS) -> None:
    """Raise ConvoyError (one line, with the nearest known name) for a section that nothing reads."""
    if not isinstance(values, dict) or not set(SECTIONS) & set(values):
        return
    _check_names(values, SECTIONS, path, "")
    for project, sections in SECTIONS.items():
        if sections and isinstance(values.get(project), dict):
            _check_names(values[project], sections, path, f"{project}.")


def _check_names(names: Iterable[Any], known: Iterable[str], path: Path, prefix: str) -> None:
    known = list(known)
    for name in names:
        if name not in known:
            raise ConvoyError(
                f"unknown section '{prefix}{name}'{nearest(str(name), known, prefix)}", path=path,
                hint=f"known: {', '.join(prefix + one for one in known)}",
            )  # fmt: skip


def nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return " (did you mean '…'?)" for the known name nearest to `name`; "" where none is near."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean '{prefix}{found[0]}'?)" if found else ""


def parse(values: Any, model: type[S], where: str, section: str = "") -> S:
    """Validate plain `values`, as parsed from YAML or JSON, as `model`.

    Raises ConvoyError about the path `where` and, in it, the dotted `section`.
    """
    # JSON mode: strict about scalars, while a YAML list may become a tuple and a string a path.
    try:
        return model.model_validate_json(json.dumps({} if values is None else values, default=str))
    except ValidationError as error:
        problems = _problems(error, model)
        found = problems[0] if len(problems) == 1 else ConvoyError("; ".join(map(str, problems)))
    except TypeError as error:  # a date as a key
        found = ConvoyError(str(error))
    found.path = where
    found.key = ": ".join(filter(None, (section and f"section '{section}'", str(found.key))))
    raise found


def _problems(error: ValidationError, model: type[Section]) -> list[ConvoyError]:
    """One error per faulty value, without a path."""
    problems = []
    errors = error.errors(include_url=False)
    # pydantic reports an invalid element of a list a second time, as a missing one.
    around = {other["loc"][:depth] for other in errors for depth in range(len(other["loc"]))}
    for problem in errors:
        if problem["loc"] in around:
            continue
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            known = _known_keys(model, problem["loc"][:-1])
            listed = f"; known: {', '.join(known)}" if known else ""
            unknown = f"unknown key '{key}'{nearest(str(problem['loc'][-1]), known)}{listed}"
            problems.append(ConvoyError(unknown))
        elif problem["type"] == "missing":
            problems.append(ConvoyError(f"key '{key}' is missing"))
        else:
            message, expected = _expected(problem["type"], problem.get("ctx", {}), problem["msg"])
            # The message on an impossible combination quotes the values itself.
            quoted = problem["type"] == "value_error" and isinstance(problem["input"], dict)
            found = "" if quoted else shown(problem["input"])
            place = f"key '{key}'" if key else ""
            problems.append(ConvoyError(message, key=place, expected=expected, found=found))
    return problems


def shown(value: Any) -> str:
    """Return a value as JSON, cut to 80 characters."""
    return cut(json.dumps(value, default=str), _SHOWN)


# Expected values by the type of pydantic's error; in braces the names of the error's context.
_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "keys and values",
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "a value greater than {gt}",
    "greater_than_equal": "a value of at least {ge}",
    "int_type": "a whole number",
    "less_than": "a value less than {lt}",
    "less_than_equal": "a value of at most {le}",
    "literal_error": "{expected}",
    "model_type": "keys and values",
    "string_pattern_mismatch": "text that matches {pattern}",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least {min_length} characters",
    "string_type": "text",
    "too_long": "a list of at most {max_length}, not {actual_length}",
    "too_short": "a list of at least {min_length}, not {actual_length}",
    "tuple_type": "a list",
}


def _expected(kind: str, parts: dict[str, Any], message: str) -> tuple[str, str]:
    """Return a message and what was expected, one of them empty; a ValueError of a model is a message."""
    if kind == "value_error":
        return str(parts["error"]), ""
    whole = {
        key: int(part) if isinstance(part, float) and part.is_integer() else part
        for key, part in parts.items()
    }
    return ("", _EXPECTED[kind].format(**whole)) if kind in _EXPECTED else (message, "")


def _known_keys(model: type[Section], path: Sequence[int | str]) -> list[str]:
    """The keys of the section at `path` below `model`, as far as its annotations name a model."""
    for part in path:
        field = model.model_fields.get(str(part))
        kinds = () if field is None else (field.annotation, *typing.get_args(field.annotation))
        sections = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)]
        if len(sections) != 1:
            return []
        model = sections[0]
    return list(model.model_fields)
