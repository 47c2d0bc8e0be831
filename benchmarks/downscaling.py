"""Training and inference of the default downscaling network compared with a plain eager float32 loop.

Both sides are the same function with the same weights (checked here) and the same days, in training in the
same batches; in inference plain has the largest of these, and ours its own. The plain one works at the fine
grid throughout and takes day by day from a DataLoader. Training is one epoch (on a GPU eight of ours, whose
mean counts: the first holds the recording of graphs), for ours with its validation on 64 days, which the
plain loop leaves out. Inference starts from prepared days and ends with fields in memory. The limits are
the better of a float32 and a bfloat16 product of large matrices and a copy, measured here; the operations are
those of our network's layers by their definition, twice that for the backward pass; the bytes are the field
written and the inputs read.
"""

import argparse
import contextlib
import io
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks import plain
from benchmarks.limits import measure_limits
from benchmarks.machine import RESULTS, cores, in_turn, part, report
from convoy.climate.data.domains import Domain
from convoy.climate.downscaling.models.params import DownscalingTraining
from convoy.climate.downscaling.networks.objective import FieldError
from convoy.climate.downscaling.networks.tensors import GridBatches, scaling
from convoy.climate.synthetic import scenarios as synthetic
from convoy.core.threads import keep_memory
from convoy.nn.downscaling import Downscaler
from convoy.training.batches import Batch
from convoy.training.devices import Device
from convoy.training.loop import fit, predict, seeded

REQUIRED = {
    "float32": {"training": 2, "inference": 3},
    "bfloat16": {"training": 3, "inference": 5},
    "cuda": {"training": 10, "inference": 5},
}
FIELDS_REQUIRED = {"cpu": None, "cuda": 100_000}
DAYS = {"cpu": 960, "cuda": 16_000}
BATCHES = {"cpu": (16,), "cuda": (16, 256)}  # of training; the largest is that of plain inference
EPOCHS = {"cpu": 1, "cuda": 8}
VALIDATION_DAYS = 64
Figures = dict[str, float]


def run(days: int | None, rounds: int, results: Path = RESULTS) -> Path:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    days = days or DAYS[device]
    torch.set_num_threads(cores())
    keep_memory()  # as every stage does; the plain loop gains as well
    with part(f"{days + VALIDATION_DAYS:,} days of the synthetic climate"):
        home = _home(days + VALIDATION_DAYS)
    train, validation = home.at(slice(0, days)), home.at(slice(days, None))
    scale = scaling([train], "tasmax")
    unknown = replace(train, target=None)
    parts = (train, validation, unknown)
    examples, others, without_truth = (GridBatches([part], "tasmax", scale) for part in parts)
    with seeded(0):
        network = Downscaler(
            examples.weather.shape[1], len(scale.static_names), "residual", conserve="additive",
            scale=scale.residual, level=scale.level,
        )  # fmt: skip
        torch.nn.init.normal_(network.out.weight, std=0.1)
    same = plain.PlainDownscaler(network, examples.geometry)
    params = DownscalingTraining(epochs=EPOCHS[device], patience=None, threads=cores())
    sizes = BATCHES[device]
    gap = _largest_gap(network, same, others)
    areas = torch.from_numpy(home.fine.areas).float()
    goal = FieldError(train.fine.areas, spread=False)

    def ours(size: int) -> None:
        own = params.model_copy(update={"batch_size": size})
        with contextlib.redirect_stdout(io.StringIO()):
            fit(network, examples, others, goal, own, 0, "residual")

    def theirs(size: int) -> None:
        plain.train(same, plain.loader(examples, size, True), areas, device)

    if device == "cuda":
        same.geometry = type(same.geometry)(*(matrix.cuda() for matrix in same.geometry))
    seconds = {
        f"training, batch {size}": in_turn(
            {"plain": partial(theirs, size), "ours": partial(ours, size)}, rounds, f"training, batch {size}"
        )
        for size in sizes
    }
    ordered = plain.loader(without_truth, max(sizes), False)
    seconds["inference"] = in_turn(
        {
            "plain": lambda: plain.infer(same, ordered, device),
            "ours": lambda: predict(network, without_truth, params),
        },
        rounds, "inference",
    )  # fmt: skip
    with part("limits of the machine"):
        limits = measure_limits(device)
    precision = "bfloat16" if Device(params).bfloat16 else "float32"
    required = REQUIRED["cuda" if device == "cuda" else precision]
    rows = [
        _row(phase, values, days, EPOCHS[device], required, network, examples, limits)
        for phase, values in seconds.items()
    ]
    measured = {
        "what": " ".join((__doc__ or "").split()), "days": days,
        "epochs of ours": EPOCHS[device],
        "precision of ours": precision,
        "largest difference, K": gap,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "million multiplications a field": _multiplications(network, examples) / 1e6,
        "limits": limits, "fields a second required": FIELDS_REQUIRED[device], "seconds": seconds,
    }  # fmt: skip
    return report(f"downscaling-{device}", rows, measured, ["torch", "numpy"], results)


def _home(days: int) -> Domain:
    years = max(4, -(-days // 365))
    return next(iter(synthetic.domains(synthetic.SyntheticParams(years=years)))).at(slice(0, days))


@torch.inference_mode()
def _largest_gap(network: Downscaler, same: plain.PlainDownscaler, examples: GridBatches) -> float:
    network.eval()
    inputs, _ = examples.draw(Batch(torch.arange(len(examples)), (len(examples),)), False)
    straight = torch.cat(list(plain.infer(same, plain.loader(examples, len(examples), False))))
    gap = float((network(inputs)[:, 0] - straight).abs().max())
    assert gap < 1e-2, gap
    return gap


def _row(
    phase: str, seconds: dict[str, list[float]], days: int, epochs: int, required: dict[str, int],
    network: Downscaler, examples: GridBatches, limits: Figures,
) -> dict[str, Any]:  # fmt: skip
    kind = phase.partition(",")[0]
    epochs = epochs if kind == "training" else 1
    own, straight = median(seconds["ours"]) / epochs, median(seconds["plain"])
    operations = 2 * _multiplications(network, examples) * (3 if kind == "training" else 1)
    field = examples.coarse[0].numel() * 5 + examples.surface.elevation_km[0].numel()
    return {
        "phase": phase, "plain, fields/s": days / straight, "ours, fields/s": days / own,
        "times": straight / own, "required": required[kind],
        "share of arithmetic limit": operations * days / own / limits["operations/s"],
        "share of bandwidth": 4 * field * days / own / limits["bytes/s"],
    }  # fmt: skip


def _multiplications(network: Downscaler, examples: GridBatches) -> float:
    """Multiplications of one field by the definition of our layers."""
    coarse, fine = examples.coarse[0].numel(), examples.surface.elevation_km[0].numel()
    hidden = network.from_weather.out_features
    rows, columns = examples.geometry.up_lat.shape[0], examples.geometry.up_lon.shape[0]
    trunk = sum(
        module.weight.numel() for module in network.trunk.modules() if isinstance(module, torch.nn.Conv2d)
    )
    at_coarse = coarse * (trunk + network.from_weather.weight.numel() + 25)
    sampling = hidden * (coarse * rows + rows * examples.coarse.shape[-1] * columns)
    at_fine = fine * sum(layer.weight.numel() for layer in (*network.layers, network.out))
    return float(at_coarse + sampling + at_fine)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--days", type=int, help=f"default: {DAYS['cpu']:,}, on a GPU {DAYS['cuda']:,}")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    run(options.days, options.rounds)


if __name__ == "__main__":
    main()
