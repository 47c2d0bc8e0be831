"""Atomic writers of files and folders, checksums, manifests."""

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from convoy.core import interrupts
from convoy.core.errors import ConvoyError
from convoy.core.printable import reason

MANIFEST = "manifest.json"
_AGAIN = "make the folder again"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux, for renameat2
_DEEPEST_JSON = 64  # our own files nest a tenth of that; parsers and validators recurse


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`; on success it becomes `path`, on failure nothing is left."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    try:
        yield partial
        _fsync(partial)
        interrupts.check()
        os.replace(partial, path)
        _fsync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary folder next to `path`; on success it takes the place of `path` as a whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    partial.mkdir()
    try:
        yield partial
        for file in sorted(partial.rglob("*")):
            _fsync(file)
        _fsync(partial)
        interrupts.check()
        _put_in_place(partial, path)
        _fsync(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _put_in_place(partial: Path, path: Path) -> None:
    """Move the folder `partial` to `path`; what stood there is then at `partial`, or removed.

    Both are exchanged in one step where the kernel and the file system can, so that readers find one of the
    two at any moment, and so does another writer of the same folder. A link is refused, as by a rename.
    """
    if path.is_symlink():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    while True:
        try:
            if not _exchange(partial, path):
                _replace_in_two_steps(partial, path)
            return
        except FileNotFoundError:
            if path.exists() and partial.exists():
                continue  # another writer has just made it
        try:
            partial.rename(path)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two paths in one step; False where that cannot be done. Raises OSError as a rename does."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)  # Linux with glibc 2.28 or musl
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):  # as on NFS
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))


def _replace_in_two_steps(partial: Path, path: Path) -> None:
    """Move `path` aside and `partial` there; FileNotFoundError where there is no `path`."""
    former = _partial(path)
    os.replace(path, former)
    try:
        os.replace(partial, path)
    except BaseException:
        if not path.exists():
            os.replace(former, path)
        raise
    shutil.rmtree(former)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, atomically; NaN and infinity are refused."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 `text` atomically, with newlines as they are."""
    with atomic_file(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="")


def read_json(path: Path) -> Any:
    """Read JSON; a missing or broken file is a ConvoyError that names it."""
    try:
        value = parse_json(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConvoyError("no such file", path=path, hint="run `dvc repro` to make it") from None
    except RecursionError:
        raise _not_json(path, "nested too deeply") from None
    except ValueError as error:  # JSONDecodeError or UnicodeDecodeError
        raise _not_json(path, reason(error, 120)) from None
    if _depth(value) > _DEEPEST_JSON:
        raise _not_json(path, "nested too deeply")
    return value


def _not_json(path: Path, why: str) -> ConvoyError:
    return ConvoyError(f"not valid JSON ({why})", path=path, hint="remove it and make it again")


def parse_json(text: str) -> Any:
    """The value of JSON; ValueError where it is broken or has a number that is not finite, such as 1e999."""
    return json.loads(text, parse_constant=_no_number, parse_float=_finite)


def _finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _no_number(digits)


def _no_number(value: str) -> NoReturn:
    raise ValueError(f"{value} is no finite number")


def _depth(value: Any) -> int:
    """Depth to which lists and objects are nested, computed without recursion."""
    depth, level = 0, [value] if isinstance(value, dict | list) else []
    while level:
        depth += 1
        parts = [part.values() if isinstance(part, dict) else part for part in level]
        level = [inner for part in parts for inner in part if isinstance(inner, dict | list)]
    return depth


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path, manifest_name: str = MANIFEST, /, **facts: Any) -> dict[str, Any]:
    """Write the manifest of `folder` as its last file: names, sizes and sha256 of the others, and `facts`."""
    files = {
        file.relative_to(folder).as_posix(): {"bytes": file.stat().st_size, "sha256": sha256(file)}
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != manifest_name
    }
    manifest = {**facts, "files": files}
    write_json(folder / manifest_name, manifest)
    return manifest


def check_manifest(folder: Path, manifest_name: str = MANIFEST) -> dict[str, Any]:
    """Return the manifest of `folder` after comparing every file's size and sha256 with it.

    Raises ConvoyError naming the folder and the file where the manifest is missing, a file is missing,
    a file is not listed, or bytes differ.
    """
    folder = Path(folder)
    if not (folder / manifest_name).is_file():
        raise ConvoyError(
            f"no {manifest_name}, so the folder is not whole", path=folder, hint="make it again"
        )
    manifest = read_json(folder / manifest_name)
    listed = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(listed, dict):
        raise ConvoyError("no list of files", path=folder / manifest_name, hint=_AGAIN)
    for name, facts in listed.items():
        known = isinstance(facts, dict) and type(facts.get("bytes")) is int
        if not known or not isinstance(facts.get("sha256"), str):
            raise ConvoyError(
                "no bytes and sha256", path=folder / manifest_name, key=f"'{name[:80]}'", hint=_AGAIN
            )
    present = {
        file.relative_to(folder).as_posix()
        for file in folder.rglob("*")
        if file.is_file() and file.name != manifest_name
    }
    for name in sorted(present ^ set(listed)):
        state = "not in the manifest" if name in present else "missing"
        raise ConvoyError(state, path=folder / name, hint=_AGAIN)
    for name, facts in sorted(listed.items()):
        file = folder / name
        if file.stat().st_size != facts["bytes"]:
            raise ConvoyError(
                f"{file.stat().st_size} bytes, expected {facts['bytes']} by the manifest",
                path=file, hint="make it again",
            )  # fmt: skip
        if sha256(file) != facts["sha256"]:
            raise ConvoyError("sha256 differs from the manifest", path=file, hint=_AGAIN)
    return manifest


def check_room(path: Path, needed: int, purpose: str = "") -> None:
    """Raise ConvoyError where fewer than `needed` bytes are free on the disk of the folder of `path`.

    purpose: ends "1.2 GB needed" in the message.
    """
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        sizes = [_size(needed), _size(free)]
        if sizes[0] == sizes[1]:
            sizes = [f"{needed:,} bytes", f"{free:,}"]
        raise ConvoyError(
            f"{sizes[0]} needed{purpose and f' {purpose}'}, {sizes[1]} free",
            path=path,
            hint="name another place",
        )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.2g} MB"


@contextlib.contextmanager
def workspace_lock(folder: Path = Path(".")) -> Iterator[None]:
    """Hold an exclusive lock on `folder` itself, waiting for the process that has it.

    A stage that outlives a killed `dvc` still writes its outputs; the next one must not run at the same time.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting: another stage still runs in this workspace", flush=True)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _partial(path: Path) -> Path:
    """Return a free temporary name next to `path`; remove those of processes that have ended."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.partial-(\d+)-\d+")
    taken = set()
    for sibling in path.parent.iterdir():
        match = pattern.fullmatch(sibling.name)
        if match is None:
            continue
        if int(match[1]) != os.getpid() and not Path(f"/proc/{match[1]}").exists():
            shutil.rmtree(sibling) if sibling.is_dir() else sibling.unlink(missing_ok=True)
        taken.add(sibling.name)
    for count in range(len(taken) + 1):
        name = f".{path.name}.partial-{os.getpid()}-{count}"
        if name not in taken:
            return path.with_name(name)
    raise AssertionError("one more name than taken ones is always free")


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
