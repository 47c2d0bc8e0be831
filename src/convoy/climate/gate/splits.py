"""Checks of the splits of a folder of grids: complete, disjoint, and no training on the future."""

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
UNSEEN = "unseen"  # begins the names of splits whose places must not be in training
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
Future = Literal["fail", "warn"]
Chosen = Mapping[str, npt.NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Splits:
    """The days of each domain in each split.

    spans: split -> its parts from the facts; days: split -> domain -> mask of the days from the domain's
    first to its last (`Times.dates`), (N,).
    """

    spans: Mapping[str, list[dict[str, str]]]
    days: Mapping[str, Chosen]
    times: Mapping[str, Times]

    @staticmethod
    def of(spans: Mapping[str, list[dict[str, str]]], times: Mapping[tuple[str, str], Times]) -> "Splits":
        """The splits of domains with coarse days; invalid parts have no days."""
        coarse = {domain: of_side for (domain, side), of_side in times.items() if side == "coarse"}
        days: dict[str, dict[str, npt.NDArray[np.bool_]]] = {split: {} for split in spans}
        for split, parts in spans.items():
            for part in parts:
                if _span_fault(part, coarse) is None:
                    name, chosen = part["domain"], _days_of(part, coarse)
                    days[split][name] = days[split].get(name, False) | chosen
        return Splits(spans, days, coarse)

    def count(self, split: str) -> int:
        """Number of days of a split over all its domains."""
        return sum(int(chosen.sum()) for chosen in self.days.get(split, {}).values())


def split_checks(splits: Splits, domains: list[StoredDomain], split_by: str, future: Future) -> list[Check]:
    """Checks of each split, and of the splits together.

    Training days after test days of the same domain are from the future of the test days. Where years are
    split (`split_by` "years"), `future` sets whether that fails or warns; for ranges set by the user it
    warns; blocks alternate on purpose, so that it is not checked.
    """
    places = {domain.name: domain.place for domain in domains}
    with_truth = {domain.name for domain in domains if domain.of("fine")}
    names = list(dict.fromkeys([TRAIN, VALIDATION, TEST, *splits.spans]))

    def check(name: str, words: str, fault: Any, warns: bool = False) -> Check:
        return Check.of(name, "splits", words, "split", ((split, fault(split)) for split in names), warns)

    checks = [
        check(
            "split_spans", "Each part of a split names a domain, and a range of days in which it has some",
            lambda split: _spans_fault(splits, split),
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
            "split_unseen", "Places of unseen terrain are not in the training or validation split",
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


def _span_fault(part: Mapping[str, str], times: Mapping[str, Times]) -> str | None:
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


def _spans_fault(splits: Splits, split: str) -> str | None:
    faults = []
    for part in splits.spans.get(split, []):
        fault = _span_fault(part, splits.times)
        if fault is None and not _days_of(part, splits.times).any():
            have = splits.times[part["domain"]].span
            fault = f"no day of {part['domain']} in {part['from']} to {part['to']}; it has {have}"
        if fault is not None:
            faults.append(fault)
    return first_of(faults)


def _shared(splits: Splits, split: str) -> Iterator[str]:
    for other, days in splits.days.items():
        if other == split:
            continue
        for domain, chosen in splits.days.get(split, {}).items():
            both = chosen & days.get(domain, False)
            if np.any(both):
                yield f"{domain} also in {other}: {splits.times[domain].words(runs_of(both))}"


def _seen(splits: Splits, split: str, places: Mapping[str, str]) -> str | None:
    if not split.startswith(UNSEEN):
        return None
    faults = []
    for learnt in (TRAIN, VALIDATION):
        here = {places[domain] for domain in splits.days[split]}
        there = {places[domain] for domain in splits.days.get(learnt, {})}
        faults += [f"place {place} is in {learnt}" for place in sorted(here & there)]
    return first_of(faults)


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
            yield f"{domain} {times.words(runs_of(late))}; test begins {times.label(first)}"
