"""Loads models by MLflow's URIs, without MLflow's own loader: the folder is checked before it is used."""

import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from convoy.core import artifact
from convoy.core.artifact import StoredModel
from convoy.core.errors import ConvoyError
from convoy.core.mlmodel import MLMODEL, check
from convoy.core.printable import reason
from convoy.tasks import ServedModel, Serving
from convoy.tracking.registry.listing import CONTENT, all_versions, no_such_version
from convoy.tracking.scratch_io import scratch as scratch_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def load(client: "MlflowClient", uri: str, serving: Serving) -> ServedModel:
    """The served model of a URI: see `stored`."""
    return serving.serve(stored(client, uri, (serving.loader,))[0])


def stored(client: "MlflowClient", uri: str, loaders: Collection[str]) -> tuple[StoredModel, str]:
    """The stored model of a URI, and the sha256 of its manifest.

    The URI is `models:/NAME/VERSION`, `models:/NAME@ALIAS`, `models:/ID` or `runs:/RUN/PATH`. The model is
    copied, and the copy is checked and its sha256 compared with the store's, before it is used. Raises
    ConvoyError for a model that is missing or was changed.
    """
    from mlflow.exceptions import MlflowException

    with scratch_folder("model") as scratch:
        try:
            place, content = _resolve(client, uri)
            checked = check(_download(client, place, scratch), loaders, content)
            return replace(artifact.read(checked.model_folder), name=uri), content
        except (ConvoyError, MlflowException) as error:
            raise _about(uri, error, Path(scratch)) from None


def _resolve(client: "MlflowClient", uri: str) -> tuple[str, str]:
    """The location of a URI's artifacts, and the sha256 of the manifest in the store."""
    if found := re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/([0-9]+))", uri):
        version = _version(client, uri, *found.groups())
        place, tags = client.get_model_version_download_uri(version.name, version.version), version.tags
    elif found := re.fullmatch(r"models:/(m-[0-9a-f]+)", uri):
        model = client.get_logged_model(found[1])
        place, tags = model.artifact_location, model.tags
    elif found := re.fullmatch(r"runs:/([0-9a-f]+)/(.+)", uri):
        run = client.get_run(found[1])
        models = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{found[1]}'")
        # For a path MLflow reports only that its download failed.
        place = next((model.artifact_location for model in models if model.name == found[2]), uri)
        tags = run.data.tags
    else:
        expected = "models:/NAME/VERSION, models:/NAME@ALIAS, models:/ID or runs:/RUN/PATH"
        raise ConvoyError(path=uri, expected=expected)
    if CONTENT not in tags:
        raise ConvoyError(
            f"no tag {CONTENT}, so `convoy publish` did not make it", path=uri, hint="name another one"
        )
    return place, tags[CONTENT]


def _version(client: "MlflowClient", uri: str, name: str, alias: str | None, number: str) -> "ModelVersion":
    from mlflow.exceptions import MlflowException

    try:
        if alias:
            return client.get_model_version_by_alias(name, alias)
        return client.get_model_version(name, number)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise no_such_version(uri, all_versions(client, name)) from None


def _download(client: "MlflowClient", place: str, scratch: str) -> Path:
    from mlflow.artifacts import download_artifacts

    return Path(download_artifacts(place, dst_path=scratch, tracking_uri=client.tracking_uri))


def about_copy(error: ConvoyError, scratch: Path, uri: str) -> ConvoyError:
    """The error with the URI in place of its copy in `scratch`, which is deleted before it is read."""
    for folder in (scratch,) if (scratch / MLMODEL).exists() else (*scratch.iterdir(), scratch):
        error.moved(folder, uri)
    return error


def _about(uri: str, error: BaseException, scratch: Path) -> ConvoyError:
    """The failure as an error about the URI; MLflow hides that our own check raised it."""
    own: BaseException | None = error
    while own is not None and not isinstance(own, ConvoyError):
        own = own.__cause__ or own.__context__
    if own is None:
        return ConvoyError(reason(error), path=uri)
    about_copy(own, scratch, uri)
    if not str(own.path).startswith(uri):
        own.path = f"{uri}: {own.path}" if own.path else uri
    return own
