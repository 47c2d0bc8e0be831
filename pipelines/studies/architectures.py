"""Stage study-architectures: networks from LeNet-5 to EfficientNet on one task."""

from pathlib import Path

from convoy.core import params
from convoy.core.plots_io import write_plots
from convoy.core.stage import run
from convoy.studies.architectures import ArchitectureParams, train_one
from convoy.studies.tables import architecture_files


def main() -> None:
    """Write architectures.csv and architectures.png: parameters, operations and accuracies."""
    section = params.load("architectures", ArchitectureParams, Path("pipelines/studies/params.yaml"))
    networks = [train_one(name, section) for name in section.networks]
    write_plots(Path("data/studies/architectures"), architecture_files(networks))


if __name__ == "__main__":
    run(main)
