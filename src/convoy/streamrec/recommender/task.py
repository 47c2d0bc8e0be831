"""The TaskSpec of the recommender: representations of items compared, of which none is registered."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convoy.core.figures_io import METRICS, FigureFiles
from convoy.streamrec.recommender.evaluation.retrieval import GROUPS
from convoy.streamrec.recommender.models.specs import MODELS
from convoy.streamrec.recommender.params import SYNTHETIC
from convoy.tasks import Charts, Evaluated, Outputs, Pages, Ranking, TaskSpec

_RETRIEVAL = ("recall_at_20", "ndcg_at_20", "mrr")
_DESCRIPTION = (
    "**How to read this.** Each run is one representation of the items; the run *All models* compares them, "
    "with a report. A click model is fitted with each on the earliest events and tested on the last ones, "
    "and the items that a user clicked are searched among all others.\n\n"
    "| metric | meaning |\n|---|---|\n"
    "| `auc` | area under the ROC curve of clicks in the test period, mean over trainings; `auc_low` and "
    "`auc_high` are its 95% confidence interval |\n"
    "| `auc_cold`, `auc_warm` | the same for new items and for those that training has seen |\n"
    "| `share` | synthetic catalogues only: share of the way from the category alone to the true taste |\n"
    "| `log_loss`, `calibration_error` | smaller is better |\n"
    "| `cold_recall_at_20`, `cold_ndcg_at_20`, `cold_mrr` | retrieval of new items, without a click model; "
    "`warm_…` and `overall_…` likewise |\n\n"
    "No version is registered: what a recommender takes are the embeddings, whose models are versions of "
    "streamrec-text."
)
_COLUMNS = (
    "auc", "auc_low", "auc_high", "share", "auc_cold", "auc_warm", "log_loss", "cold_recall_at_20",
    "overall_recall_at_20",
)  # fmt: skip


def data_name(params: Mapping[str, Any]) -> str:
    """The interactions in a few words, such as `synthetic, 500 users` or the name of a file."""
    found = params.get("streamrec.recommender.interactions", {})
    source = str(found.get("source", "unknown data"))
    if source != SYNTHETIC:
        return Path(source).stem
    return f"{source}, {found.get('synthetic', {}).get('users', 0):,} users"


def figures(_model: str, metrics: Mapping[str, Any]) -> dict[str, float]:
    """The final metrics of a representation, flat: `auc`, `share`, `cold_recall_at_20`, ..."""
    found = {key: float(value) for key, value in metrics["clicks"].items()}
    for group in GROUPS:
        of_group = metrics["retrieval"].get(group, {})
        found |= {f"{group}_{key}": float(of_group[key]) for key in _RETRIEVAL if key in of_group}
    return found


def in_short(evaluated: Evaluated) -> str:
    """What clicks or retrieval show of a representation, in a few words."""
    found, label = figures(evaluated.model, evaluated.metrics), MODELS[evaluated.model].label
    if "auc" in found:
        return f"{label}: area under the ROC curve of clicks {found['auc']:.3f}"
    return f"{label}: recall@20 {found.get('overall_recall_at_20', 0.0):.3f} of all items"


def summary(evaluated: Evaluated) -> str:
    """The result of a representation in a few sentences, and what it is."""
    found, sentences = figures(evaluated.model, evaluated.metrics), [f"{in_short(evaluated)}."]
    if "auc_low" in found:
        sentences.append(f"95% confidence interval: {found['auc_low']:.3f} to {found['auc_high']:.3f}.")
    if "cold_recall_at_20" in found:
        sentences.append(f"Recall@20 of new items: {found['cold_recall_at_20']:.3f}.")
    return f"{' '.join(sentences)}\n\n{MODELS[evaluated.model].summary}"


def table_row(evaluated: Evaluated) -> tuple[str, ...]:
    """The cells of a representation below `Pages.table_header`."""
    found = figures(evaluated.model, evaluated.metrics)
    interval = f"{found['auc_low']:.3f} to {found['auc_high']:.3f}" if "auc_low" in found else "–"
    auc, *others = (
        f"{found[key]:.3f}" if key in found else "–"
        for key in ("auc", "share", "cold_recall_at_20", "overall_recall_at_20")
    )
    return (auc, interval, *others)


def _comparison(content: Mapping[str, Any]) -> tuple[str, list[str]]:
    first, *others = content["words"]
    return first.rstrip("."), others


TASK = TaskSpec(
    experiment="streamrec/recommender",
    models=MODELS,
    ranking=Ranking("auc", lower_is_better=False, validation="validation_auc"),
    outputs=Outputs(
        root=Path("data/streamrec"),
        folder="ladder/{model}",
        figures=FigureFiles(f"data/streamrec/ladder/{{model}}/{METRICS}", None, MODELS),
        evaluation=(),
        plots=None,
        datasets=("interactions",),
        dataset="interactions",
        compare_stage="streamrec-recommender",
        comparison="recommender.json",
        comparison_files=("recommender.html", "metrics/recommender.json", "plots/recommender/*.png"),
        data_stages=("streamrec-interactions",),
        selected=("streamrec.recommender.representations",),
    ),
    data_name=data_name,
    figures=figures,
    pages=Pages(
        about="StreamRec: what each representation of the items is worth to a recommender.",
        description=_DESCRIPTION,
        columns=_COLUMNS,
        charts=Charts(
            bars=(("auc",), ("auc_cold", "auc_warm"), ("share",), ("cold_recall_at_20",)),
            lines=(("validation_auc",), ("validation_loss", "train_loss")),
            reference_lines=(),
            pictures=("ladder",),
        ),
        table_header=(
            "AUC of clicks", "95% confidence interval", "share of the way to the true taste",
            "recall@20, new items", "recall@20, all items",
        ),
        table_row=table_row,
        headline=in_short,
        summary=summary,
        comparison=_comparison,
    ),
)  # fmt: skip
