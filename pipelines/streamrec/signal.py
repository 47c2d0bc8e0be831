"""Stage streamrec-signal: where order pays, where memorised pairs do as well, where it does not matter."""

from pathlib import Path

from convoy import params
from convoy.report import signal as report
from convoy.report.style import LIGHT
from convoy.stage import run
from convoy.storage import plots
from convoy.streamrec import signal

FOLDER = Path("data/streamrec/signal")


def main() -> None:
    """Write signal.csv and signal.png: ceilings and accuracies over a sweep of synthetic catalogues."""
    section = params.load("streamrec.signal", signal.SignalParams)
    fitters = signal.fitters(section)
    rows = []
    for number, cell in enumerate(signal.sweep(section, fitters), start=1):
        rows.append(cell.row())
        print(f"{number} of {section.cells}: {cell.summary()}", flush=True)
    csv = plots.csv_text(list(rows[0]), [list(row.values()) for row in rows])
    plots.write(FOLDER, {"signal.csv": csv, "signal.png": report.sweep(rows, list(fitters), LIGHT)})


if __name__ == "__main__":
    run(main)
