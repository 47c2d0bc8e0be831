"""Stage streamrec-accept: check the embeddings of one model, and write their certificate, accepted or not."""

from pathlib import Path

from convoy.acceptance.certificate import certificate
from convoy.acceptance.checks import judged
from convoy.acceptance.io import examine, write_certificate
from convoy.acceptance.page import page
from convoy.core import artifact
from convoy.core.printable import one_line
from convoy.core.stage import run
from convoy.streamrec.catalogue.source_io import Items
from convoy.streamrec.classification.acceptance_io import gathered

DATA = Path("data/streamrec")
BAG_OF_WORDS = DATA / "embeddings/bow"


def main(model: str) -> None:
    """Write data/streamrec/acceptance/MODEL: certificate.json and certificate.html."""
    case = gathered(
        examine(DATA / "embeddings" / model),
        Items(DATA / "catalogue.parquet", {}),
        artifact.read(DATA / "models" / model),
        bag_of_words=BAG_OF_WORDS if BAG_OF_WORDS.is_dir() else None,
        metrics=DATA / "recommender.json",
    )
    results = judged(case)
    found = certificate(case, results)
    write_certificate(DATA / "acceptance" / model, found, page(case, results, found))
    print("\n".join(map(one_line, found["words"])))


if __name__ == "__main__":
    run(main)
