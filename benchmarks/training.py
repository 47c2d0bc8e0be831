"""Training TextCNN: items a second, and the time to the textbook's accuracy, on a CPU and on a GPU.

The textbook loop trains epoch by epoch; its accuracy is that of the epoch with the best validation accuracy
(it stops where a few bring nothing), and its time holds its training alone. Ours trains for the fewest
epochs, of a few numbers tried, that bring it to that accuracy on the validation split; its time holds
everything between corpus and calibrated weights: moving the data, recording graphs, validation after every
epoch, the temperature. Each side runs once before it is timed, so neither time holds compilation. Later
items/s, on a GPU: the rate of the epochs that a run four times as long adds. The limits of a GPU are the
better of a float32 and a bfloat16 product of large matrices and a copy of 2 GB, measured here; the operations
are those of the definition, forward and twice backward, without padding; the bytes are what our kernels read
and write.
"""

import argparse
import contextlib
import io
import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks import textbook, workload
from benchmarks.limits import measure_limits
from benchmarks.machine import RESULTS, cores, in_turn, part, report
from convoy.streamrec.classification.corpus.data import TEST, TRAIN, VALIDATION, Corpus
from convoy.streamrec.classification.models.params import NetworkTraining, TextCNNParams
from convoy.streamrec.classification.networks import fit as networks

Settings = Mapping[str, Mapping[str, Any]]
LARGE = {"weight_decay": 2.0}
SETTINGS: dict[str, Settings] = {
    "cpu": {"recipe": {}, "batch 512": {"batch_size": 512, "learning_rate": 0.008, "weight_decay": 1.0}},
    "cuda": {
        "recipe": {},
        "batch 1,024": {"batch_size": 1024, "learning_rate": 0.016, **LARGE},
        "batch 2,048": {"batch_size": 2048, "learning_rate": 0.012, **LARGE},
        "batch 4,096": {"batch_size": 4096, "learning_rate": 0.008, **LARGE},
    },
}
# On a CPU what two cores with AVX2 alone do in five minutes; on a GPU the default catalogue.
ITEMS = {"cpu": 6_000, "cuda": workload.ITEMS}
MOST_EPOCHS = {"cpu": 8, "cuda": 20}  # of the textbook
PATIENCE = {"cpu": 2, "cuda": 3}
ROUNDS = {"cpu": 2, "cuda": 3}
EPOCHS = {"cpu": (2, 4, 8), "cuda": (2, 3, 4, 6, 8, 10, 12, 14, 16, 20)}
REQUIRED = {"cpu": 4, "cuda": 50}
LONGER = 4


class Textbook:
    """The textbook network and its loop on the corpus."""

    def __init__(self, corpus: Corpus, device: str) -> None:
        torch.manual_seed(0)
        self.device = device
        self.network = textbook.TextCNN(corpus.vocab_size, num_classes=len(corpus.categories)).to(device)
        self.optimiser = textbook.adam(self.network)
        self.splits = [self._texts(corpus, split) for split in (TRAIN, VALIDATION, TEST)]
        self.batches = textbook.loader(self.splits[TRAIN])

    def _texts(self, corpus: Corpus, split: int) -> textbook.Texts:
        items = corpus.items(split)
        tokens_NL = textbook.padded(corpus.tokens, corpus.offsets, items)
        return textbook.Texts(tokens_NL, torch.from_numpy(corpus.labels[items]))

    def epoch(self) -> None:
        textbook.train_epoch(self.network, self.batches, self.optimiser, self.device)

    @torch.inference_mode()
    def accuracy(self, split: int) -> float:
        self.network.eval()
        texts = self.splits[split]
        outputs = [self.network(tokens.to(self.device)).cpu() for tokens in texts.tokens_NL.split(1024)]
        return float((torch.cat(outputs).argmax(1) == texts.labels).float().mean())

    def best(self, epochs: int) -> dict[str, Any]:
        """The epoch of the best validation accuracy, until it no longer rises, and its accuracies."""
        best: dict[str, Any] = {"epochs": 0, "validation": 0.0}
        for epoch in range(1, epochs + 1):
            with part(f"textbook: epoch {epoch} of at most {epochs}"):
                self.epoch()
            if (validation := self.accuracy(VALIDATION)) > best["validation"]:
                best = {"epochs": epoch, "validation": validation, "test": self.accuracy(TEST)}
            if epoch - best["epochs"] >= PATIENCE[self.device]:
                break
        return best


class Ours:
    """TextCNN on the same corpus, as the train stage fits it."""

    def __init__(self, corpus: Corpus, device: str, settings: Settings) -> None:
        self.corpus, self.device, self.settings = corpus, device, settings

    def train(self, name: str, epochs: int) -> tuple[dict[str, Any], Any]:
        own = {"device": self.device, "threads": cores(), "epochs": epochs, "patience": epochs}
        params = TextCNNParams(training=NetworkTraining(**{**own, **self.settings[name]}))
        with contextlib.redirect_stdout(io.StringIO()):
            config, tensors, _ = networks.train("textcnn", params, self.corpus, seed=0)
        training = params.training.model_dump(mode="json")
        return {"kind": "textcnn", **config, "training": training}, tensors

    def accuracy(self, model: tuple[dict[str, Any], Any], split: int) -> float:
        items = self.corpus.items(split)
        predicted = networks.probabilities(*model, self.corpus, items).argmax(1)
        return float((predicted == self.corpus.labels[items]).mean())

    def fewest_epochs(self, name: str, goal: float, choices: Sequence[int]) -> dict[str, Any]:
        """The first of `choices` that reaches `goal` on the validation split, else the last."""
        for epochs in choices:
            with part(f"ours, {name}: to the textbook's accuracy in {epochs} epochs"):
                model = self.train(name, epochs)
            if (validation := self.accuracy(model, VALIDATION)) >= goal:
                break
        return {"epochs": epochs, "validation": validation, "test": self.accuracy(model, TEST)}


def work(corpus: Corpus, batch_size: int) -> dict[str, float]:
    """Operations and bytes per training item of our path on a GPU; see nn.kernels.token_convolution_cuda."""
    params = TextCNNParams()
    lengths = corpus.lengths[corpus.items(TRAIN)].astype(float)
    sizes, filters, dim = params.kernel_sizes, params.num_filters, params.embedding_dim
    taps = sum(size * (lengths.mean() + (size % 2 == 0)) for size in sizes)
    rows = lengths.mean() + max(sizes) // 2
    # Rows: laid out, read by two products. Windows: written, read for maxima, turned into gradients, read by
    # two products. The rows' gradient: written and read.
    passes = rows * 2 * (dim * (3 + 2) + len(sizes) * filters * 6)
    weights = corpus.vocab_size * dim + sum(sizes) * dim * filters
    # Adam reads four and writes three numbers of each weight; the mean of the weights adds three.
    return {"operations": 6 * dim * filters * taps, "bytes": passes + weights * 4 * 10 / batch_size}


def measured(
    corpus: Corpus, device: str, settings: Settings, most_epochs: int, choices: Sequence[int], rounds: int
) -> tuple[list[dict[str, Any]], dict[str, list[float]]]:
    """The rows of the table, but for the limits, and the single rounds."""
    theirs, ours = Textbook(corpus, device), Ours(corpus, device, settings)
    best = theirs.best(most_epochs)
    found = {name: ours.fewest_epochs(name, best["validation"], choices) for name in settings}
    sides: dict[str, Callable[[], Any]] = {"textbook, an epoch": theirs.epoch}
    for (name, row), times in itertools.product(found.items(), (1, LONGER) if device == "cuda" else (1,)):
        sides[f"{name}, {times * row['epochs']} epochs"] = partial(ours.train, name, times * row["epochs"])
    seconds = in_turn(sides, rounds)
    items, spent = len(corpus.items(TRAIN)), median(seconds["textbook, an epoch"])
    book = {"side": "textbook", **best, "train, s": spent * best["epochs"], "items/s": items / spent}
    rows = [book]
    for name, row in found.items():
        once = median(seconds[f"{name}, {row['epochs']} epochs"])
        rate = items * row["epochs"] / once
        row |= {"side": f"ours, {name}", "train, s": once, "items/s": rate}
        row |= {"times as fast": rate / book["items/s"], "required": REQUIRED[device]}
        reached = row["validation"] >= best["validation"]
        row["sooner there"] = book["train, s"] / once if reached else "not reached"
        if device == "cuda":
            longer = median(seconds[f"{name}, {LONGER * row['epochs']} epochs"])
            rate = items * (LONGER - 1) * row["epochs"] / (longer - once)
            row |= {"later items/s": rate, "later times": rate / book["items/s"]}
        rows.append(row)
    return rows, seconds


def run(
    device: str, items: int | None = None, rounds: int | None = None, results: Path = RESULTS,
    most_epochs: int | None = None, choices: Sequence[int] | None = None, settings: Settings | None = None,
) -> Path:  # fmt: skip
    with part("corpus"):
        corpus = workload.corpus(workload.cleaned(workload.raw(items or ITEMS[device])))
    settings, rounds = settings or SETTINGS[device], rounds or ROUNDS[device]
    most_epochs, choices = most_epochs or MOST_EPOCHS[device], choices or EPOCHS[device]
    rows, seconds = measured(corpus, device, settings, most_epochs, choices, rounds)
    facts: dict[str, Any] = {
        "what": " ".join((__doc__ or "").split()),
        "training items": len(corpus.items(TRAIN)),
        "tokens per item": float(np.mean(corpus.lengths[corpus.items(TRAIN)])),
        "threads of either side": torch.get_num_threads(),
        "seconds": seconds,
    }
    if device == "cuda":
        with part("limits of the machine"):
            facts["limits"] = measure_limits(device)
        for row, own in zip(rows[1:], settings.values(), strict=True):
            per_item = work(corpus, own.get("batch_size", TextCNNParams().training.batch_size))
            facts[f"work per item, {row['side']}"] = per_item
            for name in ("operations", "bytes"):
                limit = facts["limits"][f"{name}/s"] / per_item[name]
                row[f"share of {name}"] = row["later items/s"] / limit
    return report(f"training-{device}", rows, facts, ["torch", "numba"], results)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], help="one alone (both, where there is a GPU)")
    sizes = ", ".join(f"{device}: {items:,}" for device, items in ITEMS.items())
    parser.add_argument("--items", type=int, help=f"of the catalogue ({sizes})")
    parser.add_argument("--rounds", type=int, help="cpu: 2, cuda: 3")
    options = parser.parse_args()
    torch.set_num_threads(cores())
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    for device in [options.device] if options.device else devices:
        run(device, options.items, options.rounds)


if __name__ == "__main__":
    main()
