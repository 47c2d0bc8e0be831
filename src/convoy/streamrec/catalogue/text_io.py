"""Text files of any encoding, plain or compressed, as streams of characters in constant memory."""

import codecs
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, TextIO

import pyarrow as pa

from convoy.core.errors import KEY, ConvoyError, Param
from convoy.core.printable import reason

AUTO = "auto"
COMPRESSED = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"PK\3\4": "zip"}
"""Formats by the first bytes of their files."""
COMPRESSED_SUFFIXES = (".gz", ".xz", ".zst", ".zip")
# A catalogue of texts shrinks to a third or a tenth; what grows more than this is a bomb.
MOST_GROWTH = 200
MOST_SMALL_BYTES = 64 << 20
_XZ_MEMORY = 256 << 20  # `xz -9` needs 65 MiB
_BLOCK = 1 << 20
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_BROKEN = (
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    RuntimeError,
    NotImplementedError,
)


@dataclass(frozen=True)
class Dialect:
    """How a text file is written; `auto` is found out. `section`: where params.yaml holds these params."""

    delimiter: str = AUTO
    encoding: str = AUTO
    quotes: str = AUTO
    section: str = "streamrec.catalogue"

    def param(self, name: str) -> Param | str:
        """The param to name in an error; "" where there is none."""
        return Param(self.section, (name,)) if self.section else ""


def is_encoding(name: str) -> bool:
    """Whether files may be in this encoding: one of text, of which every character is in Unicode."""
    try:
        "a".encode(name)
    except (LookupError, UnicodeError, TypeError):
        return False
    return codecs.lookup(name).name not in (
        "utf-7",
        "unicode_escape",
        "raw_unicode_escape",
        "idna",
        "punycode",
    )


FOUND_OUT = Dialect()


@dataclass(frozen=True)
class Source:
    """A text file and its dialect."""

    path: Path
    dialect: Dialect = FOUND_OUT

    def encoding(self) -> str:
        """The encoding that was set, or else by the file's byte order mark; UTF-8 where it has none."""
        if self.dialect.encoding != AUTO:
            return self.dialect.encoding
        with _opened(self.path) as file:
            start = file.read(4)
        return next((name for mark, name in _MARKS.items() if start.startswith(mark)), "utf-8")

    @contextmanager
    def raw(self) -> Iterator[BinaryIO]:
        """The decompressed bytes."""
        with _opened(self.path) as file:
            yield file

    @contextmanager
    def characters(self, newline: str) -> Iterator[TextIO]:
        """The characters after a byte order mark; `newline` as in `open`."""
        with _opened(self.path) as file:
            text = io.TextIOWrapper(file, self.encoding(), newline=newline)
            yield text
            text.detach()

    def check(self) -> bool:
        """Whether there is a backslash in it; ConvoyError for what its encoding does not allow."""
        encoding = self.encoding()
        decoder = codecs.getincrementaldecoder(encoding)()
        position, backslash = 0, False
        wide = encoding.startswith(("utf-16", "utf-32", "utf_16", "utf_32"))
        with _opened(self.path) as file:
            while block := file.read(_BLOCK):
                position += self._checked(decoder, block, position, encoding, wide)
                backslash = backslash or b"\\" in block
            self._checked(decoder, b"", position, encoding, wide)
        return backslash

    def _checked(
        self, decoder: codecs.IncrementalDecoder, block: bytes, position: int, encoding: str, wide: bool
    ) -> int:
        """Decode a block that begins at `position`, and return its length."""
        pending = len(decoder.getstate()[0])
        if not wide and (null := block.find(b"\0")) >= 0:
            raise ConvoyError(
                f"a NUL at byte {position + null}, so no text in {encoding.upper()} (UTF-16 without its "
                "mark, or no text at all)",
                path=self.path, hint=self._advice("utf-16-le"), key=self.dialect.param("encoding"),
            )  # fmt: skip
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            place = position - pending + error.start
            raise ConvoyError(
                f"not {encoding.upper()}: byte {place} is 0x{error.object[error.start]:02x} ({error.reason})",
                path=self.path, hint=self._advice("windows-1252"), key=self.dialect.param("encoding"),
            ) from None  # fmt: skip
        if wide and "\0" in text:
            raise ConvoyError(f"a NUL, so no text in {encoding.upper()}", path=self.path)
        return len(block)

    def _advice(self, example: str) -> str:
        if not self.dialect.section or self.encoding() != "utf-8":
            return "save it as UTF-8"
        return f"set {KEY}, for example to {example}, or save it as UTF-8"


def member_suffix(path: Path) -> str:
    """The suffix of a compressed file's content: of its name below `.gz`, or of a zip's only member."""
    inner = Path(path.stem).suffix.lower()
    if not inner and path.suffix.lower() == ".zip":
        with open(path, "rb") as file, _refusing(path, "zip"), zipfile.ZipFile(file) as archive:
            inner = Path(_only_member(path, archive).filename).suffix.lower()
    return inner


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, decompressed where its first bytes are those of a compression."""
    with open(path, "rb") as file:
        start = file.read(6)
        file.seek(0)
        kind = next((name for magic, name in COMPRESSED.items() if start.startswith(magic)), None)
        if kind is None:
            yield file
            return
        size = path.stat().st_size
        with _refusing(path, kind):
            yield io.BufferedReader(_Bounded(path, _reader(path, kind, file), size), _BLOCK)


@contextmanager
def _refusing(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise ConvoyError(
            f"cannot be decompressed as {kind}: {reason(error).rstrip('.')}", path=path,
            hint="check it, or compress it again",
        ) from None  # fmt: skip


def _reader(path: Path, kind: str, file: BinaryIO) -> Callable[[int], bytes]:
    """A function that returns at most so many decompressed bytes, and none at the end."""
    if kind == "gzip":
        import gzip

        return gzip.GzipFile(fileobj=file).read
    if kind == "xz":
        return partial(_xz, file, [lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY)])
    if kind == "zstd":
        return pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd").read
    archive = zipfile.ZipFile(file)
    return archive.open(_only_member(path, archive)).read


def _xz(file: BinaryIO, decoders: list[lzma.LZMADecompressor], size: int) -> bytes:
    while True:
        decoder = decoders[-1]
        if decoder.eof:  # another stream may follow, after padding
            rest = (decoder.unused_data or file.read(_BLOCK)).lstrip(b"\0")
            if not rest:
                return b""
            decoders[-1] = decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY)
        else:
            rest = file.read(_BLOCK) if decoder.needs_input else b""
            if decoder.needs_input and not rest:
                raise EOFError("it ends before its end-of-stream marker")
        if block := decoder.decompress(rest, size):
            return block


def _only_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    files = [one for one in archive.infolist() if not (one.is_dir() or one.filename.startswith("__MACOSX/"))]
    if len(files) != 1:
        raise ConvoyError(path=path, expected="a zip with one file", found=f"{len(files)} files")
    if files[0].flag_bits & 1:
        raise ConvoyError("a zip with a password", path=path, hint="decompress it first")
    return files[0]


class _Bounded(io.RawIOBase):
    """Decompressed bytes; ConvoyError for far more of them than texts shrink by."""

    def __init__(self, path: Path, read: Callable[[int], bytes], compressed_bytes: int) -> None:
        self._path, self._read = path, read
        self._left = max(MOST_SMALL_BYTES, MOST_GROWTH * compressed_bytes)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        block = self._read(len(buffer))
        self._left -= len(block)
        if self._left < 0:
            raise ConvoyError(
                f"more than {MOST_GROWTH} times as large as its compressed file, so no catalogue of texts",
                path=self._path, hint="decompress it yourself if it is one",
            )  # fmt: skip
        buffer[: len(block)] = block
        return len(block)
