"""Examples with explanations, as one folder per network that the report is drawn from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from convoy.core.errors import ConvoyError
from convoy.core.files import atomic_directory, check_manifest, write_manifest
from convoy.core.printable import reason

EXAMPLES = "examples"
"""Name in a model's folder of evaluation."""
NAMES = ("values", "importance", "masks", "labels", "predicted")
_FILE = "examples.safetensors"

Arrays = Mapping[str, npt.NDArray[Any]]


def write_examples(folder: Path, examples: Arrays | None) -> None:
    """Write the arrays of `explanations.Examples`; a folder without a file where there are none."""
    with atomic_directory(folder) as partial:
        if examples is not None:
            arrays = {name: np.ascontiguousarray(examples[name]) for name in NAMES}
            (partial / _FILE).write_bytes(save(arrays))
        write_manifest(partial)


def read_examples(folder: Path) -> Arrays | None:
    """The arrays of a folder, or None; ConvoyError where it is missing or they are not of equally many."""
    if not folder.is_dir():
        raise ConvoyError("no such folder", path=folder, hint="run `dvc repro` to make it")
    if _FILE not in check_manifest(folder)["files"]:
        return None
    path = folder / _FILE
    try:
        found = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ConvoyError(f"not whole ({reason(error, 120)})", path=path, hint="make it again") from None
    if set(found) != set(NAMES) or len({len(array) for array in found.values()}) != 1:
        raise ConvoyError(path=path, expected=f"arrays {', '.join(NAMES)}", hint="make it again")
    return found
