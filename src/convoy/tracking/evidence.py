"""What speaks for a version: its figures, its stored files, and what was measured of it and the champion."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convoy.core.errors import ConvoyError
from convoy.core.files import read_json
from convoy.tracking import dvclock
from convoy.tracking.decisions import name, side
from convoy.tracking.task import EVALUATION, FIGURES, Judge, Task
from convoy.training import event_log as journal

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from convoy.tracking.promotion import PromotionParams


@dataclass(frozen=True, eq=False)
class Scored:
    """What the evaluate stage found, as the version's run keeps it; `measured`: see `Judge.read`."""

    metrics: Mapping[str, Any]
    measured: Any


def scored(client: "MlflowClient", judge: Judge, version: "ModelVersion") -> Scored:
    """What was found of a version; ConvoyError where its run does not have it."""
    with tempfile.TemporaryDirectory(prefix="convoy-evidence-") as scratch:
        folder = _download(client, version, scratch)
        return Scored(read_json(folder / FIGURES), judge.read(folder / judge.file))


def faults(task: Task, version: "ModelVersion", found: Scored, params: "PromotionParams") -> list[str]:
    """The acceptance checks that a version fails, in words: figures, then the stored model itself."""
    stored = _stored_fault(task.registered, version)
    return task.judge.faults(found.metrics, found.measured, params) + ([stored] if stored else [])


def baseline(
    client: "MlflowClient", task: Task, candidate: "ModelVersion", champion: "ModelVersion", found: Scored
) -> Any:
    """What was measured of the champion on the candidate's test split, or is measured now from its data.

    Raises ConvoyError where the two were tested on different data and the workspace has not the candidate's.
    """
    from convoy.tracking import pyfunc

    if candidate.tags.get("convoy.test_split") == champion.tags.get("convoy.test_split"):
        return scored(client, task.judge, champion).measured
    place = task.data / task.judge.source
    source = journal.repository() / place
    md5 = json.loads(candidate.tags.get("convoy.data", "{}")).get(source.name)
    if not source.exists() or dvclock.md5(source) != md5:
        raise ConvoyError(
            f"{name(side(candidate))} and the champion, {name(side(champion))}, were tested on different "
            f"items, and {place} is not the one of the former (md5 {md5}); bring it back "
            "with `git checkout` and `dvc checkout`, then run `convoy promote` again"
        )
    return task.judge.again(source, found.measured, pyfunc.load(_uri(task.registered, champion)))


def _stored_fault(registered: str, version: "ModelVersion") -> str | None:
    """What is wrong with the stored model: its files are checked, then it is asked something."""
    from convoy.tracking import pyfunc

    try:
        return pyfunc.load(_uri(registered, version)).fault()
    except ConvoyError as error:
        return f"its stored model is refused: {error}"


def _uri(registered: str, version: "ModelVersion") -> str:
    return f"models:/{registered}/{version.version}"


def _download(client: "MlflowClient", version: "ModelVersion", scratch: str) -> Path:
    from mlflow.exceptions import MlflowException

    try:
        return Path(client.download_artifacts(str(version.run_id), EVALUATION, scratch))
    except (MlflowException, OSError) as error:
        raise ConvoyError(
            f"{name(side(version))}: no {EVALUATION}/ in its run {version.run_id} "
            f"({' '.join(str(error).split())[:200]}); run `convoy publish`, then promote again"
        ) from None
