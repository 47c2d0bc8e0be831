"""The certificate of one version as plain values, and its sentences."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from convoy.acceptance.case import Case, Result, Version
from convoy.core.printable import cut
from convoy.core.statistics import rounded
from convoy.embeddings.similarity import nearest

SCHEMA = 1
EXAMPLES, LISTED = 8, 5
_FACTS = (
    "model", "items", "dimension", "normalise", "pooling", "weights_sha256", "tokenizer_sha256",
    "catalogue_sha256",
)  # fmt: skip
_TEXT = 120  # characters of a title or a category in a certificate


def is_accepted(results: Sequence[Result]) -> bool:
    """Whether no check failed; one that could not be run counts as failed."""
    return all(result.state in ("passed", "not applicable") for result in results)


def certificate(case: Case, results: Sequence[Result]) -> dict[str, Any]:
    """Verdict, sentences, every check with its figures, and examples of neighbours, as JSON values.

    A function of the folders and files compared, not of their places.
    """
    accepted = case.accepted
    return {
        "schema": SCHEMA,
        "accepted": is_accepted(results),
        "words": words(case, results),
        "embeddings": _named(case.version),
        "compared_with": None if accepted is None else _named(accepted),
        "checks": {
            result.check.name: {
                "state": result.state,
                "found": result.words,
                **({"figures": rounded(dict(result.figures), 6)} if result.figures else {}),
            }
            for result in results
        },
        "neighbours": examples(case, results),
        "clicks": case.clicks,
    }


def _named(version: Version) -> dict[str, Any]:
    facts = {key: version.manifest[key] for key in _FACTS if key in version.manifest}
    return {**facts, "manifest_sha256": version.sha256}


def words(case: Case, results: Sequence[Result]) -> list[str]:
    """The verdict first, then what it rests on, one sentence a line."""
    by_state = {
        state: [result for result in results if result.state == state]
        for state in ("passed", "failed", "not run", "not applicable")
    }
    model = cut(str(case.version.manifest.get("model", "?")), _TEXT)
    passed, failed, unknown = (len(by_state[state]) for state in ("passed", "failed", "not run"))
    if is_accepted(results):
        found = [f"Accepted: the {model} embeddings pass all {passed} checks that apply."]
    else:
        what = f"{failed} of {passed + failed + unknown} checks that apply failed"
        found = [f"Not accepted: for the {model} embeddings {what}."]
        found += [_sentence(f"{result.check.name}: {result.words}") for result in by_state["failed"]]
    if unknown:
        found.append(f"Not run: {', '.join(result.check.name for result in by_state['not run'])}.")
    shown = ("categories", "bag_of_words", "overlap", "clicks")
    found += [
        _sentence(f"{result.words[:1].upper()}{result.words[1:]}")
        for result in by_state["passed"]
        if result.check.name in shown
    ]
    if by_state["not applicable"]:
        names = ", ".join(result.check.name for result in by_state["not applicable"])
        found.append(f"Not applicable: {names}.")
    return found


def _sentence(text: str) -> str:
    return text if text.endswith("…") else f"{text}."


def examples(case: Case, results: Sequence[Result]) -> list[dict[str, Any]]:
    """Some items of the sample with their nearest neighbours: id, title, category and cosine of each."""
    if not usable(results):
        return []
    rows = case.sample[np.linspace(0, len(case.sample) - 1, EXAMPLES, dtype=np.int64)]
    vectors = case.items.vectors
    found = nearest(vectors, vectors[rows], LISTED, own=rows)
    return [
        {
            **described(case, row),
            "nearest": [
                {**described(case, other), "cosine": round(float(cosine), 4)}
                for other, cosine in zip(others, cosines, strict=True)
            ],
        }
        for row, others, cosines in zip(rows, found.rows, found.cosines, strict=True)
    ]


def usable(results: Sequence[Result]) -> bool:
    """Whether neighbours can be computed: the vectors were read and are finite, their ids are sound."""
    states = {result.check.name: result.state for result in results}
    return all(states[name] == "passed" for name in ("parts", "ids", "finite", "overflow", "zeros"))


def described(case: Case, row: int) -> dict[str, str]:
    """Id, title and category of a row, as far as the catalogue has them."""
    item_id = str(case.items.ids[row])
    found = {"item_id": item_id}
    catalogue = case.catalogue
    if catalogue is None:
        return found
    place = min(int(np.searchsorted(catalogue.ids, item_id)), len(catalogue.ids) - 1)
    if catalogue.ids[place] != item_id:
        return found
    for key, column in (("title", catalogue.titles), ("category", catalogue.categories)):
        if column is not None:
            found[key] = cut(str(column[place]), _TEXT)
    return found
