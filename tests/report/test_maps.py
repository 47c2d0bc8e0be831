import io

import numpy as np
import pytest
from PIL import Image

from convoy.report import maps
from convoy.report.maps import Day, PixelErrors, Surface
from convoy.report.themes import DARK, LIGHT, THEMES
from tests.report.pictures import pixels, share

LAT, LON = np.arange(40.0, 56.0), np.arange(-4.0, 12.0)


def surface(elevation=100.0, lat=LAT, lon=LON):
    return Surface(lat, lon, np.full((len(lat), len(lon)), elevation))


def day(*errors, truth=None, title="Hottest\n2001-07-01"):
    """A row: the truth, and models that err by so much everywhere."""
    truth = np.linspace(270, 300, 256).reshape(16, 16) if truth is None else truth
    models = {f"model {number}": truth + error for number, error in enumerate(errors)}
    return Day(title, truth, models, dict.fromkeys(models, "RMSE 1.000 K"))


def pixel_errors(bias, rmse=1.0, name="Ridge"):
    return PixelErrors(name, np.full((16, 16), bias), np.full((16, 16), rmse))


def both(theme):
    return maps.days([day(1.0, -1.0)], surface(), "K", theme), maps.per_pixel(
        [pixel_errors(0.1)], surface(), "K", theme
    )


def test_bytes_repeat_on_the_themes_paper_without_metadata():
    for theme in THEMES:
        for png, again in zip(both(theme), both(theme), strict=True):
            assert png == again
            assert Image.open(io.BytesIO(png)).info == {}
            assert share(png, theme.paper) > 0.2
            image = pixels(png)
            for side in (image[0], image[-1], image[:, 0], image[:, -1]):
                assert (side == image[0, 0]).all()


@pytest.mark.parametrize("theme", THEMES)
def test_errors_of_either_sign_have_opposite_colours_on_one_scale(theme):
    # Both errors reach the ends of the scale: one panel each, of five.
    png = maps.days([day(2.0, -2.0)], surface(), "K", theme)
    too_high, too_low = (share(png, theme.diverging[end]) for end in (-1, 0))
    assert too_high == pytest.approx(too_low, rel=0.1)
    assert too_high > 0.05
    # Beside an error of 2 K one of nothing is neither: its panel has the colour of the middle.
    png = maps.days([day(2.0, 0.0)], surface(), "K", theme)
    assert share(png, theme.diverging[0]) < too_low / 10


def test_a_day_has_one_scale_whatever_the_other_days():
    rows = [day(0.5), day(0.5, truth=np.linspace(200, 210, 256).reshape(16, 16))]
    alone, beside = (maps.days(shown, surface(), "K", LIGHT) for shown in (rows[:1], rows))
    coldest, hottest = (LIGHT.field[end] for end in (0, -1))
    # In pixels: two rows hold twice the cells at either end of their own scales.
    for colour in (coldest, hottest):
        counts = [share(png, colour, 6) * pixels(png)[..., 0].size for png in (alone, beside)]
        assert counts[1] == pytest.approx(2 * counts[0], rel=0.25)


def test_missing_cells_have_the_colour_of_grid_lines():
    truth = np.linspace(270, 300, 256).reshape(16, 16)
    truth[:, :8] = np.nan
    whole, half = (maps.days([day(0.5, truth=field)], surface(), "K", LIGHT) for field in (None, truth))
    assert share(half, LIGHT.grid) > 0.15 > 10 * share(whole, LIGHT.grid)
    nothing = maps.days([day(0.5, truth=np.full((16, 16), np.nan))], surface(), "K", LIGHT)
    assert share(nothing, LIGHT.grid) > 0.3


def test_the_coast_is_where_the_elevation_passes_zero():
    fields = [pixel_errors(0.1)]
    inland = maps.per_pixel(fields, surface(), "K", DARK)
    shore = np.where(LON < 4, -50.0, 50.0) * np.ones((16, 1))
    coast = maps.per_pixel(fields, Surface(LAT, LON, shore), "K", DARK)
    drawn = (np.abs(pixels(inland).astype(int) - pixels(coast)) > 40).any(axis=2)
    rows, columns = np.nonzero(drawn)
    # One upright line in either map, bias and RMSE, and nothing beside it.
    assert columns.max() - columns.min() < 15
    assert rows.max() - rows.min() > 0.7 * len(drawn)
    unknown = maps.per_pixel(fields, Surface(LAT, LON, np.full((16, 16), np.nan)), "K", DARK)
    assert unknown == inland
    assert [maps.has_coast(Surface(LAT, LON, height)) for height in (shore, shore + 100, 0 * shore)] == [
        *(True, False, False)
    ]


def test_fine_fields_are_averaged_before_they_are_drawn():
    size = 401
    lat, lon = np.linspace(40, 56, size), np.linspace(0, 16, size)
    noise = np.random.default_rng(0).normal(280, 5, (size, size))
    png = maps.days([day(1.0, -1.0, truth=noise)] * 3, surface(lat=lat, lon=lon), "K", LIGHT)
    assert len(png) < 800_000
    np.testing.assert_allclose(maps._thinned(np.arange(401.0))[:2], [1.0, 4.0])
    assert len(maps._thinned(np.arange(401.0))) == 134
    np.testing.assert_array_equal(maps._thinned(lat[:160]), lat[:160])


def test_uneven_latitudes_have_their_own_edges():
    np.testing.assert_allclose(maps._edges(np.array([0.0, 1.0, 3.0])), [-0.5, 0.5, 2.0, 4.0])


@pytest.mark.parametrize(
    ("value", "ends", "text"), [(-4, "EW", "4°W"), (12.5, "EW", "12.5°E"), (0, "NS", "0°")]
)
def test_degrees_name_their_side(value, ends, text):
    assert maps._degrees(value, ends) == text


def test_a_wide_region_is_a_wide_picture():
    # Only the longer side is averaged.
    wide = Surface(np.arange(35.0, 72.0), np.arange(-10.0, 100.0, 0.25), np.ones((37, 440)))
    fields = PixelErrors("Ridge", np.zeros((37, 440)), np.ones((37, 440)))
    tall, flat = (
        pixels(maps.per_pixel([row], where, "K", LIGHT)).shape[0]
        for row, where in ((pixel_errors(0.1), surface()), (fields, wide))
    )
    assert flat < 0.6 * tall
