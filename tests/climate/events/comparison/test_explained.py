import numpy as np
import pytest

from convoy.climate.events.comparison.explained import sections, sentences
from convoy.climate.events.data.io import Facts

BLIND = {"pointing": 0.1, "pointing_low": 0.08, "pointing_high": 0.12, "energy_inside": 0.08, "iou": 0.05}
FACTS = Facts(
    source="synthetic", classes=("none", "cyclone"), channels=("a", "b", "c"), units=("", "", ""),
    edges=(16, 16), marked=1,
)  # fmt: skip


def gradcam(inside, weights=0.1, alike=0.05):
    own = {"pointing": 0.9, "pointing_low": 0.88, "pointing_high": 0.92, "energy_inside": inside, "iou": 0.4}
    return {
        "n": 70, "correct": 90, **own, "random": BLIND, "center": BLIND, "anomaly_size": BLIND,
        "gradient": BLIND,
        "randomised_weights": {
            **BLIND, "pointing": weights, "pointing_low": weights - 0.02, "rank_correlation": alike,
            "other_masks": BLIND,
            "cascade": [{"from": "head", "n": 70, "rank_correlation": 0.9, "pointing": 0.8}],
        },
        "off_centre": {"n": 60, **own, "center": BLIND}, "classes": {"cyclone": {"n": 70, **own}},
    }  # fmt: skip


def metrics(accuracy, **more):
    return {"test": {"accuracy": accuracy}, "parameters": 10, "flops": 2_000_000, **more}


@pytest.fixture
def both():
    marked = {"class": "cyclone", "test": {"accuracy": 0.95}}
    twin = metrics(0.65, marked=marked, gradcam={**gradcam(0.15), "on_mark": 0.7})
    return {
        "simple_cnn": metrics(0.93, gradcam=gradcam(0.45)), "simple_cnn_marked": twin,
        "majority": {"test": {"accuracy": 0.3}, "parameters": 5, "flops": None},
    }  # fmt: skip


def test_the_confounder_in_words(both):
    explained, confounded = sentences(both)
    assert "points into the event on 90.0% of 70" in explained
    assert "a rank correlation of 0.05 with those of the trained network" in explained
    assert explained.endswith("explains no more than the input does.")
    assert "95.0% of the test maps with the mark correctly and 65.0% of the clean ones, 30.0" in confounded
    assert "85.0% compared with 55.0% without the mark" in confounded


def test_weights_that_point_above_chance_are_reported(both):
    for changed in ({"weights": 0.5}, {"alike": 0.6}):
        both["simple_cnn"]["gradcam"] = gradcam(0.45, **changed)
        assert sentences(both)[0].endswith("part of the explanation is not learnt.")


def test_images_without_masks_have_no_sentences():
    assert sentences({"simple_cnn": metrics(0.9)}) == []
    assert [one.heading for one in sections({"simple_cnn": metrics(0.9)}, {}, FACTS)] == ["Sizes"]


def test_sections_have_scores_overlays_and_sizes(both):
    random = np.random.default_rng(0)
    examples = {
        "values": random.normal(size=(2, 3, 16, 16)).astype(np.float32),
        "importance": random.random((2, 16, 16)).astype(np.float32),
        "masks": np.eye(16, dtype=bool)[None].repeat(2, 0),
        "labels": np.array([1, 1]), "predicted": np.array([1, 0]),
    }  # fmt: skip
    found = sections(both, {"simple_cnn": examples, "simple_cnn_marked": None}, FACTS)
    assert [one.heading for one in found] == [
        "Where SimpleCNN looks", "A confounder, found by its explanation", "Sizes",
    ]  # fmt: skip
    assert found[0].pictures[0].light.startswith(b"\x89PNG")
    assert found[0].pictures[0].light != found[0].pictures[0].dark
    assert found[1].tables[0].rows[1][1:3] == ["95.0%", "65.0%"]
    assert found[2].tables[0].rows[2][2] == "–"
