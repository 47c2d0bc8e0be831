"""Certificates of embeddings in the workspace, by the weights that made them."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convoy.core.artifact import WEIGHTS
from convoy.core.errors import ConvoyError
from convoy.core.files import MANIFEST, read_json, sha256
from convoy.core.printable import cut
from convoy.tasks import TaskSpec

PATTERN = "acceptance/*/certificate.json"  # below the folder of a task's outputs
_NAMED = 3  # failed checks that a line names
_NAME = 40


@dataclass(frozen=True)
class Certificate:
    """A certificate: its file, sha256 of weights and of the embeddings' manifest, verdict, failed checks."""

    path: Path
    weights_sha256: str
    manifest_sha256: str
    accepted: bool
    failed: tuple[str, ...]

    @property
    def words(self) -> str:
        """The verdict in a few words."""
        names = ", ".join(cut(name, _NAME) for name in self.failed[:_NAMED])
        return "accepted" if self.accepted else f"not accepted ({names or 'checks that were not run'})"


def certificates(root: Path) -> Iterator[Certificate]:
    """The certificates below the folder of a task's outputs; files that are none are left out."""
    return filter(None, map(certificate_in, sorted(root.glob(PATTERN))))


def certificate_in(path: Path) -> Certificate | None:
    """The certificate in a file; None where there is none."""
    with contextlib.suppress(ConvoyError, OSError, KeyError, TypeError, AttributeError):
        found = read_json(path)
        named, checks = found["embeddings"], found["checks"].items()
        failed = tuple(name for name, check in checks if check["state"] == "failed")
        weights, manifest = str(named["weights_sha256"]), str(named["manifest_sha256"])
        return Certificate(path, weights, manifest, found["accepted"] is True, failed)
    return None


def of_version(repository: Path, task: TaskSpec, kind: str, content: str) -> Certificate | None:
    """The certificate of the embeddings by a version of a model whose folder is in the workspace, or None.

    content: the sha256 of the version's manifest.
    """
    manifest = repository / task.outputs.of(task.outputs.folder, kind) / MANIFEST
    with contextlib.suppress(ConvoyError, OSError, KeyError, TypeError):
        if sha256(manifest) == content:
            weights = read_json(manifest)["files"][WEIGHTS]["sha256"]
            found = certificates(repository / task.outputs.root)
            return next((one for one in found if one.weights_sha256 == weights), None)
    return None
