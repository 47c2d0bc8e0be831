"""Stage climate-baselines: fit every baseline on the training days and score it on every split."""

from pathlib import Path

from convoy.climate.data.io import read, read_facts
from convoy.climate.downscaling.evaluation import daily_io, maps_io
from convoy.climate.downscaling.evaluation.evaluate import EvaluateParams, measure, score
from convoy.climate.downscaling.models.specs import MODELS, SAME_AS, Downscaling, copies, train
from convoy.core import artifact
from convoy.core.files import write_json, write_text
from convoy.core.models import names_of
from convoy.core.params import load
from convoy.core.stage import run
from convoy.metrics_io import DETAILS, DOWNSCALING, split_figures

DATA, METRICS = Path("data/climate"), Path("metrics/downscaling")


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
            for note in (DATA / "evaluation" / name / DETAILS, DATA / METRICS / f"{name}.json"):
                write_json(note, same[name])
            print(f"{name}: the same as {same[name][SAME_AS]}, {same[name]['because']}", flush=True)
            continue
        found = measure(name, [Downscaling(artifact.read(folder))], splits, facts["target"])
        maps_io.write(DATA / "evaluation" / name / "maps.safetensors", found.maps)
        daily_io.write(DATA / "evaluation" / name / "daily.parquet", {name: found.daily})
        measured[name] = found
        errors = ", ".join(f"{split} {days.rmse:.4g}" for split, days in found.daily.items())
        print(f"{name}: RMSE {errors}", flush=True)
    table = {name: found.daily for name, found in measured.items()}
    daily_io.write(DATA / "baselines.parquet", table)
    for name, found in measured.items():
        headline, details = split_figures(score(found, facts["noise_floor"], table, params), DOWNSCALING)
        write_text(DATA / "evaluation" / name / DETAILS, details)
        write_json(DATA / METRICS / f"{name}.json", headline)


if __name__ == "__main__":
    run(main)
