"""Packs a model folder as an MLflow model: a copy, a signature and example rows; no code, no pickle."""

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from convoy.core import artifact
from convoy.core.errors import ConvoyError
from convoy.core.files import MANIFEST, sha256
from convoy.core.mlmodel import PIN, check
from convoy.tasks import Column, Serving

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.types import Schema

# Packages that predicting imports; `convoy` is installed from its own repository.
_REQUIREMENTS = (
    *("cftime", "convoy", "ftfy", "mlflow", "netCDF4", "numba", "numpy", "pandas", "pyarrow", "pydantic"),
    *("safetensors", "scikit-learn", "scipy", "tokenizers", "torch"),
)


def save(
    serving: Serving, model_folder: Path, examples: "pd.DataFrame", target: Path,
    run_id: str | None = None, model_id: str | None = None,
) -> Path:  # fmt: skip
    """Write an MLflow model folder at `target`, which must not exist, and return it.

    `examples` are rows of real data, from which the signature and the input example are made. The model
    folder is copied unchanged, and the sha256 of its manifest is pinned in MLmodel's metadata. Raises
    ConvoyError for a model folder that was changed, and for no examples.
    """
    import mlflow.pyfunc
    from mlflow.models import Model, ModelSignature, infer_signature

    if examples.empty:
        raise ConvoyError("no rows as an example of its input", path=model_folder, expected="one or more")
    model = serving.serve(artifact.read(model_folder))
    outputs = infer_signature(model_output=model.predict(examples)).outputs
    mlflow.pyfunc.save_model(
        path=target,
        loader_module=serving.loader,
        data_path=model_folder,
        signature=ModelSignature(_schema(model.columns()), outputs),
        input_example=examples,
        # Otherwise MLflow loads the model in a separate process to find them.
        pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in _REQUIREMENTS],
        metadata={PIN: sha256(model_folder / MANIFEST)},
        mlflow_model=Model(run_id=run_id, model_id=model_id),
        uv_project_path=target,  # otherwise MLflow copies a uv.lock of the current folder
    )
    check(target, (serving.loader,))
    return target


def _schema(columns: tuple[Column, ...]) -> "Schema":
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    # As Array("double") MLflow refuses whole numbers and nulls before the model sees them.
    return Schema(
        [
            ColSpec("string" if column.kind == "text" else AnyType(), column.name, column.required)
            for column in columns
        ]
    )
