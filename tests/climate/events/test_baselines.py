import numpy as np
import pytest

from convoy.climate.events.baselines import area_means, class_frequencies, count_features, spectra
from convoy.climate.events.data.io import TEST
from convoy.climate.events.models.params import PixelsParams, SpectraParams
from convoy.climate.events.models.specs import MODELS, checked, probabilities, train
from convoy.core import artifact
from convoy.core.errors import ConvoyError


def test_area_means_of_blocks():
    values = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    assert area_means(values, 2).tolist() == [[2.5, 4.5, 10.5, 12.5]]
    assert area_means(values, 9).tolist() == [list(range(16))]


def test_a_wave_has_its_power_in_its_ring():
    x = np.cos(2 * np.pi * 8 * (np.arange(64) + 0.25) / 64)
    wave = np.broadcast_to(x, (1, 1, 64, 64)).astype(np.float32)
    found = spectra(wave, 32, 4)[0]
    # 8 of 64 cycles are a quarter of the highest wavenumber, the ring 8 of 32.
    assert found[:32].argmax() == 8
    assert np.square(found[32:]) == pytest.approx([0, 64 * 64 / 2, 64 * 64 / 2, 0])


def test_spectra_do_not_see_where_a_feature_is():
    random = np.random.default_rng(0)
    values = random.normal(size=(1, 1, 32, 32)).astype(np.float32)
    flipped = values[..., ::-1].copy()
    assert spectra(values, 16, 8) == pytest.approx(spectra(flipped, 16, 8), abs=1e-4)


@pytest.mark.parametrize(
    ("name", "params"),
    [("pixels", PixelsParams(cells=8)), ("spectra", SpectraParams(cells=16, bins=8)), ("majority", None)],
)
def test_a_baseline_is_stored_checked_and_predicts(maps, tmp_path, name, params):
    params = params or MODELS["majority"].params()
    config, tensors, _ = train(name, params, maps, (0,))
    artifact.write(tmp_path / "m", config, tensors, None)
    stored = checked(artifact.read(tmp_path / "m"))
    rows = maps.rows(TEST)
    found = probabilities(stored, maps.values[rows])[0]
    assert found.shape == (60, 5)
    assert found.sum(1) == pytest.approx(1)
    if name == "majority":
        assert found[0] == pytest.approx(class_frequencies(maps))
        assert found[0].argmax() == 1
    else:
        assert tensors[0]["coef"].shape[1] == count_features(name, 3, (64, 64), params.cells, 8)
    assert train(name, params, maps, (0,))[1][0].keys() == tensors[0].keys()


def test_spectra_learn_loud_events_and_beat_the_majority(maps):
    config, tensors, _ = train("spectra", SpectraParams(), maps, (0,))
    stored = artifact.StoredModel(config, tensors, None, {})
    rows = maps.rows(TEST)
    accuracy = (probabilities(stored, maps.values[rows])[0].argmax(1) == maps.labels[rows]).mean()
    assert accuracy > 0.5 > (maps.labels[rows] == 1).mean()


def test_a_class_without_training_images_is_refused(maps):
    from dataclasses import replace

    from convoy.climate.events.data.io import TRAIN

    split = np.where((maps.labels == 3) & (maps.split == TRAIN), TEST, maps.split)
    with pytest.raises(ConvoyError, match="no training image of class 'cold_front'"):
        train("pixels", PixelsParams(cells=4), replace(maps, split=split), (0,))
