"""Validate the corpus: shapes, ranges, splits, and no text in two splits."""

from pathlib import Path

from convoy.core.files import write_json
from convoy.core.stage import run
from convoy.streamrec.classification.corpus.data import read
from convoy.streamrec.classification.gate import judge

DATA = Path("data/streamrec")


def main() -> None:
    """Validate data/streamrec/corpus; write corpus_gate.json only where it passes."""
    folder = DATA / "corpus"
    verdict = judge(read(folder))
    print(verdict.summary(), flush=True)
    verdict.require_success(folder, "make it again with `dvc repro -f streamrec-corpus`")
    write_json(DATA / "corpus_gate.json", verdict.metrics())


if __name__ == "__main__":
    run(main)
