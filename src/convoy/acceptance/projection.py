"""A map of vectors on a plane by t-SNE."""

import numpy as np
import numpy.typing as npt

from convoy.acceptance.case import SEED

POINTS = 600  # of the sample, so that the map takes seconds
FEWEST = 20  # below, a map shows nothing
_PERPLEXITY = 30
_PRINCIPAL = 30


def plane(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Coordinates (n, 2) of n vectors (n, D), n at least 20, by openTSNE (Poličar et al. 2024).

    Of vectors of length 1, so that distances follow cosines; from their first 30 principal components;
    with a fixed seed, exact neighbours and one thread, so that equal vectors give equal coordinates.
    """
    import openTSNE
    from threadpoolctl import threadpool_limits

    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    wide = np.divide(wide, lengths, out=np.zeros_like(wide), where=lengths > 0)
    wide -= wide.mean(0)
    with threadpool_limits(1):
        left, singular, _ = np.linalg.svd(wide, full_matrices=False)
        components = (left * singular)[:, :_PRINCIPAL]
        embedding = openTSNE.TSNE(
            perplexity=min(_PERPLEXITY, (len(wide) - 1) / 4), initialization="pca", neighbors="exact",
            negative_gradient_method="bh", early_exaggeration_iter=150, n_iter=300, n_jobs=1,
            random_state=SEED,
        ).fit(components)  # fmt: skip
    return np.asarray(embedding, np.float64)
