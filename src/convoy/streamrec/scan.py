"""Words of UTF-8 text looked up in a vocabulary, byte by byte, without making a string.

One pass follows the rules of the `word` tokenizer (convoy.streamrec.tokens): characters are classed by a
table, lower-cased by another, and a run of word characters is hashed while it is read.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

LIMIT = 0x3000  # characters from here on (CJK, emoji, rare scripts) are left to the library
BLANK, WORD, SINGLE, APOSTROPHE, UNSUPPORTED = range(5)

_SEED = np.uint64(0xCBF29CE484222325)  # FNV-1a, on characters instead of bytes
_PRIME = np.uint64(0x100000001B3)
_FOLD = np.uint64(32)


@dataclass(frozen=True, eq=False)
class Table:
    """Character classes, and a vocabulary as an open-addressing hash table of V words.

    Word i has the id `ids[i]` and the characters `characters[starts[i]:starts[i + 1]]`; `slots` holds word
    numbers, -1 where free.
    """

    classes: npt.NDArray[np.uint8]
    lower: npt.NDArray[np.uint16]
    ids: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    characters: npt.NDArray[np.uint16]
    hashes: npt.NDArray[np.uint64]
    slots: npt.NDArray[np.int32]
    unknown: int


def prepare(
    vocabulary: dict[str, int], unknown: int, classes: npt.NDArray[np.uint8], lower: npt.NDArray[np.uint16]
) -> Table:
    """Table of the words that have only characters below `LIMIT`; a row with others is not scanned."""
    words = [word for word in vocabulary if word and ord(max(word)) < LIMIT]
    starts = np.zeros(len(words) + 1, np.int64)
    np.cumsum([len(word) for word in words], out=starts[1:])
    characters = np.frombuffer("".join(words).encode("utf-16-le"), np.uint16)
    hashes = np.empty(len(words), np.uint64)
    slots = np.full(1 << (4 * len(words) + 1).bit_length(), -1, np.int32)
    _fill(characters, starts, hashes, slots)
    ids = np.array([vocabulary[word] for word in words], np.int32)
    return Table(classes, lower, ids, starts, characters, hashes, slots, unknown)


def rows(
    table: Table,
    data: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    max_tokens: int,
    lengths: npt.NDArray[np.int64],
) -> npt.NDArray[np.int32]:
    """Token ids of the texts `data[starts[i]:starts[i + 1]]`, one after another, cut at `max_tokens` each.

    Writes each row's number of tokens into `lengths`, or -1 for a row that it cannot read, which adds none.
    """
    room = int(np.minimum(np.diff(starts), max_tokens).sum())  # a token has at least one byte
    tokens = np.empty(room, np.int32)
    longest = int(np.diff(table.starts).max(initial=0))
    vocabulary = (table.ids, table.starts, table.characters, table.hashes, table.slots)
    written = _rows(
        data,
        starts,
        table.classes,
        table.lower,
        vocabulary,
        longest,
        table.unknown,
        max_tokens,
        tokens,
        lengths,
    )
    return tokens[:written].copy()


@numba.njit(cache=True)
def _fill(characters, starts, hashes, slots):  # type: ignore[no-untyped-def]
    last_slot = len(slots) - 1
    for word in range(len(hashes)):
        value = _SEED
        for place in range(starts[word], starts[word + 1]):
            value = (value ^ np.uint64(characters[place])) * _PRIME
        value ^= value >> _FOLD
        hashes[word] = value
        slot = np.int64(value) & last_slot
        while slots[slot] >= 0:
            slot = (slot + 1) & last_slot
        slots[slot] = word


@numba.njit(cache=True, nogil=True)
def _find(  # type: ignore[no-untyped-def]
    word, length, value, ids, word_starts, characters, hashes, slots, unknown
):
    """Id of the word of `length` characters whose unfolded hash is `value`."""
    last_slot = len(slots) - 1
    value ^= value >> _FOLD
    slot = np.int64(value) & last_slot
    while slots[slot] >= 0:
        candidate = slots[slot]
        start = word_starts[candidate]
        if hashes[candidate] == value and word_starts[candidate + 1] - start == length:
            same = True
            for place in range(length):
                same = same and word[place] == characters[start + place]
            if same:
                return ids[candidate]
        slot = (slot + 1) & last_slot
    return np.int32(unknown)


@numba.njit(cache=True, nogil=True)
def _character(data, place, end):  # type: ignore[no-untyped-def]
    """Code point at `place` and its number of bytes; LIMIT for one that lies above or is cut off."""
    lead = np.int64(data[place])
    if lead < 0x80:
        return lead, 1
    if 0xC2 <= lead < 0xE0 and place + 1 < end:
        return (lead & 0x1F) << 6 | (np.int64(data[place + 1]) & 0x3F), 2
    if 0xE0 <= lead < 0xE3 and place + 2 < end:
        middle, tail = np.int64(data[place + 1]) & 0x3F, np.int64(data[place + 2]) & 0x3F
        return (lead & 0x0F) << 12 | middle << 6 | tail, 3
    return LIMIT, 1


@numba.njit(cache=True, nogil=True)
def _rows(  # type: ignore[no-untyped-def]
    data, starts, classes, lower, vocabulary, longest, unknown, max_tokens, tokens, lengths
):
    ids, word_starts, characters, hashes, slots = vocabulary
    word = np.empty(max(longest, 1), np.uint16)
    written = 0
    for row in range(len(starts) - 1):
        place, end, row_start = starts[row], starts[row + 1], written
        kind = BLANK
        while place < end and written - row_start < max_tokens and kind != UNSUPPORTED:
            length, value = 0, _SEED
            while place < end:  # a run of word characters, kept only up to the longest known word
                code, size = np.int64(data[place]), 1
                if code >= 0x80:  # most text is ASCII, and this loop is where the time goes
                    code, size = _character(data, place, end)
                kind = classes[code]
                if kind == APOSTROPHE and length > 0 and place + size < end:
                    following, _ = _character(data, place + size, end)
                    if classes[following] == WORD or classes[following] == UNSUPPORTED:
                        kind = classes[following]
                if kind != WORD:
                    break
                if length < longest:
                    word[length] = lower[code]
                value = (value ^ np.uint64(lower[code])) * _PRIME
                length += 1
                place += size
            if length == 0:  # no word starts here: one character of another kind
                place += size
                if kind in (BLANK, UNSUPPORTED):
                    continue
                word[0] = lower[code]
                value = (_SEED ^ np.uint64(lower[code])) * _PRIME
                length = 1
            tokens[written] = _find(word, length, value, ids, word_starts, characters, hashes, slots, unknown)
            written += 1
        # Past an unsupported character nothing is sure, not even where the word before it ends.
        if kind == UNSUPPORTED:
            lengths[row] = -1
            written = row_start
        else:
            lengths[row] = written - row_start
    return written
