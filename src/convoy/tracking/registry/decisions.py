"""Applies the decisions in data/decisions.jsonl to the store; `rollback` restores the previous champion.

The store is changed after the line is written, and by `replay` only. So the next command completes one that
was killed in between, and restores aliases and tags in an emptied store.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from convoy.core.errors import ConvoyError
from convoy.tasks import RegisteredTask
from convoy.tracking import store
from convoy.tracking.registry import ledger
from convoy.tracking.registry.history import annotate
from convoy.tracking.registry.ledger import Action, Decision
from convoy.tracking.registry.listing import CHALLENGER, CHAMPION
from convoy.tracking.registry.state import (
    FOLLOWED,
    Followed,
    RegisteredModel,
    content,
    look_up,
    name,
    number,
    record,
    with_versions,
)
from convoy.training.event_log import circumstances, repository

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

_OTHERS, _SHORT = 50, 16  # number of other contents that a line lists, and characters of each


def replay(client: "MlflowClient", task: RegisteredTask) -> None:
    """Set aliases and tags of a registered model as the decisions require.

    A champion that was set by hand is kept until the next decision, a missing one is restored. Without a
    version of the champion's content there is no champion. Call it inside `store.turn("publish")`.
    """
    decisions = ledger.read(task.registered)
    model = look_up(client, task.registered) if decisions else None
    if model is not None:
        _move_aliases(client, model, decisions)
        annotate(client, task, model, decisions)


def current(client: "MlflowClient", task: RegisteredTask) -> RegisteredModel:
    """The registered model after every decision so far; ConvoyError where there is no version of it."""
    with store.turn("publish"):
        return _current(client, task)


def decide(
    client: "MlflowClient", task: RegisteredTask, decision: Decision, champion: "ModelVersion | None"
) -> bool:
    """Write the line and apply it; return False, with no effect, where `champion` is not the champion now."""
    with store.turn("publish"):
        model = _current(client, task)
        if number(model.champion) != number(champion):
            return False
        ledger.append(_with_others(model, decision))
        replay(client, task)
    return True


def rollback(task: RegisteredTask, reason: str | None = None) -> str:
    """Make the previous champion champion again; return the result in words.

    A second rollback goes one further back, never forward to the one that was replaced: use `convoy promote`
    for that. Raises ConvoyError where no earlier champion has a version.
    """
    client = store.existing()
    with store.reachable(), ledger.exclusive():
        while True:
            model = current(client, task)
            champion = model.champion
            if champion is None:
                raise ConvoyError(
                    f"{task.registered}: there is no champion to roll back; `convoy promote` makes one"
                )
            decision = _back(model, champion, reason)
            if decide(client, task, decision, champion):
                back = name(decision.version)
                return f"rollback: {task.registered} {back} is champion again: {decision.reason}"


def new_decision(action: Action, model: RegisteredModel, version: "ModelVersion", reason: str) -> Decision:
    """A new decision about `version` of this registered model."""
    champion = model.champion
    former = None if champion is None else record(champion)
    here = circumstances(repository())
    who, commit = here["author"] or None, here["commit"]
    return Decision(action, model.name, record(version), former, reason, who=who, commit=commit)


def _current(client: "MlflowClient", task: RegisteredTask) -> RegisteredModel:
    replay(client, task)
    return with_versions(client, task.registered)


def _back(model: RegisteredModel, champion: "ModelVersion", reason: str | None) -> Decision:
    """The rollback to the last champion before `champion` that still has a version."""
    former = model.champions
    if content(champion) in former:
        former = former[: len(former) - 1 - former[::-1].index(content(champion))]
    versions = model.by_content
    earlier = [versions[one] for one in former if one in versions and one != content(champion)]
    if not earlier:
        raise ConvoyError(
            f"{model.name}: {name(record(champion))} stays champion, no earlier one has a version now; "
            f"others to promote: {model.listed(but=champion)}"
        )
    return new_decision("rollback", model, earlier[-1], reason or "no reason given")


def _with_others(model: RegisteredModel, decision: Decision) -> Decision:
    """The decision with the contents of all other versions."""
    own = {decision.version.content, decision.former.content if decision.former else None}
    others = [content(version)[:_SHORT] for version in model.versions if content(version) not in own]
    challenger = model.alias(CHALLENGER)
    if (
        challenger is not None
        and decision.changes_champion
        and content(challenger) == decision.version.content
    ):
        challenger = None
    return replace(
        decision,
        challenger=None if challenger is None else content(challenger),
        others=tuple(others[:_OTHERS]),
    )


def _move_aliases(client: "MlflowClient", model: RegisteredModel, decisions: Sequence[Decision]) -> None:
    """Set the aliases by the lines that have not been applied to the store yet."""
    followed = Followed.of(model.tags)
    last = max((place for place, one in enumerate(decisions) if one.id in followed.applied), default=-1)
    new = [one for one in decisions[last + 1 :] if one.changes_champion]
    champions = ledger.champions(followed.contents, new)
    target = model.by_content.get(champions[-1]) if champions else None
    if target is not None and (new or model.champion is None):
        if number(target) != model.aliases.get(CHAMPION):
            client.set_registered_model_alias(model.name, CHAMPION, target.version)
        if number(target) == model.aliases.get(CHALLENGER):
            client.delete_registered_model_alias(model.name, CHALLENGER)
        followed = Followed(champions, followed.applied + [one.id for one in new])
    if FOLLOWED not in model.tags:
        _challenge(client, model, decisions, target)
    if model.tags.get(FOLLOWED) != followed.text:
        client.set_registered_model_tag(model.name, FOLLOWED, followed.text)


def _challenge(
    client: "MlflowClient",
    model: RegisteredModel,
    decisions: Sequence[Decision],
    champion: "ModelVersion | None",
) -> None:
    """In a rebuilt store: set the challenger to the newest undecided version, or to the recorded one."""
    named = [one for each in decisions for one in (each.version, each.former) if one is not None]
    known = {one.content[:_SHORT] for one in named}
    known |= {one[:_SHORT] for decision in decisions for one in (decision.challenger or "", *decision.others)}
    fresh = [version for version in model.versions if content(version)[:_SHORT] not in known]
    now = model.alias(CHALLENGER)
    if fresh:
        wanted = now if number(now) in map(number, fresh) else fresh[0]
    else:
        wanted = model.by_content.get(decisions[-1].challenger or "")
    if wanted is None or number(wanted) == number(champion):
        if now is not None and number(now) != number(champion):
            client.delete_registered_model_alias(model.name, CHALLENGER)
    elif number(wanted) != number(now):
        client.set_registered_model_alias(model.name, CHALLENGER, wanted.version)
