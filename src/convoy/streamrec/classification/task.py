"""The TaskSpec of text classification and embedding, for tracking and the command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convoy.classifiers.comparison.findings import findings, headline
from convoy.classifiers.evaluation.io import PREDICTIONS
from convoy.classifiers.evaluation.outputs_io import PLOTS
from convoy.classifiers.task import COLUMNS, RANKING, interval, sentences, versions
from convoy.core.models import Role, names_of
from convoy.report.numbers import percent
from convoy.streamrec.catalogue.io import read
from convoy.streamrec.classification import serving
from convoy.streamrec.classification.evaluation.files import FILES
from convoy.streamrec.classification.models.specs import MODELS
from convoy.streamrec.classification.promotion import remeasure
from convoy.streamrec.classification.subject import SUBJECT
from convoy.tasks import Charts, Evaluated, Outputs, Pages, RegisteredTask, Serving

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_EXAMPLES = 5  # rows


def _named(role: Role) -> str:
    return ", ".join(f"`{name}`" for name in names_of(MODELS, role))


_DESCRIPTION = (
    "**How to read this.** Each run is one trained model; the run *All models* compares the models of one "
    "pipeline run, with a report and a picture. Metrics named `test_…` are computed on the test split.\n\n"
    "| metric | meaning |\n|---|---|\n"
    "| `test_accuracy` | share of test items whose category is predicted correctly; `…_low` and `…_high` "
    "are its 95% confidence interval |\n"
    "| `bayes` | synthetic catalogues only: the Bayes accuracy with this model's use of word order "
    "(`bayes_full`, or `bayes_order_blind` for models that ignore it), which is an upper bound |\n"
    "| `share_of_bayes` | `test_accuracy` divided by `bayes` |\n"
    "| `test_macro_f1` | F1, averaged over categories |\n"
    "| `test_log_loss` | mean of -log of the true category's probability; smaller is better |\n"
    "| `test_ece` | expected calibration error: mean difference of confidence and accuracy |\n\n"
    f"Networks: {_named('network')}; baselines: {_named('baseline')}."
)
_VERSION_NOTE = (
    "Input: texts (`title`, `synopsis`). Output: `category`, its `probability`, a `status` and the item's "
    "`embedding`, which is all zeros exactly where `status` is not `ok`. One version per trained network; "
    "its description gives its metrics.\n\n"
    "`champion` is the version in use, `challenger` the newest candidate. `convoy promote` compares them and "
    "records the decision, `convoy rollback` restores the previous champion; do not use the buttons of these "
    "pages for that."
)


def data_name(params: Mapping[str, Any]) -> str:
    """The catalogue in a few words, such as `synthetic default, 50,000 items` or `netflix_titles`."""
    catalogue = params.get("streamrec.catalogue", {})
    source = catalogue.get("source", "unknown data")
    if source != "synthetic":
        return Path(str(source)).stem
    synthetic = catalogue.get("synthetic", {})
    return f"synthetic {synthetic.get('preset', '')}, {synthetic.get('items', 0):,} items"


def figures(model: str, metrics: Mapping[str, Any]) -> dict[str, float]:
    """The final metrics of a model, flat: `test_accuracy`, `bayes`, `share_of_bayes`, ..."""
    found = {f"test_{name}": value for name, value in metrics["test"].items()}
    if metrics["bayes"] is not None:
        found |= {f"bayes_{name}": value for name, value in metrics["bayes"].items()}
        found["bayes"] = metrics["bayes"][MODELS[model].bayes]
        found["share_of_bayes"] = metrics["share_of_bayes"][MODELS[model].bayes]
    return {name: float(value) for name, value in found.items() if value is not None}


def in_short(evaluated: Evaluated) -> str:
    """The accuracy of a model, and its share of the Bayes accuracy where that is known."""
    found = figures(evaluated.model, evaluated.metrics)
    result = f"{MODELS[evaluated.model].label}: accuracy {percent(found['test_accuracy'])} on test items"
    if "share_of_bayes" not in found:
        return result
    bayes = SUBJECT.bayes[MODELS[evaluated.model].bayes]
    return f"{result}, {percent(found['share_of_bayes'])} of the {bayes}"


def summary(evaluated: Evaluated) -> str:
    """The result of a model in a few sentences, and what kind of model it is."""
    test, found = evaluated.metrics["test"], figures(evaluated.model, evaluated.metrics)
    label = SUBJECT.bayes[MODELS[evaluated.model].bayes]
    bayes = f" The {label} is {percent(found['bayes'])}." if "bayes" in found else ""
    described = sentences(test, SUBJECT.cases, bayes)
    return f"{in_short(evaluated)}. {described}\n\n{MODELS[evaluated.model].summary}"


def table_row(evaluated: Evaluated) -> tuple[str, ...]:
    """The cells of a model below `Pages.table_header`."""
    test, found = evaluated.metrics["test"], figures(evaluated.model, evaluated.metrics)
    share = [percent(found[key]) if key in found else "–" for key in ("bayes", "share_of_bayes")]
    return (percent(test["accuracy"]), interval(test), *share)


def _comparison(content: Mapping[str, Any]) -> tuple[str, list[str]]:
    return headline(SUBJECT, content), findings(SUBJECT, content)


def _read_catalogue(path: Path) -> "pa.Table":
    return read(path)[0]


def examples(root: Path) -> "pd.DataFrame":
    """The first rows of the catalogue below `root`."""
    import pandas as pd

    rows = _read_catalogue(root / "catalogue.parquet").slice(0, _EXAMPLES)
    return pd.DataFrame({name: rows[name].to_pylist() for name in ("title", "synopsis")})


TASK = RegisteredTask(
    experiment="streamrec/text",
    registered="streamrec-text",
    models=MODELS,
    ranking=RANKING,
    outputs=Outputs(
        root=Path("data/streamrec"),
        folder="models/{model}",
        figures=FILES,
        evaluation=(PREDICTIONS,),
        plots=PLOTS,
        datasets=("catalogue.parquet", "truth.parquet", "corpus"),
        dataset="corpus",
        compare_stage="streamrec-compare",
        comparison="metrics/comparison.json",
        comparison_files=(
            "report.html",
            "metrics/comparison.json",
            "plots/comparison/*.png",
            "gate.json",
        ),
        data_stages=("streamrec-catalogue", "streamrec-corpus"),
        selected=("streamrec.networks", "streamrec.baselines"),
    ),
    data_name=data_name,
    figures=figures,
    pages=Pages(
        about="StreamRec: the category of a title from its text, and an embedding of each item.",
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
        table_header=(
            "test accuracy",
            "95% confidence interval",
            "Bayes accuracy with its use of word order",
            "share of that",
        ),
        table_row=table_row,
        headline=in_short,
        summary=summary,
        comparison=_comparison,
    ),
    versions=versions("catalogue.parquet", _read_catalogue, remeasure),
    serving=Serving(serving.LOADER, serving.serve, examples),
)
