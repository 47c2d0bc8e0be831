"""ModelSpec: what a model of a task is to stages, reports, tracking and the command line; registries."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

import numpy.typing as npt

from convoy.core.errors import ConvoyError
from convoy.core.params import PARAMS, Section, load_names
from convoy.core.printable import cut

Role: TypeAlias = Literal["baseline", "network"]
Export: TypeAlias = Literal["embeddings", "served"]
Tensors: TypeAlias = dict[str, npt.NDArray[Any]]
OnEpoch: TypeAlias = Callable[[int, dict[str, float], bool], None]
"""Called with the seed, a row of the learning curve, and whether the row was read from a checkpoint."""


class Fitted(NamedTuple):
    """Result of fitting a model: entries of its config.json, tensors by seed, learning curve as CSV.

    The curve is that of the first seed, None for a model that is not trained in epochs.
    """

    config: dict[str, Any]
    tensors: dict[int, Tensors]
    curve: str | None


Fit = TypeVar("Fit")
Predict = TypeVar("Predict")


@dataclass(frozen=True, kw_only=True)
class ModelSpec(Generic[Fit, Predict]):
    """A model of a task, a row of the registry in the task's `models/specs.py`.

    `fit` and `predict` have one signature for all models of a task, which the registry states. Slow imports,
    such as torch or scikit-learn, are made when they are called.
    """

    name: str
    """As in params.yaml, dvc.yaml and the paths of outputs."""
    label: str
    """In tables and charts."""
    phrase: str
    """Inside a sentence."""
    summary: str
    """One sentence on what the model computes, with its source."""
    colour: int
    """Index into the `series` of a theme of `convoy.report.themes`."""
    role: Role
    params: type[Section]
    fit: Fit
    predict: Predict
    exports: frozenset[Export] = frozenset()

    @property
    def is_network(self) -> bool:
        return self.role == "network"


Model = TypeVar("Model", bound=ModelSpec[Any, Any])


def registry(*rows: Model) -> dict[str, Model]:
    """The rows by name, in the order of all lists of models."""
    assert len({row.name for row in rows}) == len(rows)
    return {row.name: row for row in rows}


def model_named(models: Mapping[str, Model], name: object) -> Model:
    """The row of a model; ConvoyError for a name that no model of the task has."""
    if not isinstance(name, str) or name not in models:
        raise ConvoyError(key=f"model '{cut(str(name), 40)}'", expected=f"one of {', '.join(models)}")
    return models[name]


def names_of(models: Mapping[str, Model], role: Role, among: Iterable[str] | None = None) -> tuple[str, ...]:
    """Names of the models with this role, in the registry's order; `among`: only those of these names."""
    wanted = models.keys() if among is None else set(among)
    return tuple(name for name, model in models.items() if model.role == role and name in wanted)


def models_in_use(project: str, models: Mapping[str, Model]) -> tuple[str, ...]:
    """The models in a project's lists `networks` and `baselines` of params.yaml, in the registry's order.

    Raises ConvoyError for an unknown name, for one in the wrong list, and where both lists are empty.
    """
    found: set[str] = set()
    roles: tuple[tuple[str, Role], ...] = (("networks", "network"), ("baselines", "baseline"))
    for section, role in roles:
        for name in load_names(f"{project}.{section}"):
            if name not in names_of(models, role):
                known = ", ".join(names_of(models, role))
                raise ConvoyError(
                    path=PARAMS, key=f"{project}.{section}: '{name}'", expected=f"one of {known}"
                )
            found.add(name)
    if not found:
        raise ConvoyError(
            "no model", path=PARAMS, key=f"{project}.networks, {project}.baselines", hint="name at least one"
        )
    return tuple(name for name in models if name in found)
