"""Figures on disk: the headline in the metrics file, all in the details."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convoy.classifiers.evaluation.outputs_io import HEADLINE as CLASSIFIER
from convoy.climate.downscaling.evaluation import files as downscaling
from convoy.climate.downscaling.models.specs import MODELS
from convoy.climate.events.evaluation import files as events
from convoy.core.errors import ConvoyError
from convoy.core.figures_io import DETAILS, METRICS, FigureFiles, headline_of
from convoy.core.files import read_json, write_json, write_text

NAMES = st.sampled_from(["test", "warmer_2k", "rmse", "bias", "a[b", "by*"])
VALUES = st.none() | st.integers(0, 9) | st.just([1.5])
SECTIONS = st.dictionaries(NAMES, VALUES | st.dictionaries(NAMES, VALUES, max_size=2), max_size=3)
FIGURES = st.dictionaries(NAMES, VALUES | SECTIONS, max_size=3)
PATTERNS = st.lists(st.sampled_from(["*", "test.*", "test.rmse", "*.rmse", "*.*.bias"]))


def files(folder: Path, headline: tuple[str, ...] = CLASSIFIER) -> FigureFiles:
    return FigureFiles(f"{folder}/metrics/{{model}}.json", folder / "evaluation", MODELS, headline)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("figures")


def test_networks_and_baselines_are_in_folders_of_their_own(tmp_path):
    found = files(tmp_path)
    assert found.of("ridge") == {
        METRICS: tmp_path / "metrics/ridge.json",
        DETAILS: tmp_path / "evaluation/baselines/ridge/details.json",
    }
    assert found.folder_of("residual") == tmp_path / "evaluation/networks/residual"
    assert list(FigureFiles("ladder/{model}/metrics.json", None, {}).of("any")) == [METRICS]


@settings(max_examples=60, deadline=None)
@given(FIGURES, PATTERNS)
def test_what_is_written_is_read_and_the_headline_is_a_part_of_it(folder, figures, headline):
    place = files(folder, tuple(headline))
    place.write("ridge", figures)
    write_json(folder / "all.json", figures)
    # As text, since the order of keys is that of models and splits in reports.
    assert json.dumps(place.read("ridge")) == json.dumps(read_json(folder / "all.json"))
    assert within(read_json(folder / "metrics/ridge.json"), figures)


def within(part, whole):
    """Whether all values of nested sections are those of others."""
    if not isinstance(part, dict):
        return part == whole
    return all(key in whole and within(value, whole[key]) for key, value in part.items())


def test_a_task_without_details_has_all_figures_in_one_file(tmp_path):
    write_json(tmp_path / "ladder/true/metrics.json", {"clicks": {"auc": 0.7}})
    assert FigureFiles(f"{tmp_path}/ladder/{{model}}/metrics.json", None, {}).read("true") == {
        "clicks": {"auc": 0.7}
    }


def test_headline_figures_are_those_of_the_given_keys_alone():
    figures = {
        "test": {"rmse": 1.0, "by_season": {"DJF": {"rmse": 2.0}}, "best_baseline": "ridge"},
        "warmer_2k": {"rmse": 3.0, "change_error": 0.1},
        "noise_floor": {"rmse": 0.5},
    }
    chosen = headline_of(figures, ["*.rmse", "warmer_*.change_error"])
    assert chosen == {
        "test": {"rmse": 1.0}, "warmer_2k": {"rmse": 3.0, "change_error": 0.1}, "noise_floor": {"rmse": 0.5}
    }  # fmt: skip


def test_a_section_that_is_not_known_is_null_in_the_metrics_file():
    chosen = headline_of({"bayes": None, "flops": None, "test": {"ece": 0.1}}, CLASSIFIER)
    assert chosen == {"bayes": None, "test": {"ece": 0.1}}
    assert headline_of({"noise_floor": None}, downscaling.HEADLINE) == {"noise_floor": None}


def test_a_network_of_events_has_sixteen_headline_figures():
    pointing = {"pointing": 0.9, "energy_inside": 0.5, "iou": 0.4, "pointing_low": 0.8}
    figures = {
        "test": {"accuracy": 0.9, "accuracy_low": 0.8, "macro_f1": 0.9, "ece": 0.1},
        "marked": {"class": "cyclone", "test": {"accuracy": 0.9, "ece": 0.1}},
        "gradcam": {
            **pointing, "n": 7, "classes": {"pointing": pointing, "random": pointing},
            **dict.fromkeys(("random", "center", "gradient"), pointing),
            "randomised_weights": {**pointing, "other_masks": pointing},
        },
    }  # fmt: skip
    chosen = headline_of(figures, events.HEADLINE)
    three = {name: pointing[name] for name in ("pointing", "energy_inside", "iou")}
    references = dict.fromkeys(("random", "center", "randomised_weights"), three)
    assert chosen == {
        "test": {"accuracy": 0.9, "macro_f1": 0.9, "ece": 0.1},
        "marked": {"test": {"accuracy": 0.9}},
        "gradcam": {**three, **references},
    }


def test_missing_details_are_an_error_in_one_line(tmp_path):
    write_json(tmp_path / "metrics/ridge.json", {"test": {"ece": 0.1}})
    with pytest.raises(ConvoyError, match=r"details\.json: no such file; run `dvc repro` to make it"):
        files(tmp_path).read("ridge")
    (tmp_path / "metrics/ridge.json").unlink()
    with pytest.raises(ConvoyError, match=r"details\.json: no such file"):
        files(tmp_path).read("ridge")


def test_a_metrics_file_of_a_former_version_needs_no_details(tmp_path):
    for figures, headline in (
        ({"test": {"accuracy": 0.9, "n": 70}}, CLASSIFIER),
        ({"test": {"rmse": 0.9, "mae": 0.7}, "noise_floor": None}, downscaling.HEADLINE),
    ):
        write_json(tmp_path / METRICS, figures)
        copies = {name: tmp_path / name for name in (METRICS, DETAILS)}
        assert files(tmp_path, headline).read_from(copies) == figures


@pytest.mark.parametrize("text", ["[]", "null", "3"])
def test_details_that_are_no_figures_are_refused(tmp_path, text):
    place = files(tmp_path)
    place.write("ridge", {"test": {"ece": 0.1}})
    write_text(place.of("ridge")[DETAILS], text)
    with pytest.raises(
        ConvoyError, match=r"details\.json: expected figures by name, in sections; found others"
    ):
        place.read("ridge")
    place.of("ridge")[DETAILS].unlink()
    write_text(tmp_path / "metrics/ridge.json", "[1]")
    with pytest.raises(ConvoyError, match=r"ridge\.json: expected figures by name"):
        place.read("ridge")
