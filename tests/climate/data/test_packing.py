"""Fill values, valid ranges and packing, compared with the netCDF4 library's own masks."""

import netCDF4
import numpy as np
import pytest

from convoy.climate.data.packing import unpacked

NUMBERS = np.arange(-6, 18)


@pytest.mark.parametrize(
    ("dtype", "attributes"),
    [
        ("i2", {"valid_range": np.array([-2, 9], "i2")}),
        ("i2", {"valid_min": np.int16(-1)}), ("i2", {"valid_max": np.int16(11)}),
        ("i2", {"valid_min": np.int16(0), "valid_max": np.int16(8), "scale_factor": 0.5, "add_offset": 3.0}),
        ("i2", {"_FillValue": np.int16(5), "valid_max": np.int16(9), "missing_value": np.int16(-3)}),
        ("f4", {"valid_range": np.array([0, 10], "f4")}), ("f8", {"valid_max": np.float32(9.5)}),
        ("f8", {"_FillValue": np.float64(4)}), ("f4", {"missing_value": np.array([3, 4], "f4")}),
        ("i1", {"_Unsigned": "true", "missing_value": np.int8(-2)}),
        ("i1", {"_Unsigned": "true", "_FillValue": np.int8(-1), "scale_factor": 0.1}),
    ],
)  # fmt: skip
def test_masks_are_those_of_netcdf4(tmp_path, dtype, attributes):
    with netCDF4.Dataset(tmp_path / "x.nc", "w") as file:
        file.createDimension("n", len(NUMBERS))
        stated = dict(attributes)
        made = file.createVariable("x", dtype, ("n",), fill_value=stated.pop("_FillValue", None))
        made.set_auto_maskandscale(False)
        made.setncatts(stated)
        made[:] = NUMBERS.astype(dtype)
    with netCDF4.Dataset(tmp_path / "x.nc") as file:
        theirs = np.ma.filled(file["x"][:].astype(float), np.nan)
        assert np.isnan(theirs).any()
    np.testing.assert_allclose(unpacked(NUMBERS.astype(dtype), attributes), theirs, rtol=1e-6)


@pytest.mark.parametrize("stored", [np.float64(np.float32(1e20)), 1e20])
def test_a_missing_value_in_single_precision_matches_in_double(stored):
    """netCDF4 compares in one of the two precisions; both numbers mean missing."""
    values = np.array([1.5, stored, 2.5])
    found = unpacked(values, {"missing_value": np.float32(1e20)})
    np.testing.assert_array_equal(found, [1.5, np.nan, 2.5])
