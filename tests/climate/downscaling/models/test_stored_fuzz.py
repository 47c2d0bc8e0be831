"""Stored downscaling models with one byte or JSON value changed and their hashes renewed."""

import random
import shutil

import numpy as np
import pytest

from convoy.climate.downscaling.models import specs as models
from convoy.climate.downscaling.models.params import BaselineParams, NetworkParams
from convoy.core import artifact, files
from convoy.core.errors import ConvoyError
from tests.streamrec.classification.models.test_stored_fuzz import change_a_byte, change_a_value
from tests.support.climates import FINE, first, noisy, world

HOME = world(noisy)
TRAINING, VALIDATION = (HOME.at(HOME.days.year == year) for year in (2001, 2002))
FACTS = {"target": "tasmax", "inputs": ["tasmax", "psl", "huss"], "source": "made by hand"}
SMALL = NetworkParams(width=4, depth=1, hidden=8, training={"epochs": 1, "patience": 1, "threads": 1})
MODELS = 60  # of each kind


@pytest.mark.parametrize("kind", ["lapse_monthly", "ridge", "residual"])
def test_an_altered_model_is_refused_in_one_line_or_gives_whole_fields(tmp_path, kind):
    params = SMALL if models.MODELS[kind].is_network else BaselineParams()
    config, seeds, _ = models.train(kind, params, [first(TRAINING, 40)], [first(VALIDATION, 9)], FACTS, (0,))
    artifact.write(tmp_path / "sound", config, seeds, None)
    folder = tmp_path / "altered"
    shutil.copytree(tmp_path / "sound", folder)
    draw, lines = random.Random(f"altered {kind}"), []
    for number in range(MODELS):
        name = ("model.safetensors", "config.json")[number % 2]
        by_value = name == "config.json" and draw.random() < 0.7
        (change_a_value if by_value else change_a_byte)(draw, folder / name)
        (folder / files.MANIFEST).unlink()
        files.write_manifest(folder)
        try:
            found = models.downscale(artifact.read(folder), first(VALIDATION, 3))
            assert found is None or found[0].shape == (3, *FINE.shape), number
            assert found is None or kind == "ridge" or np.isfinite(found[0]).all(), number
        except ConvoyError as error:
            lines.append(str(error))
        shutil.copy(tmp_path / "sound" / name, folder / name)
    assert all("\n" not in line and 10 < len(line) < 1000 for line in lines)
    assert MODELS // 8 < len(lines) < MODELS
