"""Stage study-page: what the studies show, as one page."""

from pathlib import Path

from convoy.core.files import write_text
from convoy.core.plots_io import read_plots
from convoy.core.stage import run
from convoy.report.page import render
from convoy.studies.findings import SECTIONS

FOLDER = Path("data/studies")


def main() -> None:
    """Write studies.html: the findings of each study in words, its picture and its table."""
    sections = []
    for name, section in SECTIONS.items():
        columns = read_plots(FOLDER / name)[f"{name}.csv"]
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        sections.append(section(rows, (FOLDER / name / f"{name}.png").read_bytes()))
    lead = ["Small studies of convolutional networks; their sizes are in pipelines/studies/params.yaml."]
    write_text(FOLDER / "studies.html", render("Studies of convolutional networks", lead, sections))


if __name__ == "__main__":
    run(main)
