"""Figures of the models of another checkout than the current folder."""

from dataclasses import replace
from pathlib import Path

from convoy.core.figures_io import FigureFiles


def rooted(files: FigureFiles, root: Path) -> FigureFiles:
    """The same files below `root`."""
    assert files.folder is not None
    return replace(files, metrics=f"{root}/{files.metrics}", folder=root / files.folder)
