"""What the splits of a folder of grids have to be: whole, apart from each other, and none from the future."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from convoy.climate.data.headers import StoredDomain
from convoy.climate.gate.days import Times, runs_of
from convoy.climate.gate.files import Check, first_of

TRAIN, VALIDATION, TEST = "train", "validation", "test"
UNSEEN = "unseen"  # begins the names of splits whose places no model may have learnt from
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
Future = Literal["fail", "warn"]
Chosen = Mapping[str, npt.NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Splits:
    """Which days of which domain lie in each split.

    spans: split -> its parts as the facts give them; days: split -> domain -> which of the days from the
    domain's first to its last (`Times.dates`), (N,).
    """

    spans: Mapping[str, list[dict[str, str]]]
    days: Mapping[str, Chosen]
    times: Mapping[str, Times]

    @staticmethod
    def of(spans: Mapping[str, list[dict[str, str]]], times: Mapping[tuple[str, str], Times]) -> "Splits":
        """The splits of domains whose coarse days are known; parts that are no spans of days have none."""
        coarse = {domain: of_side for (domain, side), of_side in times.items() if side == "coarse"}
        days: dict[str, dict[str, npt.NDArray[np.bool_]]] = {split: {} for split in spans}
        for split, parts in spans.items():
            for part in parts:
                if _span_against(part, coarse) is None:
                    name, chosen = part["domain"], _days_of(part, coarse)
                    days[split][name] = days[split].get(name, False) | chosen
        return Splits(spans, days, coarse)

    def count(self, split: str) -> int:
        """How many days a split has over all its domains."""
        return sum(int(chosen.sum()) for chosen in self.days.get(split, {}).values())


def split_checks(splits: Splits, domains: list[StoredDomain], split_by: str, future: Future) -> list[Check]:
    """What every split has to be, and each to the others.

    Training days after test days of the same domain are future that a model would not have had. Where years
    are split (`split_by` "years"), `future` says what that leads to; ranges that the user named himself are
    warned of; blocks are drawn from everywhere on purpose, so there it is not asked.
    """
    places = {domain.name: domain.place for domain in domains}
    with_truth = {domain.name for domain in domains if domain.of("fine")}
    names = list(dict.fromkeys([TRAIN, VALIDATION, TEST, *splits.spans]))

    def check(name: str, words: str, against: Any, warns: bool = False) -> Check:
        return Check.of(name, "splits", words, "split", ((split, against(split)) for split in names), warns)

    checks = [
        check(
            "split_spans", "Each part of a split is a domain with a first and a last day that it has",
            lambda split: _spans_against(splits, split),
        ),
        check("split_empty", "No split is empty", lambda split: None if splits.count(split) else "no day"),
        check(
            "split_truth", "Each domain of a split has fine truth",
            lambda split: ", ".join(sorted(set(splits.days.get(split, {})) - with_truth)) or None,
        ),
        check(
            "split_shared", "No day of a domain is in two splits",
            lambda split: first_of(list(_shared(splits, split))),
        ),
        check(
            "split_unseen", "The places of unseen terrain are in no training or validation",
            lambda split: _seen(splits, split, places),
        ),
    ]  # fmt: skip
    if split_by != "blocks":
        checks.append(
            check(
                "split_future", "No day in training comes after a test day of the same domain",
                lambda split: first_of(list(_after_test(splits))) if split == TRAIN else None,
                warns=split_by == "ranges" or future == "warn",
            )
        )  # fmt: skip
    return checks


def _span_against(part: Mapping[str, str], times: Mapping[str, Times]) -> str | None:
    first, last = part["from"], part["to"]
    if part["domain"] not in times:
        return f"no domain '{part['domain']}'"
    if not (DATE.fullmatch(first) and DATE.fullmatch(last)) or first > last:
        return f"{part['domain']} from '{first}' to '{last}', expected two dates YYYY-MM-DD in order"
    return None


def _days_of(part: Mapping[str, str], times: Mapping[str, Times]) -> npt.NDArray[np.bool_]:
    domain = times[part["domain"]]
    first, last = (int(part[end].replace("-", "")) for end in ("from", "to"))
    numbers = domain.dates @ np.array([10_000, 100, 1])
    return (numbers >= first) & (numbers <= last) & (domain.stored > 0)


def _spans_against(splits: Splits, split: str) -> str | None:
    told = []
    for part in splits.spans.get(split, []):
        against = _span_against(part, splits.times)
        if against is None and not _days_of(part, splits.times).any():
            have = splits.times[part["domain"]].span
            against = f"no day of {part['domain']} in {part['from']} to {part['to']}; it has {have}"
        if against is not None:
            told.append(against)
    return first_of(told)


def _shared(splits: Splits, split: str) -> Iterator[str]:
    for other, days in splits.days.items():
        if other == split:
            continue
        for domain, chosen in splits.days.get(split, {}).items():
            both = chosen & days.get(domain, False)
            if np.any(both):
                yield f"{domain} also in {other}: {splits.times[domain].told(runs_of(both))}"


def _seen(splits: Splits, split: str, places: Mapping[str, str]) -> str | None:
    if not split.startswith(UNSEEN):
        return None
    told = []
    for learnt in (TRAIN, VALIDATION):
        here = {places[domain] for domain in splits.days[split]}
        there = {places[domain] for domain in splits.days.get(learnt, {})}
        told += [f"place {place} is in {learnt}" for place in sorted(here & there)]
    return first_of(told)


def _after_test(splits: Splits) -> Iterator[str]:
    for domain, tested in splits.days.get(TEST, {}).items():
        learnt = splits.days.get(TRAIN, {}).get(domain)
        if learnt is None or not tested.any():
            continue
        first = int(np.argmax(tested))
        late = learnt.copy()
        late[: first + 1] = False
        if late.any():
            times = splits.times[domain]
            yield f"{domain} {times.told(runs_of(late))}; test begins {times.label(first)}"
