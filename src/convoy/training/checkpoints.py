"""Training state that survives a kill: tensors in safetensors, the rest as JSON in its header.

Torch is imported where tensors are: what is fitted without it does not wait for it.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

import convoy
from convoy.core.files import atomic_file

if TYPE_CHECKING:
    from torch import Tensor


def run_key(params: dict[str, Any], data: str) -> str:
    """A hash of what a training run depends on: its params, the data's checksum, and all code of ours."""
    digest = hashlib.sha256(json.dumps([params, data, version("torch")], sort_keys=True).encode())
    for file in sorted(Path(convoy.__path__[0]).rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Checkpoint:
    """One file `folder/name-key.safetensors`; `key` is a hash of params, data and code.

    Outside DVC's outputs, since DVC deletes those before a stage runs.
    """

    folder: Path
    name: str
    key: str

    @property
    def path(self) -> Path:
        return self.folder / f"{self.name}-{self.key}.safetensors"

    def save(self, tensors: dict[str, "Tensor"], facts: dict[str, Any]) -> None:
        """Replace the file as a whole."""
        from safetensors.torch import save_file

        with atomic_file(self.path) as partial:
            arrays = {name: tensor.contiguous() for name, tensor in tensors.items()}
            save_file(arrays, partial, {"facts": json.dumps(facts)})

    def load(self) -> "tuple[dict[str, Tensor], dict[str, Any]] | None":
        """The last saved state with this key, or None; files of other keys and broken ones are removed."""
        for file in self.folder.glob(f"{self.name}-*.safetensors"):
            if file != self.path:
                file.unlink(missing_ok=True)
        if not self.path.is_file():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                facts = json.loads(file.metadata()["facts"])
                return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118
        except (SafetensorError, OSError, ValueError, KeyError, TypeError):
            self.path.unlink(missing_ok=True)
            return None

    def remove(self) -> None:
        """Called when the run has ended well; leaves nothing behind."""
        self.path.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()
