"""A small sound catalogue, as rows of a source file and as the cleaned table."""

import numpy as np
import pyarrow as pa

from convoy.streamrec.catalogue.cleaning import texts_and_hashes

LABELS = ("Drama", "Crime Shows", "Comedy", "Anime & Fantasy", "Horror", "Sci-Fi")
FACTS = {"source": "rows.csv", "source_sha256": None, "max_characters": 20_000}


def rows(count: int = 300) -> list[dict[str, str | None]]:
    """Items with titles of 1 to 4 words and synopses of 15 to 40, none of them a label."""
    rng = np.random.default_rng(7)
    syllables = ["ba", "ke", "li", "mo", "nu", "ra", "si", "to", "ve", "zu"]
    words = ["".join(rng.choice(syllables, 3)) for _ in range(400)]
    return [
        {
            "item_id": f"s{number}",
            "title": " ".join(rng.choice(words, rng.integers(1, 5))).capitalize(),
            "synopsis": " ".join(rng.choice(words, rng.integers(15, 41))) + ".",
            "category": LABELS[number % len(LABELS)],
        }
        for number in range(1, count + 1)
    ]


def table(items: list[dict[str, str | None]]) -> pa.Table:
    """The rows as `storage.catalogues.read` gives them, nulls kept."""
    columns = {
        name: pa.array([item[name] for item in items], pa.string())
        for name in ("item_id", "title", "synopsis", "category")
    }
    hashes = texts_and_hashes(columns["title"].fill_null(""), columns["synopsis"].fill_null(""))[1]
    return pa.table({**columns, "text_sha256": pa.array(hashes, pa.string())})
