"""Words of UTF-8 text, looked up in a vocabulary or counted, byte by byte, without making strings.

One pass follows the rules of the `word` tokenizer (convoy.streamrec.classification.corpus.tokens): a table
gives the class of each character, another its lower case, and a run of word characters is hashed while it is
read.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

LIMIT = 0x3000  # texts with characters from here on (CJK, emoji, rare scripts) are left to the library
BLANK, WORD, SINGLE, APOSTROPHE, UNSUPPORTED = range(5)

_SEED = np.uint64(0xCBF29CE484222325)  # FNV-1a, on characters in place of bytes
_PRIME = np.uint64(0x100000001B3)
_FOLD = np.uint64(32)

_ROOM = 1 << 14  # initial capacity of a count, in words
_CHARACTERS = 16  # mean capacity per word


class Words(NamedTuple):
    """Words as an open-addressing hash table, whose capacity may exceed its content.

    Word i has the characters `characters[starts[i]:starts[i + 1]]`; `slots` holds word numbers, -1 for none.
    """

    starts: npt.NDArray[np.int64]
    characters: npt.NDArray[np.uint16]
    hashes: npt.NDArray[np.uint64]
    slots: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Table:
    """Character classes and a vocabulary: word i has the id `ids[i]`, every other word is `unknown`."""

    classes: npt.NDArray[np.uint8]
    lower: npt.NDArray[np.uint16]
    words: Words
    ids: npt.NDArray[np.int32]
    unknown: int


def prepare(
    vocabulary: dict[str, int], unknown: int, classes: npt.NDArray[np.uint8], lower: npt.NDArray[np.uint16]
) -> Table:
    """Table of the words that have only characters below `LIMIT`; texts with others are not scanned."""
    known = [word for word in vocabulary if word and ord(max(word)) < LIMIT]
    starts = np.zeros(len(known) + 1, np.int64)
    np.cumsum([len(word) for word in known], out=starts[1:])
    characters = np.frombuffer(bytearray("".join(known).encode("utf-16-le")), np.uint16)
    words = Words(starts, characters, np.empty(len(known), np.uint64), _free_slots(len(known)))
    _fill(words)
    ids = np.array([vocabulary[word] for word in known], np.int32)
    return Table(classes, lower, words, ids, unknown)


def rows(
    table: Table,
    data: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    max_tokens: int,
    lengths: npt.NDArray[np.int64],
) -> npt.NDArray[np.int32]:
    """Token ids of the texts `data[starts[i]:starts[i + 1]]`, one after another, cut at `max_tokens` each.

    Writes each text's number of tokens into `lengths`, or -1 for a text that it cannot read, which adds none.
    """
    _check(data, starts)
    if max_tokens < 0 or lengths.shape != (len(starts) - 1,) or lengths.dtype != np.int64:
        raise ValueError(f"at most {max_tokens} tokens, lengths {lengths.dtype} {lengths.shape}")
    room = int(np.minimum(np.diff(starts), max_tokens).sum())  # a token has at least one byte
    tokens = np.empty(room, np.int32)
    alphabet, scratch = (table.classes, table.lower), _scratch(starts)
    written = _rows(
        data, starts, alphabet, table.words, table.ids, table.unknown, max_tokens, scratch, tokens, lengths
    )
    return tokens[:written].copy()


def count(
    data: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    classes: npt.NDArray[np.uint8],
    lower: npt.NDArray[np.uint16],
) -> tuple[dict[str, int], npt.NDArray[np.bool_]]:
    """Counts of each word in the texts `data[starts[i]:starts[i + 1]]`, and the texts that it cannot read.

    Words of the latter are not counted.
    """
    _check(data, starts)
    unread = np.zeros(len(starts) - 1, np.bool_)
    room, row, used = _ROOM, 0, 0
    words = Words(np.zeros(1, np.int64), np.empty(0, np.uint16), np.empty(0, np.uint64), _free_slots(0))
    counts, alphabet, scratch = np.empty(0, np.int64), (classes, lower), _scratch(starts)
    while True:
        words, counts = _with_room(words, used, room), _longer(counts, room)
        row, used = _count(data, starts, row, alphabet, words, used, scratch, counts, unread)
        if row == len(unread):
            break
        room *= 2
    text = words.characters[: words.starts[used]].tobytes().decode("utf-16-le")
    cuts = words.starts[: used + 1].tolist()
    spelt = [text[start:end] for start, end in pairwise(cuts)]
    return dict(zip(spelt, counts[:used].tolist(), strict=True)), unread


def _check(data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64]) -> None:
    # The compiled loops do not check bounds.
    if data.dtype != np.uint8 or starts.dtype != np.int64 or data.ndim != 1 or starts.ndim != 1:
        raise ValueError(f"data: expected a row of uint8, found {data.dtype}; starts: int64, {starts.dtype}")
    if len(starts) == 0 or starts[0] < 0 or starts[-1] > len(data) or (np.diff(starts) < 0).any():
        raise ValueError(f"starts must ascend from 0 to at most the {len(data)} bytes")


def _free_slots(words: int) -> npt.NDArray[np.int32]:
    return np.full(1 << (4 * words + 1).bit_length(), -1, np.int32)


def _with_room(words: Words, used: int, room: int) -> Words:
    """The first `used` words in a table for `room` words."""
    starts, hashes = _longer(words.starts, room + 1), _longer(words.hashes, room)
    larger = Words(starts, _longer(words.characters, room * _CHARACTERS), hashes, _free_slots(room))
    _fill(larger._replace(starts=starts[: used + 1], hashes=hashes[:used]))
    return larger


def _scratch(starts: npt.NDArray[np.int64]) -> tuple[npt.NDArray, npt.NDArray, npt.NDArray]:
    """Arrays that `_words` writes to: a text has at most as many characters and words as bytes."""
    longest = int(np.diff(starts).max(initial=0))
    return np.empty(longest, np.uint16), np.empty(longest, np.int64), np.empty(longest, np.uint64)


def _longer(array: npt.NDArray, size: int) -> npt.NDArray:
    longer = np.zeros(size, array.dtype)
    longer[: len(array)] = array
    return longer


@numba.njit(cache=True)
def _fill(words):  # type: ignore[no-untyped-def]
    """Hash every word and assign it a slot."""
    last_slot = len(words.slots) - 1
    for word in range(len(words.hashes)):
        value = _SEED
        for place in range(words.starts[word], words.starts[word + 1]):
            value = (value ^ np.uint64(words.characters[place])) * _PRIME
        value ^= value >> _FOLD
        words.hashes[word] = value
        slot = np.int64(value) & last_slot
        while words.slots[slot] >= 0:
            slot = (slot + 1) & last_slot
        words.slots[slot] = word


@numba.njit(cache=True, nogil=True)
def _find(characters, start, length, value, words):  # type: ignore[no-untyped-def]
    """Index of the word `characters[start:start + length]` of hash `value`, or ~slot for a new one."""
    last_slot = len(words.slots) - 1
    slot = np.int64(value) & last_slot
    while words.slots[slot] >= 0:
        candidate = np.int64(words.slots[slot])
        first = words.starts[candidate]
        if words.hashes[candidate] == value and words.starts[candidate + 1] - first == length:
            place = 0
            while place < length and characters[start + place] == words.characters[first + place]:
                place += 1
            if place == length:
                return candidate
        slot = (slot + 1) & last_slot
    return ~slot


@numba.njit(cache=True, nogil=True)
def _character(data, place, end):  # type: ignore[no-untyped-def]
    """Code point at `place` and its number of bytes; LIMIT for one that lies above it or is incomplete."""
    lead = np.int64(data[place])
    if lead < 0x80:
        return np.uint32(lead), 1
    if 0xC2 <= lead < 0xE0 and place + 1 < end:
        return np.uint32((lead & 0x1F) << 6 | (np.int64(data[place + 1]) & 0x3F)), 2
    if 0xE0 <= lead < 0xE3 and place + 2 < end:
        middle, tail = np.int64(data[place + 1]) & 0x3F, np.int64(data[place + 2]) & 0x3F
        return np.uint32((lead & 0x0F) << 12 | middle << 6 | tail), 3
    return np.uint32(LIMIT), 1


@numba.njit(cache=True, nogil=True)
def _words(  # type: ignore[no-untyped-def]
    data, place, end, alphabet, max_words, scratch
):
    """Number of words in the text `data[place:end]`, at most `max_words`, or -1 if it cannot be read.

    Writes to `scratch` their concatenated lower-case characters, and the end and hash of each word.
    """
    classes, lower = alphabet
    characters, ends, hashes = scratch
    found, used = 0, 0
    while place < end and found < max_words:
        start, value = used, _SEED
        while place < end:  # a run of word characters
            # Unsigned indices: numba then omits the check for negative ones.
            code, size = np.uint32(data[np.uint64(place)]), 1
            if code >= 0x80:  # most text is ASCII, and most time is spent in this loop
                code, size = _character(data, place, end)
            kind = classes[code]
            if kind == APOSTROPHE and used > start and place + size < end:
                following, _ = _character(data, place + size, end)
                if classes[following] == WORD or classes[following] == UNSUPPORTED:
                    kind = classes[following]
            if kind != WORD:
                break
            characters[used] = lower[code]
            value = (value ^ np.uint64(lower[code])) * _PRIME
            used += 1
            place += size
        # The word before an unsupported character may include it, so the whole text is left to the library.
        if kind == UNSUPPORTED:
            return -1
        if used == start:  # no word starts here: one character of another kind
            place += size
            if kind == BLANK:
                continue
            characters[used] = lower[code]
            value = (value ^ np.uint64(lower[code])) * _PRIME
            used += 1
        ends[found], hashes[found] = used, value ^ (value >> _FOLD)
        found += 1
    return found


@numba.njit(cache=True, nogil=True)
def _rows(  # type: ignore[no-untyped-def]
    data, starts, alphabet, words, ids, unknown, max_tokens, scratch, tokens, lengths
):
    characters, ends, hashes = scratch
    written = 0
    for row in range(len(starts) - 1):
        found = _words(data, starts[row], starts[row + 1], alphabet, max_tokens, scratch)
        lengths[row] = found
        start = 0
        for word in range(found):
            number = _find(characters, start, ends[word] - start, hashes[word], words)
            tokens[written] = ids[number] if number >= 0 else unknown
            written += 1
            start = ends[word]
    return written


@numba.njit(cache=True, nogil=True)
def _count(  # type: ignore[no-untyped-def]
    data, starts, row, alphabet, words, used, scratch, counts, unread
):
    """Count the words of the texts from `row` on, until the table is full: that text, and words in use."""
    characters, ends, hashes = scratch
    while row < len(unread):
        found = _words(data, starts[row], starts[row + 1], alphabet, len(ends), scratch)
        if found > 0 and (
            used + found > len(counts) or words.starts[used] + ends[found - 1] > len(words.characters)
        ):
            break
        unread[row] = found < 0
        start = 0
        for word in range(found):
            length = ends[word] - start
            number = _find(characters, start, length, hashes[word], words)
            if number < 0:
                first = words.starts[used]
                for place in range(length):
                    words.characters[first + place] = characters[start + place]
                words.starts[used + 1] = first + length
                words.hashes[used] = hashes[word]
                words.slots[~number] = used
                number = used
                used += 1
            counts[number] += 1
            start = ends[word]
        row += 1
    return row, used
