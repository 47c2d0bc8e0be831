"""Stage climate-evaluate@MODEL: score one model on every split, beside the best rival and the floor."""

from pathlib import Path

from convoy.climate.downscaling.models import Downscaling
from convoy.climate.skill.evaluation import EvaluateParams, evaluate
from convoy.params import load
from convoy.stage import run
from convoy.storage import daily, grids, maps, models
from convoy.storage.files import write_json

DATA = Path("data/climate")


def main(model: str) -> None:
    """Write metrics, daily errors and maps of `model`."""
    params = load("climate.evaluate", EvaluateParams)
    facts = grids.read_facts(DATA / "grids")
    splits = {
        split: grids.read(DATA / "grids", split)
        for split in facts["splits"]
        if split not in ("train", "validation")
    }
    stored = models.read(DATA / "models" / model)
    evaluation = evaluate(
        model, [Downscaling(stored, seed) for seed in stored.seeds], splits, facts["target"], facts["floor"],
        daily.read(DATA / "rivals.parquet"), params,
    )  # fmt: skip
    maps.write(DATA / "maps" / f"{model}.safetensors", evaluation.maps)
    daily.write(DATA / "daily" / f"{model}.parquet", {model: evaluation.daily})
    write_json(DATA / "metrics/downscaling" / f"{model}.json", evaluation.metrics)
    for split in splits:
        found = evaluation.metrics[split]
        print(f"{model}  {split}  RMSE {found['rmse']}  skill {found['skill_vs_best_rival']}", flush=True)


if __name__ == "__main__":
    run(main)
