"""Stage study-sizes: parameters, operations and receptive fields of all image networks."""

from pathlib import Path

from convoy.core.plots_io import write_plots
from convoy.core.stage import run
from convoy.studies.sizes import sizes
from convoy.studies.tables import size_files


def main() -> None:
    """Write sizes.csv and sizes.png."""
    write_plots(Path("data/studies/sizes"), size_files(list(sizes())))


if __name__ == "__main__":
    run(main)
