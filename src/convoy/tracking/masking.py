"""Removes secrets from text before it is printed, logged or raised."""

import os
import re

MASK = "***"
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
