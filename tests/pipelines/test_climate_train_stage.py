"""The climate-train stage: what is wrong with the list of models is told before the first training."""

import os
import subprocess
import sys

import pytest
import yaml

from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (
            ["residual", "u-net"],
            "climate.networks: 'u-net': expected one of residual, srcnn, separable",
        ),
        (["ridge"], "climate.networks: 'ridge': expected one of residual, srcnn, separable, unet"),
        (["unet", "unet"], "section 'climate.networks': named more than once: unet"),
        ("unet", "section 'climate.networks': expected a list of names; found \"unet\""),
        ([], "climate.networks, climate.baselines: no model; name at least one"),
    ],
)
def test_a_wrong_list_of_models_stops_the_first_training(tmp_path, names, told):
    values = {"networks": names, "baselines": [], "models": {"unet": {}}, "train": {"seeds": [0]}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"climate": values}))
    stage = [sys.executable, "-P", "-m", "convoy.core.stage", ROOT / "pipelines/climate/train.py"]
    done = subprocess.run(
        [*stage, "--model", "unet"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]
