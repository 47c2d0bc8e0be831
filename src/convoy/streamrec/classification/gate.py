"""The gate before training: no text in two splits, every number in its range.

Great Expectations is not used here: it has no engine for flat arrays of token ids, and its import would take
longer than the check of a million items.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from convoy.quality.verdict import SHOWN_EXAMPLES, Example, Finding, Verdict, shorten
from convoy.streamrec.classification.corpus.data import SPLITS, TRAIN, Corpus

PADDING = 0
CHUNK_ITEMS = 65_536
REPEATED, SAME_TOKENS = "text_repeated_across_splits", "same_tokens_across_splits"


def judge(corpus: Corpus) -> Verdict:
    """Return the verdict on a corpus: shapes, ranges, splits, and texts that occur in two splits.

    Items of different texts and equal tokens in two splits are a warning: this happens where the words that
    differ are not in the vocabulary, or come after the last token.
    """
    checks = _shapes(corpus)
    if not any(checks):  # arrays of inconsistent shapes are not checked further
        checks += [*_ranges(corpus), _empty_splits(corpus), _unlearnt(corpus), _repeated_texts(corpus)]
    failures = tuple(finding for finding in checks if finding is not None)
    facts = {}
    warned = None
    if not failures:
        facts = {"splits": {name: len(corpus.items(number)) for number, name in enumerate(SPLITS)}}
        warned = _same_tokens(corpus)
    return Verdict(
        subject="the corpus",
        items=len(corpus.labels),
        expectations=len(checks) + (not failures),
        failures=failures,
        warnings=() if warned is None else (warned,),
        facts=facts,
    )


def _shapes(corpus: Corpus) -> list[Finding | None]:
    items, offsets = len(corpus.labels), corpus.offsets
    lengths = {
        "item_id": len(corpus.item_ids),
        "text_sha256": len(corpus.text_sha256),
        "split": len(corpus.split),
        "offsets": len(offsets) - 1,
    }
    findings = [
        None
        if length == items
        else Finding(f"{name}_rows", name, f"There is one {name} for each of {items} labels", str(length), 1)
        for name, length in lengths.items()
    ]
    if items == 0 or offsets[0] != 0 or offsets[-1] != len(corpus.tokens) or np.any(np.diff(offsets) < 0):
        words = f"Offsets rise from 0 to the number of tokens ({len(corpus.tokens)})"
        found = f"{offsets[:1].tolist()} to {offsets[-1:].tolist()} for {items} items"
        return [*findings, Finding("offsets_order", "offsets", words, found, 1)]
    return [*findings, None]


def _ranges(corpus: Corpus) -> list[Finding | None]:
    tokens, labels, split = corpus.tokens, corpus.labels, corpus.split
    bad_tokens = np.flatnonzero((tokens <= PADDING) | (tokens >= corpus.vocab_size))
    owners = np.unique(np.searchsorted(corpus.offsets, bad_tokens, side="right") - 1)
    most = corpus.vocab_size - 1
    classes = len(corpus.categories)
    return [
        _finding(corpus, "token_range", "tokens", f"Token ids lie in 1 to {most}, 0 being padding", owners),
        _finding(
            corpus,
            "label_range",
            "label",
            f"Labels lie in 0 to {classes - 1}",
            np.flatnonzero((labels < 0) | (labels >= classes)),
            labels,
        ),
        _finding(
            corpus,
            "split_range",
            "split",
            "Splits are 0 (train), 1 (validation) or 2 (test)",
            np.flatnonzero(split >= len(SPLITS)),
            split,
        ),
    ]


def _empty_splits(corpus: Corpus) -> Finding | None:
    empty = [name for number, name in enumerate(SPLITS) if len(corpus.items(number)) == 0]
    if not empty:
        return None
    return Finding("split_empty", "split", "No split is empty", f"no item in {', '.join(empty)}", len(empty))


def _unlearnt(corpus: Corpus) -> Finding | None:
    learnt = np.isin(np.arange(len(corpus.categories)), corpus.labels[corpus.items(TRAIN)])
    bare = [corpus.categories[label] for label in np.flatnonzero(~learnt)]
    if not bare:
        return None
    found = f"none for {', '.join(map(shorten, bare[:SHOWN_EXAMPLES]))}"
    words = "Each category has an item in the training split"
    return Finding("category_unlearnt", "category", words, found, len(bare))


def _repeated_texts(corpus: Corpus) -> Finding | None:
    groups = corpus.text_sha256.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    rows = _on_two_sides(groups, corpus.split)
    rows = rows[np.argsort(groups[rows], kind="stable")]  # equal texts side by side
    words = "No text is in two splits"
    return _finding(corpus, REPEATED, "text_sha256", words, rows, corpus.text_sha256)


def _same_tokens(corpus: Corpus) -> Finding | None:
    some = np.flatnonzero(corpus.lengths > 0)
    _, groups = np.unique(_fingerprints(corpus)[some], return_inverse=True)
    rows = some[_on_two_sides(groups, corpus.split[some])]
    return _finding(corpus, SAME_TOKENS, "tokens", "No row of tokens is in two splits", rows)


def _on_two_sides(groups: npt.NDArray, split: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Rows whose group number occurs in more than one split."""
    count = int(groups.max()) + 1 if len(groups) else 0
    sides = np.zeros((len(SPLITS), count), bool)
    for number in range(len(SPLITS)):
        sides[number, groups[split == number]] = True
    return np.flatnonzero((sides.sum(axis=0) > 1)[groups])


def _fingerprints(corpus: Corpus) -> npt.NDArray[np.uint64]:
    """64-bit hash per item: equal for equal token sequences, and for others with probability 2**-64.

    The sum over positions of the mixed token times a random odd number of the position, modulo 2**64.
    """
    lengths = corpus.lengths
    longest = int(lengths.max(initial=1))
    weights = np.random.default_rng(0).integers(0, 2**63, longest, dtype=np.uint64) * np.uint64(
        2
    ) + np.uint64(1)
    fingerprints = np.zeros(len(lengths), np.uint64)
    for start in range(0, len(lengths), CHUNK_ITEMS):
        stop = min(start + CHUNK_ITEMS, len(lengths))
        first, last = corpus.offsets[start], corpus.offsets[stop]
        begins, filled = corpus.offsets[start:stop] - first, lengths[start:stop] > 0
        positions = np.arange(last - first) - np.repeat(begins, lengths[start:stop])
        mixed = _mixed(corpus.tokens[first:last].astype(np.uint64)) * weights[positions]
        if len(mixed):
            fingerprints[start:stop][filled] = np.add.reduceat(mixed, begins[filled])
    return fingerprints


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014), which mixes the bits of each value."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _finding(
    corpus: Corpus,
    name: str,
    column: str,
    words: str,
    rows: npt.NDArray[np.int64],
    values: Sequence | npt.NDArray | None = None,
) -> Finding | None:
    """The finding for failing rows; None where there are none. Without `values` the split is shown."""
    if len(rows) == 0:
        return None
    total = len(corpus.labels)
    examples = []
    for row in rows[:SHOWN_EXAMPLES].tolist():
        side = SPLITS[corpus.split[row]] if corpus.split[row] < len(SPLITS) else "no split"
        value = f"in {side}" if values is None else f"{shorten(values[row])} in {side}"
        examples.append(Example(f"row {row + 1} (item_id {shorten(corpus.item_ids[row])})", value))
    found = f"{len(rows)} of {total} violate it ({len(rows) / total:.2%})"
    return Finding(name, column, words, found, len(rows), tuple(examples))
