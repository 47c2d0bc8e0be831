"""Stage streamrec-sweep: where order pays, where memorised pairs do as well, where it does not matter."""

from pathlib import Path

from convoy.core import params
from convoy.core.stage import run
from convoy.report import io as plots
from convoy.report import sweep as report
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
    csv = plots.csv_text(list(rows[0]), [list(row.values()) for row in rows])
    drawn = [report.Series(name, MODELS[name].label, MODELS[name].colour) for name in fitters]
    plots.write(FOLDER, {"sweep.csv": csv, "sweep.png": report.sweep(rows, drawn, LIGHT)})


if __name__ == "__main__":
    run(main)
