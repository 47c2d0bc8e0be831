import json

import numpy as np
import pytest

from convoy.climate.events.data.io import TEST
from convoy.climate.events.evaluation import explanations
from convoy.climate.events.evaluation.evaluate import EvaluateParams, check_belongs, score
from convoy.climate.events.evaluation.examples_io import read_examples, write_examples
from convoy.climate.events.evaluation.explanations import importance_of
from convoy.climate.events.evaluation.overlays import OVERLAYS, with_overlays
from convoy.climate.events.models.specs import probabilities
from convoy.core.errors import ConvoyError

PARAMS = EvaluateParams(resamples=100, min_accuracy=0.5, examples=1)


@pytest.fixture(scope="module")
def scored(cnn_folder, maps):
    from convoy.core import artifact

    return score("simple_cnn", artifact.read(cnn_folder), maps, PARAMS)


def test_metrics_have_accuracy_calibration_and_size(scored):
    found = scored.metrics
    assert {"accuracy", "macro_f1", "ece", "accuracy_low", "accuracy_high"} <= set(found["test"])
    assert found["parameters"] == 77_677
    assert found["flops"] > 1e7
    json.dumps(found, allow_nan=False)


def test_explanations_are_scored_on_correct_maps_with_an_event(scored, maps):
    gradcam = scored.metrics["gradcam"]
    rows = maps.rows(TEST)
    predicted = scored.evaluation.predicted[0]
    correct = predicted == maps.labels[rows]
    assert gradcam["correct"] == correct.sum()
    assert gradcam["n"] == (correct & (maps.labels[rows] != 0)).sum()
    assert sum(row["n"] for row in gradcam["classes"].values()) == gradcam["n"]
    for name in ("random", "center", "anomaly_size", "gradient", "randomised_weights"):
        assert {"pointing", "energy_inside", "iou"} <= set(gradcam[name])


def test_a_trained_network_points_better_than_blind_maps_and_random_weights(scored):
    gradcam = scored.metrics["gradcam"]
    blind = [gradcam[name]["pointing"] for name in ("random", "center", "randomised_weights")]
    assert gradcam["pointing"] > 2 * max(blind)
    assert gradcam["energy_inside"] > 2 * gradcam["random"]["energy_inside"]


def test_explanations_do_not_resemble_those_of_random_weights(scored):
    sanity = scored.metrics["gradcam"]["randomised_weights"]
    assert abs(sanity["rank_correlation"]) < 0.25
    # Chance: the maps know nothing of the masks of other images.
    elsewhere = sanity["other_masks"]
    assert elsewhere["pointing_low"] < 0.1
    assert [row["from"] for row in sanity["cascade"]] == [
        "classifier", "stages.3", "stages.2", "stages.1", "stages.0", "stem.1", "stem.0",
    ]  # fmt: skip
    first, *_, last = (row["rank_correlation"] for row in sanity["cascade"])
    assert first > last + 0.2


def test_the_cascade_leaves_the_network_as_it_was(cnn, maps):
    from convoy.climate.events.networks.fit import network_of

    network = network_of(cnn.config, cnn.tensors)
    rows = maps.rows(TEST)[:4]
    on = (maps.values[rows], maps.labels[rows], maps.masks[rows])
    own = importance_of(cnn.config, cnn.tensors, *on[:2])
    explanations._cascade(cnn.config, network, own, on, 0)
    for name, weights in network.state_dict().items():
        np.testing.assert_array_equal(weights.numpy(), cnn.tensors[name])


def test_test_time_augmentation_averages_the_views_that_the_params_allow(cnn, maps, scored):
    rows = maps.rows(TEST)[:12]
    values = maps.values[rows]
    fill = np.array(cnn.config["standard"]["mean"], np.float32)[:, None, None]  # zero where standardised
    views = [values]
    for down, right in ((-2, 0), (2, 0), (0, -2), (0, 2)):
        padded = np.broadcast_to(fill, (len(values), 3, 68, 68)).copy()
        padded[:, :, 2:66, 2:66] = values
        views.append(padded[:, :, 2 - down : 66 - down, 2 - right : 66 - right])
    expected = np.mean([probabilities(cnn, view)[0] for view in views], axis=0)
    np.testing.assert_allclose(probabilities(cnn, values, ("crop",))[0], expected, atol=1e-5)
    found = score("simple_cnn", cnn, maps, PARAMS.model_copy(update={"views": ("crop",)})).metrics
    assert found["views"] == ["crop"]
    assert "views" not in scored.metrics
    assert found["test"]["log_loss"] != scored.metrics["test"]["log_loss"]


def test_a_model_below_the_threshold_is_not_explained(cnn, maps):
    params = EvaluateParams(resamples=100, min_accuracy=1.0)
    found = score("simple_cnn", cnn, maps, params)
    assert "gradcam" not in found.metrics
    assert found.examples is None


def test_importance_does_not_depend_on_the_batch(cnn, maps):
    rows = maps.rows(TEST)[:6]
    labels = maps.labels[rows]
    together = importance_of(cnn.config, cnn.tensors, maps.values[rows], labels)
    alone = importance_of(cnn.config, cnn.tensors, maps.values[rows[2:3]], labels[2:3])
    assert together.shape == (6, 64, 64)
    assert together[2] == pytest.approx(alone[0], abs=1e-4)


def test_a_model_fitted_with_the_mark_is_scored_in_both_variants(cnn, maps):
    found = score("simple_cnn_marked", cnn, maps, PARAMS).metrics
    assert found["marked"]["class"] == "cyclone"
    assert 0 <= found["marked"]["test"]["accuracy"] <= 1
    assert 0 <= found["gradcam"]["on_mark"] <= 1


def test_examples_and_overlays(scored, maps, tmp_path):
    examples = scored.examples
    assert len(examples["labels"]) == 4  # one of each class with an event
    write_examples(tmp_path / "e", examples)
    again = read_examples(tmp_path / "e")
    assert np.array_equal(again["importance"], examples["importance"])
    files = with_overlays({"a.csv": "x"}, again, maps.facts)
    assert files[OVERLAYS].startswith(b"\x89PNG")
    write_examples(tmp_path / "none", None)
    assert read_examples(tmp_path / "none") is None
    assert with_overlays({"a.csv": "x"}, None, maps.facts) == {"a.csv": "x"}


def test_a_model_of_other_images_is_refused(cnn, maps):
    from dataclasses import replace

    facts = maps.facts.model_copy(update={"classes": ("a", "b", "c", "d", "e")})
    with pytest.raises(ConvoyError, match="trained on other classes"):
        check_belongs("simple_cnn", cnn, replace(maps, facts=facts))
