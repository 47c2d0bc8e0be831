"""Stage climate-events-compare: compare the models and their explanations; write the report."""

from pathlib import Path

from convoy.classifiers.comparison.compare import compare
from convoy.classifiers.comparison.findings import findings, headline
from convoy.classifiers.comparison.report import accuracy_picture, page
from convoy.classifiers.evaluation.outputs_io import read_evaluations
from convoy.climate.events.comparison.explained import overlays, sections, sentences
from convoy.climate.events.data.io import read_facts
from convoy.climate.events.evaluation.evaluate import EvaluateParams
from convoy.climate.events.evaluation.examples_io import EXAMPLES, read_examples
from convoy.climate.events.evaluation.files import FILES
from convoy.climate.events.models.specs import MODELS
from convoy.climate.events.subject import SUBJECT
from convoy.core.files import write_json, write_text
from convoy.core.models import models_in_use
from convoy.core.params import load
from convoy.core.plots_io import write_plots
from convoy.core.printable import one_line
from convoy.core.stage import run
from convoy.report.themes import LIGHT

DATA, METRICS = Path("data/climate/events"), Path("data/climate/metrics/events")


def main() -> None:
    """Write comparison.json and report.html of the models in use."""
    params = load("climate.events.evaluate", EvaluateParams)
    models = models_in_use("climate.events", MODELS)
    facts = read_facts(DATA / "images")
    made = read_evaluations(FILES, models)
    networks = [model for model in models if MODELS[model].is_network]
    examples = {model: read_examples(FILES.folder_of(model) / EXAMPLES) for model in networks}
    comparison = compare(made.figures, made.predictions, params)
    more = sentences(made.figures)
    words = [headline(SUBJECT, comparison), *findings(SUBJECT, comparison), *more]
    html = page(SUBJECT, comparison, made.figures, made.tables, more, sections(made.figures, examples, facts))
    drawn = {"accuracy.png": accuracy_picture(SUBJECT, comparison, LIGHT), **overlays(examples, facts)}
    write_plots(DATA / "plots" / "comparison", drawn)
    write_json(METRICS / "comparison.json", {**comparison, "words": words})
    write_text(DATA / "report.html", html)
    print("\n".join(map(one_line, words)))


if __name__ == "__main__":
    run(main)
