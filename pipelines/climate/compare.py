"""Stage climate-compare: compare the models with each other and with the noise floor; write the report."""

from pathlib import Path

from convoy.climate.data.domains import Days
from convoy.climate.data.headers import read_headers
from convoy.climate.downscaling.comparison.compare import compare, originals, table
from convoy.climate.downscaling.comparison.findings import findings, headline, limits, other_figures
from convoy.climate.downscaling.comparison.report import comparison_pictures, page
from convoy.climate.downscaling.evaluation import daily_io, maps_io
from convoy.climate.downscaling.evaluation.evaluate import EvaluateParams
from convoy.climate.downscaling.evaluation.files import FILES
from convoy.climate.downscaling.models.specs import MODELS
from convoy.core.files import write_json, write_text
from convoy.core.models import models_in_use
from convoy.core.params import load
from convoy.core.plots_io import columns, csv_text, read_curve, write_plots
from convoy.core.stage import run
from convoy.report.themes import LIGHT

DATA = Path("data/climate")


def main() -> None:
    """Write comparison.json, report.html and the plots from the metrics of the models in use."""
    params = load("climate.evaluate", EvaluateParams)
    facts, domains = read_headers(DATA / "grids")
    metrics, copies = originals(models_in_use("climate", MODELS), FILES.read)
    chosen = list(metrics)
    arrays = {model: maps_io.read(FILES.folder_of(model) / "maps.safetensors") for model in chosen}
    errors = daily_io.read(DATA / "baselines.parquet")
    for model in chosen:
        errors |= daily_io.read(FILES.folder_of(model) / "daily.parquet")
    curves = {model: read_curve(DATA / "models" / model) for model in chosen}
    learned = {model: columns(text, model) for model, text in curves.items() if text is not None}
    # All grids of a folder have one calendar.
    dates = Days(str(domains[0].of("fine")[0].calendar), arrays[chosen[0]]["ordinal"]).labels

    comparison = compare(metrics, errors, facts, params, copies)
    words = [headline(comparison), *findings(comparison), *other_figures(comparison), *limits(comparison)]
    drawings = comparison_pictures(comparison, metrics, arrays, errors, dates)
    html = page(comparison, metrics, arrays, drawings, dates, learned)
    pictures = {f"{name}.png": draw(LIGHT) for name, draw in drawings.items()}
    write_plots(DATA / "plots/comparison", {"table.csv": csv_text(*table(comparison)), **pictures})
    write_json(DATA / "metrics/comparison.json", {**comparison, "words": words})
    write_text(DATA / "report.html", html)
    print("\n".join(words))


if __name__ == "__main__":
    run(main)
