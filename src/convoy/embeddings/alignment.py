"""How a version of embeddings lies to another one: the rotation between them, and how far neighbours agree.

A retrained network turns its space, so that a consumer trained on one version reads the next one wrongly. The
orthogonal Procrustes rotation (Schönemann 1966) turns it back and changes neither lengths nor dot products.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import orthogonal_procrustes

from convoy.core.errors import ConvoyError
from convoy.embeddings.similarity import nearest, unit

_BLOCK_ROWS = 8_192
Ids = npt.NDArray[np.str_]
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Alignment:
    """A version compared with an accepted one over the `shared` items whose vectors are zeros in neither.

    rotation: orthogonal (D, D) float32; `new @ rotation` is nearest to the accepted vectors in least squares.
    cosine and cosine_unrotated: mean cosine of an item's two vectors after and before the rotation.
    residual: norm of `new @ rotation - accepted` as a share of the norm of the accepted vectors.
    """

    rotation: npt.NDArray[np.float32]
    shared: int
    cosine: float
    cosine_unrotated: float
    residual: float


def shared_rows(
    ids: Ids, vectors: Vectors, accepted_ids: Ids, accepted: Vectors
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows of the items of both versions, in the order of ids, whose vectors are zeros in neither."""
    _, ours, theirs = np.intersect1d(ids, accepted_ids, assume_unique=True, return_indices=True)
    keep = np.empty(len(ours), bool)
    for at in range(0, len(ours), _BLOCK_ROWS):
        block = slice(at, at + _BLOCK_ROWS)
        keep[block] = vectors[ours[block]].any(1) & accepted[theirs[block]].any(1)
    return ours[keep], theirs[keep]


def align(ids: Ids, vectors: Vectors, accepted_ids: Ids, accepted: Vectors) -> Alignment:
    """The rotation of a new version (N, D) onto the accepted one (M, D), over the ids of both.

    Ids are unique within a version and values finite. Raises ConvoyError for versions of other dimensions or
    without a shared item.
    """
    if vectors.shape[1] != accepted.shape[1]:
        raise ConvoyError(
            "versions of other dimensions cannot be rotated onto each other",
            expected=f"{accepted.shape[1]} dimensions", found=str(vectors.shape[1]),
        )  # fmt: skip
    ours, theirs = shared_rows(ids, vectors, accepted_ids, accepted)
    if len(ours) == 0:
        raise ConvoyError("the two versions share no item with a vector")
    dimension = vectors.shape[1]
    products = np.zeros((dimension, dimension))
    squares = theirs_squares = 0.0
    blocks = [slice(at, at + _BLOCK_ROWS) for at in range(0, len(ours), _BLOCK_ROWS)]
    for block in blocks:
        new, old = vectors[ours[block]].astype(np.float64), accepted[theirs[block]].astype(np.float64)
        products += old.T @ new
        squares += float(np.square(new).sum())
        theirs_squares += float(np.square(old).sum())
    # The solution depends on the D x D products alone, so the versions need not be in memory at once.
    rotation, overlap = orthogonal_procrustes(products, np.eye(dimension))
    rotation = rotation.astype(np.float32)
    before = after = 0.0
    for block in blocks:
        one, other = unit(vectors[ours[block]]), unit(accepted[theirs[block]])
        before += float((one * other).sum(dtype=np.float64))
        after += float(((one @ rotation) * other).sum(dtype=np.float64))
    return Alignment(
        rotation=rotation,
        shared=len(ours),
        cosine=after / len(ours),
        cosine_unrotated=before / len(ours),
        residual=float(np.sqrt(max(squares + theirs_squares - 2 * overlap, 0.0) / theirs_squares)),
    )


def overlaps(
    ids: Ids,
    vectors: Vectors,
    accepted_ids: Ids,
    accepted: Vectors,
    k: int = 10,
    items: int = 1_000,
    seed: int = 0,
) -> npt.NDArray[np.float64]:
    """Share of an item's k nearest neighbours that are the same in both versions, (S,), for S random items.

    Neighbours are searched among the items of both versions, for at most `items` of them drawn with `seed`.
    A rotation of either version changes nothing. Empty where fewer than two items are shared.
    """
    ours, theirs = shared_rows(ids, vectors, accepted_ids, accepted)
    count = len(ours)
    if count < 2:
        return np.empty(0)
    chosen = np.sort(np.random.default_rng(seed).choice(count, min(items, count), replace=False))
    new, old = vectors[ours], accepted[theirs]
    lists = [nearest(version, version[chosen], k, own=chosen).rows for version in (new, old)]
    same = [len(np.intersect1d(one, other)) for one, other in zip(*lists, strict=True)]
    return np.array(same) / min(k, count - 1)


def churn(
    ids: Ids,
    vectors: Vectors,
    accepted_ids: Ids,
    accepted: Vectors,
    k: int = 10,
    items: int = 1_000,
    seed: int = 0,
) -> float:
    """Mean share of an item's k nearest neighbours that are others in the new version, in [0, 1].

    See `overlaps`; NaN where fewer than two items are shared.
    """
    found = overlaps(ids, vectors, accepted_ids, accepted, k, items, seed)
    return 1 - float(found.mean()) if len(found) else float("nan")
