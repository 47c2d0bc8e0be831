"""What a comparison found, in plain words: who won, by how much, how far from the Bayes accuracy, and why."""

from collections.abc import Mapping, Sequence
from typing import Any

from convoy.report.numbers import p_value, percent, points
from convoy.streamrec.classification.compare import MODELS, TIE, verdict

NETWORKS = ("textcnn", "bow")
BASELINES = ("linear_pairs", "linear")
SPOKEN = {
    "textcnn": "TextCNN",
    "bow": "bag-of-words",
    "linear_pairs": "the linear baseline on words and pairs",
    "linear": "the linear baseline on words",
}
# What a model may know of word order decides which Bayes accuracy is its own.
OWN_BAYES = {"textcnn": "full", "linear_pairs": "full", "bow": "order_blind", "linear": "order_blind"}
# Bayes accuracies closer than this (0.1 percentage points) leave nothing for word order to win.
SAME_BAYES = 0.001

Comparison = Mapping[str, Any]


def headline(comparison: Comparison) -> str:
    """A few words for the top of a page."""
    winner = comparison["winner"]
    if winner == TIE:
        return _tied(comparison)
    baselines = [model for model in (NETWORKS if winner in BASELINES else MODELS) if model != winner]
    second = max(baselines, key=lambda model: _accuracy(comparison, model))
    lead = f"{points(_facing(comparison, winner, second)['difference'])} percentage points ahead of"
    if winner in BASELINES:
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
    """Sentences: the two networks and how far they are from the Bayes accuracy; why a tie; the baselines."""
    sentences = [f"{_networks(comparison)}{_shares(comparison)}.", _bayes(comparison)]
    why = _why_a_tie(comparison)
    return [*sentences, *([why] if why else []), *_baselines(comparison)]


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
    bayes = comparison["bayes"]
    if bayes is None:
        return ""
    same = bayes["full"] == bayes["order_blind"]
    named = {
        "full": "Bayes accuracy",
        "order_blind": "Bayes accuracy" if same else "order-blind Bayes accuracy",
    }
    shares = []
    for model in NETWORKS:
        rule = OWN_BAYES[model]
        share = comparison["share_of_bayes"][model][rule]
        if share is not None:
            whose = f"the {named[rule]} of {percent(bayes[rule])}"
            shares.append(f"{SPOKEN[model]} reaches {percent(share)} of {whose}")
    return f"; {_listed(shares)}" if shares else ""


def _bayes(comparison: Comparison) -> str:
    bayes, majority = comparison["bayes"], comparison["majority"]
    chance = (
        f"Always naming the most frequent category, “{majority['category']}”, would be right for "
        f"{percent(majority['accuracy'])}."
    )
    if bayes is None:
        return f"On a real catalogue the best possible accuracy is not known. {chance}"
    blind, full = bayes["order_blind"], bayes["full"]
    blind_too = "" if blind == full else f", or {percent(blind)} if it is blind to the order of words"
    best = f"At best a model can name {percent(full)} of these items{blind_too}"
    text = f"{best}: the Bayes accuracies are exact. {chance}"
    if full - blind >= SAME_BAYES and comparison["accuracy"]["textcnn"]["low"] > blind:
        text += " TextCNN stands above all that a model blind to order can reach."
    return text


def _why_a_tie(comparison: Comparison) -> str | None:
    if verdict(comparison["pairs"], *NETWORKS) != TIE:
        return None
    bayes = comparison["bayes"]
    if bayes is None:
        return (
            "Why a tie: a difference this small cannot be told from chance on so many items. Either the "
            "order of words says little about these categories, or there are too few items to learn it from."
        )
    if abs(bayes["full"] - bayes["order_blind"]) < SAME_BAYES:
        why = (
            f"Why a tie: both Bayes accuracies are {percent(bayes['full'])}, so the order of words "
            f"carries nothing "
            "about the category here and there is nothing for TextCNN to gain by seeing it"
        )
        at_top = all(_accuracy(comparison, model) == 1 for model in NETWORKS)
        return why + ("; with both models at 100%, nothing is left to win at all." if at_top else ".")
    worth = points(bayes["full"] - bayes["order_blind"])
    return (
        f"Why a tie: word order could be worth {worth} percentage points here, but TextCNN has not learned "
        "enough of it for the difference to be told from chance."
    )


def _baselines(comparison: Comparison) -> list[str]:
    """Where a linear model beats a network, or does as well, that is said plainly."""
    sentences, winners = [], set()
    for baseline in BASELINES:
        won = {network: verdict(comparison["pairs"], network, baseline) for network in NETWORKS}
        winners |= {network for network in NETWORKS if won[network] == baseline}
        said = [
            f"{verb} {_listed([_against(comparison, baseline, network) for network in networks])}"
            for verb, outcome in (("beats", baseline), ("ties with", TIE), ("falls behind", None))
            if (networks := [network for network in NETWORKS if won[network] == (outcome or network)])
        ]
        accuracy = percent(_accuracy(comparison, baseline))
        sentences.append(_capital(f"{SPOKEN[baseline]} ({accuracy}) {_listed(said)}."))
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


def _against(comparison: Comparison, baseline: str, network: str) -> str:
    pair = _facing(comparison, baseline, network)
    if pair["verdict"] == TIE:
        return SPOKEN[network]
    if pair["difference"] < 0:
        pair = _facing(comparison, network, baseline)
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
