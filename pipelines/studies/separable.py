"""Stage study-separable: plain and depthwise separable convolutions."""

from pathlib import Path

from convoy.core import params
from convoy.core.plots_io import write_plots
from convoy.core.stage import run
from convoy.studies.separable import KINDS, SeparableParams, train_one
from convoy.studies.tables import separable_files


def main() -> None:
    """Write separable.csv and separable.png: parameters, operations and accuracies."""
    section = params.load("separable", SeparableParams, Path("pipelines/studies/params.yaml"))
    networks = [train_one(kind, width, section) for width in section.widths for kind in KINDS]
    write_plots(Path("data/studies/separable"), separable_files(networks))


if __name__ == "__main__":
    run(main)
