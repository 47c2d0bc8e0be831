"""Vectors of items: what each rung of the ladder lets a recommender see of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from convoy.core.errors import ConvoyError
from convoy.streamrec.recommender.params import LinearPairsParams, RandomParams
from convoy.streamrec.recommender.sources.build import taste_vectors

Vectors: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Sources:
    """What vectors are made from, for N items in the order of their ids.

    items: item_id, title, synopsis, category. embeddings: by model the ids and vectors of an embeddings
    folder. taste (N, 16), None for a real catalogue. warm (N,): the item has a training event; statistics are
    computed from these items alone.
    """

    items: pa.Table
    embeddings: Mapping[str, tuple[npt.NDArray[np.str_], Vectors]]
    taste: Vectors | None
    warm: npt.NDArray[np.bool_]


def sources_of(
    items: pa.Table, truth: pa.Table, embeddings: Mapping[str, tuple[npt.NDArray[np.str_], Vectors]],
    warm: npt.NDArray[np.bool_],
) -> Sources:  # fmt: skip
    """Sources for `items`, which are sorted by item_id; `truth` has no rows for a real catalogue."""
    vectors = None
    if len(truth):
        rows = pc.index_in(items["item_id"], value_set=truth["item_id"].combine_chunks())
        vectors = taste_vectors(truth)[rows.to_numpy()]
    return Sources(items, embeddings, vectors, warm)


def nothing(sources: Sources, _params: object) -> Vectors:
    """(N, 1) zeros."""
    return np.zeros((len(sources.items), 1), np.float32)


def random(sources: Sources, params: RandomParams) -> Vectors:
    """(N, dimensions) standard normal values."""
    shape = (len(sources.items), params.dimensions)
    return np.random.default_rng(params.seed).standard_normal(shape, np.float32)


def category(sources: Sources, _params: object) -> Vectors:
    """(N, categories): 1 in the column of the item's category."""
    coded = sources.items["category"].combine_chunks().dictionary_encode()
    names = coded.dictionary.to_pylist()
    order = np.argsort(np.argsort(np.asarray(names, dtype=object)))
    return np.eye(len(names), dtype=np.float32)[order[coded.indices.to_numpy()]]


def linear_pairs(sources: Sources, params: LinearPairsParams) -> Vectors:
    """(N, dimensions): TF-IDF of words and adjacent pairs, reduced by a truncated SVD (Halko et al. 2011)."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer

    texts = pc.binary_join_element_wise(sources.items["title"], sources.items["synopsis"], " ")
    # Texts are split once; words that no warm item has are then left out.
    counts = words_and_pairs(texts.combine_chunks())
    documents = counts[sources.warm].getnnz(axis=0)
    kept = np.flatnonzero(documents >= params.min_documents)
    if len(kept) < 2:
        raise ConvoyError(
            f"linear_pairs: {len(kept)} words and pairs in {params.min_documents} items or more",
            hint="lower its min_documents",
        )
    kept = np.sort(kept[np.argsort(-documents[kept], kind="stable")[: params.max_features]])
    counts = counts[:, kept].astype(np.float32)
    weights = TfidfTransformer(sublinear_tf=True).fit(counts[sources.warm]).transform(counts)
    svd = TruncatedSVD(
        min(params.dimensions, len(kept) - 1), algorithm="randomized", n_iter=2, random_state=params.seed
    )
    # One thread: sums of BLAS depend on the number of threads.
    with threadpool_limits(1):
        return np.asarray(svd.fit(weights[sources.warm]).transform(weights), np.float32)


def words_and_pairs(texts: pa.StringArray) -> csr_matrix:
    """Counts (N, F) of the lower-cased words of N texts and of their adjacent pairs.

    The matrix of scikit-learn's CountVectorizer, which makes a Python string of each pair, but for the order
    of the columns.
    """
    # Arrow's own lower case differs in the Greek final sigma, which depends on the letters around it.
    lower = pa.array([text.lower() for text in texts.to_pylist()], pa.string())
    lists = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(lower))
    rows = np.repeat(np.arange(len(lists)), pc.list_value_length(lists).to_numpy())
    coded = lists.flatten().dictionary_encode()
    # From 1, in the order of texts; an empty text has an empty word.
    words = pc.rank(coded.dictionary).to_numpy().astype(np.int64)[coded.indices.to_numpy()]
    there = pc.not_equal(lists.flatten(), "").to_numpy(zero_copy_only=False)
    rows, words = rows[there], words[there]
    paired = rows[:-1] == rows[1:]
    base = len(coded.dictionary) + 1
    codes = np.concatenate([words * base, words[:-1][paired] * base + words[1:][paired]])
    distinct, columns = np.unique(codes, return_inverse=True)
    rows = np.concatenate([rows, rows[:-1][paired]])
    return csr_matrix((np.ones(len(rows), np.int32), (rows, columns)), shape=(len(texts), len(distinct)))


def embedding(sources: Sources, model: str) -> Vectors:
    """(N, D) vectors of an embeddings folder; ConvoyError where one of the items has none."""
    if model not in sources.embeddings:
        raise ConvoyError(
            f"no embeddings of {model}", key="streamrec.recommender.representations",
            hint=f"leave {model} out, or name it in streamrec.networks",
        )  # fmt: skip
    return in_order(sources, *sources.embeddings[model])


def in_order(sources: Sources, ids: npt.NDArray[np.str_], vectors: Vectors) -> Vectors:
    """The vectors of the items of `sources`, in their order; ConvoyError where one of them has none."""
    rows = pc.index_in(sources.items["item_id"], value_set=pa.array(ids.tolist(), pa.string()))
    if rows.null_count:
        raise ConvoyError(
            f"embeddings without {rows.null_count} items of the catalogue",
            hint="run `dvc repro` to make them again",
        )
    return np.ascontiguousarray(vectors[rows.to_numpy()])


def taste(sources: Sources, _params: object) -> Vectors:
    """(N, 16) true taste vectors of a synthetic catalogue."""
    if sources.taste is None:
        raise ConvoyError("no true taste vectors: they are known of a synthetic catalogue only")
    return sources.taste
