"""The artifact repository of `convoy:` URIs, which MLflow finds by the entry point in pyproject.toml.

Every process that uses MLflow imports this module. The tasks are imported only when a model is downloaded.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convoy.tracking.registry.checked_artifacts import CheckedArtifacts


def artifact_repository(
    artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
) -> "CheckedArtifacts":
    """The files of a `convoy:` URI; models among them are checked before they are downloaded."""
    from convoy.tracking.registry.checked_artifacts import CheckedArtifacts
    from convoy.tracking.store import artifact_folder

    folder = artifact_folder(artifact_uri, tracking_uri)
    return CheckedArtifacts(folder.as_uri(), _loaders, tracking_uri, registry_uri)


def _loaders() -> tuple[str, ...]:
    from convoy.projects import REGISTERED

    return tuple(task.serving.loader for task in REGISTERED)
