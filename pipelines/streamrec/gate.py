"""Validate the catalogue before anything is learnt from it."""

from pathlib import Path

from convoy.core.files import atomic_directory, write_json, write_manifest, write_text
from convoy.core.params import load
from convoy.core.stage import run
from convoy.streamrec.catalogue.gate import judge
from convoy.streamrec.catalogue.gate_rules import GateParams
from convoy.streamrec.catalogue.io import read

DATA = Path("data/streamrec")
CATALOGUE = DATA / "catalogue.parquet"


def main() -> None:
    """Validate the catalogue; write the Data Docs and the metrics only where it passes."""
    params = load("streamrec.gate", GateParams)
    table, facts = read(CATALOGUE)
    verdict, page = judge(table, facts, params)
    print(verdict.summary(), flush=True)
    verdict.require_success(CATALOGUE, "correct the source, or the columns that streamrec.catalogue names")
    with atomic_directory(DATA / "gate") as folder:
        write_text(folder / "index.html", page)
        write_manifest(folder)
    write_json(DATA / "gate.json", verdict.metrics())


if __name__ == "__main__":
    run(main)
