"""What each task shows of itself: which outputs of DVC make up a model, and the words beside them.

A task names its stages by their prefix: `PREFIX-train@MODEL` and `PREFIX-evaluate@MODEL` in dvc.lock are one
trained and evaluated model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    columns = ("test_accuracy", "share_of_ceiling", "test_macro_f1", "test_log_loss", "test_ece")
    description = (
        "**StreamRec: the category of a title from its text, and an embedding of each item.**\n\n"
        "One parent run per pipeline run holds the comparison in words, its report and pictures; below it "
        "one run per model. `test_accuracy` is on items that no training has seen, with its 95% interval "
        "(`…_low`, `…_high`). On a synthetic catalogue `ceiling` is the accuracy of the best possible reader "
        "with the model's own view of word order (`ceiling_full`, `ceiling_order_blind`), and "
        "`share_of_ceiling` how much of it the model reaches. `linear` and `linear_pairs` are yardsticks. "
        "Versions of the networks are in the registered model `streamrec-text`."
    )
    version_note = (
        "Text in (`title`, `synopsis`); `category`, its `probability` and the item's `embedding` out. "
        "`champion` is the version in use, `challenger` the newest candidate: see "
        "`convoy promote` and `convoy rollback`."
    )
    meaning: Mapping[str, str] = {
        "textcnn": "TextCNN (Kim, 2014): convolutions over word embeddings, their maxima; sees order.",
        "bow": "Bag of words: the mean of word embeddings and a linear layer; blind to word order.",
        "linear": "Yardstick: logistic regression on TF-IDF of words; blind to word order.",
        "linear_pairs": "Yardstick: logistic regression on TF-IDF of words and adjacent pairs.",
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

    def delivers(self, kind: str) -> bool:
        """Whether versions of this kind are kept: yardsticks have no embeddings and stay in the house."""
        return kind in ("textcnn", "bow")

    def figures(self, kind: str, metrics: Mapping[str, Any]) -> Metrics:
        """The final metrics of a model, flat."""
        figures = {f"test_{name}": value for name, value in metrics["test"].items()}
        if metrics["ceiling"] is not None:
            figures |= {f"ceiling_{name}": value for name, value in metrics["ceiling"].items()}
            figures["ceiling"] = metrics["ceiling"][OWN_CEILING[kind]]
            figures["share_of_ceiling"] = metrics["test"]["accuracy"] / figures["ceiling"]
        return {name: float(value) for name, value in figures.items() if value is not None}

    def summary(self, kind: str, metrics: Mapping[str, Any]) -> str:
        """A model's result in words."""
        test, figures = metrics["test"], self.figures(kind, metrics)
        words = (
            f"{self.meaning[kind]}\n\nTest accuracy **{test['accuracy']:.1%}** "
            f"({test['accuracy_low']:.1%} to {test['accuracy_high']:.1%}), macro-F1 {test['macro_f1']:.3f}, "
            f"calibration error {test['ece']:.3f}."
        )
        if "ceiling" in figures:
            words += (
                f" The best possible with its view of word order is {figures['ceiling']:.1%}: it reaches "
                f"{figures['share_of_ceiling']:.1%} of it."
            )
        return words

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
