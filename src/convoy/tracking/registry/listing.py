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


def all_versions(client: "MlflowClient", registered: str) -> "list[ModelVersion]":
    """Every version with its tags and aliases, newest first; empty where nothing is registered."""
    found = client.search_model_versions(f"name = '{registered}'", max_results=10_000)
    return sorted(found, key=lambda version: -int(version.version))


def no_such_version(uri: str, known: "Iterable[ModelVersion]") -> ConvoyError:
    """The error for a URI that names none of the known versions."""
    names = ", ".join(f"models:/{version.name}/{version.version}" for version in known)
    there = f"there are {names or 'none, run `convoy publish`'}"
    return ConvoyError(f"no such version at {store.shown()}", path=uri, hint=there)
