"""Stage streamrec-interactions: draw or read interactions, clean them, split them by time."""

from pathlib import Path

from convoy.core.files import write_json
from convoy.core.params import load
from convoy.core.stage import run
from convoy.streamrec.catalogue.io import read_truth
from convoy.streamrec.recommender.build import drawn, report, summary
from convoy.streamrec.recommender.data import write
from convoy.streamrec.recommender.params import InteractionsParams

DATA = Path("data/streamrec")


def main() -> None:
    """Write data/streamrec/interactions and interactions_report.json."""
    params = load("streamrec.recommender.interactions", InteractionsParams)
    made = drawn(read_truth(DATA / "truth.parquet"), params)
    found = report(made)
    write(DATA / "interactions", made)
    write_json(DATA / "interactions_report.json", found)
    print(summary(found))


if __name__ == "__main__":
    run(main)
