"""Text to token ids: the tokenizers of the `tokenizers` library, and a faster computation of the same ids.

A `word` tokenizer lower-cases, keeps letters, marks and digits together with inner apostrophes as words,
makes every other punctuation mark or symbol a token of its own, likewise every Chinese or Japanese
character, and drops the rest. These rules depend on one character at a time, so that `scan` can apply them to
the raw bytes; it gets the class of each character from the library, so that both always agree.
"""

import functools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Literal, TypeAlias

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from convoy.core.errors import ConvoyError
from convoy.core.printable import reason
from convoy.nn.kernels import word_scan as scan
from convoy.nn.kernels.switch import enabled

PADDING, UNKNOWN = 0, 1
SPECIAL_TOKENS = ("[PAD]", "[UNK]")

Kind = Literal["word", "bpe"]
Texts: TypeAlias = Sequence[str] | pa.Array | pa.ChunkedArray
Tokens: TypeAlias = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]

_SINGLE = r"\p{Han}\p{Hiragana}\p{Katakana}"  # written without blanks between words
_LETTER = rf"[[\p{{L}}\p{{M}}\p{{N}}]&&[^{_SINGLE}]]"
_INSIDE = r"['\x{200C}\x{200D}]"  # apostrophe, and the joiners of Persian and Indic scripts
_WORDS = rf"{_LETTER}+(?:{_INSIDE}{_LETTER}+)*|[{_SINGLE}\p{{P}}\p{{S}}]"
_LIBRARY_ROWS = 16_384  # an Encoding of the library takes several kB, so that only few are kept at a time
_BLOCK_BYTES = 1 << 22
_THREADS: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]  # the cores we may use
# Where `scan` cannot read more than this share of the rows, it is faster to let the library count all.
_LEFT_OVER = 1 / (1 + _THREADS)


def fit(texts: Texts | Iterable[str], kind: Kind, vocab_size: int, min_count: int) -> str:
    """Tokenizer JSON of at most `vocab_size` ids, the commonest first, from what occurs `min_count` times.

    Id 0 is padding and 1 the unknown token. Equal counts are ordered by the word, so the same texts give
    the same JSON. `bpe` works on the bytes of lower-cased words and has no unknown characters. The result
    equals that of the library's trainers; the words are counted some 10 times faster, except where more than
    a few rows have characters from U+3000 on.
    """
    array = _large_strings(texts)
    counts = _counted(array) if kind == "word" and enabled("word_scan") else None
    if counts is not None:
        ordered = sorted(word for word, count in counts.items() if count >= min_count)
        ordered.sort(key=counts.__getitem__, reverse=True)
        words = [*SPECIAL_TOKENS, *ordered][:vocab_size]
        return _word_tokenizer({word: number for number, word in enumerate(words)}).to_str()
    return _fit_by_library(array, kind, vocab_size, min_count)


def encode(tokenizer_json: str, texts: Texts, max_tokens: int) -> Tokens:
    """Token ids of N texts, cut at `max_tokens` each: tokens int32 (T,), offsets int64 (N + 1,).

    `texts` is a list of strings or an Arrow string array without nulls. The ids equal the library's; for
    `word` tokenizers they are computed 20 to 40 times faster, except in rows with characters from U+3000 on.
    Raises ConvoyError where the library cannot read the tokenizer.
    """
    array = _large_strings(texts)
    library, table = _prepared(tokenizer_json)
    if table is None or not enabled("word_scan"):
        rows, tokens = np.arange(len(array)), np.empty(0, np.int32)
        lengths = np.zeros(len(array), np.int64)
    else:
        tokens, lengths = _scan(table, array, max_tokens)
        rows = np.flatnonzero(lengths < 0)
    if len(rows):
        others, lengths[rows] = _ask_library(library, array, rows, max_tokens)
        of_library = np.zeros(len(array), bool)
        of_library[rows] = True
        positions = np.repeat(of_library, lengths)
        merged = np.empty(len(positions), np.int32)
        merged[positions], merged[~positions] = others, tokens
        tokens = merged
    offsets = np.zeros(len(array) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return tokens, offsets


def untrained(kind: Kind) -> str:
    """Tokenizer JSON of a kind, not trained yet."""
    return (_word_tokenizer({}) if kind == "word" else _bpe_tokenizer({}, [])).to_str()


def vocabulary_size(tokenizer_json: str) -> int:
    """Number of ids, padding and unknown included."""
    return len(json.loads(tokenizer_json)["model"]["vocab"])


def _fit_by_library(array: pa.Array, kind: Kind, vocab_size: int, min_count: int) -> str:
    special = list(SPECIAL_TOKENS)
    if kind == "word":
        tokenizer = _word_tokenizer({})
        trainer: trainers.Trainer = trainers.WordLevelTrainer(
            vocab_size=vocab_size, min_frequency=min_count, special_tokens=special, show_progress=False
        )
    else:
        tokenizer = _bpe_tokenizer({}, [])
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            min_frequency=min_count,
            special_tokens=special,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
    tokenizer.train_from_iterator(_in_batches(array), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    # Built anew, because training also registers the special tokens as text: "[PAD]" in a synopsis would get
    # the id of padding.
    if kind == "word":
        return _word_tokenizer(model["vocab"]).to_str()
    return _bpe_tokenizer(model["vocab"], [tuple(pair) for pair in model["merges"]]).to_str()


def _word_tokenizer(vocabulary: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=SPECIAL_TOKENS[UNKNOWN]))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Replace("’", "'"), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_WORDS), "removed", invert=True)
    return tokenizer


def _bpe_tokenizer(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token=SPECIAL_TOKENS[UNKNOWN]))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return tokenizer


@functools.lru_cache(maxsize=4)
def _prepared(tokenizer_json: str) -> tuple[Tokenizer, scan.Table | None]:
    """The library's tokenizer, and the table for `scan` if it is a `word` tokenizer."""
    try:
        library = Tokenizer.from_str(tokenizer_json)
    except Exception as error:  # the library raises plain Exceptions
        raise ConvoyError(
            f"not a tokenizer that this version reads: {reason(error)}", path="tokenizer.json"
        ) from None
    found, ours = json.loads(tokenizer_json), json.loads(_word_tokenizer({}).to_str())
    vocabulary = found["model"].pop("vocab")
    ours["model"].pop("vocab")
    if found != ours:
        return library, None
    return library, scan.prepare(vocabulary, UNKNOWN, *_characters())


@functools.cache
def _characters() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint16]]:
    """Class and lower-case form of every character below `scan.LIMIT`, by the library's own rules."""
    tokenizer = _word_tokenizer({})
    kinds = {(0, 2): scan.BLANK, (1, 1): scan.WORD, (1, 3): scan.SINGLE}  # pieces alone, and within "a?a"
    classes = np.full(scan.LIMIT + 1, scan.UNSUPPORTED, np.uint8)
    lower = np.zeros(scan.LIMIT, np.uint16)
    for code in range(scan.LIMIT):
        character = tokenizer.normalizer.normalize_str(chr(code))
        if len(character) != 1 or ord(character) >= scan.LIMIT:
            continue
        lower[code] = ord(character)
        alone = len(tokenizer.pre_tokenizer.pre_tokenize_str(character))
        between = len(tokenizer.pre_tokenizer.pre_tokenize_str(f"a{character}a"))
        if character == "'":
            classes[code] = scan.APOSTROPHE
        elif (alone, between) in kinds:
            classes[code] = kinds[alone, between]
    return classes, lower


def _large_strings(texts: Texts | Iterable[str]) -> pa.Array:
    """One Arrow array with 64-bit offsets: a list of texts may hold more than 2 GiB."""
    if isinstance(texts, pa.ChunkedArray):
        array = texts.cast(pa.large_string()).combine_chunks()
    elif isinstance(texts, pa.Array):
        array = texts.cast(pa.large_string())
    else:  # pa.array would import pandas, a second of start-up, to look for a Series
        encoded = [text.encode() for text in texts]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(text) for text in encoded], out=offsets[1:])
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
        array = pa.Array.from_buffers(pa.large_string(), len(encoded), buffers)
    if array.null_count:
        raise ValueError(f"{array.null_count} texts are null; a missing text is an empty string")
    return array


def _counted(array: pa.Array) -> Counter[str] | None:
    """Counts of each word, or None where `scan` cannot read too many of the texts."""
    data, starts = _bytes(array)
    alphabet = _characters()

    def block(rows: tuple[int, int]) -> tuple[dict[str, int], npt.NDArray[np.bool_]]:
        first, last = rows
        return scan.count(data, starts[first : last + 1], *alphabet)

    # Few large blocks: each has its own table, and the tables have most of their words in common.
    blocks = _blocks(starts, 1 + int(starts[-1] - starts[0]) // _THREADS)
    with ThreadPoolExecutor(_THREADS) as executor:
        parts = list(executor.map(block, blocks))
    unread = np.concatenate([np.empty(0, np.bool_), *(rows for _, rows in parts)])
    if np.count_nonzero(unread) > _LEFT_OVER * len(array):
        return None
    counts: Counter[str] = Counter()
    for words, _ in parts:
        counts.update(words)
    library = _word_tokenizer({})
    for row in np.flatnonzero(unread).tolist():
        text = library.normalizer.normalize_str(array[row].as_py())
        counts.update(word for word, _ in library.pre_tokenizer.pre_tokenize_str(text))
    return counts


def _scan(table: scan.Table, array: pa.Array, max_tokens: int) -> tuple[npt.NDArray, npt.NDArray]:
    """Tokens of the rows that `scan` can read, and the lengths of all rows, -1 where it cannot."""
    data, starts = _bytes(array)
    lengths = np.empty(len(array), np.int64)

    def block(rows: tuple[int, int]) -> npt.NDArray[np.int32]:
        first, last = rows
        return scan.rows(table, data, starts[first : last + 1], max_tokens, lengths[first:last])

    # The result does not depend on threads: blocks are cut by size and joined in order.
    with ThreadPoolExecutor(_THREADS) as executor:
        parts = list(executor.map(block, _blocks(starts, _BLOCK_BYTES)))
    return np.concatenate([np.empty(0, np.int32), *parts]), lengths


def _bytes(array: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The concatenated UTF-8 of N texts, and their offsets (N + 1,)."""
    _, offsets_buffer, data_buffer = array.buffers()
    starts = np.frombuffer(offsets_buffer, np.int64)[array.offset : array.offset + len(array) + 1]
    data = np.frombuffer(data_buffer or b"", np.uint8)
    starts.flags.writeable = data.flags.writeable = False  # one kind of array, one compilation
    return data, starts


def _blocks(starts: npt.NDArray[np.int64], size: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows of about `size` bytes of text, at least one row each."""
    first, rows = 0, len(starts) - 1
    while first < rows:
        last = int(np.searchsorted(starts, starts[first] + size, side="left"))
        last = min(max(last, first + 1), rows)
        yield first, last
        first = last


def _in_batches(array: pa.Array) -> Iterator[list[str]]:
    """The texts as Python strings in batches, to bound the memory."""
    for start in range(0, len(array), _LIBRARY_ROWS):
        yield array.slice(start, _LIBRARY_ROWS).to_pylist()


def _ask_library(
    library: Tokenizer, array: pa.Array, rows: npt.NDArray[np.int64], max_tokens: int
) -> tuple[npt.NDArray[np.int32], list[int]]:
    """Tokens of the given rows, one after another, and each row's length, by the library itself."""
    parts, lengths = [], []
    for start in range(0, len(rows), _LIBRARY_ROWS):
        texts = [array[row].as_py() for row in rows[start : start + _LIBRARY_ROWS].tolist()]
        ids = [row.ids[:max_tokens] for row in library.encode_batch_fast(texts, add_special_tokens=False)]
        lengths += [len(row) for row in ids]
        parts.append(np.fromiter(chain.from_iterable(ids), np.int32))
    return np.concatenate(parts), lengths
