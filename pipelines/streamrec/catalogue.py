"""Make or read the catalogue, clean it, and count what was repaired."""

import sys
from pathlib import Path

from convoy.core import files, params
from convoy.core.printable import one_line
from convoy.core.stage import run
from convoy.streamrec.catalogue.build import build, facts, summary
from convoy.streamrec.catalogue.io import write, write_truth
from convoy.streamrec.catalogue.params import SYNTHETIC, CatalogueParams
from convoy.streamrec.catalogue.source_io import notes, read_source
from convoy.streamrec.catalogue.synthetic.items import generate

DATA = Path("data/streamrec")


def main() -> None:
    """Write catalogue.parquet, truth.parquet and catalogue_report.json to data/streamrec."""
    section = params.load("streamrec.catalogue", CatalogueParams)
    if section.source == SYNTHETIC:
        made = generate(section.synthetic)
        raw, truth, source_sha256 = made.catalogue, made.truth, None
    else:
        source = Path(section.source)
        columns, dialect = section.column_names(), section.dialect()
        raw, truth = read_source(source, columns, need_category=True, dialect=dialect), None
        for note in notes(source, columns, dialect):
            print(f"convoy: {one_line(note)}", file=sys.stderr)
        source_sha256 = files.sha256(source)
    table, report = build(raw, section)
    write(DATA / "catalogue.parquet", table, facts(report, section, source_sha256))
    write_truth(DATA / "truth.parquet", truth)
    files.write_json(DATA / "catalogue_report.json", report)
    print(summary(report))


if __name__ == "__main__":
    run(main)
