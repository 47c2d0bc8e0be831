"""A quick check whether a store can be used: MLflow itself retries for minutes."""

import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import quote, urlsplit

from convoy.core.errors import ConvoyError
from convoy.core.printable import reason
from convoy.training.event_log import repository

MAKE_AGAIN = "move it away, and `convoy publish` makes it again from DVC's outputs"
_SERVERS, _DATA_BASES = ("http", "https"), ("postgresql", "mysql", "mssql")
_LATER = "DVC's outputs are whole, run `convoy publish` when it answers"
_BROKEN = ("file is not a database", "malformed", "unsupported file format")


class OutOfReachError(ConvoyError):
    """A store does not answer. The hint is for those who publish."""

    def __init__(self, message: str) -> None:
        super().__init__(message, hint=_LATER)


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite store; None for any other."""
    return Path(uri.removeprefix("sqlite:///").partition("?")[0]) if uri.startswith("sqlite:///") else None


def probe(uri: str, shown: str, timeout: int) -> None:
    """Raise ConvoyError where `uri` cannot be used as a store; a SQLite file need not exist yet.

    `shown` is the URI without secrets; `timeout` is in seconds. HTTP servers are not contacted.
    """
    scheme = urlsplit(uri).scheme.partition("+")[0]
    path = sqlite_file(uri)
    if path is not None:
        _probe_file(path, timeout)
    elif scheme in _DATA_BASES:
        _probe_data_base(uri, shown, timeout)
    elif scheme not in _SERVERS:
        kept = "; MLflow no longer supports folders of files" if scheme in ("", "file") else ""
        raise ConvoyError(
            "MLFLOW_TRACKING_URI: expected sqlite:///FILE, postgresql://..., http://... or https://..., "
            f"found '{shown}'{kept}; unset it for the store of this repository"
        )


def is_broken(error: BaseException) -> bool:
    """Whether SQLite reports that a file is damaged or not a data base."""
    return any(words in str(error) for words in _BROKEN)


def _probe_file(path: Path, timeout: int) -> None:
    folder = path.absolute().parent
    if folder.exists() and not folder.is_dir():
        raise ConvoyError(
            "a file, where the folder of MLflow's store should be", path=folder, hint="move it away"
        )
    if not folder.exists() and folder != repository() / "mlruns":
        raise ConvoyError(
            f"no such folder for MLflow's store {path.name}", path=folder, hint="make it, or name another"
        )
    if not path.exists():
        return
    try:
        place = f"file:{quote(str(path.absolute()))}?mode=rw"
        with contextlib.closing(sqlite3.connect(place, timeout=timeout, uri=True)) as connection:
            connection.execute("BEGIN IMMEDIATE")  # as a writer does
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.rollback()
    except sqlite3.DatabaseError as error:
        if is_broken(error):
            raise ConvoyError(f"MLflow's store {path}: broken ({reason(error)}); {MAKE_AGAIN}") from None
        todo = "try again when it ends" if "locked" in str(error) else "see to it that it can be written"
        raise ConvoyError(
            f"MLflow's store {path}: {reason(error)}; {todo}, or name another store in MLFLOW_TRACKING_URI"
        ) from None


def _probe_data_base(uri: str, shown: str, timeout: int) -> None:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    mssql = urlsplit(uri).scheme.startswith("mssql")
    try:
        limits = {} if mssql else {"connect_timeout": timeout}
        with create_engine(uri, poolclass=NullPool, connect_args=limits).connect():
            pass
    except ImportError as error:
        raise ConvoyError(f"MLflow at {shown}: {reason(error)}; install it in .venv") from None
    except (SQLAlchemyError, ValueError) as error:
        words = reason(error).partition(" (Background on this error")[0]
        raise OutOfReachError(f"MLflow at {shown}: {words}") from None
