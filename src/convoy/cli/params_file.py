"""Writes params.yaml: every key of every params model, its default or the user's value, and a comment."""

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic.fields import FieldInfo

from convoy.classifiers.evaluation.evaluate import EvaluateParams
from convoy.climate.downscaling.evaluation.evaluate import EvaluateParams as ClimateEvaluateParams
from convoy.climate.downscaling.models.specs import MODELS as CLIMATE_MODELS
from convoy.climate.downscaling.sources.grids import GridsParams
from convoy.climate.events.evaluation.evaluate import EvaluateParams as EventsEvaluateParams
from convoy.climate.events.gate import GateParams as EventsGateParams
from convoy.climate.events.models.specs import MODELS as EVENTS_MODELS
from convoy.climate.events.sources.io import ImagesParams
from convoy.climate.gate.judgement import GateParams as ClimateGateParams
from convoy.climate.series.gate import GateParams as SeriesGateParams
from convoy.climate.series.models.specs import MODELS as SERIES_MODELS
from convoy.climate.series.sources.io import SeriesParams
from convoy.core.files import write_text
from convoy.core.models import ModelSpec, names_of
from convoy.core.params import PARAMS, Section, check_sections, parse
from convoy.core.training_params import TrainParams
from convoy.core.yaml_io import read_yaml
from convoy.streamrec.catalogue.gate_rules import GateParams
from convoy.streamrec.catalogue.params import CatalogueParams
from convoy.streamrec.classification.corpus.build import CorpusParams
from convoy.streamrec.classification.embedding import EmbedParams
from convoy.streamrec.classification.models.specs import MODELS
from convoy.streamrec.classification.sweep import SweepParams
from convoy.streamrec.recommender.gate import GateParams as InteractionsGateParams
from convoy.streamrec.recommender.models.specs import MODELS as REPRESENTATIONS
from convoy.streamrec.recommender.params import ClickParams, InteractionsParams, RetrainParams
from convoy.streamrec.recommender.params import EvaluateParams as RecommenderEvaluateParams
from convoy.tasks import PromotionParams

HEAD = """\
# All params. `make params` rewrites this file: your values stay, missing keys get their defaults.
# For one run: dvc exp run -S streamrec.models.textcnn.training.epochs=3
"""
TRAINED = "Those of `models` that are trained"
COMPARED = "Those in the comparison; all are fitted"
LADDER = "Those that are compared, as far as the data have them"
WIDTH, COMMENT_COLUMN, LONG_LIST = 110, 40, 60
Tree = Mapping[str, Any]


def _models(models: Mapping[str, ModelSpec[Any, Any]]) -> Tree:
    return {name: row.params for name, row in models.items()}


def tree() -> Tree:
    """Sections by name: a params model, a list of names with its comment, or a mapping of sections."""
    return {
        "streamrec": {
            "catalogue": CatalogueParams,
            "gate": GateParams,
            "corpus": CorpusParams,
            "networks": (names_of(MODELS, "network"), TRAINED),
            "baselines": (names_of(MODELS, "baseline"), COMPARED),
            "models": _models(MODELS),
            "train": TrainParams,
            "evaluate": EvaluateParams,
            "embed": EmbedParams,
            "sweep": SweepParams,
            "recommender": {
                "interactions": InteractionsParams,
                "gate": InteractionsGateParams,
                "representations": (tuple(REPRESENTATIONS), LADDER),
                "models": _models(REPRESENTATIONS),
                "clicks": ClickParams,
                "retrain": RetrainParams,
                "evaluate": RecommenderEvaluateParams,
            },
        },
        "climate": {
            "grids": GridsParams,
            "gate": ClimateGateParams,
            "networks": (("residual",), TRAINED),
            "baselines": (names_of(CLIMATE_MODELS, "baseline"), COMPARED),
            "models": _models(CLIMATE_MODELS),
            "train": TrainParams,
            "evaluate": ClimateEvaluateParams,
            "series": {
                "data": SeriesParams,
                "gate": SeriesGateParams,
                "networks": (names_of(SERIES_MODELS, "network"), TRAINED),
                "baselines": (names_of(SERIES_MODELS, "baseline"), COMPARED),
                "models": _models(SERIES_MODELS),
                "train": TrainParams,
                "evaluate": EvaluateParams,
            },
            "events": {
                "images": ImagesParams,
                "gate": EventsGateParams,
                "networks": (("simple_cnn", "simple_cnn_marked"), TRAINED),
                "baselines": (names_of(EVENTS_MODELS, "baseline"), COMPARED),
                "models": _models(EVENTS_MODELS),
                "train": TrainParams,
                "evaluate": EventsEvaluateParams,
            },
        },
        "promotion": PromotionParams,
    }


def document(values: Any = None) -> str:
    """Return the text of params.yaml with the given plain values, and defaults for all other keys."""
    return HEAD + "".join(f"{line}\n" for line in _sections(tree(), values or {}, ""))


def write(path: Path = PARAMS) -> None:
    """Renew the file at `path`; raises ConvoyError for a section or key that nothing reads."""
    values = read_yaml(path) if path.is_file() else None
    check_sections(values, path)
    for place, model in _leaves(tree(), ()):
        found: Any = values or {}
        for key in place:
            found = found.get(key) if isinstance(found, dict) else None
        parse(found, model, str(path), ".".join(place))
    write_text(path, document(values))


def _leaves(sections: Tree, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], type[Section]]]:
    for name, content in sections.items():
        if isinstance(content, Mapping):
            yield from _leaves(content, (*place, name))
        elif isinstance(content, type):
            yield (*place, name), content


def _sections(sections: Tree, values: Any, indent: str) -> Iterator[str]:
    for name, content in sections.items():
        given = values.get(name) if isinstance(values, dict) else None
        if isinstance(content, tuple):
            default, comment = content
            yield from _line(indent, name, list(default) if given is None else given, comment)
        elif isinstance(content, Mapping):
            yield f"{indent}{name}:"
            yield from _sections(content, given, f"{indent}  ")
        else:
            yield from _section(name, content, None, given, indent)


def _section(
    name: str, model: type[Section], default: Section | None, given: Any, indent: str, comment: str = ""
) -> Iterator[str]:
    """Lines of one params model; `default`: where it differs from the defaults of the model's fields."""
    if not model.model_fields:
        yield f"{indent}{name}: {{}}"
        return
    about = comment or (model.__doc__ or "").partition("\n")[0].rstrip(".")
    yield from _line(indent, name, None, about)
    for key, field in model.model_fields.items():
        own = _default(field, key, default)
        value = given.get(key, own) if isinstance(given, dict) else own
        inner = own if isinstance(own, Section) else None
        if inner is not None and (value is inner or isinstance(value, dict) or value is None):
            departs = None if type(inner)() == inner else inner
            chosen = value if isinstance(value, dict) else None
            yield from _section(key, type(inner), departs, chosen, f"{indent}  ", _description(model, key))
        else:
            yield from _line(f"{indent}  ", key, _plain(value), _description(model, key), leaf=True)


def _description(model: type[Section], key: str) -> str:
    """The description of a field, or of the field that it overrides in a base class."""
    fields = (base.model_fields.get(key) for base in model.__mro__ if issubclass(base, Section))
    return next((field.description for field in fields if field is not None and field.description), "")


def _default(field: FieldInfo, key: str, default: Section | None) -> Any:
    return field.get_default(call_default_factory=True) if default is None else getattr(default, key)


def _plain(value: Any) -> Any:
    """Return a value as plain YAML has it."""
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _line(indent: str, name: str, value: Any, comment: str, leaf: bool = False) -> Iterator[str]:
    shown = f"{indent}{name}:"
    if isinstance(value, list) and len(str(value)) > LONG_LIST and all(isinstance(one, str) for one in value):
        yield from _line(indent, name, None, comment)
        yield from (f"{indent}  - {one}" for one in value)
        return
    if value is not None or leaf:
        text = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
        shown += " " + text.removesuffix("...\n").strip()
    comment = " ".join(comment.split()).removesuffix(".")
    if comment and len(shown.ljust(COMMENT_COLUMN - 1)) + len(comment) + 3 > WIDTH:
        for part in textwrap.wrap(comment, WIDTH - len(indent) - 2):
            yield f"{indent}# {part}"
        comment = ""
    yield f"{shown.ljust(COMMENT_COLUMN - 1)} # {comment}" if comment else shown


if __name__ == "__main__":
    write()
    print("params: params.yaml holds every key")
