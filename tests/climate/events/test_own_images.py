"""A folder of photographs goes through all stages by changing params alone."""

import json
import runpy

import numpy as np
import pytest
from PIL import Image

from convoy.cli.params_file import document
from convoy.core.errors import ConvoyError
from convoy.core.files import write_text
from tests.conftest import ROOT

METRICS = "data/climate/metrics/events"


def photograph(random, label, size):
    """Stripes along one axis or the other, at random places and colours."""
    wave = np.sin(np.arange(size[label]) * 0.8 + random.uniform(0, 6))
    stripes = wave[:, None] if label == 0 else wave[None, :]
    shape = (*size, 3)
    return (120 + 80 * np.broadcast_to(stripes[..., None], shape) + random.normal(0, 20, shape)).clip(0, 255)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    for label, name in enumerate(("rows", "columns")):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number in range(80):
            size = tuple(random.integers(40, 90, 2).tolist())
            image = Image.fromarray(photograph(random, label, size).astype(np.uint8))
            suffix = (".jpg", ".png", ".webp")[number % 3]
            (image.convert("L") if number % 10 == 0 else image).save(folder / f"{number}{suffix}")
    training = {"epochs": 4, "batch_size": 16, "threads": 1, "device": "cpu", "precision": "float32"}
    section = {
        "images": {"source": "photos", "size": 32},
        "networks": ["simple_cnn"],
        "models": {"simple_cnn": {"training": training}},
        "evaluate": {"resamples": 200, "examples": 1},
    }
    write_text(tmp_path / "params.yaml", document({"climate": {"events": section}}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONVOY_TRACKING", "off")
    return tmp_path


def run(stage, *model):
    runpy.run_path(str(ROOT / "pipelines/climate" / f"events_{stage}.py"))["main"](*model)


def test_photographs_are_trained_on_and_explained_by_params_alone(workspace, capsys):
    run("images")
    # WebP has no grey pictures: of 16 that were saved as grey, 4 are stored as RGB.
    assert "repaired: 12 grey, 160 resized" in capsys.readouterr().out
    run("gate")
    run("baselines")
    run("train", "simple_cnn")
    run("evaluate", "simple_cnn")
    run("compare")
    found = json.loads((workspace / METRICS / "simple_cnn.json").read_text())
    assert found["test"]["accuracy"] >= 0.9
    assert "gradcam" not in found
    page = (workspace / "data/climate/events/report.html").read_text()
    assert "explanations are shown and not scored" in page
    with pytest.raises(ConvoyError, match="only the synthetic maps have a variant with a mark"):
        run("train", "simple_cnn_marked")
