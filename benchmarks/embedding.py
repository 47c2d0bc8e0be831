"""Embedding: from token ids to vectors, and from texts to Parquet, compared with the textbook forward pass.

The textbook network has the same weights, in evaluation and inference mode, float32, on texts padded to 64
tokens beforehand; its loop takes them from a DataLoader. Texts -> Parquet is everything from the catalogue
file to the embeddings folder: reading, cleaning, hashes, tokens, vectors, Parquet, .npy, checksums. The last
row is the same as a process of its own, the start of Python and the reading of the model included.
"""

import argparse
import itertools
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import textbook, workload
from benchmarks.machine import RESULTS, cores, in_turn, part, report
from convoy.core import artifact as models
from convoy.embeddings.write_io import write
from convoy.nn.kernels import lookup
from convoy.nn.text import TextCNN
from convoy.streamrec.catalogue.source_io import Items
from convoy.streamrec.classification.corpus.data import Corpus
from convoy.streamrec.classification.embedding import Embedder, EmbedParams

FORWARDS = {f"textbook forward, batch {size:,}": size for size in (textbook.BATCH, 1024)}
LOOP = f"textbook loop, batch {textbook.BATCH}"
VECTORS, PARQUET, PROCESS = "token ids -> vectors", "texts -> Parquet", "convoy embed, a process"
REQUIRED = {VECTORS: 20, PARQUET: 6, PROCESS: 6}


def textbook_network(model: models.StoredModel) -> textbook.TextCNN:
    """The textbook's network with the stored weights."""
    arguments = model.config["network"]
    network = textbook.TextCNN(**{key: arguments[key] for key in arguments if key != "embedding_std"})
    # A weights file sorts its tensors by name; both networks define them in the same order.
    tensors = [torch.from_numpy(model.tensors[name]) for name in TextCNN(**arguments).state_dict()]
    network.load_state_dict(dict(zip(network.state_dict(), tensors, strict=True)))
    return network.eval()


@torch.inference_mode()
def forward(network: textbook.TextCNN, tokens_NL: Tensor, size: int) -> Tensor:
    return torch.cat([network.get_embedding(batch) for batch in tokens_NL.split(size)])


def largest_difference(network: textbook.TextCNN, ours: lookup.Lookup, corpus: Corpus, items: int) -> float:
    """Between both sides' vectors of texts without padding, one by one: there the textbook is right too."""
    worst = 0.0
    for item in range(items):
        text = corpus.tokens[corpus.offsets[item] : corpus.offsets[item + 1]]
        vectors = ours(text, np.array([0, len(text)]))
        theirs = forward(network, torch.from_numpy(text.astype(np.int64))[None], 1)
        worst = max(worst, float(np.abs(vectors - theirs.numpy()).max()))
    return worst


def embed(catalogue: Path, out: Path, embedder: Embedder) -> None:
    write(out, Items(catalogue, {}), embedder, embedder.dimension, embedder.facts)


def embed_in_a_process(catalogue: Path, out: Path, model: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "convoy.cli.app",
        "embed",
        str(catalogue),
        str(out),
        "--model",
        str(model),
    ]
    subprocess.run(command, check=True, capture_output=True)


def sides(folder: Path, items: int, textbook_items: int) -> tuple[dict[str, Callable[[], Any]], float]:
    """What is measured, by name, and the largest difference between both sides' vectors."""
    catalogue, names = folder / f"catalogue-{items}.parquet", itertools.count()
    corpus = workload.write(folder, [items])
    model = models.read(folder / "model")
    network = textbook_network(model)
    ours = lookup.textcnn(model.tensors, model.config["network"]["kernel_sizes"])
    difference = largest_difference(network, ours, corpus, min(items, 50))
    assert difference < 1e-4, f"the two sides differ by {difference}"
    embedder = Embedder(model, EmbedParams())
    tokens_NL = textbook.padded(corpus.tokens, corpus.offsets, np.arange(textbook_items))
    texts = textbook.Texts(tokens_NL, torch.from_numpy(corpus.labels[:textbook_items]))
    forwards = {name: partial(forward, network, tokens_NL, size) for name, size in FORWARDS.items()}
    return {
        **forwards,
        LOOP: lambda: textbook.embed(network, textbook.loader(texts, shuffle=False)),
        VECTORS: lambda: ours(corpus.tokens, corpus.offsets),
        PARQUET: lambda: embed(catalogue, folder / f"out-{next(names)}", embedder),
        PROCESS: lambda: embed_in_a_process(catalogue, folder / f"out-{next(names)}", folder / "model"),
    }, difference


def run(items: int, textbook_items: int, rounds: int, results: Path = RESULTS) -> Path:
    with tempfile.TemporaryDirectory(prefix="convoy-bench-") as folder:
        with part("catalogue and model"):
            measured, difference = sides(Path(folder), items, textbook_items)
        seconds = in_turn(measured, rounds)
    counts = {side: items if side in REQUIRED else textbook_items for side in seconds}
    rates = {side: counts[side] / median(values) for side, values in seconds.items()}
    fastest = max(rates[side] for side in FORWARDS)
    rows = [
        {
            "side": side,
            "items": counts[side],
            "items/s": rates[side],
            "times the faster forward": rates[side] / fastest,
            "required": REQUIRED.get(side),
        }
        for side in seconds
    ]
    facts = {
        "what": " ".join((__doc__ or "").split()),
        "torch threads": torch.get_num_threads(),
        "largest difference": difference,
        "seconds": seconds,
    }
    return report("embedding", rows, facts, ["torch", "numba", "pyarrow"], results)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--items", type=int, default=workload.ITEMS, help="of our sides")
    parser.add_argument("--textbook-items", type=int, default=8192, help="of the textbook's sides")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(cores())
    run(options.items, options.textbook_items, options.rounds)


if __name__ == "__main__":
    main()
