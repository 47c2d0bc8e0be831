"""Params of the models: what cannot be trained is refused before any data is read."""

from typing import Any

import pytest

from convoy.core.errors import ConvoyError
from convoy.core.models import model_named
from convoy.core.params import parse
from convoy.core.training_params import TrainParams
from convoy.streamrec.classification.models.specs import MODELS


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kernel_sizes": [0]}, "kernel_sizes"),
        ({"kernel_sizes": []}, "kernel_sizes"),
        ({"training": {"recipe": "best"}}, "training.recipe"),
    ],
)
def test_a_network_that_cannot_be_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConvoyError, match=message):
        parse(values, MODELS["textcnn"].params, "params.yaml")


@pytest.mark.parametrize("seeds", [[], [1, 1], [-1], [2**32]])
def test_seeds_differ_and_are_in_range(seeds: list[int]) -> None:
    with pytest.raises(ConvoyError, match="seeds"):
        parse({"seeds": seeds}, TrainParams, "params.yaml")


def test_an_unknown_model_is_refused_by_name() -> None:
    with pytest.raises(
        ConvoyError, match=r"model 'gru': expected one of textcnn, bow, linear_pairs, .*, majority"
    ):
        model_named(MODELS, "gru")
