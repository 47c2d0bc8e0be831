"""Linear baselines on the networks' own tokens: TF-IDF and multinomial logistic regression (scikit-learn).

`linear` counts words and ignores their order; `linear_pairs` also counts adjacent pairs. The unknown token
counts neither as a word nor as part of a pair.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.special import softmax
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from convoy.core.errors import ConvoyError
from convoy.streamrec.classification.corpus.data import VALIDATION, Corpus
from convoy.streamrec.classification.corpus.tokens import UNKNOWN
from convoy.streamrec.classification.models.params import LinearParams

Kind: TypeAlias = Literal["linear", "linear_pairs"]
KINDS: tuple[Kind, ...] = ("linear", "linear_pairs")

# Bound on the gradient of the mean loss. With a ten times larger one the weights of rare pairs keep the
# values of the previous C; single precision does not reach this one.
_TOLERANCE = 1e-6


def fit(
    kind: Kind, corpus: Corpus, items: npt.NDArray[np.int64], params: LinearParams
) -> dict[str, npt.NDArray]:
    """Tensors of a baseline fitted on `items`, which hold every category of the corpus.

    coef float32 (categories, F), intercept float32 (categories,), idf float64 (F,), features int64 (F,)
    ascending, C float64 (1,). A feature is a token id, or first id * vocabulary size + second id. C is the
    one with the lowest log-loss on the validation split, which is also the criterion of early stopping.
    Raises ConvoyError where a category has no item or no word is common enough.
    """
    labels = corpus.labels[items]
    missing = sorted(set(range(len(corpus.categories))) - set(labels.tolist()))
    if missing:
        raise ConvoyError(
            f"{kind}: no training item in category '{corpus.categories[missing[0]]}'; add items"
        )
    features, counts = _features(kind, corpus, items, params.min_documents)
    weighting = TfidfTransformer(sublinear_tf=True).fit(counts)
    weights = weighting.transform(counts)
    regression = LogisticRegression(
        solver="newton-cg", tol=_TOLERANCE, max_iter=params.max_iter, warm_start=True
    )
    best: dict[str, npt.NDArray] = {}
    lowest = np.inf
    # One thread: sums of BLAS, and with them the weights, depend on the number of threads.
    with threadpool_limits(1):
        for C in params.C:
            regression.set_params(C=C).fit(weights, labels)
            coef, intercept = regression.coef_, regression.intercept_
            if len(coef) == 1:  # for two categories scikit-learn stores the second one's log-odds only
                coef, intercept = np.vstack([np.zeros_like(coef), coef]), np.append(0.0, intercept)
            tensors = {
                "coef": coef.astype(np.float32),
                "intercept": intercept.astype(np.float32),
                "idf": weighting.idf_,
                "features": features,
                "C": np.array([C]),
            }
            loss = _validation_loss(kind, tensors, corpus) if len(params.C) > 1 else 0.0
            if loss >= lowest:
                break
            best, lowest = tensors, loss
    return best


def probabilities(
    kind: Kind, tensors: Mapping[str, npt.NDArray], corpus: Corpus, items: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Probability of every category for each of n items, (n, categories), by the tensors of `fit`."""
    rows, codes = _codes(kind, corpus, items)
    weighting = TfidfTransformer(sublinear_tf=True)
    weighting.idf_ = tensors["idf"]
    weights = weighting.transform(_counts(rows, codes, tensors["features"], len(items)))
    return softmax((weights @ tensors["coef"].T + tensors["intercept"]).astype(np.float64), axis=1)


def category_frequencies(corpus: Corpus, items: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Share of each category among `items`, (categories,)."""
    counts = np.bincount(corpus.labels[items], minlength=len(corpus.categories))
    return counts / counts.sum()


def _validation_loss(kind: Kind, tensors: Mapping[str, npt.NDArray], corpus: Corpus) -> float:
    items = corpus.items(VALIDATION)
    predicted = probabilities(kind, tensors, corpus, items)
    return float(log_loss(corpus.labels[items], predicted, labels=range(len(corpus.categories))))


def _codes(
    kind: Kind, corpus: Corpus, items: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Row (index into `items`) and feature code of every word, and of every pair where `kind` has them."""
    lengths = corpus.lengths[items]
    rows = np.repeat(np.arange(len(items)), lengths)
    ends = np.cumsum(lengths)
    positions = np.arange(len(rows)) + np.repeat(corpus.offsets[items] - ends + lengths, lengths)
    words = corpus.tokens[positions].astype(np.int64)
    known = words != UNKNOWN
    if kind == "linear":
        return rows[known], words[known]
    paired = known[:-1] & known[1:] & (rows[:-1] == rows[1:])
    # Known ids begin at 2, so that a pair's code is at least 2 V and no word's.
    pairs = words[:-1][paired] * corpus.vocab_size + words[1:][paired]
    return np.concatenate([rows[known], rows[:-1][paired]]), np.concatenate([words[known], pairs])


def _features(
    kind: Kind, corpus: Corpus, items: npt.NDArray[np.int64], min_documents: int
) -> tuple[npt.NDArray[np.int64], csr_matrix]:
    """Codes, ascending, that occur in at least `min_documents` of the items, and their counts (n, F)."""
    rows, codes = _codes(kind, corpus, items)
    distinct = np.unique(codes)
    counts = _counts(rows, codes, distinct, len(items))
    common = np.bincount(counts.indices, minlength=len(distinct)) >= min_documents
    if not common.any():
        raise ConvoyError(f"{kind}: no word occurs in {min_documents} training items; lower min_documents")
    return distinct[common], counts[:, common]


def _counts(
    rows: npt.NDArray[np.int64], codes: npt.NDArray[np.int64], features: npt.NDArray[np.int64], n: int
) -> csr_matrix:
    """Counts of each feature in each of n rows, (n, F); codes that are no feature are left out."""
    columns = np.searchsorted(features, codes).clip(max=len(features) - 1)
    found = features[columns] == codes
    ones = np.ones(np.count_nonzero(found))
    return csr_matrix((ones, (rows[found], columns[found])), shape=(n, len(features)))
