"""Turn the catalogue into token ids and split it by text hash."""

from pathlib import Path

from convoy.core import params
from convoy.core.stage import run
from convoy.streamrec.catalogue.io import read
from convoy.streamrec.classification.corpus.build import CorpusParams, build_corpus, summary
from convoy.streamrec.classification.corpus.data import write

DATA = Path("data/streamrec")


def main() -> None:
    """Write data/streamrec/corpus: tokens, labels, the split, and the tokenizer of the training split."""
    section = params.load("streamrec.corpus", CorpusParams)
    table, facts = read(DATA / "catalogue.parquet")
    corpus = build_corpus(table, facts, section)
    write(DATA / "corpus", corpus)
    print(summary(corpus))


if __name__ == "__main__":
    run(main)
