"""The versions of a registered model, their aliases and tags."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from convoy.core.errors import ConvoyError
from convoy.tracking import store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHALLENGER, CHAMPION = "challenger", "champion"
CONTENT = "convoy.content"
"""The tag of versions, models and runs that holds the sha256 of the model folder's manifest."""
WEIGHTS = "convoy.weights_sha256"
"""The tag of versions that holds the sha256 of the weights, which embeddings name."""


def all_versions(client: "MlflowClient", registered: str) -> "list[ModelVersion]":
    """Every version with its tags and aliases, newest first; empty where nothing is registered."""
    found = client.search_model_versions(f"name = '{registered}'", max_results=10_000)
    return sorted(found, key=lambda version: -int(version.version))


def of_weights(client: "MlflowClient", registered: Iterable[str], digest: str) -> "list[ModelVersion]":
    """The versions of these registered models that have the weights with a sha256, newest first of each."""
    known = (version for name in registered for version in all_versions(client, name))
    return [version for version in known if version.tags.get(WEIGHTS) == digest]


def with_aliases(client: "MlflowClient", version: "ModelVersion") -> str:
    """The URI of a version, and its aliases, as a reader knows it."""
    found = client.get_registered_model(version.name).aliases.items()
    aliases = "".join(f" @{alias}" for alias, number in found if str(number) == str(version.version))
    return f"models:/{version.name}/{version.version}{aliases}"


def no_such_version(uri: str, known: "Iterable[ModelVersion]") -> ConvoyError:
    """The error for a URI that names none of the known versions."""
    names = ", ".join(f"models:/{version.name}/{version.version}" for version in known)
    there = f"there are {names or 'none, run `convoy publish`'}"
    return ConvoyError(f"no such version at {store.shown()}", path=uri, hint=there)
