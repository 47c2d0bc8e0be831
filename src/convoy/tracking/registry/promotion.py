"""`convoy promote`: a version becomes champion only where a loss is excluded and it passes every check."""

from dataclasses import replace
from typing import TYPE_CHECKING

from convoy.core.errors import ConvoyError
from convoy.core.params import load
from convoy.tasks import PromotionParams, RegisteredTask
from convoy.tracking import store
from convoy.tracking.registry import certificates, decisions, evidence, ledger
from convoy.tracking.registry.ledger import Decision
from convoy.tracking.registry.listing import CHALLENGER
from convoy.tracking.registry.state import RegisteredModel, content, name, record, with_versions
from convoy.training.event_log import repository

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


class RefusedError(ConvoyError):
    """The version was compared and not promoted; has its own exit code, since the user made no mistake."""

    exit_code = 1


def promote(task: RegisteredTask, which: str = CHALLENGER, params: PromotionParams | None = None) -> str:
    """Compare a version with the champion, record the decision and apply it; return the result in words.

    `which` is a version's number, an alias, or a kind of model, whose newest version is taken. Raises
    RefusedError for a version that is not promoted, and ConvoyError, without a decision, for one that cannot
    be compared.
    """
    if not which.strip():
        raise ConvoyError(
            "promote: expected a version number, an alias or a kind of model, found an empty text; leave it "
            "out for the challenger"
        )
    if params is None:
        params = load("promotion", PromotionParams, repository() / "params.yaml")
    client = store.existing()
    with store.reachable():
        # Chosen before waiting for the lock: the caller means the version of that moment.
        chosen = _chosen(with_versions(client, task.registered), which)
        with ledger.exclusive():
            while True:
                model = decisions.current(client, task)
                decision = _compared(client, task, model, chosen, params)
                if decisions.decide(client, task, decision, model.champion):
                    break
    return _result(decision, _of_embeddings(task, decision))


def _chosen(model: RegisteredModel, which: str) -> "ModelVersion":
    """The version named by `which`; the champion where there is no challenger."""
    aliased = model.alias(which) or (model.champion if which == CHALLENGER else None)
    if aliased is not None:
        return aliased
    for version in model.versions:
        if which in (version.tags.get("convoy.model"), str(version.version)):
            return version
    raise ConvoyError(
        f"{model.name}: no {'version ' if which.isdecimal() else ''}{which}; name a number or a kind of: "
        f"{model.listed()}"
    )


def _compared(
    client: "MlflowClient", task: RegisteredTask, model: RegisteredModel, candidate: "ModelVersion",
    params: PromotionParams,
) -> Decision:  # fmt: skip
    champion, difference = model.champion, None
    if champion is not None and content(champion) == content(candidate):
        return decisions.new_decision("kept", model, candidate, "already the champion; nothing changed")
    found = evidence.collect(client, task, candidate)
    faults = evidence.failed_checks(client, task, candidate, found, params)
    if champion is None:
        excluded, words = _without_champion(task, candidate)
    else:
        other = evidence.champion_measured(client, task, candidate, champion, found)
        measured = task.versions.difference(found.measured, other, params.resamples, params.seed)
        margin = task.versions.margin(params)
        excluded = measured.low >= -margin
        words = task.versions.describe(measured, margin)
        interval = {"difference": measured.difference, "low": measured.low, "high": measured.high}
        difference = {**interval, "n": measured.n, **measured.details, "margin": margin}
    reason = "; ".join([words, *(faults or ["all checks pass"])])
    refused = bool(faults) or not excluded
    made = decisions.new_decision("refused" if refused else "promoted", model, candidate, reason)
    return replace(made, difference=difference)


def _without_champion(task: RegisteredTask, candidate: "ModelVersion") -> tuple[bool, str]:
    """Whether the candidate may be as good as the last champion, whose version is gone, and words.

    The last champion's predictions are not in the store: intervals of the metrics in its decision are
    compared.
    """
    last = [one.version for one in ledger.read(task.registered) if one.changes_champion][-1:]
    if not last:
        return True, "no previous champion"
    now, then = record(candidate), last[0]
    words = f"the last champion, {then.kind}, is not in this store"
    same = now.test_split == then.test_split
    found = task.versions.estimate(now.metrics, then.metrics) if same else None
    return (True, words) if found is None else (found.high >= 0, f"{words}; {found.words}")


def _of_embeddings(task: RegisteredTask, decision: Decision) -> str:
    """Whether the embeddings by the version were accepted, where their certificate is in the workspace."""
    version = decision.version
    found = certificates.of_version(repository(), task, version.kind, version.content)
    return "" if found is None else f"; its embeddings were {found.words}"


def _result(decision: Decision, of_embeddings: str) -> str:
    """The outcome in one line; a refusal is raised."""
    what, former = f"{decision.model} {name(decision.version)}", decision.former
    match decision.action:
        case "refused":
            stays = f"; {name(former)} stays champion" if former is not None else "; there is no champion"
            raise RefusedError(f"refused: {what}: {decision.reason}{of_embeddings}{stays}")
        case "kept":
            return f"kept: {what}: {decision.reason}{of_embeddings}"
        case _:
            over = f", over {name(former)}" if former is not None else ""
            return f"promoted: {what} is champion{over}: {decision.reason}{of_embeddings}"
