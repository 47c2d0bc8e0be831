"""Make or read the catalogue, clean it, and count what was repaired."""

from pathlib import Path

from convoy.core import files, params
from convoy.core.stage import run
from convoy.streamrec.catalogue.build import SYNTHETIC, CatalogueParams, build, summary
from convoy.streamrec.catalogue.io import read_source, write, write_truth
from convoy.streamrec.synthetic.items import generate

DATA = Path("data/streamrec")


def main() -> None:
    """Write catalogue.parquet, truth.parquet and catalogue_report.json to data/streamrec."""
    section = params.load("streamrec.catalogue", CatalogueParams)
    if section.source == SYNTHETIC:
        made = generate(section.synthetic)
        raw, truth, source_sha256 = made.catalogue, made.truth, None
    else:
        source = Path(section.source)
        raw, truth = read_source(source, section.column_names(), need_category=True), None
        source_sha256 = files.sha256(source)
    table, report = build(raw, section)
    facts = {
        "source": report["source"],
        "source_sha256": source_sha256,
        "max_characters": section.max_characters,
    }
    write(DATA / "catalogue.parquet", table, facts)
    write_truth(DATA / "truth.parquet", truth)
    files.write_json(DATA / "catalogue_report.json", report)
    print(summary(report))


if __name__ == "__main__":
    run(main)
