"""`convoy promote`: a version becomes champion only where it is surely not worse and passes every check."""

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from convoy.core import params as sections
from convoy.core.errors import ConvoyError
from convoy.core.params import Section
from convoy.tracking import decisions, evidence, ledger, store, tasks
from convoy.tracking.decisions import Shelf, content, decided, name, side
from convoy.tracking.ledger import Decision
from convoy.tracking.task import Judge
from convoy.tracking.versions import CHALLENGER
from convoy.training import event_log as journal

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


class PromotionParams(Section):
    """What a version has to show before it becomes champion."""

    margin: float = Field(
        0.005, ge=0, lt=1,
        description="accuracy: the 95% interval of the difference must exclude a larger loss",
    )  # fmt: skip
    rmse_margin: float = Field(
        0.01, ge=0, lt=1,
        description="downscaling: the same of 1 - RMSE / RMSE of the champion",
    )  # fmt: skip
    max_ece: float = Field(0.1, ge=0, le=1, description="expected calibration error on the test split")
    resamples: int = Field(
        2000, ge=100, le=100_000, description="bootstrap samples of items and seeds, or of blocks of days"
    )
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
    tasks.of_model(registered)
    if not which.strip():
        raise ConvoyError(
            "promote: expected a version number, an alias or a kind of model, found nothing; leave it out to "
            "mean the challenger"
        )
    if params is None:
        params = sections.load("promotion", PromotionParams, journal.repository() / "params.yaml")
    client = store.existing()
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
    task = tasks.of_model(shelf.name)
    champion, difference = shelf.champion, None
    if champion is not None and content(champion) == content(candidate):
        return decided("kept", shelf, candidate, "is the champion already; nothing changed")
    scored = evidence.scored(client, task.judge, candidate)
    faults = evidence.faults(task, candidate, scored, params)
    if champion is None:
        excluded, words = _beside_record(task.judge, shelf, candidate)
    else:
        other = evidence.baseline(client, task, candidate, champion, scored)
        difference = task.judge.difference(scored.measured, other, params.resamples, params.seed)
        difference["margin"] = task.judge.margin(params)
        excluded = difference["low"] >= -difference["margin"]
        words = task.judge.words(difference)
    reason = "; ".join([words, *(faults or ["all checks pass"])])
    refused = bool(faults) or not excluded
    made = decided("refused" if refused else "promoted", shelf, candidate, reason)
    return replace(made, difference=difference)


def _beside_record(judge: Judge, shelf: Shelf, candidate: "ModelVersion") -> tuple[bool, str]:
    """Without a champion in the store: is the candidate surely worse than the last one that was decided on?

    What was measured of that one is gone, so the intervals of both are set against each other.
    """
    crowned = [one.side for one in ledger.read(shelf.name) if one.crowns]
    if not crowned:
        return True, "no champion before"
    now, then = side(candidate), crowned[-1]
    last = f"the last champion, {then.kind}, is not in this store"
    found = judge.beside(dict(now.metrics), dict(then.metrics)) if now.test_split == then.test_split else None
    return (True, last) if found is None else (found[0] >= 0, f"{last}; {found[1]}")


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
