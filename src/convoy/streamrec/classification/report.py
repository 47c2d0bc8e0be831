"""The report of a comparison as one page: words, accuracies, pairs, curves, confusion, tables."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from convoy.report import charts
from convoy.report.io import Columns
from convoy.report.numbers import p_value, percent, points
from convoy.report.page import Section, Table, picture, render
from convoy.report.style import Theme
from convoy.streamrec.classification.compare import MODELS, PAIRS, TIE
from convoy.streamrec.classification.findings import NETWORKS, findings, headline
from convoy.streamrec.classification.plots import (
    COLOURS,
    CONFUSION,
    CURVE,
    NAMES,
    RELIABILITY,
    calibration,
    confusion_picture,
    learning_curve,
)

VERDICT_RULE = (
    "A model is called better where the 95% interval of the paired difference excludes zero and the exact p "
    "of McNemar's test is below 0.05; otherwise the pair is a tie. Each p stands for its own pair alone."
)
WEIGHTS_KEPT = (
    "First seed. The weights kept are those of the epoch with the lowest validation loss. The training loss, "
    "of smoothed labels and dropped words where such are set, may therefore lie above the other."
)
ONE_TRAINING = "Each network was trained once: the intervals hold the spread of items, not that of training."
BAYES = (
    "The Bayes accuracies are the accuracies of the Bayes rules on these very test items, known since "
    "the catalogue "
    "is synthetic: one rule sees the order of words, the other does not."
)

Metrics = Mapping[str, Mapping[str, Any]]


def page(comparison: Mapping[str, Any], metrics: Metrics, plots: Mapping[str, Mapping[str, Columns]]) -> str:
    """HTML of the whole report; `metrics` and `plots` (tables by file name) are by model."""
    categories = tuple(row["category"] for row in metrics[MODELS[0]]["categories"])
    sections = [
        _accuracies(comparison, metrics),
        _pairs(comparison),
        _curves(plots),
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
        charts.Rate(NAMES[model], rate["value"], rate["low"], rate["high"], COLOURS[model])
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
    alt = "; ".join(f"{NAMES[model]} {percent(rate['value'])}" for model, rate in rates)
    header = ["model", "accuracy", "macro-F1", "log-loss", "calibration error"]
    if bayes is not None:
        header += ["of order-blind Bayes accuracy", "of Bayes accuracy"]
    table = []
    for model in MODELS:
        test = metrics[model]["test"]
        cells = [
            _rate(test, "accuracy"),
            _rate(test, "macro_f1"),
            _number(test, "log_loss"),
            _number(test, "ece"),
        ]
        shares = comparison["share_of_bayes"][model] or {}
        cells += [_share(shares[rule]) for rule in ("order_blind", "full") if shares]
        table.append([NAMES[model], *cells])
    return Section(
        "Test items named rightly",
        ["Lines through the ends of the bars, and the second lines in the table, are 95% intervals."],
        [picture(partial(accuracy_picture, comparison), f"Accuracies: {alt}")],
        [Table(header, table)],
    )


def _pairs(comparison: Mapping[str, Any]) -> Section:
    rows = []
    for first, second in PAIRS:
        pair = comparison["pairs"][f"{first}-{second}"]
        won = TIE if pair["verdict"] == TIE else NAMES[pair["verdict"]]
        rows.append(
            [
                f"{NAMES[first]} against {NAMES[second]}",
                won,
                f"{points(pair['difference'])}\n{points(pair['low'])} to {points(pair['high'])}",
                p_value(pair["mcnemar_p"]).removeprefix("p = ").removeprefix("p "),
                f"{pair['only_first']:,}",
                f"{pair['only_second']:,}",
            ]
        )
    header = ["pair", "better", "difference, points", "McNemar p", "only first right", "only second right"]
    return Section(
        "Pair by pair, on the same items",
        [VERDICT_RULE],
        tables=[Table(header, rows, words=2)],
    )


def _curves(plots: Mapping[str, Mapping[str, Columns]]) -> Section | None:
    rows = [learning_curve(model, plots[model][CURVE]) for model in NETWORKS if CURVE in plots[model]]
    if not rows:
        return None
    shown = picture(partial(charts.curves, rows), "Loss and validation accuracy of the networks over epochs")
    return Section("How the networks learned", [WEIGHTS_KEPT], [shown])


def _confusions(
    comparison: Mapping[str, Any], plots: Mapping[str, Mapping[str, Columns]], categories: tuple[str, ...]
) -> Section:
    """Both networks, and before them a baseline that won."""
    winner = comparison["winner"]
    shown = list(NETWORKS) if winner in (TIE, *NETWORKS) else [winner, *NETWORKS]
    pictures = [
        picture(
            partial(confusion_picture, plots[model][CONFUSION], categories),
            f"Confusion matrix of {NAMES[model]}",
            caption=NAMES[model],
            wide=True,
        )
        for model in shown
    ]
    return Section("What is taken for what", pictures=pictures)


def _calibrations(metrics: Metrics, plots: Mapping[str, Mapping[str, Columns]]) -> Section:
    rows = [calibration(model, plots[model][RELIABILITY]) for model in MODELS]
    bins = metrics[MODELS[0]]["calibration_bins"]
    errors = ", ".join(f"{NAMES[model]} {metrics[model]['test']['ece']:.3f}" for model in MODELS)
    text = (
        "On the dashed line a model is right as often as it says. Bars at the foot show where the items lie. "
        f"Expected calibration error over {bins} equal-width bins: {errors}."
    )
    shown = picture(partial(charts.reliability, rows), f"Reliability diagrams. Calibration error: {errors}")
    return Section("How far their confidence can be believed", [text], [shown])


def _categories(comparison: Mapping[str, Any], metrics: Metrics) -> Section:
    models = sorted(MODELS, key=lambda model: -comparison["accuracy"][model]["value"])
    rows = []
    for number, row in enumerate(metrics[MODELS[0]]["categories"]):
        cells = [_figure(metrics[model]["categories"][number]["f1"]) for model in models]
        rows.append([row["category"], str(number + 1), f"{row['n']:,}", *cells])
    header = ["category", "no.", "items", *(NAMES[model] for model in models)]
    text = "F1, the harmonic mean of precision and recall. A dash: the category did not occur."
    return Section("Category by category", [text], tables=[Table(header, rows)])


def _precision_recall(metrics: Metrics) -> Section:
    tables = []
    for figure in ("precision", "recall"):
        rows = [
            [row["category"], *(_figure(metrics[model]["categories"][number][figure]) for model in MODELS)]
            for number, row in enumerate(metrics[MODELS[0]]["categories"])
        ]
        tables.append(Table([figure, *(NAMES[model] for model in MODELS)], rows))
    return Section(
        "Precision and recall by category", ["A dash: the category was never named, or has no test item."],
        tables=tables, folded=True,
    )  # fmt: skip


def _method(comparison: Mapping[str, Any], metrics: Metrics) -> Section:
    seeds = max((comparison["seeds"][model] for model in NETWORKS), key=len)
    n, resamples = comparison["n"], metrics[MODELS[0]]["resamples"]
    text = (
        f"All figures are of the same {n:,} test items, which no model has seen. Intervals are the central "
        f"95% of {resamples:,} bootstrap resamples, or Wilson's where all items or none are right. The "
        "baselines are TF-IDF and logistic regression on the same tokens."
    )
    several = (
        f"Figures are means over {len(seeds)} trainings of each network; seeds and items were resampled "
        "together, so the intervals hold the spread of both. McNemar's test, the confusion matrices and the "
        "reliability diagrams are those of the first seed."
    )
    paragraphs = [text, several if len(seeds) > 1 else ONE_TRAINING]
    return Section("How this was measured", paragraphs + ([BAYES] if comparison["bayes"] else []))


def _rate(test: Mapping[str, float], name: str) -> str:
    low, high = (100 * test[f"{name}{end}"] for end in ("_low", "_high"))
    return f"{percent(test[name])}\n{low:.1f} to {high:.1f}"


def _number(test: Mapping[str, float], name: str) -> str:
    return f"{test[name]:.3f}\n{test[f'{name}_low']:.3f} to {test[f'{name}_high']:.3f}"


def _share(value: float | None) -> str:
    return "–" if value is None else percent(value)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
