"""Untrusted text as one line that is safe to print: secrets masked, control characters escaped, cut.

Ids, column names, units, file names and errors of libraries may hold terminal escapes, newlines or passwords.
"""

import os
import re

MASK = "***"
LONGEST = 4000  # characters of a line
_ELLIPSIS = "…"
_USERINFO = re.compile(r"(?<=://)[^/?#\s'\"]*@")
_SECRET = re.compile(
    r"\b([\w.-]*(?:token|passw(?:or)?d|pwd|secret|api[_-]?key|access[_-]?key|signature|credential)[\w.-]*=)[^&\s'\";]+",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(r"\b((?:Basic|Bearer)\s+)[A-Za-z0-9+/=._~-]{8,}")
# What MLflow and the drivers of data bases read their secrets from.
_VARIABLES = (
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "PGPASSWORD",
    "MYSQL_PWD",
    "AWS_SECRET_ACCESS_KEY",
)
_SHORTEST = 4  # characters of a secret that is searched for as it is


def mask(text: str) -> str:
    """The text without users and passwords of URIs, values of secret parameters, and secrets of variables."""
    text = _USERINFO.sub(f"{MASK}@", text)
    text = _SECRET.sub(rf"\1{MASK}", text)
    text = _AUTHORIZATION.sub(rf"\1{MASK}", text)
    for name in _VARIABLES:
        value = os.environ.get(name, "")
        if len(value) >= _SHORTEST:
            text = text.replace(value, MASK)
    return text


def escape(text: str) -> str:
    r"""The text with `\x1b`, `\n` and the like in place of characters that do not print."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def cut(text: str, most: int) -> str:
    """The text, or its beginning and an ellipsis, `most` characters together."""
    return text if len(text) <= most else text[: most - 1] + _ELLIPSIS


def one_line(text: object) -> str:
    """The text as one line that is safe to print; beyond 4,000 characters its middle is left out."""
    whole = escape(mask(str(text)))
    if len(whole) <= LONGEST:
        return whole
    half = (LONGEST - len(_ELLIPSIS)) // 2
    return whole[:half] + _ELLIPSIS + whole[-half:]


def reason(error: BaseException | str, most: int = 300) -> str:
    """An error of a library as part of a message: one line, cut, secrets masked."""
    return cut(mask(" ".join(str(error).split())), most)
