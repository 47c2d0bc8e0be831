"""Writes what `benchmarks.century` runs on: a model of the default size, coarse files of so many years."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from convoy.climate.data.datasets import dataset
from convoy.climate.data.domains import Days, Domain
from convoy.climate.data.io import write_dataset
from convoy.climate.downscaling.models import specs as models
from convoy.climate.downscaling.models.params import NetworkParams
from convoy.climate.synthetic import scenarios as synthetic
from convoy.core import artifact as folders

FACTS = {"target": "tasmax", "inputs": list(synthetic.VARIABLES), "source": "synthetic"}


def write(folder: Path, years: Sequence[int], network: NetworkParams | None = None) -> None:
    home = next(iter(synthetic.domains(synthetic.SyntheticParams(years=4))))
    train, validation = home.at(slice(0, 64)), home.at(slice(64, 96))
    params = network or NetworkParams.model_validate({"training": {"epochs": 1, "patience": 1}})
    config, tensors, curve = models.train("residual", params, [train], [validation], FACTS, (0,))
    folders.write(folder / "model", config, tensors, None, curve)
    for count in years:
        _coarse(folder / f"coarse-{count}.nc", home, Days.years(1901, count))


def _coarse(path: Path, home: Domain, days: Days) -> None:
    at = np.arange(len(days)) % len(home.days)
    write_dataset(path, dataset(home.coarse, days, {name: field[at] for name, field in home.inputs.items()}))


if __name__ == "__main__":
    write(Path(sys.argv[1]), [int(count) for count in sys.argv[2:]])
