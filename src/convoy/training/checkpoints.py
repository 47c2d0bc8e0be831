"""Checkpoints of a training: tensors in safetensors, other values as JSON in its header.

Torch is imported only where tensors are read or written, so that fitting baselines does not import it.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from convoy.core.files import atomic_file
from convoy.training.source import imported_files, torch_build

if TYPE_CHECKING:
    from torch import Tensor


def run_key(params: dict[str, Any], data: str, module: str) -> str:
    """Hash of all inputs of a training.

    These are its params, the checksum of its data, the source files that the training `module` imports, and
    the build of torch. A change elsewhere, such as in a report, does not change the key.
    """
    digest = hashlib.sha256(json.dumps([params, data], sort_keys=True).encode())
    digest.update(torch_build())
    for file in imported_files(module):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Checkpoint:
    """One file `folder/name-key.safetensors`; for `key` see `run_key`.

    It belongs outside DVC's outputs, which DVC deletes before a stage runs.
    """

    folder: Path
    name: str
    key: str

    @property
    def path(self) -> Path:
        return self.folder / f"{self.name}-{self.key}.safetensors"

    def save(self, tensors: dict[str, "Tensor"], facts: dict[str, Any]) -> None:
        """Write tensors and facts, replacing the file as a whole."""
        from safetensors.torch import save_file

        with atomic_file(self.path) as partial:
            arrays = {name: tensor.contiguous() for name, tensor in tensors.items()}
            save_file(arrays, partial, {"facts": json.dumps(facts)})

    def load(self) -> "tuple[dict[str, Tensor], dict[str, Any]] | None":
        """The last saved state with this key, or None; removes files of other keys and broken ones."""
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
        """Remove the file of a finished run, and the folder where it is then empty."""
        self.path.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()
