"""The part of a lineage in the checkout: embeddings, models, and dvc.lock down to the source.

Every hash is recomputed from the files. The inputs of a stage are compared with the current files, so that
outputs of an earlier state of the source or the data are recognised.
"""

import contextlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from convoy.acceptance.versions_io import CERTIFICATE
from convoy.core.artifact import WEIGHTS
from convoy.core.errors import ConvoyError
from convoy.core.files import MANIFEST, check_manifest, read_json, sha256
from convoy.core.printable import cut, reason
from convoy.embeddings import io as embeddings
from convoy.tracking import dvclock
from convoy.tracking.dvclock import Entry
from convoy.tracking.lineage.tree import Node, checked
from convoy.tracking.registry.certificates import certificate_in, certificates

SHORT = 12  # characters of a hash that are shown
_NAMED = 3  # changed files that a line names


class Workspace:
    """The checkout at `root`; `registered` returns the nodes of the versions with a model folder's content.

    `of_weights` returns those of the versions with weights, by sha256, of which there is no folder.
    `datasets` are the paths of the tasks' data, below `root`.
    """

    def __init__(
        self, root: Path, datasets: Sequence[Path], registered: Callable[[str], list[Node]],
        of_weights: Callable[[str], list[Node]],
    ) -> None:  # fmt: skip
        """Raise ConvoyError for a dvc.lock that is incomplete; it may be missing."""
        self.root, self._datasets = root, datasets
        self._registered, self._of_weights = registered, of_weights
        there = (root / "dvc.lock").is_file()
        self.lock: dict[str, Entry] = dvclock.read(root / "dvc.lock") if there else {}
        self.makers = {path: entry for entry in self.lock.values() for path in entry.outs}
        self._md5s: dict[str, str | None] = {}
        self._shown: dict[str, Node] = {}

    def trace(self, path: Path) -> Node:
        """The lineage of an output, or of a file in one; ConvoyError for any other path."""
        path = self.root / path
        for folder in (path, *path.parents):
            if folder == self.root:
                break
            if embeddings.is_embeddings(folder):
                return self.embeddings(folder)
            if (folder / WEIGHTS).is_file():
                return self.model(folder)
            if self.name(folder) in self.makers:
                return self.output(self.name(folder))
        facts = _parquet_facts(path)
        if facts is not None:
            text = f"{self.name(path)}: {_summary(facts)}"
            return self._described(text, _parquet_fault(path), facts, None)
        if not path.exists():
            raise ConvoyError(
                "no such file or folder", path=path,
                expected="an output of dvc.lock, embeddings, a model folder or a URI such as "
                "models:/streamrec-text@champion",
            )  # fmt: skip
        raise ConvoyError(
            "neither embeddings nor a model nor an output of dvc.lock, so nothing is known of it", path=path
        )

    def name(self, path: Path) -> str:
        """A path as dvc.lock writes it; unchanged where it is outside the checkout."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def _relative(self, error: ConvoyError) -> str:
        return str(error.moved(self.root, ""))

    def md5(self, name: str) -> str | None:
        """DVC's md5 of the current file or folder; None where it does not exist."""
        if name not in self._md5s:
            path = self.root / name
            self._md5s[name] = dvclock.md5(path) if path.exists() else None
        return self._md5s[name]

    def embeddings(self, folder: Path) -> Node:
        """A folder of embeddings: checks of its files, and of the weights and catalogue in its manifest."""
        fault = None
        try:
            facts = embeddings.read_manifest(folder)
        except ConvoyError as error:
            fault, facts = self._relative(error), read_json(folder / embeddings.MANIFEST)
        name = self.name(folder)
        node = self._described(f"{name}: {_summary(facts)}", fault, facts, name)
        node.below[:0] = self._certificates(folder, str(facts.get("weights_sha256")))
        return node

    def _certificates(self, folder: Path, weights: str) -> list[Node]:
        """Certificates of embeddings by these weights; one of other embeddings by them differs."""
        manifest = sha256(folder / embeddings.MANIFEST)
        roots = sorted({path.parent for path in self._datasets})
        found = [
            one for root in roots for one in certificates(self.root / root) if one.weights_sha256 == weights
        ]
        # A store of versions has the certificate next to the embeddings; the workspace may have later ones.
        kept = certificate_in(folder.parent / CERTIFICATE)
        if kept is not None:
            found = [kept, *(one for one in found if one.manifest_sha256 == manifest)]
        return [
            checked(
                f"{self.name(one.path)}: {one.words}",
                None if one.manifest_sha256 == manifest else "of other embeddings by these weights",
            )
            for one in found
        ]

    def model(self, folder: Path) -> Node:
        """A model folder: a check of its files, its versions in the store, and its inputs."""
        name, manifest = self.name(folder), folder / MANIFEST
        if name in self._shown:
            return Node(name, self._shown[name].state, again=True)
        content = sha256(manifest) if manifest.is_file() else "missing"
        fault = None
        try:
            check_manifest(folder)
        except ConvoyError as error:
            fault = self._relative(error)
        node = self._shown[name] = checked(f"{name}: content {content[:SHORT]}", fault)
        node.below += self._registered(content)
        made = next((path for path in (name, Path(name).parent.as_posix()) if path in self.makers), None)
        if made is not None:
            node.below.append(self._made(made))
        return node

    def output(self, name: str) -> Node:
        """An output in dvc.lock and, below it, the inputs of its stage."""
        if name in self._shown:
            return Node(name, self._shown[name].state, again=True)
        if (self.root / name / WEIGHTS).is_file():
            return self.model(self.root / name)
        node = self._shown[name] = self._made(name)
        return node

    def model_folders(self) -> dict[str, str]:
        """The model folders among the outputs: path -> sha256 of the weights in the manifest."""
        found = {}
        for name in self.makers:
            with contextlib.suppress(ConvoyError, KeyError, TypeError):
                if (self.root / name / WEIGHTS).exists():
                    manifest = read_json(self.root / name / MANIFEST)
                    found[name] = manifest["files"][WEIGHTS]["sha256"]
        return found

    def _described(self, text: str, fault: str | None, facts: dict[str, Any], name: str | None) -> Node:
        """Embeddings by the facts of their manifest or Parquet file; `name`: the path in dvc.lock, if any."""
        entry = self.makers.get(name or "")
        node = checked(text, fault)
        node.below.append(self._weights(str(facts.get("weights_sha256")), entry))
        node.below.append(self._catalogue(str(facts.get("catalogue_sha256")), entry))
        if entry is not None and name is not None:
            node.below.append(self._made(name))
        return node

    def _weights(self, digest: str, entry: Entry | None) -> Node:
        """The model folder with these weights; for embeddings in dvc.lock, the one that their stage read."""
        text = f"weights sha256 {digest[:SHORT]}"
        folders = self.model_folders()
        of_stage = [name for name in folders if entry is not None and name in entry.deps]
        for name in of_stage or folders:
            if folders[name] == digest:
                file = self.root / name / WEIGHTS
                fault = None if sha256(file) == digest else f"sha256 {sha256(file)[:SHORT]} now"
                node = checked(f"{text} of {self.name(file)}", fault)
                node.below.append(self.model(self.root / name))
                return node
        for name in of_stage:
            node = checked(f"{text} of {name}", f"it has other weights now, {folders[name][:SHORT]}")
            node.below.append(self.model(self.root / name))
            return node
        return Node(f"{text}: of no model folder here", "not here", self._of_weights(digest))

    def _catalogue(self, digest: str, entry: Entry | None) -> Node:
        text = f"catalogue sha256 {digest[:SHORT]}"
        files = [path.as_posix() for path in self._datasets if (self.root / path).is_file()]
        for name in files:
            if sha256(self.root / name) == digest:
                below = [self.output(name)] if name in self.makers else []
                return Node(f"{text} of {name}", "ok", below)
        for name in files:
            if entry is not None and name in entry.deps:
                node = checked(f"{text} of {name}", "the file has changed")
                node.below.append(self.output(name))
                return node
        return Node(f"{text}: no such catalogue here", "not here")

    def _made(self, name: str) -> Node:
        """An output's entry in dvc.lock, with a check of all inputs of its stage."""
        entry = self.makers[name]
        text = f"{name}: md5 {entry.outs[name][:SHORT]} by {entry.stage}"
        node = self._compared(text, name, entry.outs[name])
        source = {path: md5 for path, md5 in entry.deps.items() if path.startswith(("src/", "pipelines/"))}
        for path, md5 in entry.deps.items():
            if path in self.makers:
                below = self.output(path)
                if md5 != self.makers[path].outs[path]:
                    text = (
                        f"{path}: {entry.stage} read md5 {md5[:SHORT]}, which is not the one of dvc.lock now"
                    )
                    below = Node(text, "differs", [below])
                node.below.append(below)
            elif path not in source:
                node.below.append(self._compared(f"{path}: md5 {md5[:SHORT]}", path, md5))
        if source:
            changed = [path for path, then in source.items() if self.md5(path) != then]
            fault = f"{_few(changed)} changed since" if changed else None
            node.below.append(checked(f"source: {len(source)} files of {entry.stage}", fault))
        return node

    def _compared(self, text: str, name: str, md5: str) -> Node:
        """Compare a file or folder with its md5 in dvc.lock."""
        now = self.md5(name)
        if now is None:
            return Node(text, "not here")
        if now == md5:
            return Node(text, "ok")
        files = self._changed_files(name, md5)
        return checked(text, f"md5 {now[:SHORT]} now" + (f", {_few(files)} changed" if files else ""))

    def _changed_files(self, name: str, md5: str) -> list[str]:
        """The changed files of a folder, where DVC's cache has the list of its files."""
        listed = self.root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
        folder = self.root / name
        if not (md5.endswith(".dir") and listed.is_file() and folder.is_dir()):
            return []
        then = {entry["relpath"]: entry["md5"] for entry in json.loads(listed.read_text(encoding="utf-8"))}
        files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        now = {file: self.md5(f"{name}/{file}") for file in files}
        return [
            f"{name}/{file}" for file in sorted(then.keys() | now.keys()) if then.get(file) != now.get(file)
        ]


def _summary(facts: dict[str, Any]) -> str:
    """Embeddings in words; facts of a damaged folder may be anything."""
    status = facts.get("status")
    found = {key: status.get(key) for key in embeddings.STATUSES} if isinstance(status, dict) else {}
    counts = ", ".join(f"{count:,} {key}" for key, count in found.items() if isinstance(count, int))
    items = facts.get("items") if isinstance(facts.get("items"), int) else 0
    return f"embeddings of {items:,} items by {cut(str(facts.get('model')), 40)} ({counts})"


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _parquet_facts(path: Path) -> dict[str, Any] | None:
    """The facts in the metadata of a Parquet file of embeddings; None for any other file."""
    if path.suffix != ".parquet" or not path.is_file():
        return None
    with contextlib.suppress(pa.ArrowException, OSError, ValueError, KeyError, RecursionError):
        facts = json.loads((pq.read_schema(path).metadata or {})[embeddings.METADATA])
        return facts if isinstance(facts, dict) and "weights_sha256" in facts else None
    return None


def _parquet_fault(path: Path) -> str | None:
    """The error of a Parquet file whose page checksums do not match, or None."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for group in range(file.num_row_groups):
                file.read_row_group(group)
    except (pa.ArrowException, OSError) as error:
        return reason(error)
    return None
