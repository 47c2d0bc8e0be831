"""Folders of plots: small CSV tables, which DVC and the reports draw, and finished pictures."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from convoy.core.errors import ConvoyError
from convoy.core.files import atomic_directory, check_manifest, write_manifest

Columns = dict[str, list[str]]


def write_plots(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write the named texts and pictures as one folder, replacing the former one."""
    with atomic_directory(folder) as partial:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            (partial / name).write_bytes(data)
        write_manifest(partial)


def read_plots(folder: Path) -> dict[str, Columns]:
    """The CSV tables of a folder by file name, each as columns of text, after checking its manifest."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ConvoyError("no such folder of plots", path=folder, hint="run `dvc repro` to make it")
    names = check_manifest(folder)["files"]
    return {
        name: columns((folder / name).read_text(encoding="utf-8"), folder / name)
        for name in names
        if name.endswith(".csv")
    }


def read_curve(model_folder: Path) -> str | None:
    """The learning curve in a model folder, as CSV text; None for a baseline."""
    path = Path(model_folder) / "curve.csv"
    return path.read_text(encoding="utf-8") if path.exists() else None


def columns(text: str, where: str | Path) -> Columns:
    """The columns of a CSV table by name, as text; `where` begins the error line.

    Raises ConvoyError for a row that is longer or shorter than the header.
    """
    header, *rows = list(csv.reader(io.StringIO(text, newline=""))) or [[]]
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise ConvoyError(
                path=where, key=f"row {number}", expected=f"{len(header)} cells", found=str(len(row)),
                hint="make it again",
            )  # fmt: skip
    return {name: [_unquoted(row[place]) for row in rows] for place, name in enumerate(header)}


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A CSV table as text: comma, quotes where needed, line feeds.

    A text that spreadsheets run as a formula, such as a category `=cmd()`, gets an apostrophe before it,
    which `columns` removes.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([f"'{cell}" if _is_formula(cell) else cell for cell in row] for row in rows)
    return buffer.getvalue()


def _is_formula(cell: object) -> bool:
    return isinstance(cell, str) and cell.lstrip("'").startswith(("=", "+", "-", "@", "\t", "\r"))


def _unquoted(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _is_formula(cell) else cell
