"""Turn the catalogue into token ids and split it by text hash."""

from pathlib import Path

from convoy import params
from convoy.stage import run
from convoy.storage import catalogues
from convoy.storage.corpus import write
from convoy.streamrec.corpus import CorpusParams, build, summary

DATA = Path("data/streamrec")


def main() -> None:
    """Write data/streamrec/corpus: tokens, labels, the split, and the tokenizer of the training split."""
    section = params.load("streamrec.corpus", CorpusParams)
    table, facts = catalogues.read(DATA / "catalogue.parquet")
    corpus = build(table, facts, section)
    write(DATA / "corpus", corpus)
    print(summary(corpus))


if __name__ == "__main__":
    run(main)
