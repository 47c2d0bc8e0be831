"""Stage climate-compare: say who won where, by how much, and how far from the floor."""

from pathlib import Path

from convoy.climate.comparison.findings import beside, findings, headline, limits
from convoy.climate.comparison.page import comparison_pictures, page
from convoy.climate.comparison.paired import compare, table
from convoy.climate.skill.evaluation import EvaluateParams
from convoy.params import load, load_names
from convoy.report.style import LIGHT
from convoy.stage import run
from convoy.storage import daily, maps, plots
from convoy.storage.domains import Days
from convoy.storage.files import read_json, write_json, write_text
from convoy.storage.grid_headers import read_headers

DATA = Path("data/climate")


def main() -> None:
    """Write comparison.json, report.html and the plots from what was measured of the chosen models."""
    params = load("climate.evaluate", EvaluateParams)
    chosen = load_names("climate.models")
    facts, domains = read_headers(DATA / "grids")
    metrics = {model: read_json(DATA / "metrics/downscaling" / f"{model}.json") for model in chosen}
    arrays = {model: maps.read(DATA / "maps" / f"{model}.safetensors") for model in chosen}
    errors = daily.read(DATA / "rivals.parquet")
    for model in chosen:
        errors |= daily.read(DATA / "daily" / f"{model}.parquet")
    curves = {model: plots.read_curve(DATA / "models" / model) for model in chosen}
    learned = {model: plots.columns(text, model) for model, text in curves.items() if text is not None}
    # All grids of a folder have one calendar.
    dates = Days(str(domains[0].of("fine")[0].calendar), arrays[chosen[0]]["ordinal"]).labels

    comparison = compare(metrics, errors, facts, params)
    words = [headline(comparison), *findings(comparison), *beside(comparison), *limits(comparison)]
    html = page(comparison, metrics, arrays, errors, dates, learned)
    drawn = comparison_pictures(comparison, metrics, arrays, errors, dates)
    pictures = {f"{name}.png": draw(LIGHT) for name, draw in drawn.items()}
    plots.write(DATA / "plots/comparison", {"table.csv": plots.csv_text(*table(comparison)), **pictures})
    write_json(DATA / "metrics/comparison.json", {**comparison, "words": words})
    write_text(DATA / "report.html", html)
    print("\n".join(words))


if __name__ == "__main__":
    run(main)
