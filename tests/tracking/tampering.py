"""Ways to change an MLflow model folder of bow. What is planted leaves the file `mark` behind if it runs."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from convoy.core.files import sha256, write_manifest

Change = Callable[[Path, Path], None]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


class Marking:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def edit(folder: Path, **changes: Any) -> None:
    """Change the flavour in MLmodel; None takes a key away."""
    described = yaml.safe_load((folder / "MLmodel").read_text())
    flavour = described["flavors"]["python_function"] | changes
    described["flavors"]["python_function"] = {
        key: flavour[key] for key in flavour if flavour[key] is not None
    }
    (folder / "MLmodel").write_text(yaml.safe_dump(described))


def pickle_in_the_data(folder: Path, mark: Path) -> None:
    (folder / "data/bow/model.pkl").write_bytes(pickle.dumps(Marking(mark)))


def pickle_beside(folder: Path, mark: Path) -> None:
    (folder / "python_model.pkl").write_bytes(pickle.dumps(Marking(mark)))


def weight(folder: Path, mark: Path) -> None:
    flip(folder / "data/bow/model.safetensors")


def weight_with_a_new_manifest(folder: Path, mark: Path) -> None:
    flip(folder / "data/bow/model.safetensors")
    (folder / "data/bow/manifest.json").unlink()
    write_manifest(folder / "data/bow")


def weight_with_all_pins_of_the_folder(folder: Path, mark: Path) -> None:
    weight_with_a_new_manifest(folder, mark)
    described = yaml.safe_load((folder / "MLmodel").read_text())
    described["metadata"]["content"] = sha256(folder / "data/bow/manifest.json")
    (folder / "MLmodel").write_text(yaml.safe_dump(described))


def loader_of_pickles(folder: Path, mark: Path) -> None:
    pickle_beside(folder, mark)
    edit(
        folder, loader_module="mlflow.pyfunc.model", data=None, python_model="python_model.pkl",
        cloudpickle_version="3.0",
    )  # fmt: skip


def flavour_of_scikit_learn(folder: Path, mark: Path) -> None:
    (folder / "model.pkl").write_bytes(pickle.dumps(Marking(mark)))
    edit(folder, loader_module="mlflow.sklearn", model_path="model.pkl", data="model.pkl")
    described = yaml.safe_load((folder / "MLmodel").read_text())
    described["flavors"]["sklearn"] = {"pickled_model": "model.pkl", "serialization_format": "cloudpickle"}
    (folder / "MLmodel").write_text(yaml.safe_dump(described))


def code_in_place_of_ours(folder: Path, mark: Path) -> None:
    for name in ("convoy", "convoy/streamrec", "convoy/core", "safetensors", "tokenizers", "numba"):
        (folder / "code" / name).mkdir(parents=True)
        (folder / "code" / name / "__init__.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    loader = f"open({str(mark)!r}, 'w').close()\ndef _load_pyfunc(path): return None\n"
    (folder / "code/convoy/streamrec/classification.py").write_text(loader)
    (folder / "code/convoy/core/mlmodel.py").write_text(loader)
    edit(folder, code="code")


def loader_of_its_own(folder: Path, mark: Path) -> None:
    (folder / "code").mkdir()
    (folder / "code/planted.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    edit(folder, code="code", loader_module="planted")


def model_from_code(folder: Path, mark: Path) -> None:
    (folder / "agent.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    edit(
        folder, loader_module="mlflow.pyfunc.loaders.code_model", data=None, model_code_path="agent.py",
        config=None,
    )  # fmt: skip


def data_elsewhere(folder: Path, mark: Path) -> None:
    shutil.copytree(folder / "data", folder.parent / "elsewhere")
    edit(folder, data="../elsewhere/bow")


def a_link(folder: Path, mark: Path) -> None:
    (folder / "data/bow/weights").symlink_to(folder / "data/bow/model.safetensors")


IN_DATA: tuple[Change, ...] = (pickle_in_the_data, weight)
AROUND: tuple[Change, ...] = (
    pickle_beside, weight_with_a_new_manifest, loader_of_pickles, flavour_of_scikit_learn,
    code_in_place_of_ours, data_elsewhere, a_link,
)  # fmt: skip
FOREIGN: tuple[Change, ...] = (loader_of_its_own, model_from_code)
LOADER = r"expected the loader convoy\.streamrec\.classification\.serving( or convoy\.climate\.\S+)*"
WORDS: dict[Change, str] = {
    pickle_in_the_data: r"data/bow/model\.pkl: not in the manifest",
    weight: r"model\.safetensors: sha256 differs from the manifest",
    pickle_beside: r"python_model\.pkl: not a file that MLflow writes",
    weight_with_a_new_manifest: r"manifest\.json: expected the sha256 \w{64} that MLmodel names, found",
    loader_of_pickles: rf"MLmodel: {LOADER}, found mlflow\.pyfunc\.model",
    flavour_of_scikit_learn: r"expected the flavour python_function alone, found python_function, sklearn",
    code_in_place_of_ours: "MLmodel: names the code path 'code', and ours have no code",
    loader_of_its_own: f"{LOADER}, found planted",
    model_from_code: f"{LOADER}, found mlflow.*code_model",
    data_elsewhere: r"expected data in data/NAME, found '\.\./elsewhere/bow'",
    a_link: r"weights: (a link, and ours hold none|not in the manifest)",
    weight_with_all_pins_of_the_folder: r"expected the sha256 \w{64} that the store names, found \w{64}",
}
