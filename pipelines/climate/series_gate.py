"""Stage climate-series-gate: validate the site-years before anything is learnt from them."""

from pathlib import Path

from convoy.climate.series.data.io import read
from convoy.climate.series.gate import REMEDY, GateParams, judge
from convoy.core.files import atomic_directory, write_json, write_manifest, write_text
from convoy.core.params import load
from convoy.core.stage import run

DATA = Path("data/climate/series")


def main() -> None:
    """Write the Data Docs and the metrics only where the site-years pass."""
    params = load("climate.series.gate", GateParams)
    verdict, page = judge(read(DATA / "site_years"), params)
    print(verdict.summary(), flush=True)
    verdict.require_success(DATA / "site_years", REMEDY)
    with atomic_directory(DATA / "gate") as folder:
        write_text(folder / "index.html", page)
        write_manifest(folder)
    write_json(DATA / "gate.json", verdict.metrics())


if __name__ == "__main__":
    run(main)
