"""The terrain on which fine fields are to lie: the model's own, or another one by its orography."""

from dataclasses import replace

import numpy as np
import pytest

from convoy.climate.data.domains import Axis, Grid
from convoy.climate.downscaling.inference.surface import (
    heights_of,
    other_surface,
    own_surface,
    surface_for,
    unusual,
)
from convoy.climate.downscaling.models import specs as models
from tests.support import downscaled
from tests.support.applications import application, applied, refusal, side_of
from tests.support.downscaled import opened


@pytest.mark.parametrize("model", ["lapse", "ridge"])
def test_a_wider_input_is_cut_to_the_model_s_own_grid(model, home, request):
    stored = request.getfixturevalue(model)
    wide = Grid(Axis.regular(37, 1, 20), Axis.regular(-9, 1, 18))
    inputs = {name: np.pad(field, ((0, 0), (3, 1), (1, 1))) for name, field in home.inputs.items()}
    for name, field in inputs.items():
        field[:, :3] = 95_000 if name == "psl" else 0.001 if name == "huss" else 200
        field[:, -1:] = field[:, :, :1] = field[:, :, -1:] = field[:1, :1, :1]
    domain = replace(home, coarse=wide, inputs=inputs)
    fields = applied(application(stored, domain), domain)
    # Products of other shapes are summed in another order on some processors.
    np.testing.assert_allclose(fields["tasmax"], models.downscale(stored, home)[0], rtol=3e-7)


def test_another_grid_than_the_model_s_is_no_home(network, ridge, home):
    for grid in (
        Grid(Axis.regular(40, 1, 15), home.coarse.lon),
        Grid(Axis.regular(40.02, 1, 16), home.coarse.lon),
        Grid(home.coarse.lat, Axis.regular(-8, 0.5, 40)),
    ):
        assert own_surface(network, grid) is None
        domain = replace(home, coarse=grid, inputs={
            name: field[:, :1, :1] + np.zeros(grid.shape, np.float32) for name, field in home.inputs.items()
        })  # fmt: skip
        inputs = side_of({"in.nc": domain}, network)
        line = refusal(surface_for, network, inputs, None)
        assert "do not hold the grid that the model was trained on, 16 x 16 cells at lat 40 to 56" in line
        assert "name the heights on the fine grid to make with --orography" in line
        assert refusal(surface_for, ridge, inputs, None).endswith(
            "this model 'ridge' knows that terrain alone"
        )
    assert own_surface(network, Grid(Axis.regular(40.005, 1, 16), home.coarse.lon)) is not None


@pytest.mark.parametrize("model", ["network", "lapse"])
def test_other_surface_is_made_from_its_heights(model, terrains, request):
    """The synthetic terrain's own static fields and coarse heights follow from its elevation as well."""
    stored, terrain = request.getfixturevalue(model), terrains[1].at(slice(0, 30))
    written = downscaled.heights(terrain.fine, terrain.static["elevation"])
    fields = applied(application(stored, terrain, heights_of(opened("orog.nc", written), {})), terrain)
    whole, _ = models.downscale(stored, terrain)
    np.testing.assert_allclose(fields["tasmax"], whole, rtol=0, atol=2e-3)


def test_other_surface_lies_over_the_coarse_cells_that_it_covers_half(network):
    coarse = Grid(Axis.regular(30, 1, 30), Axis.regular(-20, 1, 50))
    fine = Grid(Axis.regular(40.5, 0.1, 65), Axis.regular(-3.6, 0.1, 72))
    heights = np.full(fine.shape, 500, np.float32)
    heights[0] = np.nan
    heights[1] = -3000
    surface = other_surface(network, coarse, fine, heights, "orog.nc")
    # 40.5 to 47 holds half of the row from 40 on; -3.6 to 3.6 holds 0.6 of both outermost columns.
    assert (surface.rows, surface.columns) == (slice(10, 17), slice(16, 24))
    assert surface.coarse.lat.centres.tolist() == [40.5 + row for row in range(7)]
    assert surface.coarse.lon.bounds[0].tolist() == [-4, -3]
    assert surface.static["elevation"][:3, 0].tolist() == [0, 0, 500]
    np.testing.assert_allclose(surface.coarse_static["elevation"][1:], 500, rtol=1e-6)
    rows = np.diff(np.sin(np.radians(40.5 + 0.1 * np.arange(6))))
    np.testing.assert_allclose(
        surface.coarse_static["elevation"][0], 500 * rows[2:].sum() / rows.sum(), rtol=1e-5
    )


OTHERS = {
    "goes beyond": (Axis.regular(39, 0.25, 60), "its latitudes 39 to 54 go beyond those of the input, 40 to"),
    "is wider": (Axis.regular(40, 2, 8), "its latitudes are 2 degrees apart, those of the input 1"),
    "is small": (Axis.regular(42, 0.1, 34), "its latitudes 42 to 45.4 lie under 3 cells of the input"),
}


@pytest.mark.parametrize(("lat", "line"), OTHERS.values(), ids=OTHERS)
def test_surface_that_does_not_fit_is_refused(network, home, lat, line):
    fine = Grid(lat, home.fine.lon)
    heights = np.zeros(fine.shape, np.float32)
    assert f"orog.nc: {line}" in refusal(other_surface, network, home.coarse, fine, heights, "orog.nc")


def test_models_that_cannot_leave_their_surface_are_refused(network, ridge, home):
    flat = np.zeros(home.fine.shape, np.float32)
    line = refusal(other_surface, ridge, home.coarse, home.fine, flat, "orog.nc")
    assert "this model 'ridge' knows the terrain alone that it was fitted on" in line
    softmax = replace(network, config={**network.config, "network": {"conserve": "softmax"}})
    uneven = Grid(Axis.regular(40, 0.3, 53), home.fine.lon)
    zeros = np.zeros(uneven.shape, np.float32)
    assert "fine cells that divide" in refusal(other_surface, softmax, home.coarse, uneven, zeros, "orog.nc")
    assert other_surface(softmax, home.coarse, home.fine, flat, "orog.nc").coarse.shape == (16, 16)
    land = replace(network, config={**network.config, "scaling": {"static_names": ["latitude", "land"]}})
    assert "needs land, which" in refusal(other_surface, land, home.coarse, home.fine, flat, "orog.nc")


TRAINED = {"elevation": [0, 3600], "latitude": [40, 56], "ratio": [4, 4]}
UNUSUAL = {
    "none": (Axis.regular(40, 0.25, 64), 3600, []),
    "high": (
        Axis.regular(40, 0.25, 64), 8800,
        ["heights: 64 of 4,096 cells (1.6%) are outside the 0 to 3,600 m of the training: 0 to 8,800 m"],
    ),
    "north": (
        Axis.regular(44, 0.25, 64), 0,
        ["latitudes: 1,024 of 4,096 cells (25.0%) are outside the 40 to 56 degrees of the training"],
    ),
    "fine": (
        Axis.regular(40, 0.0625, 256), 0,
        ["resolution: 16 fine cells per coarse cell along an axis; 4 in training"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("lat", "top", "lines"), UNUSUAL.values(), ids=UNUSUAL)
def test_terrain_beyond_that_of_the_training_is_a_warning(network, lat, top, lines):
    assert network.config["surface"]["latitude"] == TRAINED["latitude"]
    assert network.config["surface"]["ratio"] == pytest.approx(TRAINED["ratio"])
    coarse = Grid(Axis.regular(36, 1, 30), Axis.regular(-8, 1, 16))
    fine = Grid(lat, Axis.regular(-8, 0.25, 64))
    heights = np.zeros(fine.shape, np.float32)
    heights[0] = top
    surface = other_surface(network, coarse, fine, heights, "orog.nc")
    trained = replace(network, config={**network.config, "surface": TRAINED})
    assert list(unusual(trained, surface)) == lines


def test_another_hemisphere_than_that_of_the_training_is_refused(network):
    coarse = Grid(Axis.regular(-60, 1, 70), Axis.regular(-8, 1, 16))
    heights = np.zeros((64, 64), np.float32)
    south = Grid(Axis.regular(-56, 0.25, 64), Axis.regular(-8, 0.25, 64))
    assert refusal(other_surface, network, coarse, south, heights, "orog.nc") == (
        "orog.nc: latitudes -56 to -40: the model was trained on 40 to 56, where the seasons are the "
        "opposite; name a model that was trained on this hemisphere"
    )
    across = Grid(Axis.regular(-10, 0.25, 64), Axis.regular(-8, 0.25, 64))
    surface = other_surface(network, coarse, across, heights, "orog.nc")
    assert any(line.startswith("latitudes: ") for line in unusual(network, surface))


def test_what_an_older_model_folder_does_not_state_is_not_measured(network, home):
    tensors = {name: tensor for name, tensor in network.tensors.items() if name != "cells_with_truth"}
    older = replace(network, config={**network.config, "surface": None}, seeds={0: tensors})
    own = own_surface(older, home.coarse)
    assert list(unusual(older, own)) == [
        "cells without a truth in training: not measured, the model folder does not state them"
    ]
    heights = np.full((64, 64), 8800, np.float32)
    other = other_surface(older, home.coarse, home.fine, heights, "orog.nc")
    assert list(unusual(older, other)) == [
        "terrain beyond that of the training: not measured, the model folder does not state it"
    ]
    assert list(unusual(network, own)) == []
