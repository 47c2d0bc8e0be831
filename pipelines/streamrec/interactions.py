"""Stage streamrec-interactions: draw or read interactions, clean them, split them by time."""

from pathlib import Path

from convoy.core.files import write_json
from convoy.core.params import load
from convoy.core.stage import run
from convoy.streamrec.catalogue.io import read, read_truth
from convoy.streamrec.recommender.data.io import write
from convoy.streamrec.recommender.params import SYNTHETIC, InteractionsParams
from convoy.streamrec.recommender.sources.build import drawn, read_real, report, summary
from convoy.streamrec.recommender.sources.io import read_events, read_id_map

DATA = Path("data/streamrec")


def main() -> None:
    """Write data/streamrec/interactions and interactions_report.json."""
    params = load("streamrec.recommender.interactions", InteractionsParams)
    if params.source == SYNTHETIC:
        made = drawn(read_truth(DATA / "truth.parquet"), params)
    else:
        items = read(DATA / "catalogue.parquet")[0]["item_id"].combine_chunks()
        raw = read_events(Path(params.source), params.columns.model_dump(exclude_none=True))
        made = read_real(raw, items, read_id_map(params.id_map), params)
    found = report(made)
    write(DATA / "interactions", made)
    write_json(DATA / "interactions_report.json", found)
    # Only networks fill it, but the recommender depends on it. In git it would be a change in every clone
    # without data.
    (DATA / "embeddings").mkdir(exist_ok=True)
    print(summary(found))


if __name__ == "__main__":
    run(main)
