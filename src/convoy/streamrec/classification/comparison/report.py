"""The report of a comparison as one page: findings, accuracies, pairs, curves, confusion, tables."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from convoy.report import charts
from convoy.report.io import Columns
from convoy.report.numbers import p_value, percent, points
from convoy.report.page import Section, Table, picture, render
from convoy.report.themes import Theme
from convoy.streamrec.classification.comparison.compare import TIE
from convoy.streamrec.classification.comparison.findings import findings, headline, networks_of
from convoy.streamrec.classification.evaluation.plots import calibration, confusion_picture, learning_curve
from convoy.streamrec.classification.evaluation.tables import CONFUSION, CURVE, RELIABILITY
from convoy.streamrec.classification.models.specs import MODELS

VERDICT_RULE = (
    "A model is better where the 95% confidence interval of the difference (paired bootstrap) excludes zero "
    "and the exact p of McNemar's test is below 0.05; otherwise the pair is a tie. The p values are not "
    "corrected for multiple comparisons."
)
WEIGHTS_KEPT = (
    "First seed. The stored weights are those of the epoch with the lowest validation loss. Label smoothing "
    "and word dropout apply to the training loss only, which may therefore be higher."
)
ONE_TRAINING = (
    "Each network was trained once: the intervals cover the variation between items, not between trainings."
)
BAYES = (
    "The Bayes accuracies are those of the Bayes rules on the same test items, which are known exactly since "
    "the catalogue is synthetic: one rule uses the order of words, the other does not."
)

Metrics = Mapping[str, Mapping[str, Any]]


def page(comparison: Mapping[str, Any], metrics: Metrics, plots: Mapping[str, Mapping[str, Columns]]) -> str:
    """HTML of the whole report; `metrics` and `plots` (tables by file name) are by model."""
    categories = tuple(row["category"] for row in _any(metrics)["categories"])
    sections = [
        _accuracies(comparison, metrics),
        _pairs(comparison),
        _curves(comparison, plots),
        _confusions(comparison, plots, categories),
        _calibrations(metrics, plots),
        _categories(comparison, metrics),
        _precision_recall(metrics),
        _method(comparison, metrics),
    ]
    found = findings(comparison)
    return render(headline(comparison), found, [section for section in sections if section is not None])


def accuracy_picture(comparison: Mapping[str, Any], theme: Theme) -> bytes:
    """PNG of each model's accuracy with its interval and both Bayes accuracies, or the majority's."""
    rows = [
        charts.Rate(MODELS[model].label, rate["value"], rate["low"], rate["high"], MODELS[model].colour)
        for model, rate in comparison["accuracy"].items()
    ]
    bayes = comparison["bayes"]
    if bayes is None:
        marks = {"most frequent category": comparison["majority"]["accuracy"]}
    else:
        marks = {"order-blind Bayes accuracy": bayes["order_blind"], "Bayes accuracy": bayes["full"]}
    return charts.rates(rows, marks, theme)


def _accuracies(comparison: Mapping[str, Any], metrics: Metrics) -> Section:
    bayes = comparison["bayes"]
    rates = comparison["accuracy"].items()
    alt = "; ".join(f"{MODELS[model].label} {percent(rate['value'])}" for model, rate in rates)
    header = ["model", "accuracy", "macro-F1", "log-loss", "calibration error"]
    if bayes is not None:
        header += ["of order-blind Bayes accuracy", "of Bayes accuracy"]
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
        cells += [_share(shares[rule]) for rule in ("order_blind", "full") if shares]
        table.append([MODELS[model].label, *cells])
    return Section(
        "Test items classified correctly",
        ["Lines at the ends of the bars, and second lines in the table, are 95% confidence intervals."],
        [picture(partial(accuracy_picture, comparison), f"Accuracies: {alt}")],
        [Table(header, table)],
    )


def _pairs(comparison: Mapping[str, Any]) -> Section:
    rows = []
    for key, pair in comparison["pairs"].items():
        first, second = key.split("-")
        won = TIE if pair["verdict"] == TIE else MODELS[pair["verdict"]].label
        rows.append(
            [
                f"{MODELS[first].label} – {MODELS[second].label}",
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
        "Paired differences on the same items",
        [VERDICT_RULE],
        tables=[Table(header, rows, words=2)],
    )


def _curves(comparison: Mapping[str, Any], plots: Mapping[str, Mapping[str, Columns]]) -> Section | None:
    networks = [model for model in networks_of(comparison) if CURVE in plots[model]]
    rows = [learning_curve(model, plots[model][CURVE]) for model in networks]
    if not rows:
        return None
    shown = picture(partial(charts.curves, rows), "Loss and validation accuracy of the networks over epochs")
    return Section("Learning curves", [WEIGHTS_KEPT], [shown])


def _confusions(
    comparison: Mapping[str, Any], plots: Mapping[str, Mapping[str, Columns]], categories: tuple[str, ...]
) -> Section:
    """Confusion matrices of all networks, and before them of a baseline that won."""
    winner, networks = comparison["winner"], networks_of(comparison)
    shown = networks if winner in (TIE, *networks) else (winner, *networks)
    pictures = [
        picture(
            partial(confusion_picture, plots[model][CONFUSION], categories),
            f"Confusion matrix of {MODELS[model].label}",
            caption=MODELS[model].label,
            wide=True,
        )
        for model in shown
    ]
    return Section("Confusion matrices", pictures=pictures)


def _calibrations(metrics: Metrics, plots: Mapping[str, Mapping[str, Columns]]) -> Section:
    rows = [calibration(model, plots[model][RELIABILITY]) for model in metrics]
    bins = _any(metrics)["calibration_bins"]
    errors = ", ".join(
        f"{MODELS[model].label} {found['test']['ece']:.3f}" for model, found in metrics.items()
    )
    text = (
        "On the dashed line a model is perfectly calibrated: its accuracy equals its confidence. The bars "
        "are a histogram of the items. "
        f"Expected calibration error over {bins} equal-width bins: {errors}."
    )
    shown = picture(partial(charts.reliability, rows), f"Reliability diagrams. Calibration error: {errors}")
    return Section("Calibration", [text], [shown])


def _categories(comparison: Mapping[str, Any], metrics: Metrics) -> Section:
    models = sorted(metrics, key=lambda model: -comparison["accuracy"][model]["value"])
    rows = []
    for number, row in enumerate(_any(metrics)["categories"]):
        cells = [_figure(metrics[model]["categories"][number]["f1"]) for model in models]
        rows.append([row["category"], str(number + 1), f"{row['n']:,}", *cells])
    header = ["category", "no.", "items", *(MODELS[model].label for model in models)]
    text = "F1, the harmonic mean of precision and recall. A dash: the category did not occur."
    return Section("F1 by category", [text], tables=[Table(header, rows)])


def _precision_recall(metrics: Metrics) -> Section:
    tables = []
    for figure in ("precision", "recall"):
        rows = [
            [row["category"], *(_figure(found["categories"][number][figure]) for found in metrics.values())]
            for number, row in enumerate(_any(metrics)["categories"])
        ]
        tables.append(Table([figure, *(MODELS[model].label for model in metrics)], rows))
    return Section(
        "Precision and recall by category",
        ["A dash: the category was never predicted, or has no test item."],
        tables=tables, folded=True,
    )  # fmt: skip


def _method(comparison: Mapping[str, Any], metrics: Metrics) -> Section:
    seeds = max(comparison["seeds"].values(), key=len)
    n, resamples = comparison["n"], _any(metrics)["resamples"]
    text = (
        f"All figures are for the same {n:,} test items, which no model was fitted on. 95% confidence "
        f"intervals are from {resamples:,} bootstrap resamples, or Wilson's where all items or none are "
        "correct. All models are fitted on the same tokens."
    )
    several = (
        f"Figures are means over {len(seeds)} trainings of each network; seeds and items are resampled "
        "together, so that intervals cover the variation of both. McNemar's test, the confusion matrices and "
        "the reliability diagrams are for the first seed."
    )
    paragraphs = [text, several if len(seeds) > 1 else ONE_TRAINING]
    rows = [[MODELS[model].label, MODELS[model].summary] for model in metrics]
    return Section(
        "Method",
        paragraphs + ([BAYES] if comparison["bayes"] else []),
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
