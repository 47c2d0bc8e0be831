"""Our models as MLflow loads them: tables in and out; what is in them is up to `text_model`, `fields_model`.

MLflow imports this module because the model's MLmodel names it, and a changed MLmodel may name something
else. So nothing beyond errors and what MLflow itself needs is imported before the folder was checked, and
`load`, our own way, looks at a folder before MLflow does.
"""

import contextlib
import hashlib
import re
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import yaml
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from convoy.core.errors import ConvoyError

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.types import Schema

    from convoy.core.artifact import StoredModel

LOADER = "convoy.tracking.pyfunc"
MLMODEL, DATA, FLAVOUR = "MLmodel", "data", "python_function"
PIN, PIN_TAG = "content", "convoy.content"
"""Where the sha256 of a model's manifest stands: in MLmodel's metadata, and in a version's tags."""

# What MLflow writes into a model's folder and into the flavour; anything else was put there by somebody.
_WRITTEN = {
    *(MLMODEL, DATA, "conda.yaml", "python_env.yaml", "requirements.txt", "registered_model_meta"),
    *("input_example.json", "serving_input_example.json"),
}
_FLAVOUR_KEYS = {"loader_module", "python_version", "data", "env", "code", "streamable"}
_DATA_PATH = re.compile(rf"{DATA}/[A-Za-z0-9_][A-Za-z0-9_.-]*")
_AGAIN = "do not use this model; remove it and publish it again"


class InputError(ConvoyError, MlflowException):
    """A table that the model cannot read; a server of MLflow shows it to the caller as it stands."""

    def __init__(self, message: str) -> None:
        MlflowException.__init__(self, message, INVALID_PARAMETER_VALUE)  # HTTP status 400


class CheckedArtifacts(LocalArtifactRepository):
    """Files of a store on this machine. A model's folder is handed out only after `verify`.

    So `mlflow.pyfunc.load_model("models:/…")` and `mlflow models serve` too refuse an MLmodel that names
    anything else to run, before they follow it.
    """

    def download_artifacts(self, artifact_path: str, dst_path: str | None = None) -> str:
        place: str = super().download_artifacts(artifact_path, dst_path)
        if (Path(place) / MLMODEL).is_file():
            verify(Path(place))
        return place


class Served(Protocol):
    """What MLflow calls; several threads may, one at a time computes."""

    def schema(self) -> "Schema":
        """The columns of the tables that it takes."""

    def predict(self, model_input: "pd.DataFrame", params: dict[str, Any] | None = None) -> "pd.DataFrame":
        """Answer row by row; InputError for a table that it cannot read."""

    def fault(self) -> str | None:
        """What is wrong with its answer to a question of its own, or None."""


def load(uri: str) -> Served:
    """The model that a URI names, as its task serves it: see `stored`."""
    from convoy.tracking import store

    return _served(stored(store.client(), uri)[0])


def stored(client: "MlflowClient", uri: str) -> "tuple[StoredModel, str]":
    """The model that a URI names, and the sha256 of its manifest.

    The URI is `models:/NAME/VERSION`, `models:/NAME@ALIAS`, `models:/ID` or `runs:/RUN/PATH`. The model is
    copied, and the copy checked, also against what the store says of it, before anything is done with it;
    MLflow's own loader has no part in it. Raises ConvoyError for what is not there or was changed.
    """
    from convoy.core import artifact as models

    with tempfile.TemporaryDirectory(prefix="convoy-model-") as scratch:
        try:
            place, content = _resolve(client, uri)
            model = models.read(verify(_download(client, place, scratch), content))
            return replace(model, name=uri), content
        except (ConvoyError, MlflowException) as error:
            # The copy, below `scratch`, is gone when this is read.
            reason = re.sub(rf"{re.escape(scratch)}/[^/: ]+", lambda _: uri, _reason(error))
            raise ConvoyError(reason if reason.startswith(uri) else f"{uri}: {reason}") from None


def verify(folder: Path, content: str | None = None) -> Path:
    """Check an MLflow model folder before anything in it is used; return the model folder in it.

    MLmodel has to name our loader, no code and nothing else to run; files that MLflow does not write must
    not be there; the manifest of the model folder has to be the one that MLmodel's metadata pins and, where
    given, the one with the sha256 `content`. Raises ConvoyError for the first of these that fails. What the
    manifest lists is checked by whoever reads the model folder.
    """
    flavour, pin = _flavour(folder)
    described, loader, code = folder / MLMODEL, flavour.get("loader_module"), flavour.get("code")
    if loader != LOADER:
        raise _refused(described, f"expected the loader {LOADER}, found {loader}")
    if code:
        raise _refused(described, f"names the code path '{code}', and ours have no code")
    if others := [key for key in flavour if key not in _FLAVOUR_KEYS]:
        raise _refused(described, f"has '{others[0]}', which ours have not")
    name = str(flavour.get("data"))
    if not _DATA_PATH.fullmatch(name):
        raise _refused(described, f"expected data in {DATA}/NAME, found '{name}'")
    _refuse_strangers(folder, folder / name)
    manifest = folder / name / "manifest.json"
    if not manifest.is_file():
        raise _refused(folder / name, "no manifest.json")
    found = hashlib.sha256(manifest.read_bytes()).hexdigest()
    for whose, expected in ((MLMODEL, pin), ("the store", content or pin)):
        if found != expected:
            raise _refused(manifest, f"expected the sha256 {expected} that {whose} names, found {found}")
    return folder / name


def _load_pyfunc(path: str) -> Served:
    """What MLflow calls with the folder of the data, as MLmodel names it."""
    data = Path(path)
    try:
        if verify(data.parent.parent).resolve() != data.resolve():
            raise _refused(data, f"not the folder that {MLMODEL} names")
    except ConvoyError:
        _forget_code(data)
        raise
    return read(data)


def read(folder: Path) -> Served:
    """The model of a model folder, as its task serves it; ConvoyError where it was changed."""
    from convoy.core import artifact as models

    return _served(models.read(folder))


def _served(model: "StoredModel") -> Served:
    if model.config.get("task") == "climate/downscaling":
        from convoy.tracking.fields_model import FieldsModel

        return FieldsModel(model)
    from convoy.streamrec.classification.prediction import Predictor
    from convoy.tracking.text_model import TextModel

    return TextModel(Predictor(model))


def _resolve(client: "MlflowClient", uri: str) -> tuple[str, str]:
    """Where the artifacts lie that a URI names, and the sha256 that the store holds of their manifest."""
    if found := re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/([0-9]+))", uri):
        version = _version(client, uri, *found.groups())
        place, tags = client.get_model_version_download_uri(version.name, version.version), version.tags
    elif found := re.fullmatch(r"models:/(m-[0-9a-f]+)", uri):
        model = client.get_logged_model(found[1])
        place, tags = model.artifact_location, model.tags
    elif found := re.fullmatch(r"runs:/([0-9a-f]+)/(.+)", uri):
        run = client.get_run(found[1])
        models = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{found[1]}'")
        # Of a path MLflow tells no more than that its download failed.
        place = next((model.artifact_location for model in models if model.name == found[2]), uri)
        tags = run.data.tags
    else:
        raise ConvoyError(
            f"{uri}: expected models:/NAME/VERSION, models:/NAME@ALIAS, models:/ID or runs:/RUN/PATH"
        )
    if PIN_TAG not in tags:
        raise ConvoyError(f"{uri}: no tag {PIN_TAG}, so `convoy publish` did not make it; name another one")
    return place, tags[PIN_TAG]


def _version(client: "MlflowClient", uri: str, name: str, alias: str | None, number: str) -> "ModelVersion":
    from convoy.tracking.versions import all_versions, none_such

    try:
        if alias:
            return client.get_model_version_by_alias(name, alias)
        return client.get_model_version(name, number)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise none_such(uri, all_versions(client, name)) from None


def _download(client: "MlflowClient", place: str, scratch: str) -> Path:
    from mlflow.artifacts import download_artifacts

    return Path(download_artifacts(place, dst_path=scratch, tracking_uri=client.tracking_uri))


def _reason(error: BaseException) -> str:
    """What was wrong: MLflow tells of our own refusal only that the download failed."""
    first: BaseException | None = error
    while first is not None and not isinstance(first, ConvoyError):
        first = first.__cause__ or first.__context__
    return " ".join(str(first or error).split())


def _flavour(folder: Path) -> tuple[dict[str, Any], Any]:
    """What MLmodel says of how the model is loaded, and the sha256 that its metadata pins."""
    path = folder / MLMODEL
    if not path.is_file():
        raise ConvoyError(f"{folder}: no {MLMODEL}, so this is no model folder of MLflow's")
    try:
        described = yaml.safe_load(path.read_text(encoding="utf-8"))
        flavours, metadata = described["flavors"], described["metadata"]
        flavour, pin = flavours[FLAVOUR], metadata[PIN]
        names = ", ".join(flavours)
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        raise _refused(path, f"expected YAML with flavors.{FLAVOUR} and metadata.{PIN}") from None
    if names != FLAVOUR or not isinstance(flavour, dict):
        raise _refused(path, f"expected the flavour {FLAVOUR} alone, found {names}")
    return flavour, pin


def _refuse_strangers(folder: Path, data: Path) -> None:
    for path in sorted(folder.rglob("*")):
        inside = data in path.parents or path == data
        if path.is_symlink():
            raise _refused(path, "a link, and ours hold none")
        if not inside and not (path.parent == folder and path.name in _WRITTEN):
            raise _refused(path, "not a file that MLflow writes")


def _forget_code(data: Path) -> None:
    """Take back the code path that MLflow has put before all others: later imports would come from there."""
    folder = next((parent for parent in data.parents if (parent / MLMODEL).is_file()), data)
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, yaml.YAMLError):
        described = yaml.safe_load((folder / MLMODEL).read_text(encoding="utf-8"))
        planted = folder / described["flavors"][FLAVOUR]["code"]
        sys.path[:] = [entry for entry in sys.path if not entry or Path(entry) != planted]


def _refused(path: Path, fault: str) -> ConvoyError:
    return ConvoyError(f"{path}: {fault}; {_AGAIN}")
