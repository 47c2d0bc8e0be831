"""Stage climate-evaluate@MODEL: score one model on every split, relative to the best baseline."""

from pathlib import Path

from convoy.climate.data.io import read, read_facts
from convoy.climate.downscaling.evaluation import daily_io, maps_io
from convoy.climate.downscaling.evaluation.evaluate import EvaluateParams, evaluate
from convoy.climate.downscaling.evaluation.files import FILES
from convoy.climate.downscaling.models.specs import Downscaling
from convoy.core import artifact
from convoy.core.params import load
from convoy.core.stage import run

DATA = Path("data/climate")


def main(model: str) -> None:
    """Write metrics, daily errors and maps of `model`."""
    params = load("climate.evaluate", EvaluateParams)
    facts = read_facts(DATA / "grids")
    splits = {
        split: read(DATA / "grids", split)
        for split in facts["splits"]
        if split not in ("train", "validation")
    }
    stored = artifact.read(DATA / "models" / model)
    evaluation = evaluate(
        model, [Downscaling(stored, seed) for seed in stored.seeds], splits, facts["target"],
        facts["noise_floor"], daily_io.read(DATA / "baselines.parquet"), params,
    )  # fmt: skip
    maps_io.write(FILES.folder_of(model) / "maps.safetensors", evaluation.maps)
    daily_io.write(FILES.folder_of(model) / "daily.parquet", {model: evaluation.daily})
    FILES.write(model, evaluation.metrics)
    for split in splits:
        found = evaluation.metrics[split]
        print(f"{model}  {split}  RMSE {found['rmse']}  skill {found['skill_vs_best_baseline']}", flush=True)


if __name__ == "__main__":
    run(main)
