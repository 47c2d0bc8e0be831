"""StreamRec: the task from texts to categories and embeddings."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convoy.core.files import read_json
from convoy.report.numbers import percent
from convoy.streamrec.catalogue import io as catalogues
from convoy.streamrec.classification.findings import findings, headline
from convoy.streamrec.classification.models import MODELS
from convoy.tracking.accuracy import Accuracy
from convoy.tracking.dvclock import Entry
from convoy.tracking.task import FIGURES, Metrics, Task

if TYPE_CHECKING:
    import pandas as pd


class Text(Task):
    """From texts to categories and embeddings."""

    experiment = "streamrec/text"
    registered = "streamrec-text"
    prefix = "streamrec"
    data = Path("data/streamrec")
    dataset = "corpus"
    judge = Accuracy()
    best_metric = "test_accuracy"
    lower_is_better = False
    validation = "validation_accuracy"
    columns = ("test_accuracy", "bayes", "share_of_bayes", "test_macro_f1", "test_log_loss", "test_ece")
    shown_with_versions = ("test_accuracy_low", "test_accuracy_high", *columns)
    bars = (("test_accuracy", "bayes"), ("share_of_bayes",))
    lines = (("validation_accuracy", "bayes"), ("validation_loss", "train_loss"))
    horizons = ("bayes",)
    data_stages = ("catalogue", "corpus")
    heads = ("test accuracy", "95% interval", "bayes", "share of it")
    about = "StreamRec: the category of a title from its text, and an embedding of each item."
    description = (
        "**How to read this.** Each run is one trained model; the run named *All models* compares those of "
        "one pipeline run in words, with a report and a picture. All figures named `test_…` are on items "
        "that no training has seen.\n\n"
        "| figure | meaning |\n|---|---|\n"
        "| `test_accuracy` | share of test items whose category is named rightly; `…_low` and `…_high` are "
        "its 95% interval |\n"
        "| `bayes` | synthetic catalogues only: the accuracy of the best possible reader with this model's "
        "view of word order (`bayes_full`, or `bayes_order_blind` for models that ignore it) |\n"
        "| `share_of_bayes` | `test_accuracy` divided by `bayes` |\n"
        "| `test_macro_f1` | F1, averaged over categories |\n"
        "| `test_log_loss` | smaller is better |\n"
        "| `test_ece` | expected calibration error: how far probabilities are from frequencies |\n\n"
        "`textcnn` and `bow` are the networks, `linear` and `linear_pairs` baselines that they should beat."
    )
    version_note = (
        "Text in (`title`, `synopsis`); `category`, its `probability`, a `status` and the item's `embedding` "
        "out, which is all zeros exactly where `status` is not `ok`. A version per trained network; its "
        "description says how good it is.\n\n"
        "`champion` is the version in use, `challenger` the newest candidate. `convoy promote` compares them "
        "and records what it decides, `convoy rollback` goes back; the buttons of these pages do neither."
    )
    models = MODELS

    @property
    def pictures(self) -> tuple[str, ...]:
        return ("accuracy", "confusion", "curve", "reliability")

    def data_name(self, lock: Mapping[str, Entry]) -> str:
        entry = lock.get(f"{self.prefix}-catalogue")
        params = entry.params.get("streamrec.catalogue", {}) if entry is not None else {}
        source = params.get("source", "unknown data")
        if source != "synthetic":
            return Path(str(source)).stem
        synthetic = params.get("synthetic", {})
        return f"synthetic {synthetic.get('preset', '')} {synthetic.get('items', 0):,}"

    def delivers(self, kind: str) -> bool:
        return "served" in MODELS[kind].exports

    def figures(self, kind: str, metrics: Mapping[str, Any]) -> Metrics:
        figures = {f"test_{name}": value for name, value in metrics["test"].items()}
        if metrics["bayes"] is not None:
            figures |= {f"bayes_{name}": value for name, value in metrics["bayes"].items()}
            figures["bayes"] = metrics["bayes"][MODELS[kind].bayes]
            figures["share_of_bayes"] = metrics["share_of_bayes"][MODELS[kind].bayes]
        return {name: float(value) for name, value in figures.items() if value is not None}

    def in_short(self, kind: str, metrics: Mapping[str, Any]) -> str:
        figures = self.figures(kind, metrics)
        result = f"{MODELS[kind].label}: {percent(figures['test_accuracy'])} of test items rightly named"
        if "share_of_bayes" not in figures:
            return result
        return f"{result}, {percent(figures['share_of_bayes'])} of what is possible"

    def summary(self, kind: str, metrics: Mapping[str, Any]) -> str:
        test, figures = metrics["test"], self.figures(kind, metrics)
        possible = (
            f" The best possible reader with its view of word order reaches {percent(figures['bayes'])}."
            if "bayes" in figures
            else ""
        )
        return (
            f"{self.in_short(kind, metrics)}. 95% interval of the accuracy: "
            f"{percent(test['accuracy_low'])} to {percent(test['accuracy_high'])}, on {test['n']:,} items."
            f"{possible} Macro-F1 {test['macro_f1']:.3f}, log-loss {test['log_loss']:.3f}, calibration error "
            f"{test['ece']:.3f}.\n\n{MODELS[kind].summary}"
        )

    def row(self, kind: str, metrics: Mapping[str, Any]) -> tuple[str, ...]:
        test, figures = metrics["test"], self.figures(kind, metrics)
        interval = f"{percent(test['accuracy_low'])} to {percent(test['accuracy_high'])}"
        share = [percent(figures[key]) if key in figures else "–" for key in ("bayes", "share_of_bayes")]
        return (percent(test["accuracy"]), interval, *share)

    def comparison_words(self) -> tuple[str, list[str]]:
        comparison = read_json(self.data / "metrics" / "comparison.json")
        return headline(comparison), findings(comparison)

    def comparison_files(self) -> dict[str, Path]:
        files = {
            "report.html": self.data / "report.html",
            "comparison.json": self.data / "metrics" / "comparison.json",
            "accuracy.png": self.data / "plots" / "comparison" / "accuracy.png",
            "gate.json": self.data / "gate.json",
        }
        return {name: path for name, path in files.items() if path.is_file()}

    def examples(self) -> "pd.DataFrame":
        import pandas as pd

        table, _ = catalogues.read(self.data / "catalogue.parquet")
        rows = table.slice(0, 5)
        return pd.DataFrame({name: rows[name].to_pylist() for name in ("title", "synopsis")})

    def _outputs(self, kind: str) -> tuple[dict[str, Path], Path | None]:
        evaluation = {
            Accuracy.file: self.data / "predictions" / f"{kind}.parquet",
            FIGURES: self.data / "metrics" / f"{kind}.json",
        }
        return evaluation, self.data / "plots" / kind

    def _data(self, md5s: Mapping[str, str]) -> dict[str, str]:
        paths = [self.data / name for name in ("catalogue.parquet", "truth.parquet", "corpus")]
        return {path.name: md5s[str(path)] for path in paths if str(path) in md5s}
