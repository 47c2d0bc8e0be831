"""Figures divided into headline and details, and read back together."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convoy.core.errors import ConvoyError
from convoy.core.files import read_json, write_json, write_text
from convoy.metrics_io import CLASSIFIER, DOWNSCALING, EVENTS, read_metrics, split_figures

NAMES = st.sampled_from(["test", "warmer_2k", "rmse", "bias", "a[b", "by*"])
VALUES = st.none() | st.integers(0, 9) | st.just([1.5])
SECTIONS = st.dictionaries(NAMES, VALUES | st.dictionaries(NAMES, VALUES, max_size=2), max_size=3)
FIGURES = st.dictionaries(NAMES, VALUES | SECTIONS, max_size=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("figures")


@settings(max_examples=60, deadline=None)
@given(FIGURES, st.lists(st.sampled_from(["*", "test.*", "test.rmse", "*.rmse", "*.*.bias"])))
def test_both_files_together_are_read_as_one_file_of_all_figures(folder, figures, headline):
    chosen, details = split_figures(figures, headline)
    for name, content in (("all", figures), ("metrics", chosen)):
        write_json(folder / f"{name}.json", content)
    write_text(folder / "details.json", details)
    found = read_metrics(folder / "metrics.json", folder / "details.json")
    # As text, since the order of keys is that of models and splits in reports.
    assert json.dumps(found) == json.dumps(read_json(folder / "all.json"))
    assert json.dumps(read_metrics(folder / "all.json", None)) == json.dumps(found)


def test_headline_figures_are_those_of_the_given_keys_alone():
    figures = {
        "test": {"rmse": 1.0, "by_season": {"DJF": {"rmse": 2.0}}, "best_baseline": "ridge"},
        "warmer_2k": {"rmse": 3.0, "change_error": 0.1},
        "noise_floor": {"rmse": 0.5},
    }
    chosen, details = split_figures(figures, ["*.rmse", "warmer_*.change_error"])
    assert chosen == {
        "test": {"rmse": 1.0}, "warmer_2k": {"rmse": 3.0, "change_error": 0.1}, "noise_floor": {"rmse": 0.5}
    }  # fmt: skip
    assert json.loads(details) == {"test": {"by_season": {"DJF": {"rmse": 2.0}}, "best_baseline": "ridge"}}


def test_a_section_that_is_not_known_is_null_in_the_metrics_file():
    chosen, details = split_figures({"bayes": None, "flops": None, "test": {"ece": 0.1}}, CLASSIFIER)
    assert chosen == {"bayes": None, "test": {"ece": 0.1}}
    assert json.loads(details) == {"flops": None}
    assert split_figures({"noise_floor": None}, DOWNSCALING)[0] == {"noise_floor": None}


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
    chosen, _ = split_figures(figures, EVENTS)
    three = {name: pointing[name] for name in ("pointing", "energy_inside", "iou")}
    references = dict.fromkeys(("random", "center", "randomised_weights"), three)
    assert chosen == {
        "test": {"accuracy": 0.9, "macro_f1": 0.9, "ece": 0.1},
        "marked": {"test": {"accuracy": 0.9}},
        "gradcam": {**three, **references},
    }


def test_missing_details_are_an_error_in_one_line(tmp_path):
    write_json(tmp_path / "metrics.json", {"test": {"ece": 0.1}})
    with pytest.raises(ConvoyError, match=r"details\.json: no such file; run `dvc repro` to make it"):
        read_metrics(tmp_path / "metrics.json", tmp_path / "details.json")


def test_a_metrics_file_of_a_former_version_needs_no_details(tmp_path):
    for figures in (
        {"test": {"accuracy": 0.9, "n": 70}},
        {"test": {"rmse": 0.9, "mae": 0.7}, "noise_floor": None},
    ):
        write_json(tmp_path / "metrics.json", figures)
        assert read_metrics(tmp_path / "metrics.json", tmp_path / "details.json") == figures


@pytest.mark.parametrize("text", ["[]", "null", "3", '{"test": null}', '{"test": [1]}'])
def test_details_that_are_no_figures_are_refused(tmp_path, text):
    write_json(tmp_path / "metrics.json", {"test": {"ece": 0.1}})
    write_text(tmp_path / "details.json", text)
    with pytest.raises(
        ConvoyError, match=r"details\.json: expected figures by name, in sections; found others"
    ):
        read_metrics(tmp_path / "metrics.json", tmp_path / "details.json")
    write_text(tmp_path / "metrics.json", "[1]")
    with pytest.raises(ConvoyError, match=r"metrics\.json: expected figures by name"):
        read_metrics(tmp_path / "metrics.json", None)
