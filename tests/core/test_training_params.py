"""Training params: the rates of a recipe, seeds, the length of a run."""

from types import MappingProxyType
from typing import Any

import pytest
from pydantic import ValidationError

from convoy.climate.downscaling.models.params import DownscalingTraining, NetworkParams
from convoy.core.errors import ConvoyError
from convoy.core.params import parse
from convoy.core.training_params import RATES, ClassificationParams, Rates, TrainingParams, TrainParams
from convoy.streamrec.classification.models.params import (
    BowParams,
    BowTraining,
    NetworkTraining,
    TextCNNParams,
)


class Own(TrainingParams):
    rates = MappingProxyType({**RATES, "adam": Rates(0.25, 0.125)})


@pytest.mark.parametrize("recipe", RATES)
@pytest.mark.parametrize("kind", [TrainingParams, NetworkTraining, BowTraining, DownscalingTraining])
def test_another_recipe_alone_brings_its_own_rates(kind: type[TrainingParams], recipe: str) -> None:
    found = kind(recipe=recipe)
    own = (found.learning_rate, found.weight_decay)
    if (kind, recipe) == (DownscalingTraining, "adamw_one_cycle"):
        assert own == (8e-3, 1e-2)
    else:
        assert own == {
            "adagrad_linear": (0.4, 0.0), "adam": (1e-3, 0.0), "adamw_one_cycle": (4e-3, 0.5),
            "sgd_cosine": (0.1, 1e-4),
        }[recipe]  # fmt: skip


@pytest.mark.parametrize("kind", [NetworkTraining, BowTraining, DownscalingTraining])
def test_a_model_s_own_recipe_has_the_rates_found_for_it(kind: type[TrainingParams]) -> None:
    expected = {NetworkTraining: (4e-3, 0.5), BowTraining: (0.4, 0.0), DownscalingTraining: (8e-3, 1e-2)}
    assert (kind().learning_rate, kind().weight_decay) == expected[kind]


def test_rates_of_a_model_hold_for_the_recipe_they_are_stated_for() -> None:
    assert (Own().learning_rate, Own().weight_decay) == (4e-3, 0.5)
    assert (Own(recipe="adam").learning_rate, Own(recipe="adam").weight_decay) == (0.25, 0.125)


@pytest.mark.parametrize("absent", [{}, {"learning_rate": None, "weight_decay": None}])
def test_what_is_set_is_kept_and_none_is_the_recipe_s(absent: dict[str, None]) -> None:
    found = TrainingParams(recipe="sgd_cosine", **{**absent, "weight_decay": 0.0})
    assert (found.learning_rate, found.weight_decay) == (0.1, 0.0)
    found = TrainingParams(recipe="sgd_cosine", **{**absent, "learning_rate": 0.5})
    assert (found.learning_rate, found.weight_decay) == (0.5, 1e-4)


@pytest.mark.parametrize("model", [BowParams, TextCNNParams, NetworkParams])
def test_the_recipe_in_params_yaml_reaches_the_rates(model: Any) -> None:
    null = {"learning_rate": None, "weight_decay": None}
    found = parse({"training": {"recipe": "sgd_cosine", **null}}, model, "params.yaml").training
    assert (found.recipe, found.learning_rate, found.weight_decay) == ("sgd_cosine", 0.1, 1e-4)


def test_an_unknown_recipe_is_refused() -> None:
    with pytest.raises(ConvoyError, match=r"recipe.*adagrad_linear"):
        parse({"recipe": "best"}, TrainingParams, "params.yaml")
    with pytest.raises(ConvoyError, match="keys and values"):
        parse({"training": 3}, BowParams, "params.yaml")


def test_resolved_params_read_back_are_the_same() -> None:
    for params in (BowTraining(), DownscalingTraining(recipe="adam"), Own(learning_rate=0.5)):
        assert type(params)(**params.model_dump(mode="json")) == params


@pytest.mark.parametrize("model", [BowParams, TextCNNParams, NetworkParams])
def test_patience_does_not_forbid_a_short_run(model: Any) -> None:
    training = parse({"training": {"epochs": 3, "patience": 5}}, model, "params.yaml").training
    assert (training.epochs, training.patience) == (3, 5)
    assert parse({"training": {"epochs": 1}}, model, "params.yaml").training.epochs == 1


def test_label_smoothing_is_an_option_of_classification_alone() -> None:
    assert ClassificationParams(label_smoothing=0.1).label_smoothing == 0.1
    with pytest.raises(ConvoyError, match="unknown key 'label_smoothing'"):
        parse({"label_smoothing": 0.1}, TrainingParams, "params.yaml")


def test_seeds() -> None:
    assert TrainParams().seeds == (0,)
    assert TrainParams(seeds=(3, 1, 2)).seeds == (3, 1, 2)
    for wrong in ((), (1, 1), (-1,), (2**32,)):
        with pytest.raises(ValidationError):
            TrainParams(seeds=wrong)
