"""Stage climate-series: make or read site-years, count what was interpolated and left out."""

from pathlib import Path

import numpy as np

from convoy.climate.series.data.io import write, write_truth
from convoy.climate.series.sources.io import SYNTHETIC, SeriesParams, made, of_stations, summary
from convoy.core.params import load
from convoy.core.stage import run

DATA = Path("data/climate/series")


def main() -> None:
    """Write the site-years, and the exact probability of each regime where they are synthetic."""
    params = load("climate.series.data", SeriesParams)
    if params.source == SYNTHETIC:
        held, posterior, facts = made(params)
        ids = held.item_ids
    else:
        held, facts = of_stations(params)
        ids, posterior = [], np.empty((0, len(held.categories)))
    write(DATA / "site_years", held, facts)
    write_truth(DATA / "truth.parquet", ids, held.categories, posterior)
    print(summary(held, facts))
    for path in params.unwatched():
        print(f"note: DVC does not watch {path}; name its folder in climate.series.data.folder")


if __name__ == "__main__":
    run(main)
