"""The terrain of real grids: elevation from an orography on any grid, and where the sea is."""

import numpy as np

from tests.support.gridfiles import EAST, LAT, LON, NORTH, daily
from tests.support.known import block_means


def orography(lat, lon, height, name="orog", units="m"):
    return {
        "lat": (("lat",), lat, NORTH),
        "lon": (("lon",), lon, EAST),
        name: (("lat", "lon"), height, {"units": units}),
    }


def test_elevation_comes_from_an_orography_on_any_grid(build):
    def slope(lat, lon):
        return 100 * (np.asarray(lat)[:, None] - 38) + 20 * np.asarray(lon)[None, :]

    fine = slope(LAT, LON)
    narrow = {"lat": 39.8 + np.arange(100) / 10, "lon": 0.8 + np.arange(120) / 10}
    wide = {"lat": np.arange(38.0, 53, 2), "lon": np.arange(0.0, 16, 2)}
    tall = slope(**narrow)
    # Of ten cells to a degree five lie in each of ours: 39.8 to 40.2 round 40.
    blocks = block_means_of(tall, narrow["lat"])
    for name, file, expected, tolerance in (
        ("same", orography(LAT[::-1], LON, fine[::-1] * 9.80665, "z", "m2 s-2"), fine, 1e-2),
        ("narrow", orography(**narrow, height=tall), blocks, 1e-2),
        ("wide", orography(**wide, height=slope(**wide)), fine, 1e-2),
    ):
        domain, facts = build(
            {"x.nc": daily(), f"{name}.nc": file}, {"fine": "x.nc", "factor": 4, "orography": f"{name}.nc"}
        )
        np.testing.assert_allclose(domain.static["elevation"], expected, atol=tolerance, err_msg=name)
        assert set(domain.static) == {"elevation", "coast", "slope_east", "slope_north", "valley", "latitude"}
        np.testing.assert_allclose(domain.static["slope_north"], 100 / 111.2, rtol=1e-2, err_msg=name)
        np.testing.assert_allclose(
            domain.coarse_static["elevation"], block_means(expected[None], LAT, 4)[0], rtol=1e-4, err_msg=name
        )
        assert facts["source"].endswith(f"; orography: {name}.nc")


def block_means_of(field, lat):
    """Area means over blocks of 5 x 5 cells of a tenth of a degree."""
    weights = np.cos(np.radians(lat)).reshape(-1, 5)
    rows = (field.reshape(20, 5, 24, 5).mean(axis=3) * weights[:, :, None]).sum(axis=1)
    return rows / weights.sum(axis=1)[:, None]


def test_the_sea_noise_floor_is_at_sea_level_and_missing_cells_are_the_sea(build):
    height = np.where(np.arange(24) < 12, -3000.0, 200.0) * np.ones((20, 1))
    files = {"x.nc": daily(), "o.nc": orography(LAT, LON, height)}
    source = {"fine": "x.nc", "factor": 4, "orography": "o.nc"}
    domain, _ = build(files, source)
    np.testing.assert_array_equal(domain.static["elevation"], np.maximum(height, 0))
    assert (domain.static["coast"][:, :12] < 0).all()
    assert (domain.static["coast"][:, 12:] > 0).all()
    # A polder is land, as there are values; heights to -430 m stay as they are.
    dims, field, units = daily()["tasmax"]
    field = field.copy()
    field[:, :, 20:] = np.nan
    files["x.nc"]["tasmax"] = (dims, field, {**units, "_FillValue": np.float32(np.nan)})
    files["o.nc"] = orography(LAT, LON, np.full((20, 24), -3.0))
    domain, _ = build(files, source)
    assert (domain.static["elevation"] == -3).all()
    assert (domain.static["coast"][:, :20] > 0).all()
    assert (domain.static["coast"][:, 20:] < 0).all()


def test_an_orography_that_does_not_fit_is_refused(build_refusal):
    source = {"fine": "x.nc", "factor": 4, "orography": "o.nc"}
    small = orography(LAT[2:], LON, np.zeros((18, 24)))
    assert build_refusal({"x.nc": daily(), "o.nc": small}, source) == (
        "o.nc: the orography lies at lat 40.75 to 49.75, lon 0.75 to 12.75, the grid at lat 39.75 to "
        "49.75, lon 0.75 to 12.75; expected one that covers all of it"
    )
    none = orography(LAT, LON, np.zeros((20, 24)), "relief")
    assert "no variable elevation (nor orog, z, " in build_refusal({"x.nc": daily(), "o.nc": none}, source)
    assert "o.nc has relief" in build_refusal({"x.nc": daily(), "o.nc": none}, source)
