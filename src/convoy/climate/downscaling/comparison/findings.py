"""What a comparison found, in plain words: where a baseline wins comes first, then ties, then the rest."""

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
from convoy.climate.downscaling.models.specs import MODELS
from convoy.report.numbers import Measure, percent

# The order in which verdicts are told.
VERDICTS = (BASELINE, TIE, UNKNOWN, NETWORK)
# Fewer blocks of days than this make a rough interval: the bootstrap knows no others than those it saw.
FEW_BLOCKS = 10
# A ratio of standard deviations outside these is worth a word.
TAME, WILD = 0.95, 1.05

Comparison = Mapping[str, Any]


def phrase(model: str) -> str:
    """A model's name inside a sentence."""
    return MODELS[model].phrase


def measure(comparison: Comparison) -> Measure:
    """How figures in the target's units are written, wherever they stand."""
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
        UNKNOWN: "too few days to tell network from baseline",
        NETWORK: f"{_winner(comparison)} beats every baseline",
    }
    everywhere = len(where) == 1 and len(comparison["splits"]) > 1
    said = [
        f"{claims[verdict]} {'everywhere' if everywhere else places(splits)}"
        for verdict, splits in where.items()
    ]
    return capital("; ".join(said))


def findings(comparison: Comparison) -> list[str]:
    """Sentences: who was silent; split by split, a baseline's wins first; what follows; other networks."""
    said = _silences(comparison)
    if not comparison["networks"]:
        return said + _baselines_alone(comparison)
    said += [_split(comparison, split) for verdict in VERDICTS for split in splits_with(comparison, verdict)]
    return said + _meaning(comparison) + _other_networks(comparison)


def other_figures(comparison: Comparison) -> list[str]:
    """Sentences on the climate signal, variability and conservation, which the error does not show."""
    said = _change(comparison)
    return said + _variability(comparison) + _coarse(comparison) if comparison["networks"] else said


def limits(comparison: Comparison) -> list[str]:
    """Sentences: what could not be measured, and how far the figures can be believed."""
    return _unknown(comparison) + _left_out(comparison) + _few_days(comparison) + _not_chosen(comparison)


def _winner(comparison: Comparison) -> str:
    winners = {comparison["splits"][split]["best_network"] for split in splits_with(comparison, NETWORK)}
    return phrase(winners.pop()) if len(winners) == 1 else "a network"


def _silences(comparison: Comparison) -> list[str]:
    """Models whose figures are not theirs alone."""
    said = []
    for model in comparison["models"]:
        rows = {split: found["models"].get(model) for split, found in comparison["splits"].items()}
        shares = [
            f"{percent(1 - row['coverage'])} {places([split])}"
            for split, row in rows.items()
            if row is not None and row["coverage"] < 1
        ]
        if shares:
            said.append(
                f"Of the values asked for, {phrase(model)} has no answer to {listed(shares)}: its training "
                f"never saw the cells. {capital(phrase(FALLBACK))} stands in for it there."
            )
    return said


def _split(comparison: Comparison, split: str) -> str:
    found, figure, where = comparison["splits"][split], measure(comparison), places([split])
    network, baseline = found["best_network"], found["best_baseline"]
    rmse, best = (figure(found["models"][model]["rmse"]) for model in (network, baseline))
    pair = found["networks"][network]
    difference = figure(abs(pair["difference"]))
    if found["verdict"] == UNKNOWN:
        text = (
            f"{where} the days are too few for an interval: {phrase(network)} has an RMSE of {rmse}, the "
            f"best baseline, {phrase(baseline)}, {best}; which is better cannot be said"
        )
    elif found["verdict"] == TIE:
        text = (
            f"{where} it is a tie: {phrase(network)} has an RMSE of {rmse}, the best baseline, "
            f"{phrase(baseline)}, "
            f"{best}; the difference cannot be told from chance (network minus baseline, 95% interval: "
            f"{figure.span(pair['low'], pair['high'])})"
        )
    else:
        low, high = sorted(abs(pair[end]) for end in ("low", "high"))
        less = f"{difference} less (95% interval {figure.span(low, high)}{_overlap(pair)})"
        text = (
            f"{where} {phrase(network)} wins: RMSE {rmse} against {best} of the best baseline, "
            f"{phrase(baseline)}, "
            f"{less}{_share(comparison, split)}"
            if found["verdict"] == NETWORK
            else f"{where} a baseline wins: {phrase(baseline)} has an RMSE of {best} against {rmse} of the "
            f"best network, {phrase(network)}, {less}"
        )
    return f"{capital(text)}."


def _overlap(pair: Mapping[str, Any]) -> str:
    """Why there is a winner although the intervals of the two overlap; "" where they do not."""
    return "" if pair["intervals_apart"] else "; their own intervals overlap, but they err on the same days"


def _share(comparison: Comparison, split: str) -> str:
    """How far the best network went from the best baseline to the noise floor; "" where not known."""
    found = comparison["splits"][split]
    row = found["models"][found["best_network"]]
    if comparison["noise_floor"] is None or row["noise_floor_share"] is None:
        return ""
    share = percent(row["noise_floor_share"])
    if row["noise_floor_share_low"] is not None:
        share += f" ({percent(row['noise_floor_share_low'])} to {percent(row['noise_floor_share_high'])})"
    noise_floor = measure(comparison)(comparison["noise_floor"])
    return (
        f". That is {share.replace('-', '−')} of the way from that baseline to the noise floor of "
        f"{noise_floor}"
    )


def _meaning(comparison: Comparison) -> list[str]:
    """What follows for who has to choose; nothing where the days are too few."""
    lost, tied, won = (splits_with(comparison, verdict) for verdict in (BASELINE, TIE, NETWORK))
    if not lost and not tied:
        return [f"So {_winner(comparison)} earns its place {places(won)}."] if won else []
    well = " or ".join(["does as well"] * bool(tied) + ["does better"] * bool(lost))
    afternoon = f"what a climatologist does in an afternoon {well}"
    afternoon += ", as far as these days tell" if tied else ""
    if not won:
        return [f"So no network earns its place here: {afternoon}."]
    return [f"So {_winner(comparison)} earns its place {places(won)}; {places([*lost, *tied])} {afternoon}."]


def _baselines_alone(comparison: Comparison) -> list[str]:
    figure, said = measure(comparison), []
    for split, found in comparison["splits"].items():
        best = found["best_baseline"]
        row = found["models"][best]
        known = row["rmse_low"] is not None
        interval = f" (95% interval {figure.span(row['rmse_low'], row['rmse_high'])})" if known else ""
        where = capital(places([split]))
        said.append(f"{where} the best baseline is {phrase(best)}, RMSE {figure(row['rmse'])}{interval}.")
    return said


def _other_networks(comparison: Comparison) -> list[str]:
    """A network that is not the best of its kind must not look like a winner."""
    said = []
    stands = {BASELINE: "behind", TIE: "level with", NETWORK: "ahead of"}
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
            said.append(f"Of the other networks, {phrase(network)} is {', '.join(parts)}.")
    return said


def _change(comparison: Comparison) -> list[str]:
    """Whether the change of the mean in a warmer climate is correct."""
    worlds, found = change_splits(comparison), comparison["splits"][TODAY]
    parts = []
    for model in (found["best_network"], found["best_baseline"]):
        rows = [comparison["splits"][world]["models"].get(model) for world in worlds]
        errors = [row["change_error"] for row in rows if row is not None and row["change_error"] is not None]
        if errors and len(errors) == len(worlds):
            figure = measure(comparison)
            parts.append(f"{listed([figure(error) for error in errors])} with {phrase(model)}")
    if not parts:
        return []
    missed = ", ".join(parts)
    return [f"The change of the mean {places(worlds)} is missed by {missed} (root mean square over cells)."]


def _variability(comparison: Comparison) -> list[str]:
    found = comparison["splits"][TODAY]
    network = found["best_network"]
    ratio = found["models"][network]["sd_ratio"]
    if ratio is None:
        return []
    verdict = "too tame" if ratio < TAME else "too wild" if ratio > WILD else "as lively as the truth"
    ratio_words = f"the standard deviation of its anomalies is {ratio:.2f} of the true one on the test days"
    return [f"Day-to-day weather with {phrase(network)} is {verdict}: {ratio_words}."]


def _coarse(comparison: Comparison) -> list[str]:
    """How far area means are from the coarse input; nothing where those of the truth are off it too."""
    if not comparison["perfect"]:
        return []
    found, figure = comparison["splits"][TODAY], measure(comparison)
    network = found["best_network"]
    error = found["models"][network]["coarse_error"]
    if error is None:
        return []
    said = "next to nothing" if error < figure.smallest / 1000 else figure(error)
    plain = found["models"].get("bicubic", {}).get("coarse_error")
    others = "" if plain is None else f", bicubic interpolation by {figure(plain)}"
    text = f"Averaged over coarse cells, {phrase(network)} differs from what it was given by {said}{others}"
    return [f"{text} (root mean square)."]


def _unknown(comparison: Comparison) -> list[str]:
    said = []
    if comparison["noise_floor"] is None:
        said.append(
            "How near this is to the lowest possible error is not known: a noise floor can be computed "
            "for the "
            "synthetic climate with perfect inputs alone."
        )
    for split, found in comparison["splits"].items():
        if found["absent"]:
            names = listed([phrase(model) for model in found["absent"]])
            where = capital(places([split]))
            said.append(f"{where} there is no measuring {names}: fitted pixel by pixel, on other terrain.")
    if list(comparison["splits"]) == [TODAY]:
        said.append(
            "These grids have test days alone: how any model does on unseen terrain or in a warmer world was "
            "not measured."
        )
    return said


def _left_out(comparison: Comparison) -> list[str]:
    said = []
    for split, found in comparison["splits"].items():
        if count := found["days_left_out"]:
            days = "1 day was" if count == 1 else f"{count:,} days were"
            where = capital(places([split]))
            said.append(f"{where} {days} left out for all models: the truth or an input is missing.")
    return said


def _few_days(comparison: Comparison) -> list[str]:
    said = []
    for split, found in comparison["splits"].items():
        count, where = found["blocks"], places([split])
        blocks = "1 block" if count == 1 else f"{count} blocks"
        size = f"{found['days']:,} days, {blocks} of at most {comparison['block_days']}"
        if count < 2:
            said.append(f"There is no interval {where}: {size}, do not tell how blocks differ.")
        elif count < FEW_BLOCKS:
            said.append(f"Intervals {where} are rough: {size}, say little of other years.")
    return said


def _not_chosen(comparison: Comparison) -> list[str]:
    best = {found["best_baseline"] for found in comparison["splits"].values()} - set(comparison["models"])
    if not best:
        return []
    names = listed(sorted(phrase(model) for model in best))
    shown = "is" if len(best) == 1 else "are"
    text = f"The baseline to beat is the best of all baselines: {names} {shown} not among climate.baselines"
    return [f"{text}, and shown with the error alone."]
