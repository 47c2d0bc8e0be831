"""Maps: named arrays come back with their shapes and types; what is broken is refused in one line."""

import numpy as np
import pytest

from convoy.climate.downscaling.evaluation import maps_io as maps
from convoy.core.errors import ConvoyError

ARRAYS = {
    "bias": np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32),
    "days": np.arange(24, dtype=np.int64).reshape(2, 3, 4),
    "power": np.array([1.0, np.nan, np.inf]),
    "turned": np.random.default_rng(1).normal(size=(3, 2)).T,  # safetensors would store the memory
    "cut": np.arange(10.0)[::2],
    "empty": np.zeros((0, 3), np.float32),
}


@pytest.fixture
def path(tmp_path):
    maps.write(tmp_path / "maps.safetensors", ARRAYS)
    return tmp_path / "maps.safetensors"


def test_what_is_written_comes_back(path):
    found = maps.read(path)
    assert set(found) == set(ARRAYS)
    for name, expected in ARRAYS.items():
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].dtype == expected.dtype
        assert found[name].shape == expected.shape


def test_the_same_arrays_give_the_same_bytes_in_any_order(tmp_path, path):
    maps.write(tmp_path / "again.safetensors", dict(reversed(ARRAYS.items())))
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_a_broken_or_missing_file_is_refused(path, tmp_path):
    path.write_bytes(path.read_bytes()[:-7])
    for broken in (path, tmp_path / "none.safetensors"):
        with pytest.raises(ConvoyError, match=r"cannot be read \(.+\); run `dvc repro`") as told:
            maps.read(broken)
        assert str(told.value).startswith(str(broken))
        assert "\n" not in str(told.value)


def test_nothing_is_left_of_a_write_that_failed(tmp_path):
    with pytest.raises(Exception, match="object"):
        maps.write(tmp_path / "maps.safetensors", {"no numbers": np.array([object()])})
    assert list(tmp_path.iterdir()) == []
