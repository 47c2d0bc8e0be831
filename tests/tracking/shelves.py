"""A small store by hand: versions of tiny models, each with a run that holds its predictions and figures."""

import json
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from mlflow import MlflowClient

from convoy.classifiers.evaluation import io as predictions
from convoy.classifiers.evaluation.io import Predictions
from convoy.classifiers.evaluation.outputs_io import HEADLINE
from convoy.core import artifact as models
from convoy.core import statistics
from convoy.core.figures_io import DETAILS, METRICS, headline_of
from convoy.core.files import MANIFEST, sha256, write_json
from convoy.streamrec.classification.task import TASK as CLASSIFICATION
from convoy.tasks import RegisteredTask
from convoy.tracking import store
from convoy.tracking.registry import packaging
from tests.support.trained import Product

TEXT = CLASSIFICATION
MODEL = TEXT.registered
EXAMPLE = pd.DataFrame({"title": ["A tale"], "synopsis": ["of two cats"]})
ITEMS = 1000
CATEGORIES = ("a", "b")


def empty_store(folder: Path) -> Path:
    """A migrated store without anything in it; to be copied, since making it takes seconds."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts"))
    return folder / "mlflow.db"


def repository(folder: Path, empty: Path) -> Path:
    """A git repository of Somebody's with an empty store, of which `empty` is a copy."""
    (folder / ".dvc").mkdir(parents=True)
    (folder / "mlruns").mkdir()
    shutil.copy(empty, folder / "mlruns" / "mlflow.db")
    (folder / "params.yaml").write_text("promotion: {}\n")
    for command in (
        ["init", "-q"],
        ["config", "user.name", "Somebody"],
        ["add", "params.yaml"],
        ["-c", "user.email=somebody@example.org", "commit", "-qm", "params"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def predicted(right: int, items: int = ITEMS, first: int = 0, seeds: int = 1) -> Predictions:
    """Of `items` items, whose ids begin at `first`, every seed names the first `right` rightly."""
    ids = pa.array([f"s{first + number}" for number in range(items)])
    category = [CATEGORIES[number % 2] for number in range(items)]
    named = [name if row < right else CATEGORIES[1 - row % 2] for row, name in enumerate(category)]
    return Predictions(ids, pa.array(category), {seed: pa.array(named) for seed in range(seeds)})


def figures(found: Predictions, **others: Any) -> dict[str, Any]:
    """What the evaluate stage would write, as far as promotions read it."""
    n = len(found.item_ids)
    right = sum(pc.sum(pc.equal(named, found.category)).as_py() for named in found.predicted.values())
    accuracy = right / n / len(found.predicted)
    low, high = statistics.wilson(accuracy * n, n)
    test = {"accuracy": accuracy, "accuracy_low": low, "accuracy_high": high, "macro_f1": accuracy, "n": n}
    return {
        "test": {**test, "log_loss": 0.5, "ece": 0.02, **others},
        "majority": {"category": "a", "accuracy": 0.5},
    }


def add(
    client: MlflowClient, product: Product, folder: Path, kind: str, right: int,
    found: Predictions | None = None, metrics: dict[str, Any] | None = None,
    data: dict[str, str] | None = None,
) -> int:  # fmt: skip
    """Publish a model of `kind`, with a content of its own, and its predictions; return its number."""
    found = found or predicted(right)
    metrics = metrics or figures(found)
    name = f"{kind}-{len(list(folder.glob('models/*')))}"
    model_folder, evaluation = folder / "models" / name, folder / "evaluation" / name
    stored = product.stored(kind)
    models.write(model_folder, stored.config, stored.seeds, stored.tokenizer_json, curve=name)
    evaluation.mkdir(parents=True)
    predictions.write_predictions(evaluation / "predictions.parquet", found)
    write_json(evaluation / METRICS, headline_of(metrics, HEADLINE))
    write_json(evaluation / DETAILS, metrics)
    return publish(client, model_folder, evaluation, kind, data)


def publish(
    client: MlflowClient, model_folder: Path, evaluation: Path, kind: str, data: dict[str, str] | None = None,
    task: RegisteredTask = TEXT, example: pd.DataFrame = EXAMPLE,
) -> int:  # fmt: skip
    """Register the model folder as a version, with a run of its own, and make it the challenger."""
    known = client.get_experiment_by_name(task.experiment)
    experiment = (
        client.create_experiment(task.experiment, store.artifact_location(task.experiment))
        if known is None
        else known.experiment_id
    )
    tags = {"convoy.content": sha256(model_folder / MANIFEST), "convoy.model": kind}
    run = client.create_run(experiment, tags=tags, run_name=f"{kind} · by hand").info.run_id
    client.log_artifacts(run, str(evaluation), "evaluation")
    client.set_terminated(run)
    model = client.create_logged_model(experiment, kind, run, tags)
    saved = model_folder.with_name(f"{model_folder.name}-{model.model_id}")
    packaging.save(task.serving, model_folder, example, saved, run, model.model_id)
    client.log_model_artifacts(model.model_id, str(saved))
    shutil.rmtree(saved)
    client.finalize_logged_model(model.model_id, "READY")
    if not client.search_registered_models(f"name = '{task.registered}'"):
        client.create_registered_model(task.registered)
    measured = task.versions.read(evaluation / task.versions.file)
    copies = {name: evaluation / name for name in (METRICS, DETAILS)}
    test = task.outputs.figures.read_from(copies)["test"]
    tags |= {
        "convoy.test_split": task.versions.test_split(measured, data or {}),
        "convoy.data": json.dumps(data or {}),
        **{f"test_{key}": str(value) for key, value in test.items()},
    }
    source = f"models:/{model.model_id}"
    version = client.create_model_version(task.registered, source, run, tags, model_id=model.model_id)
    client.set_registered_model_alias(task.registered, "challenger", version.version)
    return int(version.version)


def aliases(client: MlflowClient, model: str = MODEL) -> dict[str, int]:
    """Alias -> number of the version."""
    return {name: int(version) for name, version in client.get_registered_model(model).aliases.items()}


def lines(repository: Path) -> list[dict[str, Any]]:
    """The decisions as they stand in the file."""
    return [json.loads(line) for line in (repository / "data/decisions.jsonl").read_text().splitlines()]


def tags(client: MlflowClient, number: int, model: str = MODEL) -> dict[str, str]:
    """What is told of a version."""
    return client.get_model_version(model, str(number)).tags


def history(client: MlflowClient, model: str = MODEL) -> list[str]:
    """What is told of the registered model, oldest first."""
    found = client.get_registered_model(model).tags
    return [found[key] for key in sorted(found) if key.startswith("decision ")]


def rows(repository: Path) -> dict[str, list[Any]]:
    """Everything that the store's tables hold."""
    with sqlite3.connect(repository / "mlruns" / "mlflow.db") as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: sorted(map(repr, connection.execute(f"SELECT * FROM {name}").fetchall()))
            for (name,) in tables
        }
