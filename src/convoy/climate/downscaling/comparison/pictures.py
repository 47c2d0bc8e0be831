"""The pictures of a comparison, drawn by convoy.report from metrics and maps of the models."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from convoy.climate.downscaling.comparison.compare import Metrics
from convoy.climate.downscaling.comparison.findings import measure
from convoy.climate.downscaling.comparison.names import split_label, state
from convoy.climate.downscaling.evaluation.daily_io import Table
from convoy.climate.downscaling.evaluation.evaluate import TODAY
from convoy.climate.downscaling.evaluation.skill.measures import SEASONS, has_relief
from convoy.climate.downscaling.models.specs import MODELS
from convoy.core.plots_io import Columns
from convoy.report import charts, maps, skill
from convoy.report.themes import Theme

Arrays = Mapping[str, npt.NDArray[Any]]
Comparison = Mapping[str, Any]

# Series of the theme: baselines share one, except the best of a split; each network has its own.
OTHER_BASELINES, BEST_BASELINE = 3, 0
# The third of the days drawn: where elevations are known, and where they are not.
UNEXPLAINED, UNLIKE = "Least explained\nby elevation", "Least like the\ncoarse field"


def colour(model: str) -> int:
    """The series of a model in pictures of few models, whose only baseline is the best one."""
    return MODELS[model].colour if MODELS[model].is_network else BEST_BASELINE


def drawn(comparison: Comparison, mapped: Mapping[str, Arrays]) -> list[str]:
    """The best baseline and the best network on the test days, of those that have maps."""
    ranking = [model for model in comparison["splits"][TODAY]["ranking"] if model in mapped]
    best = {MODELS[model].is_network: model for model in reversed(ranking)}
    return [best[kind] for kind in (False, True) if kind in best]


def splits_picture(comparison: Comparison, theme: Theme) -> bytes:
    """Every model's error on every split, the best on the test days first."""
    splits = comparison["splits"]
    ranked = list(dict.fromkeys(model for found in splits.values() for model in found["ranking"]))
    rows = []
    for model in ranked:
        cells = [found["models"].get(model) or state(found, model) for found in splits.values()]
        # The best baseline of a split has its own colour.
        network = MODELS[model].is_network
        stands_out = [network or model == found["best_baseline"] for found in splits.values()]
        rows.append(
            skill.Score(
                MODELS[model].label,
                [cell if isinstance(cell, str) else cell["rmse"] for cell in cells],
                [_ends(cell) for cell in cells],
                [colour(model) if stands else OTHER_BASELINES for stands in stands_out],
                MODELS[model].is_network,
            )
        )
    titles = [split_label(split) for split in splits]
    return skill.by_split(rows, titles, comparison["noise_floor"], comparison["units"], theme)


def _ends(cell: Mapping[str, Any] | str) -> tuple[float, float] | None:
    if isinstance(cell, str) or cell["rmse_low"] is None:
        return None
    return cell["rmse_low"], cell["rmse_high"]


def days_picture(
    comparison: Comparison, mapped: Mapping[str, Arrays], daily: Table, dates: Sequence[str], theme: Theme
) -> bytes:
    """Truth, best baseline, best network and their errors on three days, whose names are `dates`."""
    models = drawn(comparison, mapped)
    first, figure = mapped[models[0]], measure(comparison)
    days = ("Hottest", "Coldest", UNEXPLAINED if has_relief(first["elevation"]) else UNLIKE)
    rows = []
    for place, (which, date) in enumerate(zip(days, dates, strict=True)):
        ordinal = int(first["ordinal"][place])
        fields = {MODELS[model].label: mapped[model]["days"][place] for model in models}
        scores = {MODELS[model].label: f"RMSE {figure(_rmse(daily, model, ordinal))}" for model in models}
        rows.append(maps.Day(f"{which}\n{date}", first["truth_days"][place], fields, scores))
    return maps.days(rows, surface(first), comparison["units"], theme)


def _rmse(daily: Table, model: str, ordinal: int) -> float:
    """The error of one day of the domain that is drawn, the first of the test split with a valid day."""
    days = daily[model][TODAY]
    return float(np.sqrt(days.squared_error[np.flatnonzero((days.ordinal == ordinal) & days.known)[0]]))


def surface(arrays: Arrays) -> maps.Surface:
    """The grid and elevation of a model's maps."""
    return maps.Surface(arrays["lat"], arrays["lon"], arrays["elevation"])


def per_pixel_picture(comparison: Comparison, mapped: Mapping[str, Arrays], theme: Theme) -> bytes:
    """Bias and RMSE of the best baseline and network over the test days, cell by cell."""
    models = drawn(comparison, mapped)
    rows = [
        maps.PixelErrors(MODELS[model].label, mapped[model]["bias"], mapped[model]["rmse"])
        for model in models
    ]
    return maps.per_pixel(rows, surface(mapped[models[0]]), comparison["units"], theme)


def spectra_picture(comparison: Comparison, mapped: Mapping[str, Arrays], theme: Theme) -> bytes:
    """Mean spectra of the truth, the best baseline and the best network over the test days."""
    models = drawn(comparison, mapped)
    first = mapped[models[0]]
    lines = [
        skill.Line(MODELS[model].label, mapped[model]["power"].tolist(), colour(model)) for model in models
    ]
    truth = skill.Line("Truth", first["truth_power"].tolist(), None)
    cell = cell_degrees(first)
    factor = comparison["factor"]
    nyquist = None if factor is None else 1 / (2 * factor * cell)
    wavenumber = (first["wavenumber"] / cell).tolist()
    return skill.spectra(wavenumber, truth, lines, nyquist, comparison["units"], theme)


def cell_degrees(arrays: Arrays) -> float:
    """Width of a fine cell in degrees of latitude."""
    return float(np.median(np.diff(arrays["lat"])))


def parts_picture(comparison: Comparison, metrics: Metrics, theme: Theme) -> bytes:
    """Errors on the test days by season and, where known, elevation band: best baseline and all networks."""
    models = shown_in_parts(comparison, metrics)
    first = metrics[models[0]][TODAY]
    seasons = [season for season in SEASONS if season in first["by_season"]]
    rows = {model: [metrics[model][TODAY]["by_season"][season] for season in seasons] for model in models}
    bands = {model: metrics[model][TODAY]["by_elevation"] or [] for model in models}
    panels = [
        ("By season", seasons, _lines(rows)),
        ("By elevation", [band(row) for row in bands[models[0]]], _lines(bands)),
    ]
    shown = [panel for panel in panels if panel[1]]
    return skill.categories(shown, comparison["units"], theme)


def _lines(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[skill.Line]:
    """A line of errors per model, with gaps for unknown values."""
    return [
        skill.Line(
            MODELS[model].label,
            [math.nan if row["rmse"] is None else row["rmse"] for row in parts],
            colour(model),
            MODELS[model].is_network,
        )
        for model, parts in rows.items()
    ]


def shown_in_parts(comparison: Comparison, metrics: Metrics) -> list[str]:
    """The best baseline that has metrics, then all networks."""
    ranking = [model for model in comparison["splits"][TODAY]["ranking"] if model in metrics]
    baselines = [model for model in ranking if not MODELS[model].is_network]
    return baselines[:1] + [model for model in ranking if MODELS[model].is_network]


def band(row: Mapping[str, float | None]) -> str:
    """Label of an elevation band."""
    low, high = row["from_m"], row["to_m"]
    if low is None:
        return "sea"
    return f">{low:g} m" if high is None else f"{low:g}–\n{high:g} m"


def curves_picture(curves: Mapping[str, Columns], units: str, theme: Theme) -> bytes:
    """Learning curves of the networks; `curves` holds the tables from the model folders."""
    rows = [
        charts.Curve(
            MODELS[model].label,
            {name: [float(cell) for cell in cells] for name, cells in table.items()},
            colour(model),
        )
        for model, table in curves.items()
    ]
    return charts.curves(rows, theme, f"Validation RMSE, {units}" if units else "Validation RMSE")
