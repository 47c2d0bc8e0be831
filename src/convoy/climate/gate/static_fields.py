"""Checks of the two grids of a domain and of its static fields."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from convoy.climate.data.domains import Axis, Grid
from convoy.climate.data.headers import StoredDomain
from convoy.climate.data.variables import ELEVATION, LOWEST_LAND_M, VARIABLES
from convoy.climate.gate.files import SIDES, Check, equal, first_of

ELEVATION_M = (LOWEST_LAND_M, VARIABLES[ELEVATION].values[1])


def surface_checks(domains: list[StoredDomain]) -> list[Check]:
    """Checks of the two grids of each domain, and of its static fields."""
    grids = {domain.name: tuple(_grid(domain, side) for side in SIDES) for domain in domains}
    surface = {domain.name: dict(_static_fields(domain)) for domain in domains}
    firsts: dict[str, str] = {}
    for domain in domains:
        firsts.setdefault(domain.place, domain.name)

    def check(name: str, subject: str, words: str, found: Iterable[str | None]) -> Check:
        return Check.of(name, subject, words, "domain", zip(grids, found, strict=True))

    low, high = ELEVATION_M
    return [
        check(
            "swapped", "lat and lon", "Coarse cells are wider than fine ones; if not, the two are swapped",
            (_swapped(*pair) for pair in grids.values()),
        ),
        check(
            "apart", "lat and lon", "The fine grid is within the coarse one, up to one coarse cell",
            (_apart(*pair) for pair in grids.values()),
        ),
        check(
            "static_missing", "static fields", "Static fields have no missing or infinite values",
            (_not_finite(fields) for fields in surface.values()),
        ),
        check(
            "elevation_range", "static fields", f"Elevations are in {low:g} to {high:g} m",
            (_not_on_earth(fields) for fields in surface.values()),
        ),
        check(
            "same_surface", "static fields", "Domains of one place share their grids and static fields",
            (
                _surface_differs(domain.name, firsts[domain.place], grids, surface)
                for domain in domains
            ),
        ),
    ]  # fmt: skip


def _grid(domain: StoredDomain, side: str) -> Grid:
    file = domain.static(side)
    assert file is not None, "the checks of files come first"
    return file.grid


def _width(grid: Grid) -> float:
    """The side in degrees of a square with the area of the median cell."""
    return float(np.sqrt(np.prod([np.median(np.diff(axis.bounds, axis=1)) for axis in grid.axes.values()])))


def _swapped(coarse: Grid, fine: Grid) -> str | None:
    if _width(coarse) >= 0.999 * _width(fine):
        return None
    return (
        f"coarse {coarse.shape[0]} x {coarse.shape[1]} cells of {_width(coarse):.3g} degrees, "
        f"fine {fine.shape[0]} x {fine.shape[1]} of {_width(fine):.3g}"
    )


def _apart(coarse: Grid, fine: Grid) -> str | None:
    faults = []
    for name, wide in coarse.axes.items():
        narrow = fine.axes[name]
        cell = float(np.abs(np.diff(wide.bounds, axis=1)).max())
        (low, high), (first, last) = _reach(wide), _reach(narrow)
        if first < low - cell - 1e-4 or last > high + cell + 1e-4:
            faults.append(f"{name}: fine {first:g} to {last:g}, coarse {low:g} to {high:g}")
    return "; ".join(faults) or None


def _reach(axis: Axis) -> tuple[float, float]:
    return float(axis.bounds.min()), float(axis.bounds.max())


def _static_fields(domain: StoredDomain) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    for side in SIDES:
        file = domain.static(side)
        assert file is not None, "the checks of files come first"
        for name, dimensions in file.dimensions.items():
            if dimensions == ("lat", "lon"):
                yield f"{name} ({side})", file.values(name)


def _not_finite(fields: Mapping[str, npt.NDArray[np.float32]]) -> str | None:
    counts = {name: int(np.count_nonzero(~np.isfinite(field))) for name, field in fields.items()}
    return first_of(
        [f"{count} of {fields[name].size} cells of {name}" for name, count in counts.items() if count]
    )


def _not_on_earth(fields: Mapping[str, npt.NDArray[np.float32]]) -> str | None:
    low, high = ELEVATION_M
    faults = []
    for name, field in fields.items():
        values = field[np.isfinite(field)]
        if name.startswith("elevation ") and values.size and (values.min() < low or values.max() > high):
            faults.append(f"{name} {values.min():g} to {values.max():g} m")
    return first_of(faults)


def _surface_differs(
    domain: str, first: str, grids: Mapping[str, tuple[Grid, ...]],
    surface: Mapping[str, Mapping[str, npt.NDArray[np.float32]]],
) -> str | None:  # fmt: skip
    if not all(map(equal, grids[domain], grids[first])):
        return f"another grid than {first}"
    mine, others = surface[domain], surface[first]
    if names := sorted(set(mine) ^ set(others)):
        return f"{', '.join(names)} not in both {domain} and {first}"
    return first_of(
        [f"{name} differs from {first}" for name in mine
         if not np.array_equal(mine[name], others[name], equal_nan=True)]
    )  # fmt: skip
