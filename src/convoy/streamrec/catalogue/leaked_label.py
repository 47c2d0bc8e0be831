"""Leaked labels: labels that occur in their own texts, where a classifier only has to find them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

# Words end at anything that is not a letter, a digit, a combining mark or an underscore, so that "Sci-Fi &
# Fantasy" is found in "sci-fi fantasy" too, and "art" is not found in "party".
NOT_WORD = r"[^\pL\pN\pM_]+"
CHUNK_ROWS = 65_536


@dataclass(frozen=True)
class LabelMentions:
    """Numbers of texts that contain a label: among its `own_texts`, and among the `other_texts`."""

    label: str
    own: int
    own_texts: int
    other: int
    other_texts: int

    def is_leaked(self, share: float, ratio: float) -> bool:
        """Whether more than `share` of its texts contain the label, and `ratio` times the share of others."""
        own_share = self.own / max(self.own_texts, 1)
        other_share = self.other / max(self.other_texts, 1)
        return own_share > share and own_share >= ratio * other_share

    def counts(self) -> dict[str, int]:
        return {
            "own": self.own,
            "own_texts": self.own_texts,
            "other": self.other,
            "other_texts": self.other_texts,
        }

    def __str__(self) -> str:
        return f"in {self.own} of its {self.own_texts} texts, in {self.other} of {self.other_texts} others"


def count_mentions(texts: Sequence[str], labels: npt.NDArray, names: Sequence[str]) -> list[LabelMentions]:
    """Count the texts that contain each name as consecutive whole words, case-insensitively.

    `labels` (N,) index `names`. A text counts once, also where it contains the name several times.
    """
    own = np.zeros(len(names), np.int64)
    everywhere = np.zeros(len(names), np.int64)
    name_words = [[word for word in words if word] for words in _words(names).to_pylist()]
    vocabulary = pa.array(sorted({word for words in name_words for word in words}), pa.large_string())
    index = {word: position for position, word in enumerate(vocabulary.to_pylist())}
    phrases = [np.array([index[word] for word in words], np.int64) for words in name_words]
    for start in range(0, len(texts), CHUNK_ROWS):
        ids, rows = _known_words(texts[start : start + CHUNK_ROWS], vocabulary)
        for name, found in enumerate(_rows_with(phrases, ids, rows, len(vocabulary))):
            everywhere[name] += len(found)
            own[name] += np.count_nonzero(labels[start + found] == name)
    sizes = np.bincount(labels, minlength=len(names))
    return [
        LabelMentions(
            name, int(own[i]), int(sizes[i]), int(everywhere[i] - own[i]), len(texts) - int(sizes[i])
        )
        for i, name in enumerate(names)
    ]


def _words(texts: Sequence[str]) -> pa.Array:
    return pc.split_pattern_regex(pc.utf8_lower(pa.array(texts, pa.large_string())), NOT_WORD)


def _known_words(texts: Sequence[str], vocabulary: pa.Array) -> tuple[npt.NDArray, npt.NDArray]:
    """Ids (T,) of all words of the texts in order, -1 where not in the vocabulary, and the row of each."""
    words = _words(texts)
    ids = pc.fill_null(pc.index_in(words.flatten(), vocabulary), -1).to_numpy(zero_copy_only=False)
    return ids, pc.list_parent_indices(words).to_numpy(zero_copy_only=False)


def _rows_with(
    phrases: Sequence[npt.NDArray], ids: npt.NDArray, rows: npt.NDArray, n_words: int
) -> Iterator[npt.NDArray[np.int64]]:
    """For each phrase (word ids) the distinct rows that contain its words consecutively."""
    hits = np.flatnonzero(ids >= 0)
    hits = hits[np.argsort(ids[hits], kind="stable")]
    edges = np.searchsorted(ids[hits], np.arange(n_words + 1))
    occurrences = np.diff(edges)
    for phrase in phrases:
        if len(phrase) == 0:  # a name without letters or digits has no words
            yield np.empty(0, np.int64)
            continue
        rarest = int(np.argmin(occurrences[phrase]))
        at = hits[edges[phrase[rarest]] : edges[phrase[rarest] + 1]]
        for offset, word in enumerate(phrase, start=-rarest):
            at = at[(at + offset >= 0) & (at + offset < len(ids))]
            at = at[(ids[at + offset] == word) & (rows[at + offset] == rows[at])]
        yield np.unique(rows[at])
