"""A store of accepted versions of embeddings: a folder a version that never changes, and a pointer.

    accepted.json                        the accepted version, and those that were accepted before it
    versions/0002-3f9c…/embeddings/      an embeddings folder, as `convoy.embeddings.read` reads it
    versions/0002-3f9c…/rotation.npy     (D, D): `vectors @ rotation` lie as those of the version before
    versions/0002-3f9c…/certificate.*    of its acceptance
    versions/0002-3f9c…/version.json     its number, weights, the version that it replaced, rotation and churn
    versions/0002-3f9c…/manifest.json    written last

A version is named by a number and the first digits of the sha256 of its embeddings' manifest. Readers take
the folder that `accepted` returns and may keep it: it stays as it is when another version is accepted.
"""

import fcntl
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convoy.core.errors import ConvoyError
from convoy.core.files import (
    atomic_directory,
    check_manifest,
    check_room,
    read_json,
    sha256,
    write_json,
    write_manifest,
    write_text,
)
from convoy.core.printable import cut
from convoy.embeddings.alignment import Alignment
from convoy.embeddings.io import MANIFEST

SCHEMA = 1
POINTER, VERSIONS = "accepted.json", "versions"
EMBEDDINGS, ROTATION, FACTS = "embeddings", "rotation.npy", "version.json"
CERTIFICATE, PAGE = "certificate.json", "certificate.html"
_NAME = re.compile(r"(\d{4,})-[0-9a-f]{12}")
_PARTIAL = re.compile(r"\.(accepted\.json|\d{4,}-[0-9a-f]{12})\.partial-\d+-\d+")
_KEYS = {
    "name",
    "onto",
    "manifest_sha256",
    "weights_sha256",
    "model",
    "items",
    "dimension",
    "churn",
    "rotation",
}
_SHOWN = 60
_FIRST = "run `convoy accept PATH --into STORE`"


@dataclass(frozen=True)
class Kept:
    """A version of the store: its name, its folder and the content of its version.json."""

    name: str
    folder: Path
    facts: Mapping[str, Any]

    @property
    def embeddings(self) -> Path:
        return self.folder / EMBEDDINGS


@dataclass(frozen=True)
class Offer:
    """A version that passed its acceptance: its folder, the sha256 of its manifest, its certificate and page.

    alignment: onto the accepted version, None where there is none. churn: figures on its neighbours.
    """

    path: Path
    sha256: str
    certificate: Mapping[str, Any]
    html: str
    alignment: Alignment | None
    churn: Mapping[str, float]


def accepted(store: Path) -> Path:
    """The embeddings folder of the accepted version; ConvoyError where there is none."""
    found = current(Path(store))
    if found is None:
        raise ConvoyError("no version was accepted yet", path=store, hint=_FIRST)
    return found.embeddings


def current(store: Path) -> Kept | None:
    """The accepted version, its files checked; None where there is none yet.

    Raises ConvoyError for a store with other files, symbolic links or a version that was changed.
    """
    _refuse_foreign(store)
    pointer = _pointer(store)
    return None if pointer is None else _kept(store, pointer["version"])


def listing(store: Path) -> tuple[list[Kept], list[str]]:
    """All versions by number, and the names of the accepted ones, the present one last."""
    _refuse_foreign(store)
    pointer = _pointer(store)
    names = [entry.name for entry in _inside(store / VERSIONS) if _NAME.fullmatch(entry.name)]
    return (
        [_kept(store, name) for name in sorted(names, key=lambda name: (_number(name), name))],
        [] if pointer is None else [*pointer["former"], pointer["version"]],
    )


def refuse_inside(path: Path, option: str, read_only: Iterable[Path] = (), itself: bool = True) -> None:
    """Raise ConvoyError where writing to a path, which `option` names, would change a folder that is whole.

    That is, where it lies in a store of versions or in an embeddings folder (or, where `itself`, is one), or
    is or lies in a folder of `read_only`. All paths have to be real ones.
    """
    hint = f"name another {option}"
    unchanged = set(read_only)
    for folder in (path, *path.parents):
        whole = itself or folder != path
        if _NAME.fullmatch(folder.name) and folder.parent.name == VERSIONS and (folder / FACTS).is_file():
            raise ConvoyError("is inside a stored version, which never changes", path=path, hint=hint)
        if whole and (folder / POINTER).is_file() and (folder / VERSIONS).is_dir():
            raise ConvoyError("is a store of versions, or inside one", path=path, hint=hint)
        if whole and (folder / MANIFEST).is_file():
            raise ConvoyError("is an embeddings folder, or inside one", path=path, hint=hint)
        if folder in unchanged:
            raise ConvoyError(f"would change {folder}, which is only read", path=path, hint=hint)


@contextmanager
def exclusive(store: Path, make: bool = True) -> Iterator[None]:
    """Hold the lock of a store, waiting for the process that has it; `make` it first where it is missing."""
    if make and not store.exists():
        store.mkdir(parents=True, exist_ok=True)
    _refuse_foreign(store)
    if make:
        (store / VERSIONS).mkdir(exist_ok=True)
    descriptor = os.open(store, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting: another command changes this store", file=sys.stderr, flush=True)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        _remove_partials(store)
        yield
    finally:
        os.close(descriptor)


def accept(store: Path, offer: Offer) -> tuple[str, bool]:
    """Keep an offered version and point to it; its name, and whether the pointer moved. Needs `exclusive`.

    A version with the same embeddings that was kept before, and replaced the same one, is taken as it is.
    """
    now = current(store)
    if now is not None and now.facts["manifest_sha256"] == offer.sha256:
        return now.name, False
    onto = None if now is None else now.name
    kept, _ = listing(store)
    same = [one for one in kept if (one.facts["manifest_sha256"], one.facts["onto"]) == (offer.sha256, onto)]
    number = max((_number(one.name) for one in kept), default=0) + 1
    name = same[-1].name if same else f"{number:04}-{offer.sha256[:12]}"
    if not same:
        _keep(store / VERSIONS / name, offer, name, onto)
    former = [] if (pointer := _pointer(store)) is None else [*pointer["former"], pointer["version"]]
    _point(store, name, former)
    return name, True


def rollback(store: Path) -> tuple[str, str]:
    """Point to the version accepted before the present one; the names of both. Needs `exclusive`.

    A second rollback goes one version further back.
    """
    pointer = _pointer(store)
    if pointer is None or not pointer["former"]:
        raise ConvoyError(
            "no version was accepted before", path=store, hint="run `convoy versions` to list them"
        )
    *former, name = pointer["former"]
    _kept(store, name)
    _point(store, name, former)
    return pointer["version"], name


def _point(store: Path, name: str, former: list[str]) -> None:
    facts = _kept(store, name).facts
    about = {key: facts[key] for key in ("manifest_sha256", "weights_sha256", "model")}
    write_json(store / POINTER, {"schema": SCHEMA, "version": name, "former": former, **about})


def _keep(folder: Path, offer: Offer, name: str, onto: str | None) -> None:
    """Copy the embeddings, and write all about the version, as one folder."""
    files = [path for path in sorted(offer.path.rglob("*")) if path.is_file()]
    check_room(folder, sum(path.stat().st_size for path in files), "for a copy of the embeddings")
    with atomic_directory(folder) as partial:
        for path in files:
            target = partial / EMBEDDINGS / path.relative_to(offer.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        manifest = check_manifest(partial / EMBEDDINGS, MANIFEST)
        if sha256(partial / EMBEDDINGS / MANIFEST) != offer.sha256:
            raise ConvoyError(
                "changed while it was copied", path=offer.path, hint="run again when it is whole"
            )
        rotation = None
        if offer.alignment is not None:
            np.save(partial / ROTATION, offer.alignment.rotation)
            rotation = {
                "shared": offer.alignment.shared, "cosine": offer.alignment.cosine,
                "cosine_unrotated": offer.alignment.cosine_unrotated, "residual": offer.alignment.residual,
            }  # fmt: skip
        write_json(partial / CERTIFICATE, offer.certificate)
        write_text(partial / PAGE, offer.html)
        facts = {key: manifest.get(key) for key in ("model", "weights_sha256", "items", "dimension")}
        facts |= {"schema": SCHEMA, "name": name, "onto": onto, "manifest_sha256": offer.sha256}
        write_json(partial / FACTS, {**facts, "rotation": rotation, "churn": dict(offer.churn)})
        write_manifest(partial)


def _kept(store: Path, name: str) -> Kept:
    """A version, after comparing its files with its manifest."""
    folder = store / VERSIONS / name
    if not folder.is_dir():
        raise ConvoyError(f"the version {name} is gone", path=store, hint="restore it, or make another store")
    for entry in folder.rglob("*"):
        if entry.is_symlink():
            raise ConvoyError("a symbolic link", path=entry, hint="a store holds whole files alone")
    check_manifest(folder)
    facts = read_json(folder / FACTS)
    if not _are_facts(facts) or facts["name"] != name:
        raise ConvoyError("not the facts of a version", path=folder / FACTS, hint="make another store")
    return Kept(name, folder, facts)


def _are_facts(facts: Any) -> bool:
    """Whether the content of a version.json has all keys, with values of the types that are used."""
    if not isinstance(facts, dict) or not set(facts) >= _KEYS:
        return False
    counts, figures = (facts["items"], facts["dimension"]), (facts["churn"], facts["rotation"] or {})
    return (
        all(type(count) is int for count in counts)
        and isinstance(facts["onto"], str | None)
        and all(isinstance(named, dict) for named in figures)
        and all(type(value) in (int, float) for named in figures for value in named.values())
    )


def _pointer(store: Path) -> dict[str, Any] | None:
    """The content of accepted.json; None where there is none yet."""
    path = store / POINTER
    if not path.exists():
        return None
    found = read_json(path)
    version, former = (found.get("version"), found.get("former")) if isinstance(found, dict) else (None, None)
    names = [version, *former] if isinstance(former, list) else [None]
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
        raise ConvoyError("names no versions", path=path, hint="restore it from a copy of the store")
    return {"version": names[0], "former": names[1:]}


def _refuse_foreign(store: Path) -> None:
    """Raise ConvoyError where a folder is no store: other files, or symbolic links in place of ours."""
    if not store.is_dir():
        raise ConvoyError("no such store of versions", path=store, hint=_FIRST)
    versions = store / VERSIONS
    entries = sorted([*store.iterdir(), *_inside(versions)])
    for entry in entries:
        ours = (
            _PARTIAL.fullmatch(entry.name) is not None
            or (entry.name == POINTER and entry.parent == store and entry.is_file())
            or (entry == versions and entry.is_dir())
            or (entry.parent == versions and _NAME.fullmatch(entry.name) is not None and entry.is_dir())
        )
        if entry.is_symlink() or not ours:
            what = "is a symbolic link" if entry.is_symlink() else "is no part of a store of versions"
            raise ConvoyError(f"'{cut(entry.name, _SHOWN)}' {what}", path=store, hint="name another folder")


def _remove_partials(store: Path) -> None:
    """Remove what a killed process left; whoever holds the lock is the only writer."""
    for folder in (store, store / VERSIONS):
        for entry in _inside(folder):
            if _PARTIAL.fullmatch(entry.name):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _inside(folder: Path) -> list[Path]:
    """What a folder holds; nothing where it is missing, as in a store that was just made."""
    return list(folder.iterdir()) if folder.is_dir() else []


def _number(name: str) -> int:
    return int(name.partition("-")[0])
