"""A piece of the synthetic climate on both sides of Greenwich, models of it, and files that hold its days."""

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from convoy.climate.data.domains import EPOCH, Axis, Days, Domain, Grid
from convoy.climate.downscaling.models import specs as models
from convoy.climate.downscaling.models.params import BaselineParams, NetworkParams
from convoy.climate.synthetic.scenarios import SyntheticParams, domains
from convoy.core.artifact import StoredModel

FACTS = {"target": "tasmax", "inputs": ["tasmax", "psl", "huss"], "source": "a test's climate"}
UNITS = {"tasmax": "K", "psl": "Pa", "huss": "kg kg-1"}
TRAINED_DAYS = 200


def moved(domain: Domain, degrees: float) -> Domain:
    """The same domain, so much farther east."""
    coarse, fine = (
        Grid(grid.lat, Axis(grid.lon.centres + degrees, grid.lon.bounds + degrees))
        for grid in (domain.coarse, domain.fine)
    )
    return replace(domain, coarse=coarse, fine=fine)


def of(domain: Domain, *names: str) -> Domain:
    """The same domain with some of its inputs."""
    return replace(domain, inputs={name: domain.inputs[name] for name in names})


def climate() -> tuple[Domain, Domain]:
    """Four years at home and a year on another terrain, both 16 x 16 degrees from 8 W to 8 E."""
    all_domains = domains(SyntheticParams(years=4))
    return moved(next(all_domains), -10), moved(next(all_domains), -10)


def trained(name: str, home: Domain, **changes: Any) -> tuple[dict[str, Any], dict[int, Any]]:
    """Config and tensors of a model of `TRAINED_DAYS` days at home; networks are the smallest."""
    small = {
        "width": 4,
        "hidden": 8,
        "depth": 1,
        "per_pixel": "none",
        "training": {"epochs": 1, "patience": 1, "threads": 1},
    }
    network = models.MODELS[name].is_network
    params = NetworkParams.model_validate({**small, **changes}) if network else BaselineParams()
    train, validation = home.at(slice(0, TRAINED_DAYS)), home.at(slice(TRAINED_DAYS, TRAINED_DAYS + 40))
    config, tensors, _ = models.train(name, params, [train], [validation], FACTS, (0,))
    return config, tensors


def stored(name: str, home: Domain, **changes: Any) -> StoredModel:
    """Such a model as it is read from its folder."""
    config, tensors = trained(name, home, **changes)
    return StoredModel(config, tensors, None, {})


def variables(domain: Domain, **attributes: str) -> dict[str, Any]:
    """The inputs of a domain as `gridfiles.write` takes them; attributes: more of them for the time."""
    time = {"units": EPOCH, "calendar": domain.days.calendar, **attributes}
    dims = ("time", "lat", "lon")
    fields = {name: (dims, field, {"units": UNITS[name]}) for name, field in domain.inputs.items()}
    return {
        "time": (("time",), domain.days.ordinal + 0.5, time),
        "lat": (("lat",), domain.coarse.lat.centres, {"units": "degrees_north"}),
        "lon": (("lon",), domain.coarse.lon.centres, {"units": "degrees_east"}),
        **fields,
    }


def heights(grid: Grid, height_m: np.ndarray) -> dict[str, Any]:
    """An orography as `gridfiles.write` takes it."""
    return {
        "lat": (("lat",), grid.lat.centres, {"units": "degrees_north"}),
        "lon": (("lon",), grid.lon.centres, {"units": "degrees_east"}),
        "orog": (("lat", "lon"), height_m, {"units": "m"}),
    }


def opened(path: str, written: dict[str, Any], **attributes: str) -> xr.Dataset:
    """A file of these variables as it is opened."""
    variables = {
        name: xr.Variable(dims, np.asarray(values, float if np.ndim(values) == 1 else np.float32), dict(said))
        for name, (dims, values, said) in written.items()
    }
    made = xr.Dataset(coords=xr.Coordinates(variables, indexes={}), attrs=attributes)
    made.encoding["source"] = path
    return made


def in_calendar(domain: Domain, calendar: str) -> Domain:
    """The same fields on as many days from 2001-01-01 on of another calendar."""
    days = Days.years(2001, 1 + len(domain.days) // 360, calendar)
    return replace(domain, days=days.at(slice(0, len(domain.days))))
