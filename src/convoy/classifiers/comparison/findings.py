"""The result of a comparison in sentences: the best model, its lead, its share of the Bayes accuracy."""

from collections.abc import Mapping, Sequence
from typing import Any

from convoy.classifiers.comparison.compare import TIE, verdict
from convoy.classifiers.comparison.subject import Comparison, Subject
from convoy.core.models import names_of
from convoy.report.numbers import p_value, percent, points


def networks_of(subject: Subject, comparison: Comparison) -> tuple[str, ...]:
    """The networks among the compared models, in the registry's order."""
    return names_of(subject.models, "network", comparison["accuracy"])


def headline(subject: Subject, comparison: Comparison) -> str:
    """A few words for the top of a page."""
    winner, networks = comparison["winner"], networks_of(subject, comparison)
    if winner == TIE:
        return _tied(subject, comparison)
    lost = bool(networks) and winner not in networks
    candidates = networks if lost else comparison["accuracy"]
    others = [model for model in candidates if model not in {winner, *subject.controls}]
    if not others:
        rate = percent(accuracy_of(comparison, winner))
        return capital(
            f"{_phrase(subject, winner)} alone was evaluated: {rate} of test {subject.cases} correct"
        )
    second = max(others, key=lambda model: accuracy_of(comparison, model))
    lead = f"{points(_facing(comparison, winner, second)['difference'])} percentage points ahead of"
    if lost:
        return f"No network wins: {_phrase(subject, winner)} is {lead} {_phrase(subject, second)}"
    return capital(f"{_phrase(subject, winner)} wins, {lead} {_phrase(subject, second)}")


def _tied(subject: Subject, comparison: Comparison) -> str:
    best = sorted(comparison["best"], key=lambda model: -accuracy_of(comparison, model))
    rates = {model: percent(accuracy_of(comparison, model)) for model in best}
    if len(set(rates.values())) == 1:
        everyone = len(best) == len(comparison["accuracy"])
        who = f"all {len(best)} models" if everyone else listed([_phrase(subject, model) for model in best])
        tie = f"a tie at {rates[best[0]]}: {who}"
    else:
        tie = f"a tie: {listed([f'{_phrase(subject, model)} ({rate})' for model, rate in rates.items()])}"
    networks = networks_of(subject, comparison)
    lost = networks and not set(best) & set(networks)
    return f"No network wins: ahead of them is {tie}" if lost else capital(tie)


def findings(subject: Subject, comparison: Comparison) -> list[str]:
    """Sentences: the networks and their shares of the Bayes accuracy; why they tie; the baselines."""
    first, *others = _networks(subject, comparison)
    notes = (_bayes(subject, comparison), subject.tie_sentence(comparison))
    sentences = [f"{first}{_shares(subject, comparison)}.", *others, *(note for note in notes if note)]
    return [*sentences, *_baselines(subject, comparison)]


def _networks(subject: Subject, comparison: Comparison) -> list[str]:
    """The best network compared with each of the others; the first sentence lacks its full stop."""
    ranked = sorted(networks_of(subject, comparison), key=lambda model: -accuracy_of(comparison, model))
    n = f"{comparison['n']:,} test {subject.cases}"
    if not ranked:
        return [f"No network was compared, on {n}"]
    best, *others = ranked
    if not others:
        rate = percent(accuracy_of(comparison, best))
        return [capital(f"{_phrase(subject, best)} classifies {rate} of {n} correctly")]
    first, *more = (_two_networks(subject, comparison, best, other, n) for other in others)
    return [first, *(f"{sentence}." for sentence in more)]


def _two_networks(subject: Subject, comparison: Comparison, best: str, other: str, n: str) -> str:
    rates = [percent(accuracy_of(comparison, model)) for model in (best, other)]
    names = [_phrase(subject, model) for model in (best, other)]
    difference = _difference(comparison, best, other)
    if verdict(comparison["pairs"], best, other) == TIE:
        both = f"both classify {rates[0]}" if rates[0] == rates[1] else f"they classify {' and '.join(rates)}"
        return capital(f"{names[0]} and {names[1]} tie: {both} of {n} correctly, {difference}")
    return capital(
        f"{names[0]} beats {names[1]}: {rates[0]} of {n} correct compared with {rates[1]}, {difference}"
    )


def _shares(subject: Subject, comparison: Comparison) -> str:
    """The networks' shares of their Bayes accuracies; "" where these are not known."""
    bayes = comparison["bayes"]
    if bayes is None:
        return ""
    shares = []
    for model in networks_of(subject, comparison):
        rule = subject.bound[model]
        share = comparison["share_of_bayes"][model][rule]
        if share is not None:
            # Of equal Bayes accuracies the difference between the rules is of no interest.
            name = "Bayes accuracy" if len(set(bayes.values())) == 1 else subject.bayes[rule]
            whose = f"the {name} of {percent(bayes[rule])}"
            shares.append(f"{_phrase(subject, model)} reaches {percent(share)} of {whose}")
    return f"; {listed(shares)}" if shares else ""


def _bayes(subject: Subject, comparison: Comparison) -> str:
    """The Bayes accuracies where the task knows them, and the accuracy without any model."""
    majority = comparison["majority"]
    chance = (
        f"Always predicting the most frequent {subject.category}, “{majority['category']}”, would be correct "
        f"for {percent(majority['accuracy'])}."
    )
    known = subject.bayes_sentence(comparison)
    return f"{known} {chance}" if known else chance


def _baselines(subject: Subject, comparison: Comparison) -> list[str]:
    """Each baseline compared with the networks, and which networks a baseline beats."""
    networks, sentences = networks_of(subject, comparison), []
    beaten: dict[str, list[str]] = {}
    for baseline in names_of(subject.models, "baseline", comparison["accuracy"]):
        won = {network: verdict(comparison["pairs"], network, baseline) for network in networks}
        parts = [
            f"{verb} {listed([_lead(subject, comparison, baseline, network) for network in facing])}"
            for verb, outcome in (("beats", baseline), ("ties with", TIE), ("is worse than", None))
            if (facing := [network for network in networks if won[network] == (outcome or network)])
        ]
        if parts:
            accuracy = percent(accuracy_of(comparison, baseline))
            sentences.append(capital(f"{_phrase(subject, baseline)} ({accuracy}) {listed(parts)}."))
        for network in networks:
            if won[network] == baseline:
                beaten.setdefault(network, []).append(_phrase(subject, baseline))
    return sentences + _conclusion(subject, networks, beaten)


def _conclusion(subject: Subject, networks: Sequence[str], beaten: Mapping[str, Sequence[str]]) -> list[str]:
    """Networks that a baseline beats."""
    if not beaten:
        return []
    if len(beaten) == len(networks) > 1:
        return ["So no network is the best choice here: a baseline is more accurate than each of them."]
    return [
        capital(f"{_phrase(subject, network)} is not the best choice here: {listed(better)} "
                 f"{'is' if len(better) == 1 else 'are'} more accurate.")
        for network, better in beaten.items()
    ]  # fmt: skip


def _lead(subject: Subject, comparison: Comparison, baseline: str, network: str) -> str:
    pair = _facing(comparison, baseline, network)
    if pair["verdict"] == TIE:
        return _phrase(subject, network)
    if pair["difference"] < 0:
        pair = _facing(comparison, network, baseline)
    interval = f"{points(pair['low'])} to {points(pair['high'])}"
    return f"{_phrase(subject, network)} by {points(pair['difference'])} percentage points ({interval})"


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


def accuracy_of(comparison: Comparison, model: str) -> float:
    """The accuracy of a model in the comparison."""
    return float(comparison["accuracy"][model]["value"])


def _phrase(subject: Subject, model: str) -> str:
    return subject.models[model].phrase


def listed(words: Sequence[str]) -> str:
    """Words as an enumeration: `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def capital(text: str) -> str:
    """The text with a capital first letter."""
    return text[0].upper() + text[1:]
