"""Reads files of word vectors: word2vec text, GloVe, fastText .vec, these with .gz, and safetensors.

Only vectors of words in the vocabulary are kept. A text is read line by line: lines and the size that a .gz
file expands to are bounded.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from convoy.core.errors import ConvoyError, Param
from convoy.core.printable import cut, reason
from convoy.core.stored import LARGEST
from convoy.streamrec.classification.corpus.tokens import SPECIAL_TOKENS
from convoy.streamrec.classification.networks.vectors import WordVectors

VOCABULARY = "vocabulary.txt"
_SECTION = "streamrec.models.textcnn"
_LINE_BYTES = 1 << 18  # 4,096 numbers of 60 characters
_EXPANSION, _FREE_BYTES = 100, 1 << 26  # numbers as text shrink to about a third
_AGAIN = "get the file again"


def pretrained(params: Any, tokenizer_json: str) -> WordVectors | None:
    """The vectors that a model's params name, for the words of a tokenizer; None where they name none."""
    embedding = getattr(params, "embedding", None)
    if embedding is None or embedding.mode == "random":
        return None
    vocabulary = Tokenizer.from_str(tokenizer_json).get_vocab()
    return read(Path(embedding.vectors), vocabulary, params.embedding_dim)


def read(path: Path, vocabulary: Mapping[str, int], dimension: int) -> WordVectors:
    """Read the vectors of the words of `vocabulary`, a mapping of words to token ids.

    A text file has a word and its numbers in each line, after a line with the number of words and the
    dimension in word2vec's and fastText's. A folder has one .safetensors file with one tensor (words, D), and
    their words in vocabulary.txt, one a line. A word that is not in the vocabulary counts as its lower-cased
    form, where the file does not have that itself; of equal words the first counts.

    Raises ConvoyError, with the line, for what is broken, of another dimension or has none of the words.
    """
    path = Path(path)
    chosen = _Chosen(vocabulary, dimension)
    try:
        if path.is_dir():
            _read_folder(path, chosen)
        else:
            _read_text(path, chosen)
    except OSError as error:
        raise ConvoyError(
            f"cannot be read: {error.strerror or reason(error)}", path=path,
            hint=f"set {Param(_SECTION, ('embedding', 'vectors'))} to the path of word vectors",
        ) from None  # fmt: skip
    ids = np.flatnonzero(chosen.rank)
    if len(ids) == 0:
        raise ConvoyError(
            f"has none of the {len(vocabulary) - len(SPECIAL_TOKENS):,} words of the vocabulary",
            path=path, hint="name vectors of the language of the texts",
        )  # fmt: skip
    return WordVectors(ids, chosen.table[ids])


class _Chosen:
    """The vectors of the vocabulary that were found so far."""

    def __init__(self, vocabulary: Mapping[str, int], dimension: int) -> None:
        self.dimension = dimension
        self._ids = {word: number for word, number in vocabulary.items() if word not in SPECIAL_TOKENS}
        size = max(vocabulary.values()) + 1
        self.table = np.zeros((size, dimension), np.float32)
        self.rank = np.zeros(size, np.uint8)
        """By token id: 0 without a vector, 1 by a word that had to be lower-cased, 2 by the word itself."""

    def wanted(self, word: str) -> tuple[int, int] | None:
        """Token id and rank of a word of the file whose vector is to be kept."""
        number, rank = self._ids.get(word), 2
        if number is None:
            number, rank = self._ids.get(word.lower()), 1
        return None if number is None or self.rank[number] >= rank else (number, rank)

    def keep(self, place: tuple[int, int], vector: npt.NDArray[Any], path: Path, key: str) -> None:
        """Store a vector; ConvoyError where a number is not finite or too large."""
        with np.errstate(over="ignore", invalid="ignore"):
            sound = bool((np.abs(vector) <= LARGEST).all())  # False for NaN
        if not sound:
            raise ConvoyError(
                path=path, key=key, expected=f"numbers from -{LARGEST:g} to {LARGEST:g}", found="others",
                hint=_AGAIN,
            )  # fmt: skip
        self.table[place[0]], self.rank[place[0]] = vector, place[1]


def _read_text(path: Path, chosen: _Chosen) -> None:
    lines = _lines(path)
    first = next(lines, None)
    if first is None:
        raise ConvoyError("an empty file", path=path, expected="word vectors as text")
    fields = first[1].split()
    header = len(fields) == 2 and all(field.isdigit() and len(field) < 16 for field in fields)
    _check_dimension(path, int(fields[1]) if header else max(len(fields) - 1, 0), chosen.dimension)
    number = 0
    for number, line in lines if header else _with(first, lines):
        word, numbers = _split(path, number, line, chosen.dimension)
        place = chosen.wanted(word)
        if place is not None:
            chosen.keep(place, _parsed(path, number, numbers), path, f"line {number}")
    words = int(fields[0]) if header else number
    if header and max(number - 1, 0) != words:
        raise ConvoyError(
            path=path, key=f"line {max(number, 1)}", expected=f"{words:,} words, as line 1 states",
            found=f"{max(number - 1, 0):,}", hint=_AGAIN,
        )  # fmt: skip


def _with(first: tuple[int, bytes], lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    yield first
    yield from lines


def _check_dimension(path: Path, found: int, dimension: int) -> None:
    if found != dimension:
        raise ConvoyError(
            path=path, key="line 1", expected=f"vectors of {dimension} numbers", found=f"{found}",
            hint=f"set {_SECTION}.embedding_dim to the dimension of the vectors" if found > 1 else "",
        )  # fmt: skip


def _split(path: Path, number: int, line: bytes, dimension: int) -> tuple[str, list[bytes]]:
    """A line's word, which may contain blanks, and its numbers as text."""
    word, *numbers = line.rstrip().rsplit(b" ", dimension)
    extra = word.rpartition(b" ")[2] if b" " in word else b""
    if len(numbers) != dimension or (extra and _is_number(extra)):
        raise ConvoyError(
            path=path, key=f"line {number}", expected=f"a word and {dimension} numbers",
            found=f"{len(line.split()):,} fields", hint="only text formats are read; get the file again",
        )  # fmt: skip
    return word.decode("utf-8", "replace"), numbers


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parsed(path: Path, number: int, numbers: list[bytes]) -> npt.NDArray[np.float64]:
    try:
        return np.array([float(text) for text in numbers])
    except ValueError as error:
        raise ConvoyError(
            path=path, key=f"line {number}", expected="numbers", found=cut(str(error), 80), hint=_AGAIN
        ) from None


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers, from 1; ConvoyError for one that is too long and for a broken .gz."""
    packed = path.suffix.lower() == ".gz"
    most = path.stat().st_size * _EXPANSION + _FREE_BYTES
    number = done = 0
    with gzip.open(path, "rb") if packed else open(path, "rb") as file:
        while True:
            number += 1
            try:
                line = file.readline(_LINE_BYTES + 1)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise ConvoyError(
                    f"a .gz file that is cut or broken ({reason(error)})",
                    path=path, key=f"line {number}", hint=_AGAIN,
                ) from None  # fmt: skip
            if not line:
                return
            done += len(line)
            if len(line) > _LINE_BYTES:
                fault = f"longer than {_LINE_BYTES:,} bytes, so no vector as text"
            elif packed and done > most:
                fault = f"the file expands to more than {_EXPANSION} times its size"
            else:
                yield number, line
                continue
            raise ConvoyError(fault, path=path, key=f"line {number}", hint="only text formats are read")


def _read_folder(path: Path, chosen: _Chosen) -> None:
    files = sorted(path.glob("*.safetensors"))
    if len(files) != 1 or not (path / VOCABULARY).is_file():
        raise ConvoyError(
            path=path, expected=f"a folder with one .safetensors file and {VOCABULARY}",
            found=f"{len(files)} and {'one' if (path / VOCABULARY).is_file() else 'none'}",
        )  # fmt: skip
    file = files[0]
    try:
        with safe_open(file, framework="numpy") as tensors:
            names = list(tensors.keys())
            if len(names) != 1:
                raise ConvoyError(path=file, expected="one tensor", found=f"{len(names)}")
            rows = tensors.get_slice(names[0])
            shape, kind = rows.get_shape(), rows.get_dtype()
            if len(shape) != 2 or shape[1] != chosen.dimension or kind not in ("F16", "F32", "F64"):
                raise ConvoyError(
                    path=file, key=f"tensor '{cut(names[0], 40)}'",
                    expected=f"(words, {chosen.dimension}) of F16, F32 or F64", found=f"{shape} of {kind}",
                    hint=f"set {_SECTION}.embedding_dim to the dimension of the vectors",
                )  # fmt: skip
            number = 0
            for number, line in _lines(path / VOCABULARY):
                place = chosen.wanted(line.decode("utf-8", "replace").rstrip("\r\n"))
                if place is not None and number <= shape[0]:
                    chosen.keep(place, rows[number - 1 : number][0], file, f"row {number}")
            if number != shape[0]:
                raise ConvoyError(
                    path=path / VOCABULARY, expected=f"{shape[0]:,} lines, one for each row of {file.name}",
                    found=f"{number:,}", hint=_AGAIN,
                )  # fmt: skip
    except SafetensorError as error:
        raise ConvoyError(
            f"not a whole .safetensors file ({reason(error, 80)})", path=file, hint=_AGAIN
        ) from None
