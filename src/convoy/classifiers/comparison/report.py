"""The report of a comparison as one page: findings, accuracies, pairs, curves, confusion, tables."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from convoy.classifiers.comparison.compare import TIE
from convoy.classifiers.comparison.findings import findings, headline, networks_of
from convoy.classifiers.comparison.subject import Comparison, Subject
from convoy.classifiers.evaluation.plots import calibration, confusion_picture, learning_curve
from convoy.classifiers.evaluation.tables import CONFUSION, CURVE, RELIABILITY
from convoy.core.plots_io import Columns
from convoy.report import charts
from convoy.report.numbers import p_value, percent, points
from convoy.report.page import Section, Table, picture, render
from convoy.report.themes import Theme

VERDICT_RULE = (
    "A model is better where the 95% confidence interval of the difference (paired bootstrap) excludes zero "
    "and the exact p of McNemar's test is below 0.05; otherwise the pair is a tie. The p values are not "
    "corrected for multiple comparisons."
)
ONE_TRAINING = (
    "Each network was trained once: the intervals cover the variation between {cases}, not between trainings."
)
Metrics = Mapping[str, Mapping[str, Any]]


def page(
    subject: Subject, comparison: Comparison, metrics: Metrics, plots: Mapping[str, Mapping[str, Columns]],
    sentences: Sequence[str] = (), more: Sequence[Section] = (),
) -> str:  # fmt: skip
    """HTML of the whole report; `metrics` and `plots` (tables by file name) are by model.

    sentences: findings of the task after those on accuracies; more: its sections, before the curves.
    """
    categories = tuple(row["category"] for row in _any(metrics)["categories"])
    sections = [
        _accuracies(subject, comparison, metrics),
        _pairs(subject, comparison),
        *more,
        _curves(subject, comparison, plots),
        _confusions(subject, comparison, plots, categories),
        _calibrations(subject, metrics, plots),
        _categories(subject, comparison, metrics),
        _precision_recall(subject, metrics),
        _method(subject, comparison, metrics),
    ]
    found = [*findings(subject, comparison), *sentences]
    return render(
        headline(subject, comparison), found, [section for section in sections if section is not None]
    )


def accuracy_picture(subject: Subject, comparison: Comparison, theme: Theme) -> bytes:
    """PNG of each model's accuracy with its interval and both Bayes accuracies, or the majority's."""
    rows = [
        charts.Dot(
            subject.models[model].label,
            rate["value"],
            rate["low"],
            rate["high"],
            subject.models[model].colour,
        )
        for model, rate in comparison["accuracy"].items()
    ]
    bayes = comparison["bayes"]
    if bayes is None:
        marks = {f"most frequent {subject.category}": comparison["majority"]["accuracy"]}
    else:
        marks = {label: bayes[rule] for rule, label in subject.bayes.items()}
    return charts.rates(rows, marks, theme)


def _accuracies(subject: Subject, comparison: Comparison, metrics: Metrics) -> Section:
    bayes = comparison["bayes"]
    rates = comparison["accuracy"].items()
    alt = "; ".join(f"{subject.models[model].label} {percent(rate['value'])}" for model, rate in rates)
    header = ["model", "accuracy", "macro-F1", "log-loss", "calibration error"]
    if bayes is not None:
        header += [f"share of {label}" for label in subject.bayes.values()]
    table = []
    for model in comparison["accuracy"]:
        test = metrics[model]["test"]
        cells = [
            _rate(test, "accuracy"),
            _rate(test, "macro_f1"),
            _number(test, "log_loss"),
            _number(test, "ece"),
        ]
        shares = comparison["share_of_bayes"][model] or {}
        cells += [_share(shares[rule]) for rule in subject.bayes if shares]
        table.append([subject.models[model].label, *cells])
    return Section(
        f"Test {subject.cases} classified correctly",
        ["Error bars, and the second lines in the table, are 95% confidence intervals."],
        [picture(partial(accuracy_picture, subject, comparison), f"Accuracies: {alt}")],
        [Table(header, table)],
    )


def _pairs(subject: Subject, comparison: Comparison) -> Section:
    rows = []
    for key, pair in comparison["pairs"].items():
        first, second = key.split("-")
        won = TIE if pair["verdict"] == TIE else subject.models[pair["verdict"]].label
        rows.append(
            [
                f"{subject.models[first].label} – {subject.models[second].label}",
                won,
                f"{points(pair['difference'])}\n{points(pair['low'])} to {points(pair['high'])}",
                p_value(pair["mcnemar_p"]).removeprefix("p = ").removeprefix("p "),
                f"{pair['only_first']:,}",
                f"{pair['only_second']:,}",
            ]
        )
    header = [
        "pair",
        "better",
        "difference, points",
        "McNemar p",
        "only first correct",
        "only second correct",
    ]
    return Section(
        f"Paired differences on the same {subject.cases}",
        [VERDICT_RULE],
        tables=[Table(header, rows, words=2)],
    )


def _curves(
    subject: Subject, comparison: Comparison, plots: Mapping[str, Mapping[str, Columns]]
) -> Section | None:
    networks = [model for model in networks_of(subject, comparison) if CURVE in plots[model]]
    rows = [learning_curve(subject.models[model], plots[model][CURVE]) for model in networks]
    if not rows:
        return None
    shown = picture(partial(charts.curves, rows), "Loss and validation accuracy of the networks over epochs")
    return Section("Learning curves", [subject.weights_note], [shown])


def _confusions(
    subject: Subject,
    comparison: Comparison,
    plots: Mapping[str, Mapping[str, Columns]],
    categories: tuple[str, ...],
) -> Section:
    """Confusion matrices of all networks, and before them of a baseline that won."""
    winner, networks = comparison["winner"], networks_of(subject, comparison)
    shown = networks if winner in (TIE, *networks) else (winner, *networks)
    pictures = [
        picture(
            partial(confusion_picture, plots[model][CONFUSION], categories),
            f"Confusion matrix of {subject.models[model].label}",
            caption=subject.models[model].label,
            wide=True,
        )
        for model in shown
    ]
    return Section("Confusion matrices", pictures=pictures)


def _calibrations(subject: Subject, metrics: Metrics, plots: Mapping[str, Mapping[str, Columns]]) -> Section:
    rows = [calibration(subject.models[model], plots[model][RELIABILITY]) for model in metrics]
    bins = _any(metrics)["calibration_bins"]
    errors = ", ".join(
        f"{subject.models[model].label} {found['test']['ece']:.3f}" for model, found in metrics.items()
    )
    text = (
        "On the dashed line a model is perfectly calibrated: its accuracy equals its confidence. The bars "
        f"are a histogram of the {subject.cases}. "
        f"Expected calibration error over {bins} equal-width bins: {errors}."
    )
    shown = picture(partial(charts.reliability, rows), f"Reliability diagrams. Calibration error: {errors}")
    return Section("Calibration", [text], [shown])


def _categories(subject: Subject, comparison: Comparison, metrics: Metrics) -> Section:
    models = sorted(metrics, key=lambda model: -comparison["accuracy"][model]["value"])
    rows = []
    for number, row in enumerate(_any(metrics)["categories"]):
        cells = [_figure(metrics[model]["categories"][number]["f1"]) for model in models]
        rows.append([row["category"], str(number + 1), f"{row['n']:,}", *cells])
    header = [subject.category, "no.", subject.cases, *(subject.models[model].label for model in models)]
    text = (
        f"F1, the harmonic mean of precision and recall. A dash: no test {subject.cases} are of this "
        f"{subject.category} or were predicted as it."
    )
    return Section(f"F1 by {subject.category}", [text], tables=[Table(header, rows)])


def _precision_recall(subject: Subject, metrics: Metrics) -> Section:
    tables = []
    for figure in ("precision", "recall"):
        rows = [
            [row["category"], *(_figure(found["categories"][number][figure]) for found in metrics.values())]
            for number, row in enumerate(_any(metrics)["categories"])
        ]
        tables.append(Table([figure, *(subject.models[model].label for model in metrics)], rows))
    return Section(
        f"Precision and recall by {subject.category}",
        [f"A dash: no test {subject.cases} were predicted as this {subject.category}, or none are of it."],
        tables=tables, folded=True,
    )  # fmt: skip


def _method(subject: Subject, comparison: Comparison, metrics: Metrics) -> Section:
    seeds = max(comparison["seeds"].values(), key=len)
    n, resamples = comparison["n"], _any(metrics)["resamples"]
    cases = subject.cases
    text = (
        f"All figures are for the same {n:,} test {cases}, which no model was fitted on. 95% confidence "
        f"intervals are from {resamples:,} bootstrap resamples, or Wilson score intervals where all or none "
        f"of the {cases} are correct. {subject.method}"
    )
    several = (
        f"Figures are means over {len(seeds)} trainings of each network; seeds and {cases} are resampled "
        "together, so that intervals cover the variation of both. McNemar's test, the confusion matrices and "
        "the reliability diagrams are for the first seed."
    )
    paragraphs = [text, several if len(seeds) > 1 else ONE_TRAINING.format(cases=cases)]
    rows = [
        [subject.models[model].label, f"{subject.models[model].summary} {subject.note(of_model)}".strip()]
        for model, of_model in metrics.items()
    ]
    return Section(
        "Method",
        paragraphs + ([subject.bayes_method] if comparison["bayes"] else []),
        tables=[Table(["model", "what it computes"], rows, words=2)],
    )


def _any(metrics: Metrics) -> Mapping[str, Any]:
    """The metrics of one model, for values that are equal for all models."""
    return next(iter(metrics.values()))


def _rate(test: Mapping[str, float], name: str) -> str:
    low, high = (100 * test[f"{name}{end}"] for end in ("_low", "_high"))
    return f"{percent(test[name])}\n{low:.1f} to {high:.1f}"


def _number(test: Mapping[str, float], name: str) -> str:
    return f"{test[name]:.3f}\n{test[f'{name}_low']:.3f} to {test[f'{name}_high']:.3f}"


def _share(value: float | None) -> str:
    return "–" if value is None else percent(value)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
