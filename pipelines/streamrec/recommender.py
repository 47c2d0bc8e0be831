"""Stage streamrec-recommender: click model and retrieval with each representation of the items."""

from pathlib import Path

from convoy.core.files import read_json, write_json, write_text
from convoy.core.params import load, load_names
from convoy.core.stage import run
from convoy.core.statistics import rounded
from convoy.embeddings import io as embeddings
from convoy.report.io import write_plots
from convoy.report.themes import LIGHT
from convoy.streamrec.catalogue.io import read as read_catalogue
from convoy.streamrec.catalogue.io import read_truth
from convoy.streamrec.recommender.comparison import details, headline_metrics
from convoy.streamrec.recommender.data import read
from convoy.streamrec.recommender.findings import findings
from convoy.streamrec.recommender.impressions import code
from convoy.streamrec.recommender.ladder import climb, loss_of_a_consumer
from convoy.streamrec.recommender.models.specs import MODELS, usable
from convoy.streamrec.recommender.params import ClickParams, EvaluateParams
from convoy.streamrec.recommender.report import ladder_picture, page
from convoy.streamrec.recommender.representations import sources_of

DATA = Path("data/streamrec")
SECTION, MODEL = "streamrec.recommender", "textcnn"


def main() -> None:
    """Write metrics, details, the picture of the ladder and the page."""
    params = load(f"{SECTION}.clicks", ClickParams)
    evaluation = load(f"{SECTION}.evaluate", EvaluateParams)
    catalogue, _ = read_catalogue(DATA / "catalogue.parquet")
    truth = read_truth(DATA / "truth.parquet")
    catalogue = catalogue.sort_by("item_id").combine_chunks()
    coded = code(read(DATA / "interactions"), catalogue["item_id"].combine_chunks())
    made = {
        path.parent.name: embeddings.read(path.parent)
        for path in sorted(DATA.glob(f"embeddings/*/{embeddings.MANIFEST}"))
    }
    names = usable(load_names(f"{SECTION}.representations"), made, synthetic=len(truth) > 0)
    sources = sources_of(catalogue, truth, made, coded.warm)
    rungs = {}
    for name in names:
        of_row = load(f"{SECTION}.models.{name}", MODELS[name].params)
        rungs[name] = climb(name, sources, of_row, coded, params)
    metrics = rounded(headline_metrics(rungs, evaluation), 6)
    found = rounded(details(rungs, coded, evaluation), 6)
    consumer = None
    if MODEL in rungs:
        new = embeddings.read(DATA / "retrained" / "embeddings")
        consumer = rounded(loss_of_a_consumer(MODEL, rungs[MODEL], new, sources, coded, evaluation), 6)
    words = findings(metrics, found, consumer)
    write_json(DATA / "metrics" / "recommender.json", metrics)
    html = page(
        metrics, found, consumer, words, read_json(DATA / "interactions_report.json"), len(params.seeds)
    )
    write_text(DATA / "recommender.html", html)
    write_plots(DATA / "plots" / "recommender", {"ladder.png": ladder_picture(metrics, found, LIGHT)})
    write_json(DATA / "recommender.json", {**found, "consumer": consumer, "words": words})
    print("\n".join(words))


if __name__ == "__main__":
    run(main)
