"""What a comparison found, in plain words: who won, by how much, how far from the ceiling, and why."""

from collections.abc import Mapping, Sequence
from typing import Any

from convoy.report.numbers import p_value, percent, points
from convoy.streamrec.comparison import MODELS, TIE, verdict

NETWORKS = ("textcnn", "bow")
YARDSTICKS = ("linear_pairs", "linear")
SPOKEN = {
    "textcnn": "TextCNN",
    "bow": "bag-of-words",
    "linear_pairs": "the linear yardstick on words and pairs",
    "linear": "the linear yardstick on words",
}
# What a model may know of word order decides which ceiling is its own.
OWN_CEILING = {"textcnn": "full", "linear_pairs": "full", "bow": "order_blind", "linear": "order_blind"}
# Ceilings closer than this (0.1 percentage points) leave nothing for word order to win.
SAME_CEILING = 0.001

Comparison = Mapping[str, Any]


def headline(comparison: Comparison) -> str:
    """A few words for the top of a page."""
    winner = comparison["winner"]
    if winner == TIE:
        return _tied(comparison)
    rivals = [model for model in (NETWORKS if winner in YARDSTICKS else MODELS) if model != winner]
    second = max(rivals, key=lambda model: _accuracy(comparison, model))
    lead = f"{points(_facing(comparison, winner, second)['difference'])} percentage points ahead of"
    if winner in YARDSTICKS:
        return f"Neither network wins: {SPOKEN[winner]} is {lead} {SPOKEN[second]}"
    return _capital(f"{SPOKEN[winner]} wins, {lead} {SPOKEN[second]}")


def _tied(comparison: Comparison) -> str:
    best = sorted(comparison["best"], key=lambda model: -_accuracy(comparison, model))
    rates = {model: percent(_accuracy(comparison, model)) for model in best}
    if len(set(rates.values())) == 1:
        who = "all four models" if len(best) == len(MODELS) else _listed([SPOKEN[model] for model in best])
        tie = f"a tie at {rates[best[0]]}: {who}"
    else:
        tie = f"a tie: {_listed([f'{SPOKEN[model]} ({rate})' for model, rate in rates.items()])}"
    return _capital(tie) if set(best) & set(NETWORKS) else f"Neither network wins, and ahead of both is {tie}"


def findings(comparison: Comparison) -> list[str]:
    """Sentences: the two networks and how far they are from the ceiling; why a tie; the yardsticks."""
    sentences = [f"{_networks(comparison)}{_shares(comparison)}.", _ceilings(comparison)]
    why = _why_a_tie(comparison)
    return [*sentences, *([why] if why else []), *_yardsticks(comparison)]


def _networks(comparison: Comparison) -> str:
    won = verdict(comparison["pairs"], *NETWORKS)
    rates = {model: percent(_accuracy(comparison, model)) for model in NETWORKS}
    n = f"{comparison['n']:,} test items"
    if won == TIE:
        first, second = rates.values()
        both = f"both name {first}" if first == second else f"they name {first} and {second}"
        return f"TextCNN and bag-of-words tie: {both} of {n} rightly, {_difference(comparison, *NETWORKS)}"
    lost = NETWORKS[1] if won == NETWORKS[0] else NETWORKS[0]
    return _capital(
        f"{SPOKEN[won]} beats {SPOKEN[lost]}: it names {rates[won]} of {n} rightly against {rates[lost]}, "
        f"{_difference(comparison, won, lost)}"
    )


def _shares(comparison: Comparison) -> str:
    """How far both networks are from what is possible; nothing where that is not known."""
    ceiling = comparison["ceiling"]
    if ceiling is None:
        return ""
    same = ceiling["full"] == ceiling["order_blind"]
    named = {"full": "ceiling", "order_blind": "ceiling" if same else "order-blind ceiling"}
    shares = []
    for model in NETWORKS:
        rule = OWN_CEILING[model]
        share = comparison["share_of_ceiling"][model][rule]
        if share is not None:
            whose = f"the {named[rule]} of {percent(ceiling[rule])}"
            shares.append(f"{SPOKEN[model]} reaches {percent(share)} of {whose}")
    return f"; {_listed(shares)}" if shares else ""


def _ceilings(comparison: Comparison) -> str:
    ceiling, majority = comparison["ceiling"], comparison["majority"]
    chance = (
        f"Always naming the most frequent category, “{majority['category']}”, would be right for "
        f"{percent(majority['accuracy'])}."
    )
    if ceiling is None:
        return f"What is possible at best on a real catalogue, nobody knows: there is no ceiling. {chance}"
    blind, full = ceiling["order_blind"], ceiling["full"]
    blind_too = "" if blind == full else f", or {percent(blind)} if it is blind to the order of words"
    best = f"At best a model can name {percent(full)} of these items{blind_too}"
    text = f"{best}: the ceilings are exact. {chance}"
    if full - blind >= SAME_CEILING and comparison["accuracy"]["textcnn"]["low"] > blind:
        text += " TextCNN stands above all that a model blind to order can reach."
    return text


def _why_a_tie(comparison: Comparison) -> str | None:
    if verdict(comparison["pairs"], *NETWORKS) != TIE:
        return None
    ceiling = comparison["ceiling"]
    if ceiling is None:
        return (
            "Why a tie: a difference this small cannot be told from chance on so many items. Either the "
            "order of words says little about these categories, or there are too few items to learn it from."
        )
    if abs(ceiling["full"] - ceiling["order_blind"]) < SAME_CEILING:
        why = (
            f"Why a tie: both ceilings are {percent(ceiling['full'])}, so the order of words carries nothing "
            "about the category here and there is nothing for TextCNN to gain by seeing it"
        )
        at_top = all(_accuracy(comparison, model) == 1 for model in NETWORKS)
        return why + ("; with both models at 100%, nothing is left to win at all." if at_top else ".")
    worth = points(ceiling["full"] - ceiling["order_blind"])
    return (
        f"Why a tie: word order could be worth {worth} percentage points here, but TextCNN has not learned "
        "enough of it for the difference to be told from chance."
    )


def _yardsticks(comparison: Comparison) -> list[str]:
    """Where a linear model beats a network, or does as well, that is said plainly."""
    sentences, winners = [], set()
    for yardstick in YARDSTICKS:
        won = {network: verdict(comparison["pairs"], network, yardstick) for network in NETWORKS}
        winners |= {network for network in NETWORKS if won[network] == yardstick}
        said = [
            f"{verb} {_listed([_against(comparison, yardstick, network) for network in networks])}"
            for verb, outcome in (("beats", yardstick), ("ties with", TIE), ("falls behind", None))
            if (networks := [network for network in NETWORKS if won[network] == (outcome or network)])
        ]
        accuracy = percent(_accuracy(comparison, yardstick))
        sentences.append(_capital(f"{SPOKEN[yardstick]} ({accuracy}) {_listed(said)}."))
    if len(winners) == len(NETWORKS):
        sentences.append(
            "So neither network earns its place here: logistic regression on counts does better."
        )
    elif winners:
        lost = SPOKEN[winners.pop()]
        sentences.append(
            _capital(f"{lost} does not earn its place here: logistic regression on counts does better.")
        )
    return sentences


def _against(comparison: Comparison, yardstick: str, network: str) -> str:
    pair = _facing(comparison, yardstick, network)
    if pair["verdict"] == TIE:
        return SPOKEN[network]
    if pair["difference"] < 0:
        pair = _facing(comparison, network, yardstick)
    interval = f"{points(pair['low'])} to {points(pair['high'])}"
    return f"{SPOKEN[network]} by {points(pair['difference'])} percentage points ({interval})"


def _facing(comparison: Comparison, first: str, second: str) -> Mapping[str, Any]:
    """The pair with `first` as the one from which the other is subtracted."""
    pairs = comparison["pairs"]
    if f"{first}-{second}" in pairs:
        return pairs[f"{first}-{second}"]
    turned = pairs[f"{second}-{first}"]
    return {**turned, "difference": -turned["difference"], "low": -turned["high"], "high": -turned["low"]}


def _difference(comparison: Comparison, first: str, second: str) -> str:
    pair = _facing(comparison, first, second)
    interval = f"95% interval {points(pair['low'])} to {points(pair['high'])}"
    difference = f"a difference of {points(pair['difference'])} percentage points"
    return f"{difference} ({interval}; McNemar {p_value(pair['mcnemar_p'])})"


def _accuracy(comparison: Comparison, model: str) -> float:
    return float(comparison["accuracy"][model]["value"])


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
