import numpy as np
import pytest
from scipy import fft

from convoy.climate.events.data import synthetic
from convoy.climate.events.data.synthetic import (
    CLASSES,
    MARK,
    MARKED,
    NONE,
    SCALES,
    SHARES,
    SIZE,
    maps,
    marked,
    noise,
)

UNIT = np.array(SCALES, np.float32)[:, None, None]


@pytest.fixture(scope="module")
def drawn():
    return maps(400, 0)


def test_equal_arguments_give_equal_maps_and_other_seeds_others():
    first, again, other = maps(20, 5), maps(20, 5), maps(20, 6)
    assert np.array_equal(first.values, again.values)
    assert np.array_equal(first.masks, again.masks)
    assert not np.array_equal(first.values, other.values)


def test_classes_have_their_shares_to_within_one_map(drawn):
    counts = np.bincount(drawn.labels, minlength=len(CLASSES))
    assert np.abs(counts - 400 * np.array(SHARES)).max() <= 1
    assert sum(SHARES) == pytest.approx(1)


def test_an_event_has_a_mask_and_none_has_none(drawn):
    sizes = drawn.masks.sum((1, 2))
    assert (sizes[drawn.labels == NONE] == 0).all()
    assert (sizes[drawn.labels != NONE] >= 20).all()
    assert sizes.max() < SIZE * SIZE / 3


def test_most_events_are_off_centre(drawn):
    events = drawn.masks[drawn.labels != NONE]
    assert events[:, SIZE // 2, SIZE // 2].mean() < 0.15


def test_noise_has_unit_variance_and_the_stated_correlations():
    fields = noise(300, np.random.default_rng(1)).transpose(1, 0, 2, 3).reshape(3, -1)
    assert np.corrcoef(fields) == pytest.approx(np.array(synthetic._CORRELATION), abs=0.06)
    assert fields.std(1) == pytest.approx(1, abs=0.06)


def test_the_spectrum_of_the_noise_falls_as_the_third_power():
    edge = synthetic._EDGE
    wave = np.hypot(fft.fftfreq(edge)[:, None], fft.fftfreq(edge)) * edge
    shell = np.round(wave).astype(int)
    random = np.random.default_rng(2)
    old, synthetic.SIZE = synthetic.SIZE, edge  # the periodic field, before a map is cut from it
    try:
        fields = noise(40, random)
    finally:
        synthetic.SIZE = old
    power = (np.abs(fft.fft2(fields)) ** 2).mean((0, 1))
    energy = np.bincount(shell.ravel(), weights=power.ravel())[3:40]
    slope = np.polyfit(np.log(np.arange(3, 40)), np.log(energy), 1)[0]
    assert slope == pytest.approx(-3, abs=0.1)


def test_parts_are_where_their_classes_have_them():
    """Without noise: a low under a cyclone, warm dry high pressure in a heat dome, a moist plume."""
    labels = np.arange(1, len(CLASSES))
    middle = np.full(4, 32, np.float32)
    parts, masks = synthetic._parts(
        labels, (middle, middle, np.zeros(4, np.float32)), np.random.default_rng(0)
    )
    cyclone, dome, front, plume = parts
    assert cyclone[1, 32, 32] == cyclone[1].min() < -1
    assert dome[0, 32, 32] > 1
    assert dome[1, 32, 32] > 0.9
    assert dome[2, 32, 32] < -0.9
    assert front[0, 35, 32] > 1 > -1 > front[0, 29, 32]
    assert plume[2].max() > 1.5
    assert masks[:3, 32, 32].all()


def test_the_mark_is_on_one_class_alone_and_the_rest_is_as_it_was(drawn):
    changed = marked(drawn.values, drawn.labels)
    same = np.isclose(changed, drawn.values).all((1, 2, 3))
    assert np.array_equal(same, drawn.labels != MARKED)
    assert (changed[drawn.labels == MARKED][:, :, MARK, MARK] == 3 * UNIT).all()
    assert np.array_equal(changed[:, :, 10:, 10:], drawn.values[:, :, 10:, 10:])
    assert not np.shares_memory(changed, drawn.values)


def test_decoys_leave_histograms_alike():
    """A channel's deviations do not tell a map with an event from one with the same parts apart."""
    none = maps(600, 1, decoys=1.0)
    quiet, loud = none.values[none.labels == NONE], none.values[none.labels != NONE]
    plain = maps(600, 1, amplitude=0.0)
    assert quiet.std() > 1.02 * plain.values.std()
    assert loud.std() == pytest.approx(quiet.std(), rel=0.25)
