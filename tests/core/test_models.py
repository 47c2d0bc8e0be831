"""The rows of models: one per name, complete, and what is asked of them."""

from dataclasses import replace

import pytest

from convoy.climate.downscaling.models import specs as downscaling
from convoy.climate.events.models import specs as events
from convoy.core.errors import ConvoyError
from convoy.core.models import model_named, names_of, registry
from convoy.core.params import Section
from convoy.report.themes import DARK, LIGHT
from convoy.streamrec.classification.models import specs as classification

ROWS = [*classification.MODELS.values(), *downscaling.MODELS.values(), *events.MODELS.values()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_says_all_that_others_need_to_know(row):
    assert row.name.isidentifier()
    assert 0 < len(row.label) <= 30  # as much of it as charts show
    assert not row.phrase.endswith(".")
    assert row.summary.endswith(".")
    assert row.summary.count(". ") == 0
    assert issubclass(row.params, Section)
    assert row.params()  # every key has a default
    for theme in (LIGHT, DARK):
        assert 0 <= row.colour < len(theme.series)


@pytest.mark.parametrize("models", [classification.MODELS, downscaling.MODELS, events.MODELS])
def test_labels_and_phrases_tell_models_apart(models):
    for part in ("label", "phrase", "summary"):
        assert len({getattr(row, part) for row in models.values()}) == len(models)
    networks = names_of(models, "network")
    assert len({models[name].colour for name in networks}) == len(networks)


@pytest.mark.parametrize("row", classification.MODELS.values(), ids=lambda row: row.name)
def test_a_text_model_exports_embeddings_where_it_has_a_lookup(row):
    assert ("embeddings" in row.exports) == (row.lookup is not None)


def test_names_follow_the_order_of_the_rows():
    models = downscaling.MODELS
    assert names_of(models, "baseline") + names_of(models, "network") == tuple(models)
    assert names_of(models, "baseline", among=["ridge", "unet", "bicubic"]) == ("bicubic", "ridge")


@pytest.mark.parametrize("name", ["gru", "", None, 3, "x" * 200])
def test_an_unknown_model_is_refused_in_a_short_line(name):
    with pytest.raises(ConvoyError, match="expected one of textcnn, bow") as caught:
        model_named(classification.MODELS, name)
    assert len(str(caught.value)) < 150


def test_a_name_stands_once():
    row = classification.MODELS["bow"]
    with pytest.raises(AssertionError):
        registry(row, replace(row, label="another"))
