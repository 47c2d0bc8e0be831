"""Checks of what the vectors mean: categories among neighbours, the model, the accepted version, clicks."""

import numpy as np
import numpy.typing as npt

from convoy.acceptance.case import NEIGHBOURS, SAMPLE, SEED, Case, Finding, category_numbers
from convoy.embeddings.alignment import churn, overlaps
from convoy.embeddings.similarity import nearest

CONFIDENT = 1.96  # standard errors of a 95% interval
LEAKED = 0.05  # by how much purity may exceed that of the same texts embedded again
OVERLAP_OF_SEEDS = 0.5
LOWEST_COSINE = 0.99999  # with the same item embedded again, on any device
LENGTH_APART = 1e-3


def categories(case: Case) -> Finding:
    """Neighbours share the item's category more often than neighbours drawn at random."""
    own = purity(case.categories, case.sample, case.nearest.rows)
    chance = _chance(case.categories, case.sample)
    mean, low, _ = _interval(own - chance)
    figures = {"purity": float(np.nanmean(own)), "shuffled": float(np.nanmean(chance))}
    words = (
        f"{figures['purity']:.1%} of the nearest {NEIGHBOURS} share the category, "
        f"{figures['shuffled']:.1%} at random"
    )
    return Finding(bool(low > 0), words, {**figures, "difference": mean, "difference_low": low})


def bag_of_words(case: Case) -> Finding:
    """Neighbours share the item's category more often than those of bag-of-words vectors."""
    assert case.bag_of_words is not None
    assert case.bag_of_words.items is not None
    assert case.catalogue is not None
    other = case.bag_of_words.items
    own = purity(case.categories, case.sample, case.nearest.rows)
    _, ours, rows = np.intersect1d(case.items.ids[case.sample], other.ids, return_indices=True)
    found = nearest(other.vectors, other.vectors[rows], NEIGHBOURS, own=rows)
    theirs = purity(category_numbers(case.catalogue, other.ids), rows, found.rows)
    mean, low, high = _interval(own[ours] - theirs)
    figures = {"purity": float(np.nanmean(own[ours])), "purity_of_bag_of_words": float(np.nanmean(theirs))}
    words = (
        f"{figures['purity']:.1%} of the nearest {NEIGHBOURS} share the category, of bag-of-words "
        f"{figures['purity_of_bag_of_words']:.1%}"
    )
    return Finding(
        bool(low > 0), words, {**figures, "difference": mean, "difference_low": low, "difference_high": high}
    )


def overlap(case: Case) -> Finding:
    """Neighbours are those of the accepted version more often than at random.

    Where the churn between the model's own training seeds is known, at least half as often as between those.
    """
    assert case.accepted is not None
    assert case.accepted.items is not None
    items, other = case.items, case.accepted.items
    found = overlaps(items.ids, items.vectors, other.ids, other.vectors, NEIGHBOURS, SAMPLE, SEED)
    shared = len(np.intersect1d(items.ids, other.ids))
    chance = min(1.0, NEIGHBOURS / max(1, shared - 1))
    kept, low, _ = _interval(found)
    figures = {"overlap": kept, "overlap_low": low, "churn": 1 - kept, "at_random": chance}
    words = (
        f"{kept:.2%} of the nearest {NEIGHBOURS} are those of the accepted version, {chance:.2%} at random"
    )
    seeds = churn_of_seeds(case)
    if seeds is None:
        return Finding(bool(low > chance), words, figures)
    ids = items.ids[case.sample]
    own = 1 - churn(ids, items.vectors[case.sample], other.ids, other.vectors, NEIGHBOURS)
    figures |= {"churn_in_sample": 1 - own, "churn_of_seeds_in_sample": seeds}
    words += f"; among the sample alone {own:.1%}, and {1 - seeds:.1%} between two seeds of the model"
    return Finding(bool(low > chance and own >= OVERLAP_OF_SEEDS * (1 - seeds)), words, figures)


def churn_of_seeds(case: Case) -> float | None:
    """Mean churn between the model's training seeds, among the items of the sample; None for one seed."""
    if case.again is None or not case.again.of_seeds:
        return None
    ids = case.again.ids
    found = [churn(ids, case.again.vectors, ids, other, NEIGHBOURS) for other in case.again.of_seeds]
    return float(np.mean(found))


def weights(case: Case) -> Finding:
    """The manifest names the weights of the model."""
    assert case.again is not None
    stated = str(case.version.manifest.get("weights_sha256"))
    if stated == case.again.weights_sha256:
        return Finding(True, f"made with the weights {stated[:12]} of the model")
    return Finding(
        False, f"made with the weights {stated[:12]}, the model has {case.again.weights_sha256[:12]}"
    )


def embedded_again(case: Case) -> Finding:
    """Random items embedded again with the model have the vectors of the version."""
    assert case.again is not None
    again, rows = case.again, _rows_again(case)
    if again.vectors.shape[1] != case.items.vectors.shape[1]:
        return Finding(False, f"the model has {again.vectors.shape[1]} dimensions")
    one, other = case.items.vectors[rows].astype(np.float64), again.vectors.astype(np.float64)
    long, wide = np.linalg.norm(one, axis=1), np.linalg.norm(other, axis=1)
    both = (long > 0) & (wide > 0)
    cosines = (one * other).sum(1)[both] / (long * wide)[both]
    lowest = float(cosines.min(initial=1.0))
    same = np.where(both, np.abs(long / np.where(wide > 0, wide, 1) - 1) <= LENGTH_APART, long == wide)
    same[both] &= cosines >= LOWEST_COSINE
    same &= case.items.status[rows] == again.status
    words = f"{int(same.sum()):,} of {len(same):,} random items have the vectors that the model gives"
    return Finding(
        bool(same.all()),
        f"{words}; lowest cosine {lowest:.5f}",
        {"same": int(same.sum()), "of": len(same), "lowest_cosine": lowest},
    )


def leaked_label(case: Case) -> Finding:
    """Vectors hold no more on the category than the same texts embedded again."""
    assert case.again is not None
    rows = _rows_again(case)
    kept = (case.items.status[rows] == 0) & (case.again.status == 0)
    rows, again = rows[kept], case.again.vectors[kept]
    own = case.items.vectors[rows]
    numbers, places = case.categories[rows], np.arange(len(rows))
    one, other = (
        purity(numbers, places, nearest(vectors, vectors, NEIGHBOURS, own=places).rows)
        for vectors in (own, again)
    )
    mean, low, _ = _interval(one - other)
    figures = {"purity": float(np.nanmean(one)), "purity_embedded_again": float(np.nanmean(other))}
    words = (
        f"among {len(rows):,} random items {figures['purity']:.1%} of the nearest share the category, "
        f"{figures['purity_embedded_again']:.1%} of the same texts embedded again"
    )
    return Finding(bool(low <= LEAKED), words, {**figures, "difference": mean, "difference_low": low})


def clicks(case: Case) -> Finding:
    """A click model with these vectors ranks better than one with the category alone."""
    assert case.clicks is not None
    own, other = case.clicks[case.version.manifest["model"]], case.clicks["category"]
    low, auc = own["auc_low"], own["auc"]
    words = (
        f"AUC of clicks {auc:.4f} (95% interval from {low:.4f}), with the category alone {other['auc']:.4f}"
    )
    return Finding(low > other["auc"], words, {"auc": auc, "auc_low": low, "auc_of_category": other["auc"]})


def purity(
    numbers: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], neighbours: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Share of the neighbours of each row that share its category, (S,); NaN for a row without one.

    Neighbours without a category count as others.
    """
    if neighbours.shape[1] == 0:
        return np.full(len(rows), np.nan)
    same = (numbers[neighbours] == numbers[rows][:, None]).mean(1)
    return np.where(numbers[rows] >= 0, same, np.nan)


def _chance(numbers: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Expected purity of each row where the ids are shuffled: the share of its category in the others."""
    counts = np.bincount(numbers[numbers >= 0], minlength=1)
    own = counts[np.maximum(numbers[rows], 0)]
    return np.where(numbers[rows] >= 0, (own - 1) / max(1, len(numbers) - 1), np.nan)


def _interval(differences: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean and 95% interval of the mean, by its standard error; zeros where nothing is known."""
    known = differences[np.isfinite(differences)]
    if len(known) < 2:
        return 0.0, 0.0, 0.0
    mean, error = float(known.mean()), float(known.std(ddof=1) / np.sqrt(len(known)))
    return mean, mean - CONFIDENT * error, mean + CONFIDENT * error


def _rows_again(case: Case) -> npt.NDArray[np.int64]:
    """Rows of the items that were embedded again."""
    assert case.again is not None
    return np.searchsorted(case.items.ids, case.again.ids)
