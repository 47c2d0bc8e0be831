"""Validate the images before anything is learnt from them."""

from pathlib import Path

from convoy.climate.events.data.io import read
from convoy.climate.events.gate import GateParams, judge
from convoy.core.files import atomic_directory, write_json, write_manifest, write_text
from convoy.core.params import load
from convoy.core.stage import run

DATA = Path("data/climate/events")


def main() -> None:
    """Validate the images; write the Data Docs and the metrics only where they pass."""
    params = load("climate.events.gate", GateParams)
    verdict, page = judge(read(DATA / "images"), params)
    print(verdict.summary(), flush=True)
    verdict.require_success(DATA / "images", "correct the source that climate.events.images names")
    with atomic_directory(DATA / "gate") as folder:
        write_text(folder / "index.html", page)
        write_manifest(folder)
    write_json(DATA / "gate.json", verdict.metrics())


if __name__ == "__main__":
    run(main)
