"""The TaskSpec of downscaling, for tracking and the command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convoy.climate.data.io import read, read_facts
from convoy.climate.downscaling import promotion, serving
from convoy.climate.downscaling.comparison.findings import findings, headline
from convoy.climate.downscaling.comparison.names import NOT_APPLICABLE, NOT_MEASURED, capital, split_label
from convoy.climate.downscaling.evaluation import daily_io
from convoy.climate.downscaling.evaluation.daily_io import Daily
from convoy.climate.downscaling.evaluation.evaluate import TODAY
from convoy.climate.downscaling.evaluation.files import FILES
from convoy.climate.downscaling.fields_model import DATE
from convoy.climate.downscaling.models.specs import MODELS
from convoy.climate.downscaling.models.stored import TASK as EXPERIMENT
from convoy.climate.downscaling.promotion import GRIDS, Grids, signed
from convoy.core.errors import ConvoyError
from convoy.core.models import names_of
from convoy.report.numbers import Measure, percent
from convoy.tasks import (
    Charts,
    Evaluated,
    Outputs,
    Pages,
    Ranking,
    RegisteredTask,
    Serving,
    VersionComparison,
)

if TYPE_CHECKING:
    import pandas as pd

_EXAMPLES = 2  # days
_NOISE_FLOOR = "noise_floor"
_SHARES = ("skill_vs_best_baseline", "noise_floor_share")
_ALSO = {
    "sd_ratio": "standard deviation of anomalies over that of the truth",
    "anomaly_correlation": "correlation of anomalies",
}
_DESCRIPTION = (
    "**How to read this.** Each run is one model, a network or a baseline; the run *All models* compares "
    "the models of one pipeline run, with a report and pictures. Metrics named `test_…` are computed on the "
    "test days; for the synthetic climate `unseen_terrain_…`, `warmer_2k_…` and `warmer_4k_…` are for other "
    "terrain and warmer climates.\n\n"
    "| metric | meaning |\n|---|---|\n"
    "| `test_rmse` | root mean squared error over days and area, in the unit of the variable; smaller is "
    "better; `…_low` and `…_high` are its 95% confidence interval |\n"
    "| `test_skill_vs_best_baseline` | 1 - RMSE / RMSE of the best baseline; above 0 the model is better |\n"
    "| `noise_floor` | synthetic climate with perfect inputs only: the irreducible RMSE |\n"
    "| `test_noise_floor_share` | share of the way from the best baseline to the noise floor; below 0 "
    "the model is worse than that baseline |\n"
    "| `test_sd_ratio` | standard deviation of the model's anomalies over that of the truth; ideally 1 |\n"
    "| `…_change_error` | root mean squared error over cells of the modelled change of the mean in a warmer "
    "climate |\n\n"
    f"Networks: {', '.join(f'`{name}`' for name in names_of(MODELS, 'network'))}; all others are "
    "baselines: interpolation, lapse rates and regression by pixel."
)
_VERSION_NOTE = (
    "Input: a table with a row per day: `date` (YYYY-MM-DD) and one column per coarse variable. A value is "
    "the list of a field's numbers, in SI units: its rows from south to north, each from west to east. "
    "Output: a table of the same form with the fine field. One version per trained network; its description "
    "gives its metrics.\n\n"
    "`champion` is the version in use, `challenger` the newest candidate. "
    "`convoy promote --model climate-downscaling` compares them and records the decision, `convoy "
    "rollback` restores the previous champion; do not use the buttons of these pages for that."
)


def data_name(params: Mapping[str, Any]) -> str:
    """The grids in a few words, such as `synthetic 40 years` or the name of a file."""
    grids = params.get("climate.grids", {})
    source = grids.get("source", "unknown data")
    if source == "synthetic":
        synthetic = grids.get("synthetic", {})
        years, inputs = synthetic.get("years", ""), synthetic.get("inputs", "perfect")
        return f"synthetic {years} years" + ("" if inputs == "perfect" else f", {inputs} inputs")
    fine = source.get("fine", "unknown data") if isinstance(source, dict) else source
    return Path(str(fine[0] if isinstance(fine, list) else fine)).stem


def figures(model: str, metrics: Mapping[str, Any]) -> dict[str, float]:  # noqa: ARG001
    """The final metrics of a model, flat: `test_rmse`, `test_DJF_rmse`, `noise_floor`, ..."""
    found: dict[str, float] = {}
    for split, measured in metrics.items():
        if split != _NOISE_FLOOR:
            found |= _flat(split, measured)
    for season, measured in (metrics[TODAY].get("by_season") or {}).items():
        found |= _flat(f"{TODAY}_{season}", measured)
    if metrics[_NOISE_FLOOR] is not None:
        found[_NOISE_FLOOR] = float(metrics[_NOISE_FLOOR]["rmse"])
    return found


def in_short(evaluated: Evaluated) -> str:
    """The RMSE of a model, and its skill relative to the best baseline."""
    test = evaluated.metrics[TODAY]
    short = f"{MODELS[evaluated.model].label}: RMSE {_in_units(evaluated, test['rmse'])} on test days"
    if test["best_baseline"] == evaluated.model:
        return f"{short}, the best baseline"
    skill = test["skill_vs_best_baseline"]
    return (
        short
        if skill is None
        else f"{short}, skill {signed(skill)} relative to {MODELS[test['best_baseline']].phrase}"
    )


def summary(evaluated: Evaluated) -> str:
    """The result of a model in a few sentences, and what kind of model it is."""
    metrics = evaluated.metrics
    test, noise_floor = metrics[TODAY], metrics[_NOISE_FLOOR]
    sentences = [f"{in_short(evaluated)}."]
    if test["rmse_low"] is not None:
        interval = f"{_in_units(evaluated, test['rmse_low'])} to {_in_units(evaluated, test['rmse_high'])}"
        sentences.append(f"95% confidence interval of the RMSE: {interval}.")
    if noise_floor is not None:
        known = f"The noise floor is {_in_units(evaluated, noise_floor['rmse'])}"
        share = test["noise_floor_share"]
        covered = f": the model covers {percent(share)} of the way to it from the best baseline"
        sentences.append(known + (covered if share is not None and share > 0 else "") + ".")
    sentences.append(f"Bias {_bias(evaluated)}.")
    parts = [f"{words} {test[key]:.3g}" for key, words in _ALSO.items() if test.get(key) is not None]
    sentences += [f"{capital(', '.join(parts))}."] if parts else []
    elsewhere = {split: found for split, found in metrics.items() if split not in (TODAY, _NOISE_FLOOR)}
    sentences += [f"{split_label(split)}: {_there(evaluated, found)}." for split, found in elsewhere.items()]
    return f"{' '.join(sentences)}\n\n{MODELS[evaluated.model].summary}"


def table_row(evaluated: Evaluated) -> tuple[str, ...]:
    """The cells of a model below `Pages.table_header`."""
    test = evaluated.metrics[TODAY]
    shares = [NOT_MEASURED if test[key] is None else signed(test[key]) for key in _SHARES]
    if not MODELS[evaluated.model].is_network:
        shares[1] = NOT_APPLICABLE  # the way from the best baseline is that of a network
    low, high = (_in_units(evaluated, test[key]) for key in ("rmse_low", "rmse_high"))
    interval = NOT_MEASURED if test["rmse_low"] is None else f"{low} to {high}"
    return (_in_units(evaluated, test["rmse"]), interval, *shares)


def examples(root: Path) -> "pd.DataFrame":
    """The first test days of the grids below `root`."""
    import pandas as pd

    days = read(root / GRIDS, TODAY)[0].at(slice(0, _EXAMPLES))
    fields = {
        name: list(np.asarray(field, np.float64).reshape(len(days.days), -1))
        for name, field in days.inputs.items()
    }
    return pd.DataFrame({DATE: days.days.labels, **fields})


def read_daily(path: Path) -> Daily:
    """The errors of the test days of one model."""
    models = list(daily_io.read(path).values())
    if len(models) != 1 or TODAY not in models[0]:
        raise ConvoyError(
            path=path, expected=f"the {TODAY} days of one model", hint="run `dvc repro` to make it"
        )
    return models[0][TODAY]


def read_grids(path: Path) -> Grids:
    """The target's name and the domains of the test split."""
    return read_facts(path)["target"], read(path, TODAY)


def _comparison(content: Mapping[str, Any]) -> tuple[str, list[str]]:
    return headline(content), findings(content)


def _in_units(evaluated: Evaluated, value: float | None) -> str:
    """A figure in the units of the variable, which the comparison holds."""
    units = "" if evaluated.comparison is None else evaluated.comparison["units"]
    return Measure(value or 0.0, units)(value)


def _bias(evaluated: Evaluated) -> str:
    """The bias in units, to the digits of the RMSE."""
    test = evaluated.metrics[TODAY]
    units = "" if evaluated.comparison is None else evaluated.comparison["units"]
    return Measure(test["rmse"], units)(test.get("bias"))


def _there(evaluated: Evaluated, measured: Mapping[str, Any]) -> str:
    """The result on another split, in words."""
    if measured["rmse"] is None:
        return f"{NOT_APPLICABLE}, the model is bound to the terrain that it was fitted on"
    change = measured.get("change_error")
    more = "" if change is None else f", error of the change of the mean {_in_units(evaluated, change)}"
    return f"RMSE {_in_units(evaluated, measured['rmse'])}{more}"


def _flat(prefix: str, measured: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among the measured values, by name."""
    return {
        f"{prefix}_{key}": float(value) for key, value in measured.items() if isinstance(value, int | float)
    }


_COLUMNS = (
    "test_rmse", "test_rmse_low", "test_rmse_high", _NOISE_FLOOR, "test_skill_vs_best_baseline",
    "test_noise_floor_share", "test_sd_ratio", "unseen_terrain_rmse", "warmer_4k_rmse",
)  # fmt: skip

TASK = RegisteredTask(
    experiment=EXPERIMENT,
    registered="climate-downscaling",
    models=MODELS,
    ranking=Ranking("test_rmse", lower_is_better=True, validation="validation_rmse"),
    outputs=Outputs(
        root=Path("data/climate"),
        folder="models/{model}",
        figures=FILES,
        evaluation=("daily.parquet", "maps.safetensors"),
        plots=None,
        datasets=(GRIDS,),
        dataset=GRIDS,
        compare_stage="climate-compare",
        comparison="metrics/comparison.json",
        comparison_files=("report.html", "metrics/comparison.json", "gate.json", "plots/comparison/*.png"),
        data_stages=("climate-grids",),
        selected=("climate.networks", "climate.baselines"),
    ),
    data_name=data_name,
    figures=figures,
    pages=Pages(
        about="Climate: fine fields of a whole region from coarse ones, day by day.",
        description=_DESCRIPTION,
        version_note=_VERSION_NOTE,
        columns=_COLUMNS,
        version_tags=(*_COLUMNS, "test_bias"),
        charts=Charts(
            bars=(("test_rmse", _NOISE_FLOOR), ("test_skill_vs_best_baseline",)),
            lines=(("validation_rmse", _NOISE_FLOOR), ("validation_loss", "train_loss")),
            reference_lines=(_NOISE_FLOOR,),
            # Not all of them: some stores keep 5000 characters of a tag.
            pictures=("splits", "days", "per_pixel", "spectra"),
        ),
        table_header=(
            "RMSE on test days",
            "95% confidence interval",
            "skill relative to the best baseline",
            "share of the way to the noise floor",
        ),
        table_row=table_row,
        headline=in_short,
        summary=summary,
        comparison=_comparison,
    ),
    versions=VersionComparison(
        file="daily.parquet",
        read=read_daily,
        test_split=promotion.test_split,
        checks=promotion.checks,
        margin=lambda params: params.rmse_margin,
        difference=promotion.difference,
        describe=promotion.describe,
        estimate=promotion.estimate,
        figure=promotion.figure,
        source=GRIDS,
        read_source=read_grids,
        remeasure=promotion.remeasure,
    ),
    serving=Serving(serving.LOADER, serving.serve, examples),
)  # fmt: skip
