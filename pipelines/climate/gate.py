"""Validate the grids before anything is learnt from them."""

from pathlib import Path

from convoy.climate.data.headers import read_headers
from convoy.climate.gate.judgement import GateParams, judge
from convoy.core.files import atomic_directory, write_json, write_manifest, write_text
from convoy.core.params import load
from convoy.core.stage import run

DATA = Path("data/climate")
GRIDS = DATA / "grids"


def main() -> None:
    """Validate the grids; write the Data Docs and the metrics only where they pass."""
    params = load("climate.gate", GateParams)
    facts, domains = read_headers(GRIDS)
    verdict, page = judge(facts, domains, params)
    print(verdict.summary(), flush=True)
    verdict.require_success(GRIDS, "correct the source files, or their description in climate.grids")
    with atomic_directory(DATA / "gate") as folder:
        write_text(folder / "index.html", page)
        write_manifest(folder)
    write_json(DATA / "gate.json", verdict.metrics())


if __name__ == "__main__":
    run(main)
