"""The report of a comparison as one page: words, errors on every split, maps, spectra, method."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

from convoy.climate.data.sides import interpolated_in_words
from convoy.climate.data.variables import row_of
from convoy.climate.downscaling.comparison import findings, names, pictures
from convoy.climate.downscaling.comparison.compare import Metrics
from convoy.climate.downscaling.comparison.names import listed, split_label, split_phrase
from convoy.climate.downscaling.comparison.pictures import Arrays, Comparison
from convoy.climate.downscaling.evaluation.daily_io import Table as DailyErrors
from convoy.climate.downscaling.evaluation.evaluate import TODAY
from convoy.climate.downscaling.evaluation.skill.measures import has_relief
from convoy.climate.downscaling.models.specs import MODELS
from convoy.core.plots_io import Columns
from convoy.report.maps import has_coast
from convoy.report.numbers import Measure, percent
from convoy.report.page import Section, Table, picture, render
from convoy.report.themes import Theme

# Measures other than the RMSE as column headings, and whether they are in the target's units.
MEASURES = {
    "mae": ("mean absolute error", True),
    "bias": ("bias", True),
    "p02_bias": ("bias of the 2nd percentile (cold days)", True),
    "p98_bias": ("bias of the 98th percentile (hot days)", True),
    "txx_bias": ("bias of the annual maximum", True),
    "summer_days_bias": ("bias of the number of days above 25 °C a year", False),
    "anomaly_correlation": ("correlation of anomalies", False),
    "sd_ratio": ("standard deviation of anomalies / that of the truth", False),
    "high_frequency_ratio": ("fine-scale power / that of the truth", False),
    "log_spectral_distance": ("log-spectral distance, dB", False),
    "ssim": ("structural similarity (SSIM)", False),
    "coarse_error": ("RMS difference of area means from the coarse input", True),
    "change_error": ("RMS error of the change of the mean", True),
    "crps": ("CRPS", True),
    "spread_skill": ("spread-skill ratio", False),
}
# Only for models that predict a standard deviation.
OF_A_SPREAD = ("crps", "spread_skill")
PLAIN = Measure(1e-1)
Drawings = Mapping[str, Callable[[Theme], bytes]]
"""Name of a picture -> function that draws it in a theme."""


def page(
    comparison: Comparison, metrics: Metrics, mapped: Mapping[str, Arrays], drawings: Drawings,
    dates: Sequence[str], curves: Mapping[str, Columns],
) -> str:  # fmt: skip
    """HTML of the whole report; metrics, maps and learning curves are by model.

    drawings: those of `comparison_pictures`. dates: YYYY-MM-DD of the days that `mapped` holds fields of.
    """
    sections = [
        _errors(comparison, drawings),
        _relative(comparison),
        _words("Other measures", findings.other_figures(comparison), comparison),
        _words("Limits of this comparison", findings.limits(comparison), comparison),
        _days(comparison, mapped, drawings, dates),
        _per_pixel(comparison, mapped, drawings),
        _parts(comparison, metrics, drawings),
        _spectra(drawings),
        _curves(comparison, curves),
        *_measures(comparison, metrics),
        _method(comparison),
    ]
    shown = [section for section in sections if section is not None]
    words = [findings.headline(comparison), *findings.findings(comparison), _subject(comparison, mapped)]
    title, *lead = _unbroken(words, comparison)
    return render(title, lead, shown)


def _subject(comparison: Comparison, mapped: Mapping[str, Arrays]) -> str:
    """The downscaled variable, its grid and the source."""
    target = comparison["target"]
    name = row_of(target).long_name
    fields = target if name == target else f"{name[:1].lower()}{name[1:]} ({target})"
    cell = pictures.cell_degrees(next(iter(mapped.values())))
    wide = "" if comparison["factor"] is None else f" from cells of {comparison['factor'] * cell:.3g}°"
    subject = f"Downscaled: {fields}, to cells of {cell:.3g}°{wide}. Grids: {comparison['source']}."
    return " ".join([subject, *interpolated_in_words(comparison)])


def comparison_pictures(
    comparison: Comparison,
    metrics: Metrics,
    mapped: Mapping[str, Arrays],
    daily: DailyErrors,
    dates: Sequence[str],
) -> Drawings:
    """The pictures of report and plots; each is drawn once in a theme, since maps take seconds."""
    drawings = {
        "splits": partial(pictures.splits_picture, comparison),
        "days": partial(pictures.days_picture, comparison, mapped, daily, dates),
        "per_pixel": partial(pictures.per_pixel_picture, comparison, mapped),
        "parts": partial(pictures.parts_picture, comparison, metrics),
        "spectra": partial(pictures.spectra_picture, comparison, mapped),
    }
    return {name: cache(draw) for name, draw in drawings.items()}


def _errors(comparison: Comparison, drawings: Drawings) -> Section:
    figure, splits = findings.measure(comparison), comparison["splits"]
    models = list(dict.fromkeys(model for found in splits.values() for model in found["ranking"]))
    rows = [[_named(model), *(_ends(found, model, figure) for found in splits.values())] for model in models]
    if comparison["noise_floor"] is not None:
        rows.append(
            [
                "Noise floor (irreducible RMSE)",
                *[figure.bare(comparison["noise_floor"])] * len(splits),
            ]
        )
    units = f", {comparison['units']}" if comparison["units"] else ""
    noise_floor = names.FLOOR_LINE if comparison["noise_floor"] is not None else ""
    alt = "; ".join(
        f"{MODELS[model].label} {figure(splits[TODAY]['models'][model]['rmse'])}"
        for model in splits[TODAY]["ranking"]
    )
    shown = picture(drawings["splits"], f"RMSE on the test days: {alt}", wide=True)
    lacking = any(model not in found["models"] for model in models for found in splits.values())
    return Section(
        "The error of every model on every split",
        [names.ERRORS + noise_floor, *([names.STATES] if lacking else [])],
        [shown],
        [Table([f"RMSE{units}", *map(split_label, splits)], rows)],
    )


def _relative(comparison: Comparison) -> Section:
    """Skill relative to the best baseline, and the share of the way to the noise floor; one table each."""
    splits = comparison["splits"]
    models = list(dict.fromkeys(model for found in splits.values() for model in found["ranking"]))
    best = ", ".join(
        f"{MODELS[found['best_baseline']].label} ({split_phrase(split)})" for split, found in splits.items()
    )
    tables = [_shares(comparison, "skill, %", "skill_vs_best_baseline", models)]
    text = f"Skill is 1 - RMSE / RMSE of the best baseline: {best}. It is negative where the model is worse."
    networks = [model for model in models if MODELS[model].is_network]
    if comparison["noise_floor"] is not None and networks:
        tables.append(
            _shares(comparison, "share of the way to the noise floor, %", "noise_floor_share", networks)
        )
        text += " The second table shows the share of the way from that baseline's RMSE to the noise floor."
    return Section("Relative to the best baseline", [text], tables=tables)


def _shares(comparison: Comparison, heading: str, name: str, models: Sequence[str]) -> Table:
    splits = comparison["splits"].values()
    rows = [[_named(model), *(_percents(found, model, name) for found in splits)] for model in models]
    return Table([heading, *map(split_label, comparison["splits"])], rows)


def _words(heading: str, sentences: Sequence[str], comparison: Comparison) -> Section | None:
    return Section(heading, _unbroken(sentences, comparison)) if sentences else None


def _unbroken(sentences: Sequence[str], comparison: Comparison) -> list[str]:
    """The sentences with no-break spaces between figures and units."""
    unit = re.escape(comparison["units"] or "K")
    return [re.sub(rf"(?<=\d) (?={unit}\b)", "\u00a0", sentence) for sentence in sentences]


def _days(
    comparison: Comparison, mapped: Mapping[str, Arrays], drawings: Drawings, dates: Sequence[str]
) -> Section:
    models = pictures.drawn(comparison, mapped)
    models_named = listed([findings.phrase(model) for model in models])
    surface = pictures.surface(mapped[models[0]])
    third = names.UNEXPLAINED if has_relief(surface.elevation) else names.UNLIKE
    text = names.DAYS.format(third=third, coast=names.COAST * has_coast(surface))
    shown = picture(
        drawings["days"],
        f"Maps of the truth and of {models_named}, and of their errors, on {listed(dates)}", wide=True,
    )  # fmt: skip
    best = comparison["splits"][TODAY]["best_baseline"]
    missing = f" The best baseline, {findings.phrase(best)}, is not shown: it is not among climate.baselines."
    return Section("Three days side by side", [text + missing * (best not in models)], [shown])


def _per_pixel(comparison: Comparison, mapped: Mapping[str, Arrays], drawings: Drawings) -> Section:
    models_named = listed([findings.phrase(model) for model in pictures.drawn(comparison, mapped)])
    shown = picture(drawings["per_pixel"], f"Maps of bias and RMSE of {models_named}")
    return Section("Errors by location", [names.PER_PIXEL], [shown])


def _parts(comparison: Comparison, metrics: Metrics, drawings: Drawings) -> Section:
    figure, models = findings.measure(comparison), pictures.shown_in_parts(comparison, metrics)
    alt = []
    for model in models:
        seasons = metrics[model][TODAY]["by_season"].items()
        alt.append(
            f"{MODELS[model].label} " + ", ".join(f"{name} {figure(row['rmse'])}" for name, row in seasons)
        )
    shown = picture(drawings["parts"], f"RMSE by season: {'; '.join(alt)}")
    bands = metrics[models[0]][TODAY]["by_elevation"]
    heading = "Errors by season" + ("" if bands is None else " and elevation")
    sea = bands is not None and bands[0]["from_m"] is None
    return Section(heading, [names.PARTS.format(bands=names.BANDS if sea else "")], [shown])


def _spectra(drawings: Drawings) -> Section:
    shown = picture(drawings["spectra"], "Spectra of the truth, baseline and network")
    return Section("Power spectra", [names.SPECTRA], [shown])


def _curves(comparison: Comparison, curves: Mapping[str, Columns]) -> Section | None:
    if not curves:
        return None
    draw = partial(pictures.curves_picture, curves, comparison["units"])
    return Section("Learning curves", [names.CURVES], [picture(draw, "Loss and validation RMSE over epochs")])


def _measures(comparison: Comparison, metrics: Metrics) -> list[Section]:
    """A folded table per split with all known measures."""
    sections, figure = [], findings.measure(comparison)
    for split, found in comparison["splits"].items():
        models = [model for model in found["ranking"] if model in metrics]
        measures = [
            name for name in MEASURES if any(metrics[model][split].get(name) is not None for model in models)
        ]
        rows = [
            [
                MEASURES[name][0] + _unit(comparison, name),
                *(_value(metrics[model][split], name, figure) for model in models),
            ]
            for name in measures
        ]
        heading = f"All measures: {split_phrase(split)}"
        header = ["measure", *(MODELS[model].label for model in models)]
        sections.append(Section(heading, [names.MEASURED], tables=[Table(header, rows)], folded=True))
    return sections


def _method(comparison: Comparison) -> Section:
    block, resamples = comparison["block_days"], comparison["resamples"]
    days = ", ".join(
        f"{split_phrase(split)} {found['days']:,}" for split, found in comparison["splits"].items()
    )
    rmse = (
        f"Days: {days}; no model was fitted on them. The RMSE is the root of the mean over days of each "
        "day's area-weighted mean squared error."
    )
    intervals = (
        f"95% confidence intervals are from {resamples:,} bootstrap samples of whole blocks of {block} days, "
        "since neighbouring days are correlated."
    )
    paragraphs = [rmse, f"{intervals} {names.VERDICTS}", names.CHOICE]
    paragraphs += [_trainings(comparison["trainings"])] if comparison["networks"] else []
    paragraphs += [names.NOISE_FLOOR] if comparison["noise_floor"] is not None else []
    return Section("Method", paragraphs)


def _trainings(counts: Mapping[str, int]) -> str:
    if all(count == 1 for count in counts.values()):
        return names.ONE_TRAINING
    return names.TRAININGS.format(
        listed([f"{count} of {findings.phrase(model)}" for model, count in counts.items()])
    )


def _named(model: str) -> str:
    row = MODELS[model]
    return f"{row.label} (network)" if row.is_network and "etwork" not in row.label else row.label


def _ends(found: Mapping[str, Any], model: str, figure: Measure) -> str:
    """The RMSE of a model on a split and its interval, or why there is none."""
    cell = found["models"].get(model)
    if cell is None:
        return names.state(found, model)
    low, high = cell["rmse_low"], cell["rmse_high"]
    return figure.bare(cell["rmse"]) + ("" if low is None else f"\n{figure.span(low, high)}")


def _percents(found: Mapping[str, Any], model: str, name: str) -> str:
    cell = found["models"].get(model)
    if cell is None:
        return names.state(found, model)
    if cell[name] is None:
        return names.NOT_MEASURED
    value, low, high = (
        None if cell[key] is None else percent(cell[key]).removesuffix("%")
        for key in (name, f"{name}_low", f"{name}_high")
    )
    # The skill of the best baseline itself is exactly 0.
    return f"{value}" if low in (None, high) else f"{value}\n{low} to {high}"


def _unit(comparison: Comparison, name: str) -> str:
    return f", {comparison['units']}" if MEASURES[name][1] and comparison["units"] else ""


def _value(found: Mapping[str, Any], name: str, figure: Measure) -> str:
    if found.get(name) is None:
        return names.NOT_APPLICABLE if name in OF_A_SPREAD else names.NOT_MEASURED
    return (figure if MEASURES[name][1] else PLAIN).bare(found[name])
