"""A model folder of ours as one of MLflow's: its copy, a signature and rows to try; no code, no pickle."""

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from convoy.core.errors import ConvoyError
from convoy.core.files import MANIFEST, sha256
from convoy.tracking import pyfunc

if TYPE_CHECKING:
    import pandas as pd

# What answering a request imports; `convoy` comes from its own repository.
_REQUIREMENTS = (
    *("cftime", "convoy", "ftfy", "mlflow", "netCDF4", "numba", "numpy", "pandas", "pyarrow", "pydantic"),
    *("safetensors", "scikit-learn", "scipy", "tokenizers", "torch"),
)


def save(
    model_folder: Path,
    examples: "pd.DataFrame",
    target: Path,
    run_id: str | None = None,
    model_id: str | None = None,
) -> Path:
    """Write an MLflow model folder at `target`, which must not be there, and return it.

    `examples` are rows of real data, of which the signature and the input example are made.
    The model folder is copied as it is, and the sha256 of its manifest pinned in MLmodel's metadata; it may
    be uploaded as it lies. Raises ConvoyError for a model folder that was changed, and for no examples.
    """
    import mlflow.pyfunc
    from mlflow.models import Model, ModelSignature, infer_signature

    if examples.empty:
        raise ConvoyError(f"{model_folder}: no rows to show as an example of its input; expected one or more")
    model = pyfunc.read(model_folder)
    outputs = infer_signature(model_output=model.predict(examples)).outputs
    mlflow.pyfunc.save_model(
        path=target,
        loader_module=pyfunc.LOADER,
        data_path=model_folder,
        signature=ModelSignature(model.schema(), outputs),
        input_example=examples,
        # Given, they are not looked for by loading the model in a process of its own.
        pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in _REQUIREMENTS],
        metadata={pyfunc.PIN: sha256(model_folder / MANIFEST)},
        mlflow_model=Model(run_id=run_id, model_id=model_id),
        uv_project_path=target,  # else MLflow copies a uv.lock that lies in the current folder
    )
    pyfunc.verify(target)
    return target
