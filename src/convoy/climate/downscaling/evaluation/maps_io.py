"""Named arrays of one model in one file: fields and curves that reports draw."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from convoy.core.errors import ConvoyError
from convoy.core.files import atomic_file
from convoy.core.printable import reason


def write(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write the arrays as safetensors; the same arrays give the same bytes."""
    with atomic_file(path) as partial:
        # Not by save_file, which ignores the umask and writes files that only the owner can read.
        partial.write_bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))


def read(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays by name; ConvoyError where the file is missing or broken."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ConvoyError(
            f"cannot be read ({reason(error)})", path=path, hint="run `dvc repro` to make it"
        ) from None
