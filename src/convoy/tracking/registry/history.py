"""Decisions on MLflow's pages: tags of versions, and a history of the registered model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from convoy.tasks import RegisteredTask
from convoy.tracking.registry.ledger import Decision, VersionRecord
from convoy.tracking.registry.state import RegisteredModel, name, number

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

_LONGEST = 5000  # characters of a tag that every store accepts
_Figure = Callable[[Mapping[str, float]], str | None]


@dataclass(frozen=True)
class _Note:
    """Tags for the version with this content."""

    content: str
    tags: dict[str, str]


def annotate(
    client: "MlflowClient", task: RegisteredTask, model: RegisteredModel, decisions: Sequence[Decision]
) -> None:
    """Set the tags of the decisions where they are missing."""
    versions = model.by_content
    for decision in decisions:
        key = f"decision {decision.time[:23].replace('T', ' ')} {decision.id}"
        decision = _renumbered(decision, versions)
        for note in _notes(decision, task.versions.figure):
            version = versions.get(note.content)
            if version is None:
                continue
            for tag, value in note.tags.items():
                # Existing tags are not changed: another checkout may have later decisions.
                if tag not in version.tags or (key not in model.tags and version.tags[tag] != value):
                    client.set_model_version_tag(model.name, version.version, tag, value)
                    version.tags[tag] = value
        if key not in model.tags:
            sentence = _sentence(decision, task.versions.figure)
            client.set_registered_model_tag(model.name, key, sentence[:_LONGEST])


def _renumbered(decision: Decision, versions: "Mapping[str, ModelVersion]") -> Decision:
    """The decision with the version numbers of this store; 0 for a version that is not in it."""

    def here(record: VersionRecord) -> VersionRecord:
        return replace(record, number=number(versions.get(record.content)) or 0)

    former = decision.former
    return replace(decision, version=here(decision.version), former=None if former is None else here(former))


def _notes(decision: Decision, figure: _Figure) -> Iterator[_Note]:
    """Tags for the versions of a decision."""
    version, former = decision.version, decision.former
    when = f"{decision.time[:19].replace('T', ' ')} UTC"
    before = _measured(former, figure) if former is not None else "no previous champion"
    own = _measured(version, figure)
    match decision.action:
        case "promoted":
            promoted = {
                "promoted_at": when, "promoted_over": before, "promoted_because": decision.reason,
            }  # fmt: skip
            yield _Note(version.content, promoted)
            if former is not None:
                yield _Note(former.content, {"replaced_at": when, "replaced_by": own})
        case "refused":
            refused = {"refused_at": when, "refused_against": before, "refused_because": decision.reason}
            yield _Note(version.content, refused)
        case "rollback":
            yield _Note(version.content, {"restored_at": when, "restored_because": decision.reason})
            if former is not None:
                rolled_back = {
                    "rolled_back_at": when, "rolled_back_to": own, "rolled_back_because": decision.reason,
                }  # fmt: skip
                yield _Note(former.content, rolled_back)


def _sentence(decision: Decision, figure: _Figure) -> str:
    """A decision in words."""
    version, former = _measured(decision.version, figure), decision.former
    before = _measured(former, figure) if former is not None else "no champion"
    sentence = {
        "promoted": f"promoted {version}{f' over {before}' if former else ''}: {decision.reason}",
        "refused": f"refused {version}, {before} stays: {decision.reason}",
        "kept": f"kept {version}: {decision.reason}",
        "rollback": f"rollback from {before} to {version}: {decision.reason}",
    }[decision.action]
    return sentence + (f" (by {decision.who})" if decision.who else "")


def _measured(version: VersionRecord, figure: _Figure) -> str:
    """A version with the metric that identifies it for a reader."""
    found, words = figure(version.metrics), name(version)
    return words if found is None else f"{words.removesuffix(')')}, {found})"
