"""A model folder, complete in itself: weights in safetensors, config in JSON, a tokenizer; no pickle."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from convoy.core.errors import ConvoyError
from convoy.core.files import (
    atomic_directory,
    check_manifest,
    read_json,
    write_json,
    write_manifest,
    write_text,
)

WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"


@dataclass(frozen=True)
class StoredModel:
    """What a model folder holds, checked against its manifest.

    `seeds` maps each training seed to its tensors by `state_dict` name; the first seed's are `tensors`,
    the ones that leave the house. Models of texts have a tokenizer. `sha256` maps file names to checksums.
    """

    config: dict[str, Any]
    seeds: dict[int, dict[str, np.ndarray]]
    tokenizer: str | None
    sha256: dict[str, str]

    @property
    def tensors(self) -> dict[str, np.ndarray]:
        return next(iter(self.seeds.values()))

    @property
    def tokenizer_json(self) -> str:
        """The tokenizer; ConvoyError for a model that reads no texts."""
        if self.tokenizer is None:
            raise ConvoyError(f"model '{self.config.get('kind')}' has no tokenizer: it does not read texts")
        return self.tokenizer

    def on_any_machine(self) -> "StoredModel":
        """The model, to run without a GPU too where its training asked for one."""
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

    `curve` is the learning curve as CSV text, kept beside the weights as curve.csv.
    """
    with atomic_directory(folder) as partial:
        for count, (seed, tensors) in enumerate(seeds.items()):
            arrays = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
            save_file(arrays, partial / (WEIGHTS if count == 0 else f"seed-{seed}.safetensors"))
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
        raise ConvoyError(f"{folder}: no such model folder; run `dvc repro` or name another one")
    files = check_manifest(folder)["files"]
    for name in (WEIGHTS, CONFIG):
        if name not in files:
            raise ConvoyError(f"{folder}: no {name}, so this is not a model folder")
    config = read_json(folder / CONFIG)
    names = [WEIGHTS] + [f"seed-{seed}.safetensors" for seed in config["seeds"][1:]]
    seeds = {seed: load_file(folder / name) for seed, name in zip(config["seeds"], names, strict=True)}
    return StoredModel(
        config=config,
        seeds=seeds,
        tokenizer=(folder / TOKENIZER).read_text(encoding="utf-8") if TOKENIZER in files else None,
        sha256={name: facts["sha256"] for name, facts in files.items()},
    )
