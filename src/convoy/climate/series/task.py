"""The TaskSpec of site series, for tracking and the command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convoy.classifiers.comparison.findings import findings, headline
from convoy.classifiers.evaluation.io import PREDICTIONS
from convoy.classifiers.evaluation.outputs_io import PLOTS
from convoy.classifiers.task import COLUMNS, RANKING, interval, sentences, versions
from convoy.climate.series import serving
from convoy.climate.series.data.io import read
from convoy.climate.series.data.site_years import TEST
from convoy.climate.series.evaluation.cases import BAYES, sites_of
from convoy.climate.series.evaluation.files import FILES
from convoy.climate.series.models.specs import MODELS
from convoy.climate.series.models.stored import TASK as EXPERIMENT
from convoy.climate.series.promotion import remeasure, table_of
from convoy.climate.series.subject import SUBJECT
from convoy.core.models import names_of
from convoy.report.numbers import percent
from convoy.tasks import Charts, Evaluated, Outputs, Pages, RegisteredTask, Serving

if TYPE_CHECKING:
    import pandas as pd

SITE_YEARS = "series/site_years"
_EXAMPLES = 2  # site-years
_DESCRIPTION = (
    "**How to read this.** Each run is one model, a network or a baseline, that predicts the climate regime "
    "of a site from one year of daily weather; the run *All models* compares the models of one pipeline run. "
    "Metrics named `test_…` are computed on sites that no model was fitted on.\n\n"
    "| metric | meaning |\n|---|---|\n"
    "| `test_accuracy` | share of test site-years whose regime is predicted correctly; `…_low` and `…_high` "
    "are its 95% confidence interval |\n"
    "| `bayes` | synthetic sites only: the Bayes accuracy, an upper bound |\n"
    "| `share_of_bayes` | `test_accuracy` divided by `bayes` |\n"
    "| `test_macro_f1` | F1, averaged over regimes |\n"
    "| `test_log_loss` | smaller is better |\n"
    "| `test_ece` | expected calibration error: mean difference of probabilities and frequencies |\n\n"
    f"Networks are {', '.join(f'`{name}`' for name in names_of(MODELS, 'network'))}; "
    "all others are baselines."
)
_VERSION_NOTE = (
    "A table in and out, a row per site-year: one column per variable, whose values are lists of the 365 "
    "days of a year (29 February left out) in SI units. Output: `category`, its `probability` and the "
    "`embedding`. One version per trained network; its description gives its metrics.\n\n"
    "`champion` is the version in use, `challenger` the newest candidate. `convoy promote --model "
    "climate-series` compares them and records the decision, `convoy rollback` restores the previous "
    "champion; do not use the buttons of these pages for that."
)


def data_name(params: Mapping[str, Any]) -> str:
    """The site-years in a few words, such as `synthetic 2000 sites` or the name of a file."""
    data = params.get("climate.series.data", {})
    source = data.get("source", "unknown data")
    if isinstance(source, dict):
        paths = source.get("paths", "unknown data")
        return Path(str(paths[0] if isinstance(paths, list) else paths)).stem
    return (
        f"{source} {data.get('synthetic', {}).get('sites', 0):,} sites" if source == "synthetic" else source
    )


def figures(_model: str, metrics: Mapping[str, Any]) -> dict[str, float]:
    """The final metrics of a model, flat: `test_accuracy`, `bayes`, `share_of_bayes`, ..."""
    found = {f"test_{name}": value for name, value in metrics["test"].items()}
    if metrics["bayes"] is not None:
        found |= {"bayes": metrics["bayes"][BAYES], "share_of_bayes": metrics["share_of_bayes"][BAYES]}
    return {name: float(value) for name, value in found.items() if value is not None}


def in_short(evaluated: Evaluated) -> str:
    """The accuracy of a model, and its share of the Bayes accuracy where that is known."""
    found = figures(evaluated.model, evaluated.metrics)
    result = f"{MODELS[evaluated.model].label}: accuracy {percent(found['test_accuracy'])} on test site-years"
    if "share_of_bayes" not in found:
        return result
    return f"{result}, {percent(found['share_of_bayes'])} of the Bayes accuracy"


def summary(evaluated: Evaluated) -> str:
    """The result of a model in a few sentences, and what kind of model it is."""
    test = evaluated.metrics["test"]
    described = sentences(test, SUBJECT.cases)
    return f"{in_short(evaluated)}. {described}\n\n{MODELS[evaluated.model].summary}"


def table_row(evaluated: Evaluated) -> tuple[str, ...]:
    """The cells of a model below `Pages.table_header`."""
    test, found = evaluated.metrics["test"], figures(evaluated.model, evaluated.metrics)
    share = [percent(found[key]) if key in found else "–" for key in ("bayes", "share_of_bayes")]
    return (percent(test["accuracy"]), interval(test), *share)


def examples(root: Path) -> "pd.DataFrame":
    """The first test site-years below `root`."""
    held = read(root / SITE_YEARS)
    return table_of(held.at(held.rows(TEST)[:_EXAMPLES]))


def _comparison(content: Mapping[str, Any]) -> tuple[str, list[str]]:
    return headline(SUBJECT, content), findings(SUBJECT, content)


TASK = RegisteredTask(
    experiment=EXPERIMENT,
    registered="climate-series",
    models=MODELS,
    ranking=RANKING,
    outputs=Outputs(
        root=Path("data/climate"),
        folder="series/models/{model}",
        figures=FILES,
        evaluation=(PREDICTIONS,),
        plots=PLOTS,
        datasets=(SITE_YEARS, "series/truth.parquet"),
        dataset=SITE_YEARS,
        compare_stage="climate-series-compare",
        comparison="metrics/series/comparison.json",
        comparison_files=(
            "series/report.html", "metrics/series/comparison.json", "series/plots/comparison/*.png",
            "series/gate.json",
        ),
        data_stages=("climate-series",),
        selected=("climate.series.networks", "climate.series.baselines"),
    ),
    data_name=data_name,
    figures=figures,
    pages=Pages(
        about="Climate: the regime of a site from one year of daily weather, and an embedding of each site.",
        description=_DESCRIPTION,
        version_note=_VERSION_NOTE,
        columns=COLUMNS,
        version_tags=COLUMNS,
        charts=Charts(
            bars=(("test_accuracy", "bayes"), ("share_of_bayes",)),
            lines=(("validation_accuracy", "bayes"), ("validation_loss", "train_loss")),
            reference_lines=("bayes",),
            pictures=("accuracy", "confusion", "curve", "reliability"),
        ),
        table_header=("test accuracy", "95% confidence interval", "Bayes accuracy", "share of it"),
        table_row=table_row,
        headline=in_short,
        summary=summary,
        comparison=_comparison,
    ),
    versions=versions(SITE_YEARS, read, remeasure, sites_of),
    serving=Serving(serving.LOADER, serving.serve, examples),
)  # fmt: skip
