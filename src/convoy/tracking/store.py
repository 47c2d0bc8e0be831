"""The store of runs and versions: SQLite under mlruns/, or the server that MLFLOW_TRACKING_URI names.

MLflow's settings are made here, before it is used: short time-outs, and no pickle.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from convoy.core.errors import ConvoyError
from convoy.core.printable import MASK, mask, reason
from convoy.tracking.probe import MAKE_AGAIN, OutOfReachError, is_broken, probe, sqlite_file
from convoy.training import event_log

if TYPE_CHECKING:
    from mlflow import MlflowClient

# By default MLflow waits four minutes for an unreachable server, at each call.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # Otherwise MLflow prints the address of each run, with the password in it.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
LIVE_TIMEOUT, PUBLISH_TIMEOUT = 10, 60  # seconds for one request


def uri() -> str:
    """The tracking URI; the SQLite file's path is absolute, found from the repository's root."""
    named = os.environ.get("MLFLOW_TRACKING_URI")
    return named or f"sqlite:///{event_log.repository() / 'mlruns' / 'mlflow.db'}"


def shown() -> str:
    """The tracking URI without secrets, for messages."""
    try:
        urlsplit(uri())
    except ValueError:
        raise ConvoyError("MLFLOW_TRACKING_URI: not a URI, such as http://127.0.0.1:5000") from None
    return mask(uri()).replace(f"{MASK}@", "")


def mark() -> str:
    """A hash of the URI, which is written in its place since the URI may contain a password."""
    _credentials_to_variables()
    return hashlib.sha256(uri().encode()).hexdigest()


def is_server() -> bool:
    """Whether the store is an MLflow server, which then stores the artifacts too."""
    return uri().startswith(("http://", "https://"))


def artifacts(tracking_uri: str | None = None) -> Path:
    """The folder of artifacts of a SQLite store: next to its file, also after the checkout was moved."""
    # MLflow's own server passes the store to its processes by this variable.
    for candidate in (tracking_uri, os.environ.get("_MLFLOW_SERVER_FILE_STORE"), uri()):
        if candidate and (path := sqlite_file(candidate)) is not None:
            return path.resolve().parent / "artifacts"
    return event_log.repository() / "mlruns" / "artifacts"


def artifact_location(experiment: str) -> str | None:
    """The location of the artifacts of a new experiment; None for a server, which chooses it.

    MLflow writes absolute paths into its data base. A URI of our own scheme is resolved when it is used, so
    that a checkout can be moved.
    """
    return None if is_server() else f"convoy:///{experiment}"


def artifact_folder(artifact_uri: str, tracking_uri: str | None = None) -> Path:
    """The folder of a `convoy:` URI."""
    from mlflow.utils.uri import validate_path_is_safe

    path = validate_path_is_safe(unquote(urlsplit(artifact_uri).path).strip("/"))
    return artifacts(tracking_uri) / path


def client(timeout: int = PUBLISH_TIMEOUT) -> "MlflowClient":
    """A client of the store; a SQLite store is made where there is none.

    Raises ConvoyError where it cannot be reached, or was made by another version of MLflow.
    """
    make_settings(timeout)
    probe(uri(), shown(), timeout)
    import mlflow

    with reachable():
        mlflow.set_tracking_uri(uri())
        mlflow.set_registry_uri(uri())
        with turn("store"):
            found = mlflow.MlflowClient(uri(), uri())
            found.search_experiments(max_results=1)
            if (path := sqlite_file(uri())) is not None:
                _readers_do_not_wait(path)
    return found


def make_settings(timeout: int = PUBLISH_TIMEOUT) -> None:
    """Make MLflow's settings for this process and its children."""
    _credentials_to_variables()
    for name, value in {**_SETTINGS, "MLFLOW_HTTP_REQUEST_TIMEOUT": str(timeout)}.items():
        os.environ.setdefault(name, value)


def is_made() -> bool:
    """Whether a SQLite store is there, or the store is another one, which is not made here."""
    path = sqlite_file(uri())
    return path is None or (path.is_file() and path.stat().st_size > 0)


def _credentials_to_variables() -> None:
    """Move user and password of a server's URI to the variables that MLflow reads, since it prints URIs."""
    parts = urlsplit(uri())
    if is_server() and parts.username and parts.password:
        os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(parts.username)
        os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(parts.password)
        os.environ["MLFLOW_TRACKING_URI"] = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def exists() -> bool:
    """Whether a store is named or was made; a server is not contacted."""
    path = sqlite_file(uri())
    return path is None or path.is_file()


def existing(timeout: int = PUBLISH_TIMEOUT) -> "MlflowClient":
    """A client of an existing store; ConvoyError where there is none."""
    path = sqlite_file(uri())
    if path is not None and not path.is_file():
        probe(uri(), shown(), timeout)  # may raise a more precise error
        raise ConvoyError(f"MLflow: no store at {shown()}; `convoy publish` makes it")
    return client(timeout)


@contextlib.contextmanager
def reachable() -> Iterator[None]:
    """Convert MLflow's errors for an unreachable or refusing store to ConvoyErrors."""
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import DatabaseError, SQLAlchemyError

    try:
        yield
    except CommandError as error:  # of the migrations
        raise ConvoyError(_other_version(error)) from error
    except RequestException as error:
        raise OutOfReachError(f"MLflow at {shown()}: {reason(error)}") from error
    except (MlflowException, SQLAlchemyError) as error:
        if "error code 401" in str(error) or getattr(error, "error_code", "") == "UNAUTHENTICATED":
            raise ConvoyError(
                f"MLflow at {shown()}: refused user and password (HTTP status 401); set "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            ) from error
        if "database schema" in str(error):
            raise ConvoyError(_other_version(error)) from error
        what = f"MLflow at {shown()}: {reason(error)}"
        if isinstance(error, DatabaseError) and is_broken(error):
            raise ConvoyError(f"{what}; {MAKE_AGAIN}") from error
        raise OutOfReachError(what) from error
    except OSError as error:
        if error.filename is None:
            raise OutOfReachError(f"MLflow at {shown()}: {reason(error)}") from error
        raise ConvoyError(
            str(error.strerror),
            path=error.filename,
            hint="tracking keeps its files there: correct that, then run `convoy publish`",
        ) from error


def _other_version(error: Exception) -> str:
    return (
        f"MLflow at {shown()}: made by another version of MLflow ({reason(error).partition('. ')[0]}); use "
        f"that version, or `mlflow db upgrade` where it is the older one, or {MAKE_AGAIN}"
    )


@contextlib.contextmanager
def turn(name: str) -> Iterator[None]:
    """Hold the lock `name` among the processes of this machine that write to the store.

    SQLite has one writer at a time, so that all names share one lock; a server has a lock per name.
    """
    folder = event_log.folder()
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f".{name if is_server() else 'store'}.lock", "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _readers_do_not_wait(path: Path) -> None:
    import sqlite3

    with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
