"""The artifact repository of stores on this machine, which MLflow's own loading and serving use.

MLflow imports this module, so that it may import MLflow at its top, unlike our other modules.
"""

from collections.abc import Callable, Collection
from pathlib import Path

from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from convoy.core.mlmodel import MLMODEL, check


class CheckedArtifacts(LocalArtifactRepository):
    """Files of a store on this machine; model folders are downloaded only after `check`.

    So `mlflow.pyfunc.load_model("models:/…")` and `mlflow models serve` refuse an MLmodel that names other
    code, before they run it.
    """

    def __init__(
        self, artifact_uri: str, loaders: Callable[[], Collection[str]],
        tracking_uri: str | None = None, registry_uri: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        self._loaders = loaders

    def download_artifacts(self, artifact_path: str, dst_path: str | None = None) -> str:
        place: str = super().download_artifacts(artifact_path, dst_path)
        if (Path(place) / MLMODEL).is_file():
            check(Path(place), self._loaders())
        return place
