"""`convoy promote`: a version becomes champion only where it is surely not worse and passes every check."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from convoy import params as sections
from convoy.errors import ConvoyError
from convoy.params import Section
from convoy.report.numbers import points
from convoy.storage import journal
from convoy.tracking import decisions, ledger, store
from convoy.tracking.decisions import Shelf, content, decided, name, side
from convoy.tracking.ledger import Decision
from convoy.tracking.versions import CHALLENGER

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


class PromotionParams(Section):
    """What a version has to show before it becomes champion."""

    margin: float = Field(
        0.005, ge=0, lt=1,
        description="accuracy: the 95% interval of the difference must exclude a larger loss",
    )  # fmt: skip
    max_ece: float = Field(0.1, ge=0, le=1, description="expected calibration error on the test split")
    resamples: int = Field(2000, ge=100, le=100_000, description="bootstrap samples of items and seeds")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="of the bootstrap")


class RefusedError(ConvoyError):
    """The version was judged and not promoted: no mistake of the user's, so another exit code."""

    exit_code = 1


def promote(registered: str, which: str = CHALLENGER, params: PromotionParams | None = None) -> str:
    """Judge a version against the champion, record the decision and follow it; say it in words.

    `which` is a version's number, an alias, or a kind of model, whose newest version is meant. Raises
    RefusedError for a version that is not promoted, and ConvoyError, with nothing decided, for one that
    cannot be judged.
    """
    if params is None:
        params = sections.load("promotion", PromotionParams, journal.repository() / "params.yaml")
    client = store.client()
    with store.reachable():
        # Chosen before waiting for others: what the caller has seen is meant.
        chosen = _chosen(_shelf(client, registered), which)
        with ledger.alone():
            while True:
                shelf = decisions.settled(client, registered)
                decision = _judged(client, shelf, chosen, params)
                if decisions.settle(client, decision, shelf.champion):
                    break
    return _told(decision)


def _shelf(client: "MlflowClient", registered: str) -> Shelf:
    shelf = decisions.look(client, registered)
    if shelf is None or not shelf.versions:
        raise ConvoyError(f"{registered}: no version of it at {store.shown()}; run `convoy publish`")
    return shelf


def _chosen(shelf: Shelf, which: str) -> "ModelVersion":
    """The version that `which` means; without a challenger, the champion."""
    aliased = shelf.alias(which) or (shelf.champion if which == CHALLENGER else None)
    if aliased is not None:
        return aliased
    for version in shelf.versions:
        if which in (version.tags.get("convoy.model"), str(version.version)):
            return version
    raise ConvoyError(
        f"{shelf.name}: no {'version ' if which.isdecimal() else ''}{which}; name a number or a kind of: "
        f"{shelf.words()}"
    )


def _judged(
    client: "MlflowClient", shelf: Shelf, candidate: "ModelVersion", params: PromotionParams
) -> Decision:
    from convoy.tracking import evidence

    champion, difference = shelf.champion, None
    if champion is not None and content(champion) == content(candidate):
        return decided("kept", shelf, candidate, "is the champion already; nothing changed")
    scored = evidence.scored(client, candidate)
    faults = evidence.faults(shelf.name, candidate, scored, params.max_ece)
    if champion is None:
        excluded, words = _beside_record(shelf, candidate)
    else:
        other = evidence.rival(client, shelf.name, candidate, champion, scored)
        difference = evidence.difference(scored.predictions, other, params.resamples, params.seed)
        difference["margin"] = params.margin
        excluded = difference["low"] >= -params.margin
        words = _compared(difference, excluded)
    reason = "; ".join([words, *(faults or ["all checks pass"])])
    refused = bool(faults) or not excluded
    made = decided("refused" if refused else "promoted", shelf, candidate, reason)
    return replace(made, difference=difference)


def _compared(difference: Mapping[str, float], excluded: bool) -> str:
    n = f"{difference['n']:,.0f}"
    return (
        f"{signed(difference['difference'])} points of accuracy on the same {n} test items "
        f"(95% interval {signed(difference['low'])} to {signed(difference['high'])}), so a loss of more than "
        f"{points(difference['margin'])} points {'is' if excluded else 'cannot be'} excluded"
    )


def _beside_record(shelf: Shelf, candidate: "ModelVersion") -> tuple[bool, str]:
    """Without a champion in the store: is the candidate surely worse than the last one that was decided on?

    Its predictions are gone, so the intervals of both are set against each other (Newcombe 1998, method 10).
    """
    crowned = [one.side for one in ledger.read(shelf.name) if one.crowns]
    if not crowned:
        return True, "no champion before"
    now, then, last = (
        side(candidate),
        crowned[-1],
        f"the last champion, {crowned[-1].kind}, is not in this store",
    )
    new, old = now.metrics, then.metrics
    keys = {"accuracy", "accuracy_low", "accuracy_high"}
    if now.test_split != then.test_split or not keys <= set(new) or not keys <= set(old):
        return True, last
    lead = new["accuracy"] - old["accuracy"]
    most = lead + math.hypot(new["accuracy_high"] - new["accuracy"], old["accuracy"] - old["accuracy_low"])
    return most >= 0, f"{last}; {signed(lead)} points of accuracy on the same test items"


def signed(difference: float) -> str:
    """A difference in percentage points with its sign."""
    text = points(difference)
    return f"+{text}" if difference > 0 and text != "0.0" else text


def _told(decision: Decision) -> str:
    """The outcome in one line; a refusal is raised."""
    what, former = f"{decision.model} {name(decision.side)}", decision.former
    match decision.action:
        case "refused":
            stays = f"; {name(former)} stays champion" if former is not None else "; there is no champion"
            raise RefusedError(f"refused: {what}: {decision.reason}{stays}")
        case "kept":
            return f"kept: {what}: {decision.reason}"
        case _:
            over = f", over {name(former)}" if former is not None else ""
            return f"promoted: {what} is champion{over}: {decision.reason}"
