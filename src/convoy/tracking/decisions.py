"""Who is champion: the store follows the lines of data/decisions.jsonl, and `rollback` goes back by one.

What a decision changes in the store is written after its line, by `replay` alone. So a command that was
killed in between is completed by the next one, and an emptied store gets its aliases and words back.
"""

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from convoy.core.errors import ConvoyError
from convoy.tracking import ledger, store, tasks
from convoy.tracking.ledger import Action, Decision, Side
from convoy.tracking.versions import CHALLENGER, CHAMPION, CONTENT, all_versions
from convoy.training import event_log as journal

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

STATE = "convoy.champions"
_CONTENTS, _IDS = 40, 100  # that the state holds: some stores keep 5000 characters of a tag
_OTHERS, _SHORT = 50, 16  # contents that a line lists beside its own, and characters of each
_FIGURE = "test_"  # begins the tags of a version that are its figures on the test split


@dataclass(frozen=True)
class Shelf:
    """A registered model as the store has it now: versions newest first, aliases, tags."""

    name: str
    versions: "Sequence[ModelVersion]"
    aliases: Mapping[str, int]
    tags: Mapping[str, str]

    def alias(self, name: str) -> "ModelVersion | None":
        number = self.aliases.get(name)
        return next((version for version in self.versions if int(version.version) == number), None)

    @property
    def champion(self) -> "ModelVersion | None":
        return self.alias(CHAMPION)

    @property
    def by_content(self) -> "dict[str, ModelVersion]":
        """The newest version of each content."""
        return {content(version): version for version in reversed(self.versions)}

    @property
    def former(self) -> list[str]:
        """The contents that were champion one after another, the last one to be followed."""
        return _State.of(self.tags).contents

    def words(self, but: "ModelVersion | None" = None) -> str:
        """The versions, newest first, for a message."""
        return ", ".join(name(side(one)) for one in self.versions if number(one) != number(but)) or "none"


@dataclass(frozen=True)
class _State:
    """How far the store has followed the lines: who was champion one after another, and by which lines."""

    contents: list[str]
    applied: list[str]

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> "_State":
        with contextlib.suppress(ValueError, KeyError, TypeError):
            values = json.loads(tags[STATE])
            return cls(
                [str(value) for value in values["contents"]], [str(value) for value in values["applied"]]
            )
        return cls([], [])

    @property
    def text(self) -> str:
        return json.dumps({"contents": self.contents[-_CONTENTS:], "applied": self.applied[-_IDS:]})


def replay(client: "MlflowClient", registered: str) -> None:
    """Bring aliases and tags of a registered model to where the decisions are; nothing where they are there.

    A champion that was set by hand stays until the next decision, one that is missing comes back. Without a
    version of the champion's content there is no champion. Call it inside `store.turn("publish")`.
    """
    decisions = ledger.read(registered)
    shelf = look(client, registered) if decisions else None
    if shelf is not None:
        _crown(client, shelf, decisions)
        _tell(client, shelf, decisions)


def settled(client: "MlflowClient", registered: str) -> Shelf:
    """The registered model after every decision so far; ConvoyError where there is no version of it."""
    with store.turn("publish"):
        return _settled(client, registered)


def settle(client: "MlflowClient", decision: Decision, champion: "ModelVersion | None") -> bool:
    """Write the line and follow it; False, and nothing done, where `champion` is no longer the champion."""
    with store.turn("publish"):
        shelf = _settled(client, decision.model)
        if number(shelf.champion) != number(champion):
            return False
        ledger.append(_beside(shelf, decision))
        replay(client, decision.model)
    return True


def rollback(registered: str, reason: str | None = None) -> str:
    """Make the champion before the present one champion again, and say so in words.

    Another rollback goes one further back, never forward to what was left: `convoy promote` does that.
    Raises ConvoyError where no earlier champion has a version.
    """
    tasks.of_model(registered)
    client = store.existing()
    with store.reachable(), ledger.alone():
        while True:
            shelf = settled(client, registered)
            champion = shelf.champion
            if champion is None:
                raise ConvoyError(
                    f"{registered}: there is no champion to go back from; `convoy promote` makes one"
                )
            decision = _back(shelf, champion, reason)
            if settle(client, decision, champion):
                return f"rollback: {registered} {name(decision.side)} is champion again: {decision.reason}"


def look(client: "MlflowClient", registered: str) -> Shelf | None:
    """The registered model as it is, or None where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        model = client.get_registered_model(registered)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    aliases = {alias: int(version) for alias, version in model.aliases.items()}
    versions = [version for version in all_versions(client, registered) if CONTENT in version.tags]
    return Shelf(registered, versions, aliases, model.tags)


def content(version: "ModelVersion") -> str:
    """What a version is known by."""
    return str(version.tags[CONTENT])


def number(version: "ModelVersion | None") -> int | None:
    """Its number in this store."""
    return None if version is None else int(version.version)


def side(version: "ModelVersion") -> Side:
    """A version as a decision keeps it, with the figures of its tags."""
    metrics = {}
    for key, value in sorted(version.tags.items()):
        if key.startswith(_FIGURE):
            with contextlib.suppress(ValueError):
                if math.isfinite(figure := float(value)):
                    metrics[key.removeprefix(_FIGURE)] = figure
    kind = version.tags.get("convoy.model", "model")
    tested = version.tags.get("convoy.test_split", "")
    return Side(kind, int(version.version), content(version), metrics, tested)


def name(side: Side) -> str:
    """A version in words: `version 2 (textcnn)`, or by content where it has no number."""
    return f"version {side.version or side.content[:8]} ({side.kind})"


def decided(action: Action, shelf: Shelf, version: "ModelVersion", reason: str) -> Decision:
    """A decision about `version` of this registered model, made now."""
    champion = shelf.champion
    former = None if champion is None else side(champion)
    here = journal.circumstances(journal.repository())
    who, commit = here["author"] or None, here["commit"]
    return Decision(action, shelf.name, side(version), former, reason, who=who, commit=commit)


def _settled(client: "MlflowClient", registered: str) -> Shelf:
    replay(client, registered)
    shelf = look(client, registered)
    if shelf is None or not shelf.versions:
        raise ConvoyError(f"{registered}: no version of it at {store.shown()}; run `convoy publish`")
    return shelf


def _back(shelf: Shelf, champion: "ModelVersion", reason: str | None) -> Decision:
    """The rollback to the last one before `champion` that still has a version."""
    stack = shelf.former
    if content(champion) in stack:
        stack = stack[: len(stack) - 1 - stack[::-1].index(content(champion))]
    versions = shelf.by_content
    earlier = [versions[one] for one in stack if one in versions and one != content(champion)]
    if not earlier:
        raise ConvoyError(
            f"{shelf.name}: {name(side(champion))} stays champion, no earlier one has a version here; "
            f"others to promote: {shelf.words(but=champion)}"
        )
    return decided("rollback", shelf, earlier[-1], reason or "taken back, no reason given")


def _beside(shelf: Shelf, decision: Decision) -> Decision:
    """The decision with what else is on the shelf after it."""
    own = {decision.side.content, decision.former.content if decision.former else None}
    others = [content(version)[:_SHORT] for version in shelf.versions if content(version) not in own]
    challenger = shelf.alias(CHALLENGER)
    if challenger is not None and decision.crowns and content(challenger) == decision.side.content:
        challenger = None
    return replace(
        decision,
        challenger=None if challenger is None else content(challenger),
        others=tuple(others[:_OTHERS]),
    )


def _crown(client: "MlflowClient", shelf: Shelf, decisions: Sequence[Decision]) -> None:
    """Move the aliases to where the lines that the store has not followed yet say."""
    state = _State.of(shelf.tags)
    last = max((place for place, one in enumerate(decisions) if one.id in state.applied), default=-1)
    new = [one for one in decisions[last + 1 :] if one.crowns]
    stack = ledger.crowned(state.contents, new)
    target = shelf.by_content.get(stack[-1]) if stack else None
    if target is not None and (new or shelf.champion is None):
        if number(target) != shelf.aliases.get(CHAMPION):
            client.set_registered_model_alias(shelf.name, CHAMPION, target.version)
        if number(target) == shelf.aliases.get(CHALLENGER):
            client.delete_registered_model_alias(shelf.name, CHALLENGER)
        state = _State(stack, state.applied + [one.id for one in new])
    if STATE not in shelf.tags:
        _challenge(client, shelf, decisions, target)
    if shelf.tags.get(STATE) != state.text:
        client.set_registered_model_tag(shelf.name, STATE, state.text)


def _challenge(
    client: "MlflowClient", shelf: Shelf, decisions: Sequence[Decision], champion: "ModelVersion | None"
) -> None:
    """In a store made anew: the challenger is what came after the last decision, or who it was then."""
    named = [one for decision in decisions for one in (decision.side, decision.former) if one is not None]
    known = {one.content[:_SHORT] for one in named}
    known |= {one[:_SHORT] for decision in decisions for one in (decision.challenger or "", *decision.others)}
    fresh = [version for version in shelf.versions if content(version)[:_SHORT] not in known]
    now = shelf.alias(CHALLENGER)
    if fresh:
        wanted = now if number(now) in map(number, fresh) else fresh[0]
    else:
        wanted = shelf.by_content.get(decisions[-1].challenger or "")
    if wanted is None or number(wanted) == number(champion):
        if now is not None and number(now) != number(champion):
            client.delete_registered_model_alias(shelf.name, CHALLENGER)
    elif number(wanted) != number(now):
        client.set_registered_model_alias(shelf.name, CHALLENGER, wanted.version)


def _tell(client: "MlflowClient", shelf: Shelf, decisions: Sequence[Decision]) -> None:
    """Words for a reader of the dashboard: on the versions, and as a history on the registered model."""
    versions = shelf.by_content
    for decision in decisions:
        history = f"decision {decision.time[:23].replace('T', ' ')} {decision.id}"
        decision = _renumbered(decision, versions)
        for one, tags in _notes(decision):
            version = versions.get(one.content)
            if version is None:
                continue
            for key, value in tags.items():
                # What was told once stays: another checkout may know of a later decision.
                if key not in version.tags or (history not in shelf.tags and version.tags[key] != value):
                    client.set_model_version_tag(shelf.name, version.version, key, value)
                    version.tags[key] = value
        if history not in shelf.tags:
            client.set_registered_model_tag(shelf.name, history, _sentence(decision)[:5000])


def _renumbered(decision: Decision, versions: "Mapping[str, ModelVersion]") -> Decision:
    """The decision with the numbers that its versions have in this store; 0 for one that is not in it."""

    def here(side: Side) -> Side:
        return replace(side, version=number(versions.get(side.content)) or 0)

    former = decision.former
    return replace(decision, side=here(decision.side), former=None if former is None else here(former))


def _notes(decision: Decision) -> Iterator[tuple[Side, dict[str, str]]]:
    """Tags for the versions that a decision is about."""
    side, former, when = decision.side, decision.former, f"{decision.time[:19].replace('T', ' ')} UTC"
    before = _measured(decision.model, former) if former is not None else "no champion before"
    own = _measured(decision.model, side)
    match decision.action:
        case "promoted":
            yield side, {"promoted_at": when, "promoted_over": before, "promoted_because": decision.reason}
            if former is not None:
                yield former, {"replaced_at": when, "replaced_by": own}
        case "refused":
            yield side, {"refused_at": when, "refused_against": before, "refused_because": decision.reason}
        case "rollback":
            yield side, {"restored_at": when, "restored_because": decision.reason}
            if former is not None:
                yield (
                    former,
                    {"rolled_back_at": when, "rolled_back_to": own,
                     "rolled_back_because": decision.reason},
                )  # fmt: skip


def _sentence(decision: Decision) -> str:
    """A decision in words."""
    side, former = _measured(decision.model, decision.side), decision.former
    before = _measured(decision.model, former) if former is not None else "no champion"
    sentence = {
        "promoted": f"promoted {side}{f' over {before}' if former else ''}: {decision.reason}",
        "refused": f"refused {side}, {before} stays: {decision.reason}",
        "kept": f"kept {side}: {decision.reason}",
        "rollback": f"rollback from {before} to {side}: {decision.reason}",
    }[decision.action]
    return sentence + (f" (by {decision.who})" if decision.who else "")


def _measured(model: str, side: Side) -> str:
    """A version with the figure that it is known for."""
    figure, words = tasks.of_model(model).judge.spoken(side.metrics), name(side)
    return words if figure is None else f"{words.removesuffix(')')}, {figure})"
