"""The result of a comparison in sentences: first splits on which a baseline wins, then ties, then others."""

from collections.abc import Mapping
from typing import Any

from convoy.climate.downscaling.comparison.compare import (
    BASELINE,
    NETWORK,
    TIE,
    UNKNOWN,
    change_splits,
    splits_with,
)
from convoy.climate.downscaling.comparison.names import capital, listed, places
from convoy.climate.downscaling.evaluation.evaluate import TODAY
from convoy.climate.downscaling.evaluation.skill.judged import FALLBACK
from convoy.climate.downscaling.models.specs import MODELS, SAME_AS
from convoy.report.numbers import Measure, percent

# The order of the verdicts in the text.
VERDICTS = (BASELINE, TIE, UNKNOWN, NETWORK)
# With fewer blocks of days than this a bootstrap interval is rough.
FEW_BLOCKS = 10
# Ratios of standard deviations outside these bounds are reported as too small or too large.
RATIO_LOW, RATIO_HIGH = 0.95, 1.05

Comparison = Mapping[str, Any]


def phrase(model: str) -> str:
    """A model's name inside a sentence."""
    return MODELS[model].phrase


def measure(comparison: Comparison) -> Measure:
    """The format of all figures in the target's units."""
    errors = [row["rmse"] for found in comparison["splits"].values() for row in found["models"].values()]
    return Measure(min(errors), comparison["units"])


def headline(comparison: Comparison) -> str:
    """A few words for the top of a page."""
    if not comparison["networks"]:
        best = comparison["splits"][TODAY]["best_baseline"]
        rmse = measure(comparison)(comparison["splits"][TODAY]["models"][best]["rmse"])
        return f"No network was compared; the best baseline on the test days is {phrase(best)}, RMSE {rmse}"
    where = {verdict: splits for verdict in VERDICTS if (splits := splits_with(comparison, verdict))}
    claims = {
        BASELINE: "a baseline beats every network",
        TIE: "a tie of network and baseline",
        UNKNOWN: "too few days to compare network and baseline",
        NETWORK: f"{_winner(comparison)} beats every baseline",
    }
    everywhere = len(where) == 1 and len(comparison["splits"]) > 1
    parts = [
        f"{claims[verdict]} {'on every split' if everywhere else places(splits)}"
        for verdict, splits in where.items()
    ]
    return capital("; ".join(parts))


def findings(comparison: Comparison) -> list[str]:
    """Sentences: incomplete predictions; splits, a baseline's wins first; the conclusion; other networks."""
    sentences = _incomplete(comparison)
    if not comparison["networks"]:
        return sentences + _baselines_alone(comparison)
    for verdict in VERDICTS:
        sentences += [_split(comparison, split) for split in splits_with(comparison, verdict)]
    return sentences + _conclusion(comparison) + _other_networks(comparison)


def other_figures(comparison: Comparison) -> list[str]:
    """Sentences on the climate signal, variability and conservation, which the error does not show."""
    sentences = _change(comparison)
    if comparison["networks"]:
        sentences += _variability(comparison) + _coarse(comparison)
    return sentences


def limits(comparison: Comparison) -> list[str]:
    """Sentences on what could not be measured, and on the uncertainty of the figures."""
    of_models = _not_chosen(comparison) + _copies(comparison)
    return _unknown(comparison) + _left_out(comparison) + _few_days(comparison) + of_models


def _winner(comparison: Comparison) -> str:
    winners = {comparison["splits"][split]["best_network"] for split in splits_with(comparison, NETWORK)}
    return phrase(winners.pop()) if len(winners) == 1 else "a network"


def _incomplete(comparison: Comparison) -> list[str]:
    """Models that cannot predict some values, for which a substitute is used."""
    sentences = []
    for model in comparison["models"]:
        rows = {split: found["models"].get(model) for split, found in comparison["splits"].items()}
        shares = [
            f"{percent(1 - row['coverage'])} {places([split])}"
            for split, row in rows.items()
            if row is not None and row["coverage"] < 1
        ]
        if shares:
            sentences.append(
                f"{capital(phrase(model))} has no prediction for some values ({listed(shares)}), whose cells "
                f"have no training data; {phrase(FALLBACK)} is used for them."
            )
    return sentences


def _split(comparison: Comparison, split: str) -> str:
    found, figure, where = comparison["splits"][split], measure(comparison), places([split])
    network, baseline = found["best_network"], found["best_baseline"]
    rmse, best = (figure(found["models"][model]["rmse"]) for model in (network, baseline))
    pair = found["networks"][network]
    difference = figure(abs(pair["difference"]))
    if found["verdict"] == UNKNOWN:
        text = (
            f"{where} there are too few days for a confidence interval: {phrase(network)} has an RMSE of "
            f"{rmse}, the best baseline, {phrase(baseline)}, of {best}; which is better is not known"
        )
    elif found["verdict"] == TIE:
        text = (
            f"{where} network and baseline tie: {phrase(network)} has an RMSE of {rmse}, the best baseline, "
            f"{phrase(baseline)}, of {best}; the difference is not significant (network minus baseline: 95% "
            f"confidence interval {figure.span(pair['low'], pair['high'])})"
        )
    else:
        low, high = sorted(abs(pair[end]) for end in ("low", "high"))
        less = f"{difference} less (95% confidence interval {figure.span(low, high)}{_overlap(pair)})"
        text = (
            f"{where} {phrase(network)} wins: RMSE {rmse} compared with {best} for the best baseline, "
            f"{phrase(baseline)}, {less}{_share(comparison, split)}"
            if found["verdict"] == NETWORK
            else f"{where} a baseline wins: {phrase(baseline)} has an RMSE of {best} compared with {rmse} "
            f"for the best network, {phrase(network)}, {less}"
        )
    return f"{capital(text)}."


def _overlap(pair: Mapping[str, Any]) -> str:
    """Why there is a winner although the intervals of the two overlap; "" where they do not."""
    return (
        "" if pair["intervals_apart"] else "; the intervals of both RMSEs overlap, but the errors are paired"
    )


def _share(comparison: Comparison, split: str) -> str:
    """The share of the way from the best baseline to the noise floor; "" where it is not known."""
    found = comparison["splits"][split]
    row = found["models"][found["best_network"]]
    if comparison["noise_floor"] is None or row["noise_floor_share"] is None:
        return ""
    share = percent(row["noise_floor_share"])
    if row["noise_floor_share_low"] is not None:
        share += f" ({percent(row['noise_floor_share_low'])} to {percent(row['noise_floor_share_high'])})"
    noise_floor = measure(comparison)(comparison["noise_floor"])
    return f". That is {share} of the way from that baseline to the noise floor of {noise_floor}"


def _conclusion(comparison: Comparison) -> list[str]:
    """Where a network is the best choice; empty where the days are too few."""
    lost, tied, won = (splits_with(comparison, verdict) for verdict in (BASELINE, TIE, NETWORK))
    if not lost and not tied:
        return [f"So {_winner(comparison)} is the best choice {places(won)}."] if won else []
    better = " or ".join(["better"] * bool(lost) + ["not significantly worse"] * bool(tied))
    if not won:
        return [f"So no network is the best choice here: a baseline is {better}."]
    elsewhere = f"{places([*lost, *tied])} a baseline is {better}"
    return [f"So {_winner(comparison)} is the best choice {places(won)}; {elsewhere}."]


def _baselines_alone(comparison: Comparison) -> list[str]:
    figure, sentences = measure(comparison), []
    for split, found in comparison["splits"].items():
        best = found["best_baseline"]
        row = found["models"][best]
        known = row["rmse_low"] is not None
        span = figure.span(row["rmse_low"], row["rmse_high"])
        rmse = f"RMSE {figure(row['rmse'])}" + (f" (95% confidence interval {span})" if known else "")
        sentences.append(f"{capital(places([split]))} the best baseline is {phrase(best)}, {rmse}.")
    return sentences


def _other_networks(comparison: Comparison) -> list[str]:
    """How the networks other than the best one compare with the best baseline."""
    sentences = []
    stands = {BASELINE: "worse than", TIE: "tied with", NETWORK: "better than"}
    for network in comparison["networks"]:
        verdicts = {
            split: found["networks"][network]["verdict"]
            for split, found in comparison["splits"].items()
            if network in found["networks"] and network != found["best_network"]
        }
        parts = [
            f"{stand} the best baseline {places(splits)}"
            for verdict, stand in stands.items()
            if (splits := [split for split, found in verdicts.items() if found == verdict])
        ]
        if parts:
            sentences.append(f"Of the other networks, {phrase(network)} is {', '.join(parts)}.")
    return sentences


def _change(comparison: Comparison) -> list[str]:
    """The error of the change of the mean in a warmer climate."""
    warmer, found = change_splits(comparison), comparison["splits"][TODAY]
    parts = []
    for model in (found["best_network"], found["best_baseline"]):
        rows = [comparison["splits"][split]["models"].get(model) for split in warmer]
        errors = [row["change_error"] for row in rows if row is not None and row["change_error"] is not None]
        if errors and len(errors) == len(warmer):
            figure = measure(comparison)
            parts.append(f"{listed([figure(error) for error in errors])} with {phrase(model)}")
    if not parts:
        return []
    change = f"The error of the change of the mean {places(warmer)}"
    return [f"{change} is {', '.join(parts)} (root mean square over cells)."]


def _variability(comparison: Comparison) -> list[str]:
    found = comparison["splits"][TODAY]
    network = found["best_network"]
    ratio = found["models"][network]["sd_ratio"]
    if ratio is None:
        return []
    verdict = "too small" if ratio < RATIO_LOW else "too large" if ratio > RATIO_HIGH else "realistic"
    words = f"the standard deviation of its anomalies is {ratio:.2f} times the true one on the test days"
    return [f"The day-to-day variability of {phrase(network)} is {verdict}: {words}."]


def _coarse(comparison: Comparison) -> list[str]:
    """Difference of area means from the coarse input; empty where those of the truth differ from it too."""
    if not comparison["perfect"]:
        return []
    found, figure = comparison["splits"][TODAY], measure(comparison)
    network = found["best_network"]
    error = found["models"][network]["coarse_error"]
    if error is None:
        return []
    words = "rounding errors only" if error < figure.smallest / 1000 else figure(error)
    plain = found["models"].get("bicubic", {}).get("coarse_error")
    others = "" if plain is None else f", bicubic interpolation by {figure(plain)}"
    text = f"Averaged over coarse cells, {phrase(network)} differs from the coarse input by {words}{others}"
    return [f"{text} (root mean square)."]


def _unknown(comparison: Comparison) -> list[str]:
    sentences = []
    if comparison["noise_floor"] is None:
        sentences.append(
            "The lowest possible error is not known: a noise floor can be computed only for the synthetic "
            "climate with perfect inputs."
        )
    for split, found in comparison["splits"].items():
        if unable := [model for model in comparison["models"] if model in found["absent"]]:
            names = listed([phrase(model) for model in unable])
            reason = "it is" if len(unable) == 1 else "they are"
            where = capital(places([split]))
            sentences.append(f"{where} {names} cannot be applied: {reason} fitted per pixel.")
    if list(comparison["splits"]) == [TODAY]:
        sentences.append(
            "These grids have test days only: errors on other terrain and in a warmer climate were not "
            "measured."
        )
    return sentences


def _left_out(comparison: Comparison) -> list[str]:
    sentences = []
    for split, found in comparison["splits"].items():
        if count := found["days_left_out"]:
            days = "1 day was" if count == 1 else f"{count:,} days were"
            where = capital(places([split]))
            sentences.append(f"{where} {days} left out for all models: the truth or an input is missing.")
    return sentences


def _few_days(comparison: Comparison) -> list[str]:
    sentences = []
    for split, found in comparison["splits"].items():
        count, where = found["blocks"], places([split])
        blocks = "1 block" if count == 1 else f"{count} blocks"
        size = f"the {found['days']:,} days make {blocks} of at most {comparison['block_days']} days"
        if count < 2:
            sentences.append(f"There is no confidence interval {where}: {size}, and it takes at least two.")
        elif count < FEW_BLOCKS:
            sentences.append(f"Confidence intervals {where} are rough: {size}.")
    return sentences


def _not_chosen(comparison: Comparison) -> list[str]:
    best = {found["best_baseline"] for found in comparison["splits"].values()} - set(comparison["models"])
    if not best:
        return []
    names = listed(sorted(phrase(model) for model in best))
    verb = "is" if len(best) == 1 else "are"
    text = f"The best baseline is chosen among all baselines: {names} {verb} not in climate.baselines"
    return [f"{text}, and shown with the RMSE only."]


def _copies(comparison: Comparison) -> list[str]:
    """One sentence on the models that equal another on these grids."""
    if not comparison["copies"]:
        return []
    names = listed([phrase(model) for model in comparison["copies"]])
    verb, are = ("equals", "is") if len(comparison["copies"]) == 1 else ("equal", "are")
    note = next(iter(comparison["copies"].values()))
    return [f"{capital(names)} {verb} {phrase(note[SAME_AS])} and {are} left out: {note['because']}."]
