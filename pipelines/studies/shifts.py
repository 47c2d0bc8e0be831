"""Stage study-shifts: equivariance to shifts of the image, measured."""

from pathlib import Path

from convoy.core import params
from convoy.core.plots_io import write_plots
from convoy.core.stage import run
from convoy.studies.shifts import ShiftParams, measure
from convoy.studies.tables import shift_files


def main() -> None:
    """Write shifts.csv and shifts.png: differences by padding and stride."""
    section = params.load("shifts", ShiftParams, Path("pipelines/studies/params.yaml"))
    write_plots(Path("data/studies/shifts"), shift_files(measure(section)))


if __name__ == "__main__":
    run(main)
