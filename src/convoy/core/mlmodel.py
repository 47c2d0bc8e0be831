"""The folder that MLflow makes around a model folder: checked before anything in it is used, then loaded.

MLflow imports the loader that the file MLmodel names, after it has put a code path from the same file before
all others. A changed MLmodel may name something else in both places. Loaders of ours therefore import nothing
but numpy, pandas and this module before `load` has checked the folder.
"""

import contextlib
import hashlib
import re
import sys
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from convoy.core.errors import ConvoyError
from convoy.core.printable import cut, one_line
from convoy.core.yaml_io import read_yaml

if TYPE_CHECKING:
    import pandas as pd

    from convoy.core.artifact import StoredModel

MLMODEL, DATA, FLAVOUR = "MLmodel", "data", "python_function"
PIN = "content"
"""The key in MLmodel's metadata that holds the sha256 of the manifest."""

# Files that MLflow writes into a model's folder, and keys into the flavour; anything else was added later.
_WRITTEN = {
    *(MLMODEL, DATA, "conda.yaml", "python_env.yaml", "requirements.txt", "registered_model_meta"),
    *("input_example.json", "serving_input_example.json"),
}
_FLAVOUR_KEYS = {"loader_module", "python_version", "data", "env", "code", "streamable"}
_DATA_PATH = re.compile(rf"{DATA}/[A-Za-z0-9_][A-Za-z0-9_.-]*")
_SHOWN = 80  # characters of a value in a message
_AGAIN = "do not use this model; remove it and publish it again"


@dataclass(frozen=True)
class Checked:
    """A folder that passed `check`: the model folder in it and the loader that MLmodel names."""

    model_folder: Path
    loader: str


class Predicts(Protocol):
    """The one method of `convoy.tasks.ServedModel` that is used here."""

    def predict(self, model_input: "pd.DataFrame") -> "pd.DataFrame":
        """One row of predictions per row; raises ConvoyError for a table that it cannot read."""


class Answering:
    """The object that MLflow calls: thread-safe, computing for one thread at a time.

    A ConvoyError reaches the caller with its own message.
    """

    def __init__(self, model: Predicts) -> None:
        self._model = model
        self._turn = threading.Lock()

    def predict(self, model_input: "pd.DataFrame", params: dict[str, Any] | None = None) -> "pd.DataFrame":  # noqa: ARG002
        """The model's predictions; raises MlflowException with HTTP status 400 for an unreadable input."""
        # MLflow's server shows the text of its own errors only. MLflow is the caller, so it is loaded
        # already.
        from mlflow.exceptions import MlflowException

        try:
            with self._turn:
                return self._model.predict(model_input)
        except ConvoyError as error:
            raise MlflowException.invalid_parameter_value(one_line(error)) from None


def load(data: Path, loader: str, serve: "Callable[[StoredModel], Predicts]") -> Answering:
    """The model of the folder that MLflow passes to a loader, after `check`.

    Raises ConvoyError for a folder that was changed; the code path that MLflow put first is then removed.
    """
    try:
        if check(data.parent.parent, (loader,)).model_folder.resolve() != data.resolve():
            raise _refused(data, f"not the folder that {MLMODEL} names")
    except ConvoyError:
        _forget_code(data)
        raise
    from convoy.core import artifact

    return Answering(serve(artifact.read(data)))


def check(folder: Path, loaders: Collection[str], content: str | None = None) -> Checked:
    """Check an MLflow model folder before anything in it is used.

    MLmodel has to name one of `loaders`, no code and nothing else to run; files that MLflow does not write
    must not be there; the manifest of the model folder has to be the one that MLmodel's metadata pins and,
    where given, the one with the sha256 `content`. Raises ConvoyError for the first of these that fails. The
    files in the manifest are checked when the model folder is read.
    """
    flavour, pin = _flavour(folder)
    described, loader, code = folder / MLMODEL, flavour.get("loader_module"), flavour.get("code")
    if loader not in loaders:
        raise _refused(described, f"expected the loader {' or '.join(loaders)}, found {_shown(loader)}")
    if code:
        raise _refused(described, f"names the code path '{_shown(code)}', and ours have no code")
    if others := [key for key in flavour if key not in _FLAVOUR_KEYS]:
        raise _refused(described, f"has '{_shown(others[0])}', which ours have not")
    name = str(flavour.get("data"))
    if not _DATA_PATH.fullmatch(name):
        raise _refused(described, f"expected data in {DATA}/NAME, found '{_shown(name)}'")
    _refuse_foreign_files(folder, folder / name)
    manifest = folder / name / "manifest.json"
    if not manifest.is_file():
        raise _refused(folder / name, "no manifest.json")
    found = hashlib.sha256(manifest.read_bytes()).hexdigest()
    for whose, expected in ((MLMODEL, pin), ("the store", content or pin)):
        if found != expected:
            raise _refused(
                manifest, f"expected the sha256 {_shown(expected)} that {whose} names, found {found}"
            )
    return Checked(folder / name, str(loader))


def _flavour(folder: Path) -> tuple[dict[str, Any], Any]:
    """The flavour in MLmodel, which states how the model is loaded, and the sha256 that its metadata pins."""
    path = folder / MLMODEL
    if not path.is_file():
        raise ConvoyError(f"no {MLMODEL}, so this is no model folder of MLflow's", path=folder)
    try:
        described = read_yaml(path)
        flavours, metadata = described["flavors"], described["metadata"]
        flavour, pin = flavours[FLAVOUR], metadata[PIN]
        names = ", ".join(map(str, flavours))
    except (KeyError, TypeError):
        raise _refused(path, f"expected YAML with flavors.{FLAVOUR} and metadata.{PIN}") from None
    if names != FLAVOUR or not isinstance(flavour, dict):
        raise _refused(path, f"expected the flavour {FLAVOUR} alone, found {_shown(names)}")
    return flavour, pin


def _refuse_foreign_files(folder: Path, data: Path) -> None:
    for path in sorted(folder.rglob("*")):
        inside = data in path.parents or path == data
        if path.is_symlink():
            raise _refused(path, "a link, and ours hold none")
        if not inside and not (path.parent == folder and path.name in _WRITTEN):
            raise _refused(path, "not a file that MLflow writes")


def _forget_code(data: Path) -> None:
    """Remove the code path that MLflow has put first in sys.path: later imports would come from there."""
    folder = next((parent for parent in data.parents if (parent / MLMODEL).is_file()), data)
    with contextlib.suppress(ConvoyError, OSError, TypeError, KeyError):
        planted = folder / read_yaml(folder / MLMODEL)["flavors"][FLAVOUR]["code"]
        sys.path[:] = [entry for entry in sys.path if not entry or Path(entry) != planted]


def _shown(value: Any) -> str:
    return cut(" ".join(str(value).split()), _SHOWN)


def _refused(path: Path, fault: str) -> ConvoyError:
    return ConvoyError(fault, path=path, hint=_AGAIN)
