"""The result of a comparison in sentences: the best model, its lead, its share of the Bayes accuracy."""

from collections.abc import Mapping, Sequence
from typing import Any

from convoy.report.numbers import p_value, percent, points
from convoy.streamrec.classification.comparison.compare import TIE, verdict
from convoy.streamrec.classification.models.specs import MODELS
from convoy.tasks import names_of

# Where the Bayes accuracies differ by less than this (0.1 percentage points), word order has no value.
SAME_BAYES = 0.001

Comparison = Mapping[str, Any]


def networks_of(comparison: Comparison) -> tuple[str, ...]:
    """The networks among the compared models."""
    return names_of(MODELS, "network", comparison["accuracy"])


def headline(comparison: Comparison) -> str:
    """A few words for the top of a page."""
    winner, networks = comparison["winner"], networks_of(comparison)
    if winner == TIE:
        return _tied(comparison)
    lost = bool(networks) and winner not in networks
    others = [model for model in (networks if lost else comparison["accuracy"]) if model != winner]
    if not others:
        rate = percent(_accuracy(comparison, winner))
        return _capital(f"{_phrase(winner)} alone was evaluated: {rate} of test items correct")
    second = max(others, key=lambda model: _accuracy(comparison, model))
    lead = f"{points(_facing(comparison, winner, second)['difference'])} percentage points ahead of"
    if lost:
        return f"No network wins: {_phrase(winner)} is {lead} {_phrase(second)}"
    return _capital(f"{_phrase(winner)} wins, {lead} {_phrase(second)}")


def _tied(comparison: Comparison) -> str:
    best = sorted(comparison["best"], key=lambda model: -_accuracy(comparison, model))
    rates = {model: percent(_accuracy(comparison, model)) for model in best}
    if len(set(rates.values())) == 1:
        everyone = len(best) == len(comparison["accuracy"])
        who = f"all {len(best)} models" if everyone else _listed([_phrase(model) for model in best])
        tie = f"a tie at {rates[best[0]]}: {who}"
    else:
        tie = f"a tie: {_listed([f'{_phrase(model)} ({rate})' for model, rate in rates.items()])}"
    networks = networks_of(comparison)
    lost = networks and not set(best) & set(networks)
    return f"No network wins: ahead of them is {tie}" if lost else _capital(tie)


def findings(comparison: Comparison) -> list[str]:
    """Sentences: the networks and their shares of the Bayes accuracy; why they tie; the baselines."""
    first, *others = _networks(comparison)
    why = _why_a_tie(comparison)
    sentences = [f"{first}{_shares(comparison)}.", *others, _bayes(comparison)]
    return [*sentences, *([why] if why else []), *_baselines(comparison)]


def _networks(comparison: Comparison) -> list[str]:
    """The best network compared with each of the others; the first sentence lacks its full stop."""
    ranked = sorted(networks_of(comparison), key=lambda model: -_accuracy(comparison, model))
    n = f"{comparison['n']:,} test items"
    if not ranked:
        return [f"No network was compared, on {n}"]
    best, *others = ranked
    if not others:
        rate = percent(_accuracy(comparison, best))
        return [_capital(f"{_phrase(best)} classifies {rate} of {n} correctly")]
    first, *more = (_two_networks(comparison, best, other, n) for other in others)
    return [first, *(f"{sentence}." for sentence in more)]


def _two_networks(comparison: Comparison, best: str, other: str, n: str) -> str:
    rates = [percent(_accuracy(comparison, model)) for model in (best, other)]
    difference = _difference(comparison, best, other)
    if verdict(comparison["pairs"], best, other) == TIE:
        both = f"both classify {rates[0]}" if rates[0] == rates[1] else f"they classify {' and '.join(rates)}"
        return _capital(f"{_phrase(best)} and {_phrase(other)} tie: {both} of {n} correctly, {difference}")
    return _capital(
        f"{_phrase(best)} beats {_phrase(other)}: {rates[0]} of {n} correct compared with {rates[1]}, "
        f"{difference}"
    )


def _shares(comparison: Comparison) -> str:
    """The networks' shares of their Bayes accuracies; "" where these are not known."""
    bayes = comparison["bayes"]
    if bayes is None:
        return ""
    same = bayes["full"] == bayes["order_blind"]
    named = {
        "full": "Bayes accuracy",
        "order_blind": "Bayes accuracy" if same else "order-blind Bayes accuracy",
    }
    shares = []
    for model in networks_of(comparison):
        rule = MODELS[model].bayes
        share = comparison["share_of_bayes"][model][rule]
        if share is not None:
            whose = f"the {named[rule]} of {percent(bayes[rule])}"
            shares.append(f"{_phrase(model)} reaches {percent(share)} of {whose}")
    return f"; {_listed(shares)}" if shares else ""


def _bayes(comparison: Comparison) -> str:
    bayes, majority = comparison["bayes"], comparison["majority"]
    chance = (
        f"Always predicting the most frequent category, “{majority['category']}”, would be correct for "
        f"{percent(majority['accuracy'])}."
    )
    if bayes is None:
        return f"On a real catalogue the Bayes accuracy is not known. {chance}"
    blind, full = bayes["order_blind"], bayes["full"]
    blind_too = "" if blind == full else f", or {percent(blind)} if it ignores the order of words"
    best = f"At best a model can classify {percent(full)} of these items correctly{blind_too}"
    text = f"{best}: the Bayes accuracies are exact. {chance}"
    above = [
        _phrase(model)
        for model in networks_of(comparison)
        if MODELS[model].bayes == "full" and comparison["accuracy"][model]["low"] > blind
    ]
    if full - blind >= SAME_BAYES and above:
        text += f" {_capital(_listed(above))} {'is' if len(above) == 1 else 'are'} above the order-blind one."
    return text


def _why_a_tie(comparison: Comparison) -> str | None:
    """Why the best networks with and without word order tie; None where they do not."""
    networks = sorted(networks_of(comparison), key=lambda model: -_accuracy(comparison, model))
    seeing = next((model for model in networks if MODELS[model].bayes == "full"), None)
    blind = next((model for model in networks if MODELS[model].bayes == "order_blind"), None)
    if seeing is None or blind is None or verdict(comparison["pairs"], seeing, blind) != TIE:
        return None
    bayes = comparison["bayes"]
    if bayes is None:
        return (
            "Why a tie: the difference is not significant for this number of items. Either the order of "
            "words has little information about these categories, or there are too few items to learn it "
            "from."
        )
    if abs(bayes["full"] - bayes["order_blind"]) < SAME_BAYES:
        why = (
            f"Why a tie: both Bayes accuracies are {percent(bayes['full'])}, so the order of words has no "
            f"information about the category here, and {_phrase(seeing)} cannot gain from it"
        )
        at_top = all(_accuracy(comparison, model) == 1 for model in (seeing, blind))
        return why + ("; both models are at 100%." if at_top else ".")
    worth = points(bayes["full"] - bayes["order_blind"])
    return (
        f"Why a tie: word order could add {worth} percentage points here, but {_phrase(seeing)} has not "
        "learned enough of it for a significant difference."
    )


def _baselines(comparison: Comparison) -> list[str]:
    """Each baseline compared with the networks, and which networks a baseline beats."""
    networks, sentences = networks_of(comparison), []
    beaten: dict[str, list[str]] = {}
    for baseline in names_of(MODELS, "baseline", comparison["accuracy"]):
        won = {network: verdict(comparison["pairs"], network, baseline) for network in networks}
        parts = [
            f"{verb} {_listed([_lead(comparison, baseline, network) for network in facing])}"
            for verb, outcome in (("beats", baseline), ("ties with", TIE), ("is worse than", None))
            if (facing := [network for network in networks if won[network] == (outcome or network)])
        ]
        if parts:
            accuracy = percent(_accuracy(comparison, baseline))
            sentences.append(_capital(f"{_phrase(baseline)} ({accuracy}) {_listed(parts)}."))
        for network in networks:
            if won[network] == baseline:
                beaten.setdefault(network, []).append(_phrase(baseline))
    return sentences + _conclusion(networks, beaten)


def _conclusion(networks: Sequence[str], beaten: Mapping[str, Sequence[str]]) -> list[str]:
    """Networks that are not worth their cost, since a baseline beats them."""
    if not beaten:
        return []
    if len(beaten) == len(networks) > 1:
        return ["So no network is worth its cost here: a baseline is more accurate than each of them."]
    return [
        _capital(f"{_phrase(network)} is not worth its cost here: {_listed(better)} "
                 f"{'is' if len(better) == 1 else 'are'} more accurate.")
        for network, better in beaten.items()
    ]  # fmt: skip


def _lead(comparison: Comparison, baseline: str, network: str) -> str:
    pair = _facing(comparison, baseline, network)
    if pair["verdict"] == TIE:
        return _phrase(network)
    if pair["difference"] < 0:
        pair = _facing(comparison, network, baseline)
    interval = f"{points(pair['low'])} to {points(pair['high'])}"
    return f"{_phrase(network)} by {points(pair['difference'])} percentage points ({interval})"


def _facing(comparison: Comparison, first: str, second: str) -> Mapping[str, Any]:
    """The pair as the difference of `first` minus `second`."""
    pairs = comparison["pairs"]
    if f"{first}-{second}" in pairs:
        return pairs[f"{first}-{second}"]
    turned = pairs[f"{second}-{first}"]
    return {**turned, "difference": -turned["difference"], "low": -turned["high"], "high": -turned["low"]}


def _difference(comparison: Comparison, first: str, second: str) -> str:
    pair = _facing(comparison, first, second)
    interval = f"95% confidence interval {points(pair['low'])} to {points(pair['high'])}"
    difference = f"a difference of {points(pair['difference'])} percentage points"
    return f"{difference} ({interval}; McNemar {p_value(pair['mcnemar_p'])})"


def _accuracy(comparison: Comparison, model: str) -> float:
    return float(comparison["accuracy"][model]["value"])


def _phrase(model: str) -> str:
    return MODELS[model].phrase


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
