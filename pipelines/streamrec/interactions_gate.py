"""Stage streamrec-interactions-gate: validate the interactions, and stop where they fail."""

from pathlib import Path

from convoy.core.files import atomic_directory, write_json, write_manifest, write_text
from convoy.core.params import load
from convoy.core.stage import run
from convoy.streamrec.catalogue.io import read as read_catalogue
from convoy.streamrec.recommender.data.io import read
from convoy.streamrec.recommender.gate import GateParams, judge

DATA = Path("data/streamrec")
SECTION = "streamrec.recommender"


def main() -> None:
    """Validate the interactions; write the Data Docs and the metrics only where they pass."""
    params = load(f"{SECTION}.gate", GateParams)
    item_ids = read_catalogue(DATA / "catalogue.parquet")[0]["item_id"].combine_chunks()
    verdict, page = judge(read(DATA / "interactions"), item_ids, params)
    print(verdict.summary(), flush=True)
    verdict.require_success(DATA / "interactions", f"correct the source that {SECTION}.interactions names")
    with atomic_directory(DATA / "interactions_gate") as folder:
        write_text(folder / "index.html", page)
        write_manifest(folder)
    write_json(DATA / "interactions_gate.json", verdict.metrics())


if __name__ == "__main__":
    run(main)
