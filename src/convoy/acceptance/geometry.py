"""Checks of lengths, dimensions and the space that the vectors fill."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from convoy.acceptance.case import Case, Finding, sampled
from convoy.embeddings.io import OK
from convoy.embeddings.similarity import unit
from convoy.report.numbers import fixed

UNIT = 1e-3  # how far from 1 the length of a normalised vector may be
LENGTHS_APART = 2.0  # times the accepted median length
LONGEST_TO_MEDIAN = 100.0
HIGHEST_COSINE = 0.98
LOWEST_RANK = 3.0  # of vectors with at least twice as many values; sites of five climates have 6.6
RANK_OF_ACCEPTED = 0.5


def normalisation(case: Case) -> Finding:
    """The lengths are as declared, and the declaration is that of the accepted version."""
    declared = case.version.manifest["normalise"]
    lengths = case.norms[case.items.status == OK]
    off = float(np.abs(lengths - 1).max(initial=0.0))
    if declared == "l2" and off > UNIT:
        return Finding(False, f"declared l2, but a length is {off:.3g} from 1")
    if declared == "none" and len(lengths) > 1 and off <= UNIT:
        return Finding(False, "declared none, but every vector has length 1")
    if case.accepted is not None and case.accepted.manifest.get("normalise") != declared:
        return Finding(
            False, f"declared {declared}, the accepted version {case.accepted.manifest.get('normalise')}"
        )
    return Finding(True, f"lengths are as declared ({declared})")


def lengths(case: Case) -> Finding:
    """No vector is far longer than the others; the median length is near that of the accepted version."""
    own = case.norms[case.items.status == OK]
    median, longest = float(np.median(own)), float(own.max())
    figures = {"median": median, "longest": longest, "shortest": float(own.min())}
    if longest > LONGEST_TO_MEDIAN * median:
        return Finding(False, f"a vector is {longest / median:,.0f} times as long as the median", figures)
    if case.accepted is None or case.accepted.items is None:
        return Finding(True, f"median length {median:.4g}, longest {longest:.4g}", figures)
    other = Case(case.accepted)
    accepted = float(np.median(other.norms[other.items.status == OK]))
    figures["median_of_accepted"] = accepted
    passed = 1 / LENGTHS_APART <= median / accepted <= LENGTHS_APART
    return Finding(passed, f"median length {median:.4g}, of the accepted version {accepted:.4g}", figures)


def dimension(case: Case) -> Finding:
    """As many values a vector as the accepted version has."""
    assert case.accepted is not None
    own, other = (version.manifest["dimension"] for version in (case.version, case.accepted))
    if own != other:
        return Finding(False, f"{own} dimensions, the accepted version has {other}")
    return Finding(True, f"{own} dimensions, as the accepted version")


def collapse(case: Case) -> Finding:
    """The vectors fill their space: effective rank (RankMe), mean cosine of two items."""
    figures = dict(spread(case.items.vectors[case.sample]))
    rank, cosine, width = figures["rank"], figures["cosine"], case.items.vectors.shape[1]
    words = f"effective rank {rank:.1f} of {width}, mean cosine of two items {fixed(cosine, 3)}"
    passed = cosine <= HIGHEST_COSINE and rank >= min(LOWEST_RANK, width / 2)
    if case.accepted is not None and case.accepted.items is not None:
        accepted = case.accepted.items
        other = spread(accepted.vectors[sampled(accepted)])["rank"]
        figures["rank_of_accepted"] = other
        words += f"; effective rank of the accepted version {other:.1f}"
        passed &= rank >= RANK_OF_ACCEPTED * other
    return Finding(passed, words, figures)


def spread(vectors: npt.NDArray[np.float32]) -> Mapping[str, float]:
    """Effective rank and mean cosine of two different rows of (n, D).

    The rank is RankMe (Garrido et al. 2023): the exponential of the entropy of the singular values.
    """
    wide = vectors.astype(np.float64)
    singular = np.linalg.svd(wide, compute_uv=False)
    shares = singular[singular > 0] / singular.sum()
    total = unit(vectors).sum(0, dtype=np.float64)
    n = len(vectors)
    cosine = (float(total @ total) - n) / (n * (n - 1)) if n > 1 else 0.0
    return {"rank": float(np.exp(-(shares * np.log(shares)).sum())), "cosine": cosine}
