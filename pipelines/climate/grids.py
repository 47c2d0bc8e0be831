"""Make or read coarse and fine grids and bring them to one convention."""

from pathlib import Path

from convoy.climate.data.io import write
from convoy.climate.data.netcdf import Reader
from convoy.climate.downscaling.sources.grids import SYNTHETIC, GridsParams, made, summary
from convoy.climate.downscaling.sources.pairs import home
from convoy.core import params
from convoy.core.stage import run

GRIDS = Path("data/climate/grids")


def main() -> None:
    """Write the folder data/climate/grids: all domains, the splits and the facts."""
    section = params.load("climate.grids", GridsParams)
    if section.source == SYNTHETIC:
        domains, facts = made(section)
        write(GRIDS, domains, facts)
    else:
        with Reader() as reader:
            files = {path: reader.open(path) for path in section.paths()}
            domain, facts = home(section, files)
        write(GRIDS, [domain], facts)
    print(summary(facts))
    for path in section.unwatched():
        print(f"note: DVC does not watch {path}; name its folder in climate.grids.folder")


if __name__ == "__main__":
    run(main)
