"""The current state of a registered model in the store: versions, aliases and earlier champions."""

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convoy.core.errors import ConvoyError
from convoy.tracking import store
from convoy.tracking.registry.ledger import VersionRecord
from convoy.tracking.registry.listing import CHAMPION, CONTENT, all_versions

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

FOLLOWED = "convoy.champions"
"""The registered model's tag with the decisions that have been applied to the store."""
_CONTENTS, _IDS = 40, 100  # at most, in the tag: some stores accept only 5000 characters
_TEST = "test_"  # begins the tags of a version that are its metrics on the test split


@dataclass(frozen=True)
class Followed:
    """The decisions that have been applied to the store: the champions in order, and the decisions' ids."""

    contents: list[str]
    applied: list[str]

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> "Followed":
        """The content of the tag; empty where it is missing or invalid."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            values = json.loads(tags[FOLLOWED])
            return cls(
                [str(value) for value in values["contents"]], [str(value) for value in values["applied"]]
            )
        return cls([], [])

    @property
    def text(self) -> str:
        """The tag's value."""
        return json.dumps({"contents": self.contents[-_CONTENTS:], "applied": self.applied[-_IDS:]})


@dataclass(frozen=True)
class RegisteredModel:
    """A registered model: versions newest first, aliases, tags."""

    name: str
    versions: "Sequence[ModelVersion]"
    aliases: Mapping[str, int]
    tags: Mapping[str, str]

    def alias(self, name: str) -> "ModelVersion | None":
        """The version with this alias."""
        wanted = self.aliases.get(name)
        return next((version for version in self.versions if number(version) == wanted), None)

    @property
    def champion(self) -> "ModelVersion | None":
        """The version in use."""
        return self.alias(CHAMPION)

    @property
    def by_content(self) -> "dict[str, ModelVersion]":
        """The newest version of each content."""
        return {content(version): version for version in reversed(self.versions)}

    @property
    def champions(self) -> list[str]:
        """The contents of all champions in order, the last applied one at the end."""
        return Followed.of(self.tags).contents

    def listed(self, but: "ModelVersion | None" = None) -> str:
        """The versions, newest first, for a message."""
        return ", ".join(name(record(one)) for one in self.versions if number(one) != number(but)) or "none"


def look_up(client: "MlflowClient", registered: str) -> RegisteredModel | None:
    """The registered model, or None where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        model = client.get_registered_model(registered)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    aliases = {alias: int(version) for alias, version in model.aliases.items()}
    versions = [version for version in all_versions(client, registered) if CONTENT in version.tags]
    return RegisteredModel(registered, versions, aliases, model.tags)


def with_versions(client: "MlflowClient", registered: str) -> RegisteredModel:
    """The registered model; ConvoyError where there is no version of it."""
    model = look_up(client, registered)
    if model is None or not model.versions:
        raise ConvoyError(f"{registered}: no version of it at {store.shown()}; run `convoy publish`")
    return model


def content(version: "ModelVersion") -> str:
    """The sha256 that identifies a version."""
    return str(version.tags[CONTENT])


def number(version: "ModelVersion | None") -> int | None:
    """Its number in this store."""
    return None if version is None else int(version.version)


def record(version: "ModelVersion") -> VersionRecord:
    """A version as stored in a decision, with the metrics of its tags."""
    metrics = {}
    for key, value in sorted(version.tags.items()):
        if key.startswith(_TEST):
            with contextlib.suppress(ValueError):
                if math.isfinite(figure := float(value)):
                    metrics[key.removeprefix(_TEST)] = figure
    kind = version.tags.get("convoy.model", "model")
    tested = version.tags.get("convoy.test_split", "")
    return VersionRecord(kind, int(version.version), content(version), metrics, tested)


def name(version: VersionRecord) -> str:
    """A version in words: `version 2 (textcnn)`, or by content where it has no number."""
    return f"version {version.number or version.content[:8]} ({version.kind})"
