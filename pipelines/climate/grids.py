"""Make or read coarse and fine grids and bring them to one convention."""

from pathlib import Path

from convoy import params
from convoy.climate.grids.pairs import home
from convoy.climate.grids.source import SYNTHETIC, GridsParams, made, summary
from convoy.stage import run
from convoy.storage import grids
from convoy.storage.netcdf import Reader

GRIDS = Path("data/climate/grids")


def main() -> None:
    """Write the folder data/climate/grids: all domains, the splits and the facts."""
    section = params.load("climate.grids", GridsParams)
    if section.source == SYNTHETIC:
        domains, facts = made(section)
        grids.write(GRIDS, domains, facts)
    else:
        with Reader() as reader:
            files = {path: reader.facts(path) for path in section.paths()}
            domain, facts = home(section, files, reader.days)
        grids.write(GRIDS, [domain], facts)
    print(summary(facts))
    for path in section.unwatched():
        print(f"note: DVC does not watch {path}; name its folder in climate.grids.folder")


if __name__ == "__main__":
    run(main)
