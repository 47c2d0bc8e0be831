"""Bag of words compared with fastText: the time to the same accuracy on the default synthetic catalogue.

fastText (supervised, words only, 128 dimensions) trains once with its defaults, five epochs at rate 0.1, and
once with the best of a few rates and epochs. Ours trains with its recipe, and with two other settings (fewer
words dropped or none, other batches, labels smoothed or not), each for the fewest epochs that bring it to
fastText's accuracy on the validation split. fastText takes all cores and ours one thread, since two give the
same weights no sooner. The whole of fastText holds the reading, splitting and counting of a file of
lower-cased words that lies in the page cache; it reads that file again in every epoch. The whole of ours
starts from the texts in memory and holds the fitting of the tokenizer and the tokens of all three splits;
its training holds the validation after every epoch and the temperature. Neither side's time holds imports or
the writing of a model.
"""

import argparse
import contextlib
import importlib.util
import io
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa

from benchmarks import workload
from benchmarks.machine import RESULTS, cores, in_turn, part, report
from convoy.streamrec.catalogue.cleaning import text_of
from convoy.streamrec.classification.corpus.data import SPLITS, TEST, TRAIN, VALIDATION, Corpus
from convoy.streamrec.classification.models.params import BowParams, BowTraining
from convoy.streamrec.classification.networks import fit as networks

DEFAULT = {"lr": 0.1, "epoch": 5}
TUNED = [{"lr": rate, "epoch": epochs} for epochs in (5, 10, 20) for rate in (0.1, 0.25, 0.5, 1.0)]
OURS: dict[str, dict[str, Any]] = {
    "recipe": {},
    "fewer words dropped": {"word_dropout": 0.1, "training": {"batch_size": 128}},
    "no words dropped": {"word_dropout": 0.0, "training": {"batch_size": 512, "label_smoothing": 0.0}},
}
EPOCHS = (1, 2, 4, 8)
REQUIRED = 1.0
Accuracy = tuple[float, float]  # on the validation and on the test split


class FastText:
    """fastText on a file per split, one `__label__N words …` a line."""

    def __init__(self, folder: Path, table: pa.Table, corpus: Corpus) -> None:
        pairs = zip(table["title"].to_pylist(), table["synopsis"].to_pylist(), strict=True)
        texts = [text_of(*pair).lower() for pair in pairs]
        self.files = [str(folder / f"{name}.txt") for name in SPLITS]
        for number, path in enumerate(self.files):
            lines = [f"__label__{corpus.labels[item]} {texts[item]}\n" for item in corpus.items(number)]
            Path(path).write_text("".join(lines), encoding="utf-8")

    def train(self, settings: Mapping[str, Any]) -> Any:
        import fasttext

        return fasttext.train_supervised(self.files[TRAIN], **settings, dim=128, thread=cores(), verbose=0)

    def accuracy(self, settings: Mapping[str, Any]) -> Accuracy:
        model = self.train(settings)
        # Precision at 1 of texts with one label each.
        return model.test(self.files[VALIDATION])[1], model.test(self.files[TEST])[1]


class Ours:
    """BagOfWordsModel on the same catalogue."""

    def __init__(self, table: pa.Table, corpus: Corpus) -> None:
        self.table, self.corpus = table, corpus

    def prepare(self) -> Corpus:
        return workload.corpus(self.table)

    def params(self, settings: str, epochs: int) -> BowParams:
        own = OURS[settings]
        training = {**own.get("training", {}), "epochs": epochs, "patience": epochs, "threads": 1}
        return BowParams(**{**own, "training": BowTraining(**training)})

    def train(self, settings: str, epochs: int) -> tuple[dict[str, Any], Any]:
        params = self.params(settings, epochs)
        with contextlib.redirect_stdout(io.StringIO()):
            config, tensors, _ = networks.train("bow", params, self.corpus, seed=0)
        training = params.training.model_dump(mode="json")
        return {"kind": "bow", **config, "training": training}, tensors

    def accuracy(self, settings: str, epochs: int) -> Accuracy:
        model = self.train(settings, epochs)
        return self._accuracy(model, VALIDATION), self._accuracy(model, TEST)

    def _accuracy(self, model: tuple[dict[str, Any], Any], split: int) -> float:
        items = self.corpus.items(split)
        predicted = networks.probabilities(*model, self.corpus, items).argmax(1)
        return float((predicted == self.corpus.labels[items]).mean())

    def fewest_epochs(self, settings: str, goal: float, choices: Sequence[int]) -> tuple[int, Accuracy]:
        """The first of `choices` that reaches `goal` on the validation split, else the last."""
        for epochs in choices:
            with part(f"ours, {settings}: to fastText's accuracy in {epochs} epochs"):
                accuracy = self.accuracy(settings, epochs)
            if accuracy[0] >= goal:
                break
        return epochs, accuracy


def baselines(
    theirs: FastText, ours: Ours, tuned: Sequence[Mapping[str, Any]], choices: Sequence[int]
) -> list[dict[str, Any]]:
    """What is to be timed: fastText, and below it ours with as many epochs as reach its accuracy; twice."""
    with part(f"fastText: the best of {len(tuned)} settings"):
        best = max(tuned, key=lambda settings: theirs.accuracy(settings)[0])
    rows: list[dict[str, Any]] = []
    for name, fasttext in (("default", DEFAULT), ("tuned", best)):
        with part(f"fastText {name}: its accuracy, three times"):  # its threads race: no two runs are alike
            again = [theirs.accuracy(fasttext) for _ in range(3)]
        goal, test = (median(split) for split in zip(*again, strict=True))
        side = f"fastText {name}, rate {fasttext['lr']}"
        rows.append({"side": side, "epochs": fasttext["epoch"], "validation": goal, "test": test})
        rows[-1]["run"] = partial(theirs.train, fasttext)
        for settings in OURS:
            epochs, (validation, test) = ours.fewest_epochs(settings, goal, choices)
            side = f"ours, {settings}"
            rows.append({"side": side, "epochs": epochs, "validation": validation, "test": test})
            rows[-1] |= {"reached": validation >= goal, "run": partial(ours.train, settings, epochs)}
    return rows


def timed(rows: list[dict[str, Any]], seconds: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """The rows with their times, and how often ours goes into the fastText above it."""
    reading, tokens = median(seconds["fastText, no epoch"]), median(seconds["ours, tokens"])
    finished = []
    baseline: dict[str, float] = {}
    for number, row in enumerate(rows):
        spent = median(seconds[str(number)])
        own = {key: row[key] for key in ("side", "epochs", "validation", "test")}
        if "reached" not in row:
            baseline = {"train, s": spent - reading, "whole, s": spent}
            finished.append({**own, **baseline})
            continue
        now = {"train, s": spent, "whole, s": tokens + spent}
        times: dict[str, Any] = {"times as fast": "not reached", "train only": None, "required": REQUIRED}
        if row["reached"]:
            times["times as fast"] = baseline["whole, s"] / now["whole, s"]
            times["train only"] = baseline["train, s"] / now["train, s"]
        finished.append({**own, **now, **times})
    return finished


def run(
    items: int, rounds: int, results: Path = RESULTS,
    tuned: Sequence[Mapping[str, Any]] = TUNED, choices: Sequence[int] = EPOCHS,
) -> Path | None:  # fmt: skip
    if importlib.util.find_spec("fasttext") is None:
        print("bow: skipped: fastText is not installed; fasttext-wheel has wheels for Python 3.11 only")
        return None
    with part("catalogue"):
        table = workload.cleaned(workload.raw(items))
    with tempfile.TemporaryDirectory(prefix="convoy-bench-") as folder:
        ours = Ours(table, workload.corpus(table))
        theirs = FastText(Path(folder), table, ours.corpus)
        rows = baselines(theirs, ours, tuned, choices)
        sides = {str(number): row["run"] for number, row in enumerate(rows)}
        sides |= {
            "fastText, no epoch": partial(theirs.train, {**DEFAULT, "epoch": 0}),
            "ours, tokens": ours.prepare,
        }
        seconds = in_turn(sides, rounds)
    facts = {
        "what": " ".join((__doc__ or "").split()),
        "items": items,
        "threads": {"fastText": cores(), "ours": 1},
        "seconds": seconds,
    }
    return report("bow", timed(rows, seconds), facts, ["torch", "fasttext-wheel"], results)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--items", type=int, default=workload.ITEMS)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    run(options.items, options.rounds)


if __name__ == "__main__":
    main()
