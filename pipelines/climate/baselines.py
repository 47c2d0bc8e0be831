"""Stage climate-baselines: fit every baseline on the training days and score it on every split."""

from pathlib import Path

from convoy.climate.data.io import read, read_facts
from convoy.climate.downscaling.evaluation import daily_io, maps_io
from convoy.climate.downscaling.evaluation.evaluate import EvaluateParams, measure, score
from convoy.climate.downscaling.evaluation.files import FILES
from convoy.climate.downscaling.models.specs import MODELS, SAME_AS, Downscaling, copies, train
from convoy.core import artifact
from convoy.core.files import write_json
from convoy.core.models import names_of
from convoy.core.params import load
from convoy.core.stage import run

DATA = Path("data/climate")


def main() -> None:
    """Write model, metrics, daily errors and maps of each baseline, also of those that are not in use.

    The skill of every model is relative to the best of all baselines: baselines.parquet holds their errors. A
    baseline that equals another on these grids has a model, and a note in place of its errors.
    """
    params = load("climate.evaluate", EvaluateParams)
    facts = read_facts(DATA / "grids")
    splits = {split: read(DATA / "grids", split) for split in facts["splits"] if split != "validation"}
    training = splits.pop("train")
    every = [domain for parts in (training, *splits.values()) for domain in parts]
    measured, same = {}, copies(every, facts["target"])
    for name in names_of(MODELS, "baseline"):
        folder = DATA / "models" / name
        own = load(f"climate.models.{name}", MODELS[name].params)
        artifact.write(folder, *train(name, own, training, [], facts, (0,))[:2], None)
        if name in same:
            for note in FILES.of(name).values():
                write_json(note, same[name])
            print(f"{name}: the same as {same[name][SAME_AS]}, {same[name]['because']}", flush=True)
            continue
        found = measure(name, [Downscaling(artifact.read(folder))], splits, facts["target"])
        maps_io.write(FILES.folder_of(name) / "maps.safetensors", found.maps)
        daily_io.write(FILES.folder_of(name) / "daily.parquet", {name: found.daily})
        measured[name] = found
        errors = ", ".join(f"{split} {days.rmse:.4g}" for split, days in found.daily.items())
        print(f"{name}: RMSE {errors}", flush=True)
    table = {name: found.daily for name, found in measured.items()}
    daily_io.write(DATA / "baselines.parquet", table)
    for name, found in measured.items():
        FILES.write(name, score(found, facts["noise_floor"], table, params))


if __name__ == "__main__":
    run(main)
