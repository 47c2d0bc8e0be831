"""The TaskSpec of event recognition, for tracking and the command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convoy.classifiers.comparison.findings import findings, headline
from convoy.classifiers.evaluation.io import PREDICTIONS
from convoy.classifiers.evaluation.outputs_io import PLOTS
from convoy.classifiers.task import RANKING, interval, sentences, versions
from convoy.climate.events import serving
from convoy.climate.events.data.io import TEST, read
from convoy.climate.events.evaluation.files import FILES
from convoy.climate.events.models.specs import MODELS
from convoy.climate.events.promotion import remeasure
from convoy.climate.events.subject import SUBJECT
from convoy.climate.events.tables import table_of
from convoy.core.models import Role, names_of
from convoy.report.numbers import percent
from convoy.tasks import Charts, Evaluated, Outputs, Pages, RegisteredTask, Serving

if TYPE_CHECKING:
    import pandas as pd

_EXAMPLES = 2  # rows


def _named(role: Role) -> str:
    return ", ".join(f"`{name}`" for name in names_of(MODELS, role))


_DESCRIPTION = (
    "**How to read this.** Each run is one trained model; the run *All models* compares the models of one "
    "pipeline run, with a report and a picture. Metrics named `test_…` are computed on the test split.\n\n"
    "| metric | meaning |\n|---|---|\n"
    "| `test_accuracy` | share of test images whose class is predicted correctly; `…_low` and `…_high` are "
    "its 95% confidence interval |\n"
    "| `test_macro_f1` | F1, averaged over classes |\n"
    "| `test_ece` | expected calibration error: mean difference of probabilities and frequencies |\n"
    "| `gradcam_pointing` | share of correctly classified maps with an event where the most important cell "
    "is inside the event |\n"
    "| `gradcam_energy_inside`, `gradcam_iou` | importance inside the event; overlap with it |\n"
    "| `marked_accuracy` | networks fitted with a mark: accuracy on test maps with the mark |\n\n"
    f"Networks are {_named('network')}, baselines {_named('baseline')}."
)
_VERSION_NOTE = (
    "Input: a list of numbers per channel, an image row by row from the top. Output: `class`, its "
    "`probability` and the `probabilities` of all classes. One version per trained network; its description "
    "gives its metrics.\n\n"
    "`champion` is the version in use, `challenger` the newest candidate. "
    "`convoy promote --model climate-events` compares them and records the decision, `convoy rollback` "
    "restores the previous champion; do not use the buttons of these pages for that."
)


def data_name(params: Mapping[str, Any]) -> str:
    """The images in a few words, such as `synthetic 4,500` or the name of a folder."""
    images = params.get("climate.events.images", {})
    source = images.get("source", "unknown data")
    if source != "synthetic":
        return Path(str(source)).stem
    synthetic = images.get("synthetic", {})
    return f"synthetic {sum(synthetic.get(split, 0) for split in ('train', 'validation', 'test')):,}"


def figures(model: str, metrics: Mapping[str, Any]) -> dict[str, float]:  # noqa: ARG001
    """The final metrics of a model, flat: `test_accuracy`, `gradcam_pointing`, `parameters`, ..."""
    found = {f"test_{name}": value for name, value in metrics["test"].items()}
    gradcam = metrics.get("gradcam") or {}
    found |= {
        f"gradcam_{name}": gradcam[name] for name in ("pointing", "energy_inside", "iou") if name in gradcam
    }
    if "marked" in metrics:
        found["marked_accuracy"] = metrics["marked"]["test"]["accuracy"]
    found |= {name: metrics.get(name) for name in ("parameters", "flops")}
    return {name: float(value) for name, value in found.items() if value is not None}


def in_short(evaluated: Evaluated) -> str:
    """The accuracy of a model, and how often its explanation points into the event."""
    found = figures(evaluated.model, evaluated.metrics)
    result = f"{MODELS[evaluated.model].label}: accuracy {percent(found['test_accuracy'])} on test images"
    if "gradcam_pointing" not in found:
        return result
    return f"{result}, Grad-CAM points into {percent(found['gradcam_pointing'])} of events"


def summary(evaluated: Evaluated) -> str:
    """The result of a model in a few sentences, and what kind of model it is."""
    test = evaluated.metrics["test"]
    described = sentences(test, SUBJECT.cases)
    return f"{in_short(evaluated)}. {described}\n\n{MODELS[evaluated.model].summary}"


def table_row(evaluated: Evaluated) -> tuple[str, ...]:
    """The cells of a model below `Pages.table_header`."""
    test, found = evaluated.metrics["test"], figures(evaluated.model, evaluated.metrics)
    pointing = percent(found["gradcam_pointing"]) if "gradcam_pointing" in found else "–"
    return percent(test["accuracy"]), interval(test), pointing


def _comparison(content: Mapping[str, Any]) -> tuple[str, list[str]]:
    # The stage wrote the sentences on explanations, which need more than the comparison.
    words = content.get("words")
    if words:
        return words[0], list(words[1:])
    return headline(SUBJECT, content), findings(SUBJECT, content)


def examples(root: Path) -> "pd.DataFrame":
    """The first test images below `root`."""
    images = read(root / "events/images")
    return table_of(images, np.asarray(images.rows(TEST)[:_EXAMPLES]))


_COLUMNS = (
    "test_accuracy",
    "test_accuracy_low",
    "test_accuracy_high",
    "test_macro_f1",
    "test_log_loss",
    "test_ece",
    "gradcam_pointing",
    "gradcam_iou",
)

TASK = RegisteredTask(
    experiment="climate/events",
    registered="climate-events",
    models=MODELS,
    ranking=RANKING,
    outputs=Outputs(
        root=Path("data/climate"),
        folder="events/models/{model}",
        figures=FILES,
        evaluation=(PREDICTIONS,),
        plots=PLOTS,
        datasets=("events/images",),
        dataset="events/images",
        compare_stage="climate-events-compare",
        comparison="metrics/events/comparison.json",
        comparison_files=(
            "events/report.html",
            "metrics/events/comparison.json",
            "events/plots/comparison/*.png",
            "events/gate.json",
        ),
        data_stages=("climate-events",),
        selected=("climate.events.networks", "climate.events.baselines"),
    ),
    data_name=data_name,
    figures=figures,
    pages=Pages(
        about="Climate: which weather event a map shows, and where the network sees it.",
        description=_DESCRIPTION,
        version_note=_VERSION_NOTE,
        columns=_COLUMNS,
        version_tags=_COLUMNS,
        charts=Charts(
            bars=(("test_accuracy",), ("gradcam_pointing", "gradcam_energy_inside", "gradcam_iou")),
            lines=(("validation_accuracy",), ("validation_loss", "train_loss")),
            reference_lines=(),
            pictures=("accuracy", "overlays", "confusion", "curve"),
        ),
        table_header=("test accuracy", "95% confidence interval", "Grad-CAM points into the event"),
        table_row=table_row,
        headline=in_short,
        summary=summary,
        comparison=_comparison,
    ),
    versions=versions("events/images", read, remeasure),
    serving=Serving(serving.LOADER, serving.serve, examples),
)
