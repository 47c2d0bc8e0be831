"""Stage streamrec-sweep: accuracies on synthetic catalogues that differ in what word order is worth."""

from pathlib import Path

from convoy.core import params
from convoy.core.plots_io import csv_text, write_plots
from convoy.core.stage import run
from convoy.report.sweep import Series, sweep_picture
from convoy.report.themes import LIGHT
from convoy.streamrec.classification import sweep
from convoy.streamrec.classification.models.specs import MODELS

FOLDER = Path("data/streamrec/sweep")


def main() -> None:
    """Write sweep.csv and sweep.png: Bayes accuracies and accuracies over a sweep of synthetic catalogues."""
    section = params.load("streamrec.sweep", sweep.SweepParams)
    fitters = sweep.fitters(section)
    rows = []
    for number, cell in enumerate(sweep.sweep(section, fitters), start=1):
        rows.append(cell.row())
        print(f"{number} of {section.cells}: {cell.summary()}", flush=True)
    csv = csv_text(list(rows[0]), [list(row.values()) for row in rows])
    series = [Series(name, MODELS[name].label, MODELS[name].colour) for name in fitters]
    write_plots(FOLDER, {"sweep.csv": csv, "sweep.png": sweep_picture(rows, series, LIGHT)})


if __name__ == "__main__":
    run(main)
