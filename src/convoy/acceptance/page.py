"""The certificate as one HTML page: words, checks, map, histograms, neighbours, clicks."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from convoy.acceptance.case import SEED, Case, Result
from convoy.acceptance.certificate import described, usable
from convoy.acceptance.projection import FEWEST, POINTS, plane
from convoy.embeddings.io import OK
from convoy.embeddings.similarity import unit
from convoy.report.clouds import Histogram, cloud, histograms
from convoy.report.numbers import fixed
from convoy.report.page import Section, Table, picture, render

_STATES = {
    "passed": "✓ passed",
    "failed": "✗ failed",
    "not run": "– not run",
    "not applicable": "– not applicable",
}


def page(case: Case, results: Sequence[Result], certificate: Mapping[str, Any]) -> str:
    """HTML of the certificate; `certificate`: its values."""
    sections = [_checks(results)]
    if usable(results) and len(case.sample) >= FEWEST:
        sections += [_map(case), _histograms(case)]
    if certificate["neighbours"]:
        sections.append(_neighbours(certificate["neighbours"]))
    if certificate["clicks"] is not None:
        sections.append(_clicks(certificate["clicks"]))
    sections.append(_about(certificate))
    title = "Accepted" if certificate["accepted"] else "Not accepted"
    model = certificate["embeddings"].get("model", "")
    return render(f"{title}: embeddings of {model}", certificate["words"], sections)


def _checks(results: Sequence[Result]) -> Section:
    rows = [[result.check.name, result.check.what, _STATES[result.state], result.words] for result in results]
    header = ["Check", "What it checks", "Result", "Found"]
    return Section("Checks", tables=[Table(header, rows, words=4)])


def _map(case: Case) -> Section:
    rows = case.sample
    if len(rows) > POINTS:
        rows = np.sort(np.random.default_rng(SEED).choice(rows, POINTS, replace=False))
    names = [described(case, row).get("category", "") for row in rows]
    drawn = partial(cloud, plane(case.items.vectors[rows]), names)
    caption = f"{len(rows):,} random items on a plane by t-SNE: near points have similar vectors"
    colours = "; colours are categories" if any(names) else ""
    return Section("Map", [f"{caption}{colours}. Distances between far points mean nothing."],
                   [picture(drawn, alt=caption)])  # fmt: skip


def _histograms(case: Case) -> Section:
    lengths = case.norms[case.items.status == OK]
    own = unit(case.items.vectors[case.sample])
    order = np.random.default_rng(SEED).permutation(len(own))
    pairs = (own * own[np.roll(order, 1)][np.argsort(order)]).sum(1, dtype=np.float64)
    panels = [
        Histogram("Lengths of vectors", "length", [("items", lengths)]),
        Histogram(
            "Cosines", "cosine", [("random pairs", pairs), ("nearest neighbour", case.nearest.cosines[:, 0])]
        ),
    ]
    alt = "Histograms of the lengths of vectors, and of cosines of random pairs and of nearest neighbours"
    return Section("Lengths and similarities", pictures=[picture(partial(histograms, panels), alt=alt)])


def _neighbours(found: Sequence[Mapping[str, Any]]) -> Section:
    rows = []
    for item in found:
        rows.append([*_cells(item), ""])
        rows += [["→ " + cells[0], *cells[1:], fixed(other["cosine"], 3)]
                 for other in item["nearest"] for cells in [_cells(other)]]  # fmt: skip
    text = "Random items, and below each (→) its nearest neighbours."
    return Section(
        "Neighbours", [text], tables=[Table(["Item", "Title", "Category", "Cosine"], rows, words=3)]
    )


def _cells(item: Mapping[str, Any]) -> list[str]:
    return [item["item_id"], item.get("title", ""), item.get("category", "")]


def _clicks(clicks: Mapping[str, Mapping[str, float]]) -> Section:
    rows = [
        [
            name,
            *(
                f"{of_name[key]:.4f}" if key in of_name else "–"
                for key in ("auc", "auc_low", "auc_high", "log_loss")
            ),
        ]
        for name, of_name in sorted(clicks.items(), key=lambda item: item[1]["auc"])
    ]
    text = "AUC and log-loss of one click model with each representation of the items."
    return Section(
        "Clicks", [text], tables=[Table(["Representation", "AUC", "from", "to", "Log-loss"], rows)]
    )


def _about(certificate: Mapping[str, Any]) -> Section:
    rows = [[key.replace("_", " "), str(value)] for key, value in certificate["embeddings"].items()]
    other = certificate["compared_with"]
    if other is not None:
        rows += [[f"accepted version: {key.replace('_', ' ')}", str(value)] for key, value in other.items()]
    return Section("What was checked", tables=[Table(["Fact", "Value"], rows, words=2)])
