"""Reading an embeddings folder into one array by each reader, and exact neighbours, after it was written.

The vectors are normal random numbers; the files stand in the page cache. The ratio of a reader is that to
NumPy's full read of the .npy file; CPU seconds are those of all threads, which other work on the machine
changes less. A memory map is opened, with the ids, and one vector is looked up by its
id. Neighbours are the 10 of 100 items by inner product: FAISS' flat index with the vectors added beforehand,
and NumPy's product with a partial sort. `--items 1000000` is the size of the goals; it takes 5 GB of disk and
of memory.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import faiss
import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.machine import RESULTS, cores, in_turn, part, report
from convoy.core.files import read_json
from convoy.embeddings import read
from convoy.embeddings.io import IDS, MANIFEST, PARTS, VECTORS, Embedded
from convoy.embeddings.write_io import write

DIMENSION, QUERIES, NEIGHBOURS = 300, 100, 10
NPY, PYARROW, MMAP = "numpy.load", "pyarrow, a thread for each part", "numpy.load, mmap_mode"
FAISS, PRODUCT = "faiss.IndexFlatIP, 100 queries", "NumPy, 100 queries"
GOALS = {PYARROW: 2.0, MMAP: 0.02}  # seconds at 1,000,000 items
PANDAS_AT_MOST = 200_000  # an object for every vector takes minutes and memory above
Array = npt.NDArray[np.float32]


class Numbered:
    """Items whose ids are numbers, in batches, as `write` reads them."""

    def __init__(self, path: Path, items: int) -> None:
        self.path, self._items = path, items
        path.write_text(f"{items} items\n", encoding="utf-8")

    def batches(self, rows: int, ids_only: bool = False) -> Iterator[pa.RecordBatch]:  # noqa: ARG002
        for start in range(0, self._items, rows):
            stop = min(start + rows, self._items)
            yield pa.RecordBatch.from_pydict({"item_id": [f"item-{row:09}" for row in range(start, stop)]})

    def sources(self) -> list[str] | None:
        return None


def embed(batch: pa.RecordBatch) -> Embedded:
    rows = len(batch)
    rng = np.random.default_rng(int(batch["item_id"][0].as_py()[5:]))
    vectors = rng.standard_normal((rows, DIMENSION), np.float32)
    return Embedded(vectors, ["0" * 64] * rows, np.zeros(rows, np.uint8))


def by_pyarrow(folder: Path) -> Array:
    column = pq.read_table(folder / PARTS, columns=["item_id", "embedding"])["embedding"].combine_chunks()
    return column.flatten().to_numpy().reshape(len(column), -1)


def by_threads(folder: Path) -> Array:
    """The parts by pyarrow, batch by batch into one array, each in a thread, as docs/embeddings.md shows."""
    manifest = read_json(folder / MANIFEST)
    vectors = np.empty((manifest["items"], manifest["dimension"]), np.float32)

    def fill(name: str, first: int) -> None:
        for batch in pq.ParquetFile(folder / name).iter_batches(8192, columns=["embedding"]):
            rows = batch["embedding"].flatten().to_numpy().reshape(len(batch), -1)
            vectors[first : first + len(batch)] = rows
            first += len(batch)

    parts = sorted(manifest["rows"])
    firsts = np.cumsum([0] + [manifest["rows"][part] for part in parts[:-1]])
    with ThreadPoolExecutor() as pool:
        list(pool.map(fill, parts, firsts))
    return vectors


def by_pandas(folder: Path) -> Array:
    return np.stack(pd.read_parquet(folder / PARTS, columns=["item_id", "embedding"])["embedding"])


def by_polars(folder: Path) -> Array:
    frame = pl.read_parquet(folder / PARTS / "*.parquet", columns=["item_id", "embedding"])
    return frame["embedding"].explode().to_numpy().reshape(len(frame), -1)


def by_duckdb(folder: Path) -> Array:
    query = f"SELECT item_id, embedding FROM read_parquet('{folder / PARTS}/*.parquet')"
    column = duckdb.sql(query).to_arrow_table()["embedding"].combine_chunks()
    return column.flatten().to_numpy().reshape(len(column), -1)


def by_mmap(folder: Path, item_id: str) -> Array:
    ids = np.load(folder / IDS, mmap_mode="r")
    vectors = np.load(folder / VECTORS, mmap_mode="r")
    return np.array(vectors[np.searchsorted(ids, item_id)])


def by_product(vectors: Array, queries: Array) -> npt.NDArray[np.int64]:
    """Rows of the neighbours of each query, best first, in blocks of as many products as vectors."""
    found = []
    for query in np.array_split(queries, max(1, len(queries) // 10)):
        similar = query @ vectors.T
        best = np.argpartition(-similar, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        order = np.argsort(-np.take_along_axis(similar, best, 1), axis=1)
        found.append(np.take_along_axis(best, order, 1))
    return np.concatenate(found)


def check(folder: Path, readers: dict[str, Callable[[], Array]], items: int) -> None:
    """Compare the vectors of all readers."""
    vectors = np.load(folder / VECTORS, mmap_mode="r")
    for name, reader in readers.items():
        with part(f"check: {name}"):
            found = reader()
            assert found.shape == (items, DIMENSION)
            assert np.array_equal(found, vectors), f"{name} reads other vectors"
    last = f"item-{items - 1:09}"
    assert np.array_equal(by_mmap(folder, last), vectors[-1])


class Measured:
    """Seconds and CPU seconds of each side in so many rounds."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.seconds: dict[str, list[float]] = {}
        self.cpu: dict[str, list[float]] = {}

    def add(self, sides: Mapping[str, Callable[[], Any]]) -> None:
        self.seconds |= in_turn(
            {name: partial(self._run, name, side) for name, side in sides.items()}, self.rounds
        )

    def _run(self, name: str, side: Callable[[], Any]) -> None:
        began = time.process_time()
        side()
        self.cpu.setdefault(name, []).append(round(time.process_time() - began, 6))


def neighbours(folder: Path, measured: Measured) -> None:
    """Measure both searches, after comparing what they find."""
    faiss.omp_set_num_threads(cores())
    vectors = np.load(folder / VECTORS)
    queries = vectors[:: max(1, len(vectors) // QUERIES)][:QUERIES]
    index = faiss.IndexFlatIP(DIMENSION)
    with part("FAISS: adding the vectors"):
        index.add(vectors)
    same = index.search(queries[:10], NEIGHBOURS)[1] == by_product(vectors, queries[:10])
    assert same.mean() > 0.99, "the neighbours differ"
    measured.add(
        {FAISS: partial(index.search, queries, NEIGHBOURS), PRODUCT: partial(by_product, vectors, queries)}
    )


def run(items: int, rounds: int, results: Path = RESULTS) -> Path:
    with tempfile.TemporaryDirectory(prefix="convoy-bench-") as name:
        folder = Path(name) / "vectors"
        with part(f"writing {items:,} vectors"):
            write(folder, Numbered(Path(name) / "items", items), embed, DIMENSION, {"model": "random"})
        readers: dict[str, Callable[[], Array]] = {
            NPY: lambda: np.load(folder / VECTORS),
            "pyarrow.parquet.read_table": lambda: by_pyarrow(folder),
            PYARROW: lambda: by_threads(folder),
            "polars": lambda: by_polars(folder),
            "duckdb": lambda: by_duckdb(folder),
            "convoy.embeddings.read, with checksums": lambda: read(folder)[1],
        }
        if items <= PANDAS_AT_MOST:
            readers["pandas"] = lambda: by_pandas(folder)
        check(folder, readers, items)
        mapped = {MMAP: lambda: by_mmap(folder, f"item-{items // 2:09}")}
        measured = Measured(rounds)
        measured.add({**readers, **mapped})
        neighbours(folder, measured)
    seconds = measured.seconds
    base = {name: median(seconds[PRODUCT if name in (FAISS, PRODUCT) else NPY]) for name in seconds}
    rows = [
        {
            "side": name,
            "items": items,
            "seconds": median(values),
            "CPU seconds": median(measured.cpu[name][1:]),
            "times the seconds of NumPy": median(values) / base[name],
            "goal at 1,000,000, s": GOALS.get(name),
        }
        for name, values in seconds.items()
    ]
    facts: dict[str, Any] = {
        "what": " ".join((__doc__ or "").split()),
        "dimension": DIMENSION,
        "seconds": seconds,
    }
    libraries = ["numpy", "pyarrow", "pandas", "polars", "duckdb", "faiss-cpu"]
    return report("readers", rows, facts, libraries, results)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    run(options.items, options.rounds)


if __name__ == "__main__":
    main()
