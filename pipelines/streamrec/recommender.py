"""Stage streamrec-recommender: click model and retrieval with each representation of the items."""

from pathlib import Path

from convoy.classifiers.evaluation.io import PREDICTIONS, read_predictions
from convoy.core.files import read_json, write_json, write_text
from convoy.core.params import load, load_names
from convoy.core.plots_io import write_plots
from convoy.core.stage import run
from convoy.core.statistics import rounded
from convoy.embeddings import io as embeddings
from convoy.streamrec.catalogue import io as catalogues
from convoy.streamrec.recommender import comparison, findings, impressions, ladder, report
from convoy.streamrec.recommender.data import io as data
from convoy.streamrec.recommender.ladder_io import write_ladder
from convoy.streamrec.recommender.models.specs import MODELS, usable
from convoy.streamrec.recommender.params import ClickParams, EvaluateParams
from convoy.streamrec.recommender.representations import sources_of
from convoy.streamrec.recommender.retrained_io import read_retrained

DATA = Path("data/streamrec")
SECTION, MODEL = "streamrec.recommender", "textcnn"


def main() -> None:
    """Write metrics, details, the picture of the ladder and the page."""
    params = load(f"{SECTION}.clicks", ClickParams)
    evaluation = load(f"{SECTION}.evaluate", EvaluateParams)
    items = catalogues.read(DATA / "catalogue.parquet")[0].sort_by("item_id").combine_chunks()
    truth = catalogues.read_truth(DATA / "truth.parquet")
    coded = impressions.code(data.read(DATA / "interactions"), items["item_id"].combine_chunks())
    folders = [path.parent for path in sorted(DATA.glob(f"embeddings/*/{embeddings.MANIFEST}"))]
    made = {folder.name: embeddings.read(folder) for folder in folders}
    sources = sources_of(items, truth, made, coded.warm)
    rungs = {}
    names = load_names(f"{SECTION}.representations") if len(coded.item) else ()
    for name in usable(names, made, synthetic=len(truth) > 0):
        of_row = load(f"{SECTION}.models.{name}", MODELS[name].params)
        rungs[name] = ladder.climb(name, sources, of_row, coded, params)
    details = rounded(comparison.details(rungs, coded, evaluation), 6)
    consumer = None
    if MODEL in rungs and (again := read_retrained(DATA / "retrained")):
        before = read_predictions(DATA / "evaluation/networks" / MODEL / PREDICTIONS)
        losses = ladder.losses_of_a_consumer(MODEL, rungs[MODEL], again, before, sources, coded, evaluation)
        consumer = rounded(losses, 6)
    words = findings.findings(details, consumer)
    source = read_json(DATA / "interactions_report.json")
    write_json(DATA / "metrics" / "recommender.json", comparison.headline(details))
    write_json(DATA / "recommender.json", {**details, "consumer": consumer, "words": words})
    write_text(DATA / "recommender.html", report.page(details, consumer, words, source, len(params.seeds)))
    write_ladder(DATA / "ladder", rungs, details, params)
    write_plots(DATA / "plots" / "recommender", report.pictures(details))
    print("\n".join(words))


if __name__ == "__main__":
    run(main)
