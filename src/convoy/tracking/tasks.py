"""What each task shows of itself: which outputs of DVC make up a model, and the words beside them.

A task names its stages by their prefix: `PREFIX-train@MODEL` and `PREFIX-evaluate@MODEL` in dvc.lock are one
trained and evaluated model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convoy.report.numbers import percent
from convoy.storage import catalogues, models
from convoy.storage.files import MANIFEST, read_json, sha256
from convoy.streamrec.findings import OWN_CEILING, findings, headline
from convoy.tracking import dvclock
from convoy.tracking.dvclock import Entry

Metrics = dict[str, float]


@dataclass(frozen=True)
class Trained:
    """One trained and evaluated model as DVC's outputs hold it."""

    kind: str
    stages: tuple[Entry, ...]
    folder: Path
    metrics: Path
    plots: Path
    predictions: Path
    data: Mapping[str, str]  # name of a data set -> DVC's md5

    @property
    def key(self) -> str:
        return dvclock.key(self.stages)

    @property
    def content(self) -> str:
        """What a version is known by: the sha256 of the model folder's manifest."""
        return sha256(self.folder / MANIFEST)

    @property
    def config(self) -> dict[str, Any]:
        return read_json(self.folder / models.CONFIG)


class Text:
    """StreamRec: from texts to categories and embeddings."""

    experiment = "streamrec/text"
    registered = "streamrec-text"
    prefix = "streamrec"
    data = Path("data/streamrec")
    best_metric = "test_accuracy"
    columns = ("test_accuracy", "ceiling", "share_of_ceiling", "test_macro_f1", "test_log_loss", "test_ece")
    shown_with_versions = ("test_accuracy_low", "test_accuracy_high", *columns)
    # Charts: names in one tuple share a chart. A horizon is drawn as a line over all epochs.
    bars = (("test_accuracy", "ceiling"), ("share_of_ceiling",))
    lines = (("validation_accuracy", "ceiling"), ("validation_loss", "train_loss"))
    horizons = ("ceiling",)
    pictures = ("accuracy", "confusion", "curve", "reliability")
    heads = ("test accuracy", "95% interval", "ceiling", "share of it")
    about = "StreamRec: the category of a title from its text, and an embedding of each item."
    description = (
        "**How to read this.** Each run is one trained model; the run named *All models* compares those of "
        "one pipeline run in words, with a report and a picture. All figures named `test_…` are on items "
        "that no training has seen.\n\n"
        "| figure | meaning |\n|---|---|\n"
        "| `test_accuracy` | share of test items whose category is named rightly; `…_low` and `…_high` are "
        "its 95% interval |\n"
        "| `ceiling` | synthetic catalogues only: the accuracy of the best possible reader with this model's "
        "view of word order (`ceiling_full`, or `ceiling_order_blind` for models that ignore it) |\n"
        "| `share_of_ceiling` | `test_accuracy` divided by `ceiling` |\n"
        "| `test_macro_f1` | F1, averaged over categories |\n"
        "| `test_log_loss` | smaller is better |\n"
        "| `test_ece` | expected calibration error: how far probabilities are from frequencies |\n\n"
        "`textcnn` and `bow` are the networks, `linear` and `linear_pairs` yardsticks that they should beat."
    )
    version_note = (
        "Text in (`title`, `synopsis`); `category`, its `probability` and the item's `embedding` out. A "
        "version per trained network; its description says how good it is.\n\n"
        "`champion` is the version in use, `challenger` the newest candidate. `convoy promote` compares them "
        "and records what it decides, `convoy rollback` goes back; the buttons of these pages do neither."
    )
    names: Mapping[str, str] = {
        "textcnn": "TextCNN",
        "bow": "Bag of words",
        "linear": "Linear, words",
        "linear_pairs": "Linear, words and pairs",
    }
    # As in the pictures, whose own list of them would import matplotlib.
    colours: Mapping[str, str] = {
        "textcnn": "#d8741a", "bow": "#1f6fb5", "linear": "#8b93a1", "linear_pairs": "#3f8f6e",
    }  # fmt: skip
    meaning: Mapping[str, str] = {
        "textcnn": "TextCNN (Kim, 2014) takes convolutions over word embeddings, and their maxima: it sees "
        "word order.",
        "bow": "Bag of words takes the mean of word embeddings through a linear layer: it is blind to word "
        "order.",
        "linear": "A yardstick: logistic regression on TF-IDF of words, blind to word order.",
        "linear_pairs": "A yardstick: logistic regression on TF-IDF of words and adjacent pairs.",
    }

    def trained(self, lock: Mapping[str, Entry]) -> list[Trained]:
        """All trained and evaluated models of the lock, in its order."""
        found = []
        for stage, train in lock.items():
            prefix, _, kind = stage.partition("@")
            evaluate = lock.get(f"{self.prefix}-evaluate@{kind}")
            if prefix != f"{self.prefix}-train" or evaluate is None:
                continue
            catalogue = lock.get(f"{self.prefix}-catalogue")
            md5s = {**evaluate.deps, **(catalogue.outs if catalogue is not None else {})}
            paths = [self.data / name for name in ("catalogue.parquet", "truth.parquet", "corpus")]
            found.append(
                Trained(
                    kind=kind,
                    stages=(train, evaluate),
                    folder=self.data / "models" / kind,
                    metrics=self.data / "metrics" / f"{kind}.json",
                    plots=self.data / "plots" / kind,
                    predictions=self.data / "predictions" / f"{kind}.parquet",
                    data={path.name: md5s[str(path)] for path in paths if str(path) in md5s},
                )
            )
        return found

    def data_name(self, lock: Mapping[str, Entry]) -> str:
        """Words for the data, such as `synthetic default 50,000` or `netflix_titles`."""
        entry = lock.get(f"{self.prefix}-catalogue")
        params = entry.params.get("streamrec.catalogue", {}) if entry is not None else {}
        source = params.get("source", "unknown data")
        if source != "synthetic":
            return Path(str(source)).stem
        synthetic = params.get("synthetic", {})
        return f"synthetic {synthetic.get('preset', '')} {synthetic.get('items', 0):,}"

    def data_params(self, lock: Mapping[str, Entry]) -> dict[str, Any]:
        """The params that all models of the lock share."""
        stages = [lock.get(f"{self.prefix}-{stage}") for stage in ("catalogue", "corpus")]
        return {key: value for entry in stages if entry is not None for key, value in entry.params.items()}

    def delivers(self, kind: str) -> bool:
        """Whether versions of this kind are kept: yardsticks have no embeddings and stay in the house."""
        return kind in ("textcnn", "bow")

    def figures(self, kind: str, metrics: Mapping[str, Any]) -> Metrics:
        """The final metrics of a model, flat."""
        figures = {f"test_{name}": value for name, value in metrics["test"].items()}
        if metrics["ceiling"] is not None:
            figures |= {f"ceiling_{name}": value for name, value in metrics["ceiling"].items()}
            figures["ceiling"] = metrics["ceiling"][OWN_CEILING[kind]]
            figures["share_of_ceiling"] = metrics["share_of_ceiling"][OWN_CEILING[kind]]
        return {name: float(value) for name, value in figures.items() if value is not None}

    def in_short(self, kind: str, metrics: Mapping[str, Any]) -> str:
        """A model's result in a few words without markup: lists show the beginning of it."""
        figures = self.figures(kind, metrics)
        result = f"{self.names[kind]}: {percent(figures['test_accuracy'])} of test items rightly named"
        if "share_of_ceiling" not in figures:
            return result
        return f"{result}, {percent(figures['share_of_ceiling'])} of what is possible"

    def summary(self, kind: str, metrics: Mapping[str, Any]) -> str:
        """A model's result in words."""
        test, figures = metrics["test"], self.figures(kind, metrics)
        possible = (
            f" The best possible reader with its view of word order reaches {percent(figures['ceiling'])}."
            if "ceiling" in figures
            else ""
        )
        return (
            f"{self.in_short(kind, metrics)}. 95% interval of the accuracy: "
            f"{percent(test['accuracy_low'])} to {percent(test['accuracy_high'])}, on {test['n']:,} items."
            f"{possible} Macro-F1 {test['macro_f1']:.3f}, log-loss {test['log_loss']:.3f}, calibration error "
            f"{test['ece']:.3f}.\n\n{self.meaning[kind]}"
        )

    def row(self, kind: str, metrics: Mapping[str, Any]) -> tuple[str, ...]:
        """A model's cells of the table whose heads are `heads`."""
        test, figures = metrics["test"], self.figures(kind, metrics)
        interval = f"{percent(test['accuracy_low'])} to {percent(test['accuracy_high'])}"
        share = [percent(figures[key]) if key in figures else "–" for key in ("ceiling", "share_of_ceiling")]
        return (percent(test["accuracy"]), interval, *share)

    def comparison(self, lock: Mapping[str, Entry]) -> Entry | None:
        return lock.get(f"{self.prefix}-compare")

    def comparison_words(self) -> tuple[str, list[str]]:
        """The headline and the findings of the comparison in the workspace."""
        comparison = read_json(self.data / "metrics" / "comparison.json")
        return headline(comparison), findings(comparison)

    def comparison_files(self) -> dict[str, Path]:
        """Artifacts of the parent run by their path there."""
        files = {
            "report.html": self.data / "report.html",
            "comparison.json": self.data / "metrics" / "comparison.json",
            "accuracy.png": self.data / "plots" / "comparison" / "accuracy.png",
            "gate.json": self.data / "gate.json",
        }
        return {name: path for name, path in files.items() if path.is_file()}

    def examples(self) -> tuple[list[str], list[str]]:
        """Titles and synopses of a few rows of the catalogue, for a model's signature."""
        table, _ = catalogues.read(self.data / "catalogue.parquet")
        rows = table.slice(0, 5)
        return rows["title"].to_pylist(), rows["synopsis"].to_pylist()


TASKS = (Text(),)
