"""A repository whose store holds a small model, uploaded as `convoy publish` does, and ways to look at it."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from convoy.core.files import sha256
from convoy.embeddings.io import STATUSES
from convoy.streamrec.classification.prediction import Predictor
from convoy.streamrec.classification.task import TASK as CLASSIFICATION
from convoy.tracking import store
from convoy.tracking.registry import loading, packaging
from tests.support.trained import Product

NAME = "streamrec-text"
# MLflow's own doing: when `mlflow.pyfunc` is imported, when it reads an input example, with its SQLite store.
Rows = tuple[list[str | None], list[str | None]]


def make(folder: Path, product: Product) -> Path:
    """Fill the store of a repository at `folder` with a version of bow, the champion."""
    (folder / ".dvc").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        use(folder, patch)
        client = store.client()
        experiment = client.create_experiment("streamrec/text", store.artifact_location("streamrec/text"))
        content = {"convoy.content": sha256(product.folders["bow"] / "manifest.json")}
        run = client.create_run(experiment, tags=content).info.run_id
        model = client.create_logged_model(experiment, "bow", run, content)
        saved = save(product.folders["bow"], rows_of(product), folder / "saved", run, model.model_id)
        client.log_model_artifacts(model.model_id, str(saved))
        client.finalize_logged_model(model.model_id, "READY")
        client.create_registered_model(NAME)
        version = client.create_model_version(NAME, f"models:/{model.model_id}", run, content)
        client.set_registered_model_alias(NAME, "champion", version.version)
        (folder / "ids.json").write_text(json.dumps({"run": run, "model": model.model_id}))
    return folder


def save(model_folder: Path, rows: Rows, target: Path, *ids: str) -> Path:
    """The model folder with these rows as examples, as `convoy publish` packs it."""
    return packaging.save(CLASSIFICATION.serving, model_folder, frame(rows), target, *ids)


def loaded(uri: str) -> Any:
    """What our own loading gives."""
    return loading.load(store.client(), uri, CLASSIFICATION.serving)


def rows_of(product: Product) -> Rows:
    """Titles and synopses of the first rows, dirty ones among them."""
    titles, synopses = product.raw()
    return titles[:9], synopses[:9]


def copy(original: Path, target: Path, patch: pytest.MonkeyPatch) -> Path:
    """A copy of the repository to work in, at another place, which is from now on the current one."""
    shutil.copytree(original, target)
    use(target, patch)
    store.client()
    return target


def use(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Make the store of `folder` the current one."""
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        patch.delenv(name)
    for name, value in store._SETTINGS.items():
        patch.setenv(name, value)  # what `store.client` sets is taken back with it
    patch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    patch.setenv("DVC_ROOT", str(folder))


def uploaded(repository: Path) -> Path:
    """The model's folder in the store."""
    (found,) = (repository / "mlruns" / "artifacts").rglob("MLmodel")
    return found.parent


def uris(repository: Path) -> list[str]:
    """All that names the model."""
    ids = json.loads((repository / "ids.json").read_text())
    return [
        f"models:/{NAME}/1", f"models:/{NAME}@champion", f"models:/{ids['model']}", f"runs:/{ids['run']}/bow",
    ]  # fmt: skip


def frame(rows: Rows) -> pd.DataFrame:
    return pd.DataFrame({"title": rows[0], "synopsis": rows[1]})


def of_mlflow(uri: str | Path) -> Any:
    """What MLflow itself loads."""
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(str(uri))


def check_same(found: pd.DataFrame, predictor: Predictor, rows: Rows) -> None:
    expected = predictor(*rows)
    assert found["category"].tolist() == expected.category
    np.testing.assert_array_equal(found["probability"], expected.probability)
    assert found["status"].tolist() == [STATUSES[number] for number in expected.status]
    if expected.embedding is None:
        assert list(found.columns) == ["category", "probability", "status"]
    else:
        np.testing.assert_array_equal(np.stack(found["embedding"]), expected.embedding)
        assert found["embedding"].iloc[0].dtype == np.float32
