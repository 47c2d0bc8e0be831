"""Stage streamrec-recommender: click model and retrieval with each representation of the items."""

from pathlib import Path

from convoy.core.files import write_json
from convoy.core.params import load, load_names
from convoy.core.stage import run
from convoy.core.statistics import rounded
from convoy.embeddings import io as embeddings
from convoy.streamrec.catalogue.io import read as read_catalogue
from convoy.streamrec.catalogue.io import read_truth
from convoy.streamrec.recommender.data import read
from convoy.streamrec.recommender.impressions import code
from convoy.streamrec.recommender.ladder import click_metrics, climb
from convoy.streamrec.recommender.models.specs import MODELS, usable
from convoy.streamrec.recommender.params import ClickParams, EvaluateParams
from convoy.streamrec.recommender.representations import sources_of

DATA = Path("data/streamrec")
SECTION = "streamrec.recommender"


def main() -> None:
    """Write data/streamrec/metrics/recommender.json."""
    params = load(f"{SECTION}.clicks", ClickParams)
    evaluation = load(f"{SECTION}.evaluate", EvaluateParams)
    catalogue, _ = read_catalogue(DATA / "catalogue.parquet")
    truth = read_truth(DATA / "truth.parquet")
    catalogue = catalogue.sort_by("item_id").combine_chunks()
    coded = code(read(DATA / "interactions"), catalogue["item_id"].combine_chunks())
    folders = {path.name: path for path in sorted((DATA / "embeddings").iterdir()) if path.is_dir()}
    names = usable(load_names(f"{SECTION}.representations"), folders, synthetic=len(truth) > 0)
    sources = sources_of(
        catalogue, truth, {name: embeddings.read(path) for name, path in folders.items()}, coded.warm
    )
    clicks = {}
    for name in names:
        if MODELS[name].clicks:
            rung = climb(name, sources, load(f"{SECTION}.models.{name}", MODELS[name].params), coded, params)
            clicks[name] = click_metrics(rung.scored, evaluation)
            print(f"{name}: AUC {clicks[name]['auc']:.4f}", flush=True)
    metrics = {"clicks": clicks}
    write_json(DATA / "metrics" / "recommender.json", rounded(metrics, 6))


if __name__ == "__main__":
    run(main)
