"""Model artifacts: a folder with weights in safetensors, config in JSON and a tokenizer; no pickle."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save

from convoy.core.errors import ConvoyError
from convoy.core.files import (
    atomic_directory,
    check_manifest,
    read_json,
    write_json,
    write_manifest,
    write_text,
)
from convoy.core.printable import reason

WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"
# Parsed JSON takes about ten times the memory of its text.
_BYTES_AT_MOST = {CONFIG: 1 << 20, TOKENIZER: 1 << 26}
_SEEDS_AT_MOST = 100
_AGAIN = "make the folder again"


@dataclass(frozen=True)
class StoredModel:
    """Contents of a model folder whose files match its manifest.

    `seeds` maps each training seed to its tensors by `state_dict` name; the first seed's are `tensors`,
    the published weights. Models of texts have a tokenizer. `sha256` maps file names to checksums.
    `name` begins messages: the folder or URI that the model was read from. The values in the config are not
    checked here but by the task that the model belongs to, before it computes anything.
    """

    config: dict[str, Any]
    seeds: dict[int, dict[str, np.ndarray]]
    tokenizer: str | None
    sha256: dict[str, str]
    name: str = "model"

    @property
    def tensors(self) -> dict[str, np.ndarray]:
        return next(iter(self.seeds.values()))

    @property
    def tokenizer_json(self) -> str:
        """The tokenizer; ConvoyError for a model that reads no texts."""
        if self.tokenizer is None:
            raise ConvoyError(f"has no {TOKENIZER}: it does not read texts", path=self.name)
        return self.tokenizer

    def on_any_machine(self) -> "StoredModel":
        """The model with `training.device` "auto" in place of "cuda", so that it runs without a GPU too."""
        training = self.config.get("training", {})
        if training.get("device") != "cuda":
            return self
        return replace(self, config={**self.config, "training": {**training, "device": "auto"}})


def write(
    folder: Path,
    config: Mapping[str, Any],
    seeds: Mapping[int, Mapping[str, np.ndarray]],
    tokenizer_json: str | None,
    curve: str | None = None,
) -> None:
    """Write the folder as a whole: the first seed as model.safetensors, others as seed-N.safetensors.

    `curve` is the learning curve as CSV text, stored with the weights as curve.csv.
    """
    with atomic_directory(folder) as partial:
        for count, (seed, tensors) in enumerate(seeds.items()):
            arrays = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
            # Not by save_file, which ignores the umask and writes files that only the owner can read.
            (partial / (WEIGHTS if count == 0 else f"seed-{seed}.safetensors")).write_bytes(save(arrays))
        write_json(partial / CONFIG, {**config, "seeds": list(seeds)})
        if tokenizer_json is not None:
            write_text(partial / TOKENIZER, tokenizer_json)
        if curve is not None:
            write_text(partial / "curve.csv", curve)
        write_manifest(partial)


def read(folder: Path) -> StoredModel:
    """Read a model folder after checking every checksum; ConvoyError names what is missing or changed."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ConvoyError("no such model folder", path=folder, hint="run `dvc repro` or name another one")
    files = check_manifest(folder)["files"]
    for name in (WEIGHTS, CONFIG):
        if name not in files:
            raise ConvoyError(f"no {name}, so this is not a model folder", path=folder)
    for name, limit in _BYTES_AT_MOST.items():
        if name in files and files[name]["bytes"] > limit:
            raise ConvoyError(
                f"{files[name]['bytes']:,} bytes", path=folder / name, expected=f"at most {limit:,}"
            )
    config = read_json(folder / CONFIG)
    numbers = _seeds(config, folder / CONFIG)
    names = [WEIGHTS] + [f"seed-{seed}.safetensors" for seed in numbers[1:]]
    for name in names:
        if name not in files:
            raise ConvoyError(f"missing, and {CONFIG} names its seed", path=folder / name, hint=_AGAIN)
    return StoredModel(
        config=config,
        seeds={seed: _tensors(folder / name) for seed, name in zip(numbers, names, strict=True)},
        tokenizer=_text(folder / TOKENIZER) if TOKENIZER in files else None,
        sha256={name: facts["sha256"] for name, facts in files.items()},
        name=str(folder),
    )


def _seeds(config: Any, path: Path) -> list[int]:
    """The seeds that a config lists; ConvoyError where the JSON is not a model's config."""
    if not isinstance(config, dict) or not isinstance(config.get("kind"), str):
        raise ConvoyError(
            "no 'kind' of model, so this is not a model folder", path=path, hint="make it again"
        )
    seeds = config.get("seeds")
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int for seed in seeds):
        raise ConvoyError(path=path, key="key 'seeds'", expected="a list of whole numbers", hint=_AGAIN)
    if len(set(seeds)) != len(seeds) or len(seeds) > _SEEDS_AT_MOST:
        raise ConvoyError(path=path, key="key 'seeds'", expected=f"at most {_SEEDS_AT_MOST}, each once")
    if not isinstance(config.get("training", {}), dict):
        raise ConvoyError(path=path, key="key 'training'", expected="keys and values", hint=_AGAIN)
    return seeds


def _tensors(path: Path) -> dict[str, np.ndarray]:
    try:
        return load_file(path)
    except Exception as error:  # safetensors raises many types for a broken header
        raise ConvoyError(
            f"not weights that this version reads ({reason(error, 120)})", path=path, hint="train again"
        ) from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConvoyError(f"not UTF-8 ({error.reason})", path=path, hint=_AGAIN) from None
