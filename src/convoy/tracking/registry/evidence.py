"""Promotion evidence: metrics, stored model and case-by-case results of a version and of the champion."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convoy.core.errors import ConvoyError
from convoy.core.figures_io import DETAILS, METRICS
from convoy.core.printable import reason
from convoy.tasks import PromotionParams, RegisteredTask
from convoy.tracking import dvclock
from convoy.tracking.outputs import EVALUATION
from convoy.tracking.registry import loading
from convoy.tracking.registry.state import name, record
from convoy.tracking.scratch_io import scratch as scratch_folder
from convoy.training.event_log import repository

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True, eq=False)
class Evidence:
    """Outputs of the evaluate stage from a version's run; `measured`: see `VersionComparison.read`."""

    metrics: Mapping[str, Any]
    measured: Any


def collect(client: "MlflowClient", task: RegisteredTask, version: "ModelVersion") -> Evidence:
    """The evidence on a version; ConvoyError where its run lacks it."""
    with scratch_folder("evidence") as scratch:
        folder = _download(client, version, scratch)
        metrics = task.outputs.figures.read_from({name: folder / name for name in (METRICS, DETAILS)})
        return Evidence(metrics, task.versions.read(folder / task.versions.file))


def failed_checks(
    client: "MlflowClient",
    task: RegisteredTask,
    version: "ModelVersion",
    found: Evidence,
    params: PromotionParams,
) -> list[str]:
    """The acceptance checks that a version fails, in words: metrics, then the stored model itself."""
    stored = _stored_fault(client, task, version)
    return task.versions.checks(found.metrics, found.measured, params) + ([stored] if stored else [])


def champion_measured(
    client: "MlflowClient",
    task: RegisteredTask,
    candidate: "ModelVersion",
    champion: "ModelVersion",
    found: Evidence,
) -> Any:
    """The champion's results on the candidate's test split, which are computed now where they are missing.

    Raises ConvoyError where the two were tested on different data and the workspace lacks the candidate's.
    """
    if candidate.tags.get("convoy.test_split") == champion.tags.get("convoy.test_split"):
        return collect(client, task, champion).measured
    place = task.outputs.root / task.versions.source
    source = repository() / place
    md5 = json.loads(candidate.tags.get("convoy.data", "{}")).get(source.name)
    if not source.exists() or dvclock.md5(source) != md5:
        raise ConvoyError(
            f"{name(record(candidate))} and the champion, {name(record(champion))}, were tested on different "
            f"items, and {place} is not that of the former (md5 {md5}); restore it with `git checkout` and "
            "`dvc checkout`, then run `convoy promote` again"
        )
    model = loading.load(client, _uri(task, champion), task.serving)
    return task.versions.remeasure(task.versions.read_source(source), found.measured, model)


def _stored_fault(client: "MlflowClient", task: RegisteredTask, version: "ModelVersion") -> str | None:
    """Description of a fault in the stored model's files or in its prediction for an example, or None."""
    try:
        return loading.load(client, _uri(task, version), task.serving).fault()
    except ConvoyError as error:
        return f"its stored model is refused: {error}"


def _uri(task: RegisteredTask, version: "ModelVersion") -> str:
    return f"models:/{task.registered}/{version.version}"


def _download(client: "MlflowClient", version: "ModelVersion", scratch: str) -> Path:
    from mlflow.exceptions import MlflowException

    try:
        return Path(client.download_artifacts(str(version.run_id), EVALUATION, scratch))
    except (MlflowException, OSError) as error:
        raise ConvoyError(
            f"{name(record(version))}: no {EVALUATION}/ in its run {version.run_id} "
            f"({reason(error)}); run `convoy publish`, then promote again"
        ) from None
