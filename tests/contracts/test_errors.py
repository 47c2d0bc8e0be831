"""Errors carry their parts as fields, so that no code has to take the text of one apart."""

import ast
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT

SOURCES = sorted((ROOT / "src").rglob("*.py"))
TEXT = {
    "replace",
    "sub",
    "split",
    "partition",
    "rpartition",
    "removeprefix",
    "removesuffix",
    "match",
    "search",
}
PATHS = {"path", "folder", "file", "uri"}


def taken_apart(tree: ast.Module) -> Iterator[int]:
    """Lines at which the text of a caught ConvoyError is searched or changed."""
    for handler in ast.walk(tree):
        if not isinstance(handler, ast.ExceptHandler) or handler.name is None or handler.type is None:
            continue
        if "ConvoyError" not in ast.unparse(handler.type):
            continue
        for call in ast.walk(handler):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in TEXT:
                used = [ast.unparse(part) for part in (call.func.value, *call.args)]
                if any(f"str({handler.name})" in part for part in used):
                    yield call.lineno


def paths_in_messages(tree: ast.Module) -> Iterator[int]:
    """Lines at which a ConvoyError has its path in the message, where no code finds it."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "ConvoyError" and call.args:
            message = call.args[0]
            first, *others = message.values if isinstance(message, ast.JoinedStr) else (message,)
            begins = isinstance(first, ast.FormattedValue) and ast.unparse(first.value) in PATHS
            if begins and others and str(getattr(others[0], "value", "")).startswith(": "):
                yield call.lineno


@pytest.mark.parametrize("search", [taken_apart, paths_in_messages])
def test_no_module_builds_or_reads_errors_as_text(search):
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in SOURCES
        for line in search(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not found, "\n".join(found)


def test_the_searches_see():
    rewritten = (
        "try: f()\nexcept ConvoyError as e:\n  x = re.sub('a', 'b', str(e))\n  y = str(e).replace('a', '')"
    )
    assert list(taken_apart(ast.parse(rewritten))) == [3, 4]
    assert list(paths_in_messages(ast.parse('ConvoyError(f"{path}: broken")'))) == [1]
    assert not list(paths_in_messages(ast.parse('ConvoyError(f"{path} is named twice", path=path)')))
