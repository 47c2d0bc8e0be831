"""Stage study-depth: plain and residual networks of two depths."""

from pathlib import Path

from convoy.core import params
from convoy.core.plots_io import write_plots
from convoy.core.stage import run
from convoy.studies.depth import NETWORKS, DepthParams, train_one
from convoy.studies.tables import depth_files


def main() -> None:
    """Write depth.csv, gradients.csv and depth.png: training losses, and gradient norms by layer."""
    section = params.load("depth", DepthParams, Path("pipelines/studies/params.yaml"))
    networks = [train_one(name, depth, section) for name in NETWORKS for depth in section.depths]
    write_plots(Path("data/studies/depth"), depth_files(networks))


if __name__ == "__main__":
    run(main)
