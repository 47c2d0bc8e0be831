"""`convoy lineage`: from embeddings to the model version, its run, the commit and the data, and back.

Every hash on the way is recomputed and compared with the recorded one. Files that are elsewhere, or have been
replaced since, cannot be compared and are marked "not here".
"""

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convoy.core.errors import ConvoyError
from convoy.core.files import MANIFEST, check_manifest, read_json, sha256
from convoy.core.mlmodel import check
from convoy.core.printable import cut, reason
from convoy.embeddings import io as embeddings
from convoy.tasks import RegisteredTask, TaskSpec
from convoy.tracking import dvclock, store
from convoy.tracking.lineage.tree import Node, checked
from convoy.tracking.lineage.workspace import SHORT, Workspace
from convoy.tracking.outputs import EVALUATION, Trained, trained
from convoy.tracking.registry.listing import all_versions, no_such_version, of_weights, with_aliases
from convoy.tracking.registry.loading import about_copy
from convoy.tracking.runs import PARENT
from convoy.tracking.scratch_io import scratch as scratch_folder
from convoy.training.event_log import git, repository

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

_URI = re.compile(r"(models|runs):/*(.*)")
_URIS = "models:/NAME/VERSION, models:/NAME@ALIAS, models:/ID or runs:/RUN"
_NAMED = 3  # differences that the last line names
_LONGEST = 160  # characters of the error of a store that cannot be read


def lineage(what: str, tasks: Sequence[TaskSpec], show: Callable[[str], Any]) -> None:
    """Show the tree of a path or a URI line by line.

    Raises ConvoyError, after the tree, where a check failed or there is no dvc.lock, and before it where the
    path or URI is unknown.
    """
    uri = _URI.fullmatch(what)
    if not what.strip() or (uri is not None and not uri[2]):
        raise ConvoyError(path="lineage", expected=f"a path or {_URIS}", found=f"'{what}'")
    chain = _Chain(repository(), tasks)
    if uri is not None:
        tree = chain.of_uri(what, uri[1], uri[2])
    else:
        path = Path(what)
        # Symbolic links are resolved in the folder's name only: a file may be DVC's link into its cache.
        tree = chain.workspace.trace(path.parent.resolve() / path.name)
    for line in tree.lines():
        show(line)
    nodes = list(tree.all())
    faults = [node.text for node in nodes if node.state == "differs"]
    if faults:
        more = f"; and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
        named = "; ".join(faults[:_NAMED])
        raise ConvoyError(f"lineage of {what}: {len(faults)} of {len(nodes)} checks failed: {named}{more}")
    if not chain.workspace.lock:
        raise ConvoyError(
            f"lineage of {what}: no dvc.lock in {chain.workspace.root}, so nothing ties it to its data; run "
            "this in the checkout that made it, or bring the file back with `git checkout dvc.lock`"
        )


class _Chain:
    """Both parts of a lineage: the workspace, and the store where it can be reached."""

    def __init__(self, root: Path, tasks: Sequence[TaskSpec]) -> None:
        datasets = [task.outputs.root / name for task in tasks for name in task.outputs.datasets]
        self.workspace = Workspace(root, datasets, self._registered, self._of_weights)
        self.tasks = tasks
        self.registered = tuple(task for task in tasks if isinstance(task, RegisteredTask))
        self.loaders = tuple(task.serving.loader for task in self.registered)
        self._client: MlflowClient | None = None
        self._above: set[str] = set()  # contents whose versions are shown above in the tree

    def of_uri(self, uri: str, scheme: str, rest: str) -> Node:
        """The tree of a registered version or of a run, down to the data and back to the embeddings."""
        client = self.client()
        with store.reachable():
            run: Run | None
            if scheme == "runs":
                run = self._get_run(rest.partition("/")[0])
                content = run.data.tags.get("convoy.content", "")
                self._above.add(content)
                node = self._run(run)
                node.below[:0] = [self._version(one, with_run=False) for one in self._versions(content)]
            else:
                version = _resolved(client, uri, rest, self._all_versions())
                content = version.tags.get("convoy.content", "")
                self._above.add(content)
                node = self._version(version)
                run = None if version.run_id is None else self._find_run(version.run_id)
        if run is not None and content != "":
            node.below += self._in_the_workspace(content, run)
        return node

    def client(self) -> "MlflowClient":
        """A client of the store; ConvoyError where there is none, without making one."""
        if self._client is None:
            self._client = store.existing(store.LIVE_TIMEOUT)
        return self._client

    def _registered(self, content: str) -> list[Node]:
        """The versions in the store with a model folder's content, or the reason why it cannot be read."""
        if content in self._above:
            return []
        self._above.add(content)
        try:
            self.client()
            with store.reachable():
                nodes = [self._version(version) for version in self._versions(content)]
        except ConvoyError as error:
            return [Node(cut(str(error), _LONGEST), "not here")]
        return nodes or [Node(f"no registered version has the content {content[:SHORT]}", "not here")]

    def _of_weights(self, digest: str) -> list[Node]:
        """The versions in the store that have these weights; none where it cannot be read."""
        with contextlib.suppress(ConvoyError):
            client = self.client()
            with store.reachable():
                names = [task.registered for task in self.registered]
                return [self._version(version) for version in of_weights(client, names, digest)]
        return []

    def _all_versions(self) -> "list[ModelVersion]":
        client = self.client()
        return [version for task in self.registered for version in all_versions(client, task.registered)]

    def _versions(self, content: str) -> "list[ModelVersion]":
        return [one for one in self._all_versions() if content and one.tags.get("convoy.content") == content]

    def _version(self, version: "ModelVersion", with_run: bool = True) -> Node:
        """A registered version: a check of its stored files, and its run."""
        client, content = self.client(), version.tags.get("convoy.content", "")
        uri = f"models:/{version.name}/{version.version}"
        kind = version.tags.get("convoy.model")
        node = checked(
            f"{with_aliases(client, version)} ({kind}): content {content[:SHORT]}",
            _stored_fault(client, version, uri, self.loaders),
        )
        if with_run and version.run_id is not None:
            run = self._find_run(version.run_id)
            node.below.append(
                Node(f"run {version.run_id}: not in the store", "not here")
                if run is None
                else self._run(run, content)
            )
        return node

    def _get_run(self, run_id: str) -> "Run":
        run = self._find_run(run_id)
        if run is None:
            raise ConvoyError(f"no such run at {store.shown()}", path=f"runs:/{run_id}")
        return run

    def _find_run(self, run_id: str) -> "Run | None":
        from mlflow.exceptions import MlflowException

        try:
            return self.client().get_run(run_id)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def _run(self, run: "Run", content: str | None = None) -> Node:
        """A run: checks of its content, its commit, its data, and its metrics compared with dvc.lock."""
        tags, info = run.data.tags, run.info
        own = tags.get("convoy.content", "")
        experiment = self.client().get_experiment(info.experiment_id).name
        fault = f"has the content {own[:SHORT] or 'of no model'}" if content not in (None, own) else None
        node = checked(f"run {info.run_id} '{info.run_name}' ({info.status}, {experiment})", fault)
        node.below.append(self._commit(tags))
        if tags.get("convoy.model") == "all":
            mine = f"tags.`{PARENT}` = '{info.run_id}'"
            node.below += [self._run(one) for one in self.client().search_runs([info.experiment_id], mine)]
            return node
        task = next((task for task in self.tasks if task.experiment == experiment), None)
        if task is None or "convoy.lock_key" not in tags:
            return node
        model, text = self._trained(run), f"dvc.lock entries: key {tags['convoy.lock_key'][:SHORT]}"
        if model is not None:
            node.below.append(Node(text, "ok"))
        else:
            node.below.append(Node(f"{text}: dvc.lock has other entries now", "not here"))
        inputs = run.inputs.dataset_inputs if run.inputs is not None else []
        for dataset in (one.dataset for one in inputs):
            node.below.append(self._data((task.outputs.root / dataset.name).as_posix(), dataset.digest))
        if model is not None:
            node.below += self._figures(run, model)
        return node

    def _trained(self, run: "Run") -> Trained | None:
        """The model of a run in the current dvc.lock, or None where its entries have changed."""
        key = run.data.tags.get("convoy.lock_key")
        models = [model for task in self.tasks for model in trained(task, self.workspace.lock)]
        return next((model for model in models if model.key == key), None)

    def _commit(self, tags: dict[str, str]) -> Node:
        commit = tags.get("mlflow.source.git.commit", "")
        dirty = " with uncommitted changes" if tags.get("convoy.dirty") == "true" else ""
        if not re.fullmatch("[0-9a-f]{7,64}", commit):
            return Node("git commit: none was recorded", "not here")
        there = git(self.workspace.root, "cat-file", "-e", f"{commit}^{{commit}}")
        return Node(f"git commit {commit[:SHORT]}{dirty}", "not here" if there is None else "ok")

    def _data(self, name: str, digest: str) -> Node:
        """A check of data that a run read; where dvc.lock has changed, the file cannot be compared."""
        text, maker = f"read {name}: md5 {digest[:SHORT]}", self.workspace.makers.get(name)
        now = self.workspace.md5(name)
        if now == digest:
            return Node(text, "ok")
        if now is None or maker is None or maker.outs[name] != digest:
            return Node(text, "not here")
        return checked(text, f"md5 {now[:SHORT]} now")

    def _figures(self, run: "Run", model: Trained) -> list[Node]:
        """Checks of the run's copies of the evaluate stage's outputs, compared with dvc.lock."""
        from mlflow.exceptions import MlflowException

        outs = {path: md5 for entry in model.stages for path, md5 in entry.outs.items()}
        nodes = []
        with scratch_folder("lineage") as scratch:
            for name, path in model.evaluation.items():
                name, md5 = f"{EVALUATION}/{name}", self._recorded_md5(path.as_posix(), outs)
                if md5 is None:
                    nodes.append(Node(f"artifact {name} of {path}", "not here"))
                    continue
                text = f"artifact {name}: md5 {md5[:SHORT]} of {path}"
                try:
                    copy = Path(self.client().download_artifacts(run.info.run_id, name, scratch))
                    found = dvclock.md5(copy)
                except (MlflowException, OSError, ConvoyError):
                    nodes.append(Node(text, "not here"))
                else:
                    nodes.append(checked(text, None if found == md5 else f"md5 {found[:SHORT]} there"))
        return nodes

    def _recorded_md5(self, path: str, outs: Mapping[str, str]) -> str | None:
        """The md5 of an output, or of a file in an output folder that matches dvc.lock; None for others."""
        if path in outs:
            return outs[path]
        folders = (name for name in outs if path.startswith(f"{name}/"))
        whole = any(self.workspace.md5(name) == outs[name] for name in folders)
        return self.workspace.md5(path) if whole else None

    def _in_the_workspace(self, content: str, run: "Run") -> list[Node]:
        """The model folder with this content, its inputs, and embeddings made with it."""
        space, model = self.workspace, self._trained(run)
        folders = space.model_folders()
        for name, weights in folders.items():
            if sha256(space.root / name / MANIFEST) == content:
                return [space.model(space.root / name), *self._embeddings(weights)]
        text = f"model folder with the content {content[:SHORT]} of {run.data.tags.get('convoy.model')}"
        if model is None or space.md5(model.folder.as_posix()) is None:
            return [Node(f"{text}: none in the workspace", "not here")]
        if model.content == content:
            return [space.model(space.root / model.folder)]
        return [
            checked(text, f"{model.folder} has other content"),
            space.model(space.root / model.folder),
        ]

    def _embeddings(self, weights: str) -> list[Node]:
        space = self.workspace
        folders = [space.root / name for name in space.makers if embeddings.is_embeddings(space.root / name)]
        return [
            space.embeddings(folder)
            for folder in folders
            if read_json(folder / embeddings.MANIFEST).get("weights_sha256") == weights
        ]


def _resolved(client: "MlflowClient", uri: str, rest: str, known: "list[ModelVersion]") -> "ModelVersion":
    """The version that a models:/ URI names."""
    from mlflow.exceptions import MlflowException

    name, at, alias = rest.partition("@")
    with contextlib.suppress(MlflowException):
        if at:
            return client.get_model_version_by_alias(name, alias)
        name, slash, number = rest.partition("/")
        if slash:
            return client.get_model_version(name, number)
    for version in known:
        if (version.model_id or str(version.source).rpartition("/")[2]) == rest:
            return version
    raise no_such_version(uri, known)


def _stored_fault(
    client: "MlflowClient", version: "ModelVersion", uri: str, loaders: Sequence[str]
) -> str | None:
    """Description of a fault in a version's stored files, or None."""
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    content = version.tags.get("convoy.content")
    if content is None:
        return "no tag convoy.content, so `convoy publish` did not make it"
    with scratch_folder("lineage") as scratch:
        try:
            place = client.get_model_version_download_uri(version.name, version.version)
            folder = Path(download_artifacts(place, dst_path=scratch, tracking_uri=client.tracking_uri))
            check_manifest(check(folder, loaders, content).model_folder)
        except ConvoyError as error:
            return str(about_copy(error, Path(scratch), uri))
        except (MlflowException, OSError) as error:
            return f"its files cannot be read: {reason(error)}"
    return None
