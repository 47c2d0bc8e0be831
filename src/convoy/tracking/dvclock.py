"""Reader of dvc.lock: the inputs and outputs of each stage, and the keys that identify runs."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from convoy.core.errors import ConvoyError


@dataclass(frozen=True)
class Entry:
    """One stage: its md5s by path, its params by dotted key, and a hash of both."""

    stage: str
    deps: dict[str, str]
    outs: dict[str, str]
    params: dict[str, Any]
    content: dict[str, Any]


def read(path: Path = Path("dvc.lock")) -> dict[str, Entry]:
    """The entries by stage name; ConvoyError for a missing or incomplete file."""
    try:
        text = path.read_text(encoding="utf-8")
        stages = yaml.safe_load(text)["stages"]
        if not text.endswith("\n"):  # DVC writes it in place; after a kill it is incomplete
            raise ValueError
        return {name: _entry(name, content) for name, content in stages.items()}
    except OSError as error:
        raise ConvoyError(
            str(error.strerror), path=path, hint="run `dvc repro` from the root of the checkout"
        ) from None
    except (ValueError, yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        raise ConvoyError(
            "not a whole lock file", path=path, hint="run `make repro`, which repairs it"
        ) from None


def key(entries: Iterable[Entry], name: str = "") -> str:
    """A hash of the content of these entries (commands, deps, params, outputs), and of a name."""
    contents = {entry.stage: entry.content for entry in entries}
    text = json.dumps([name, contents], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def md5(path: Path) -> str:
    """The md5 of a file or folder as DVC computes it, without bytecode, which .dvcignore excludes.

    Raises ConvoyError where it does not exist.
    """
    if path.is_file():
        return _md5_of_file(path)
    if not path.is_dir():
        raise ConvoyError("no such output", path=path, hint="run `dvc checkout` or `dvc repro`")
    files = [
        {"md5": _md5_of_file(file), "relpath": file.relative_to(path).as_posix()}
        for file in path.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    ]
    files.sort(key=lambda file: file["relpath"])
    return hashlib.md5(json.dumps(files).encode(), usedforsecurity=False).hexdigest() + ".dir"


def check(entry: Entry, path: str) -> None:
    """Raise ConvoyError for an output of the workspace that differs from the one in the lock."""
    if md5(Path(path)) != entry.outs[path]:
        raise ConvoyError(
            f"differs from dvc.lock, stage {entry.stage}",
            path=path,
            hint="run `dvc repro`, or `dvc checkout`",
        )


def _entry(stage: str, content: dict[str, Any]) -> Entry:
    params = {key: value for file in content.get("params", {}).values() for key, value in file.items()}
    md5s = [
        {item["path"]: item["md5"] for item in content.get(side, []) if "md5" in item}
        for side in ("deps", "outs")
    ]
    return Entry(stage, md5s[0], md5s[1], params, content)


def _md5_of_file(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
