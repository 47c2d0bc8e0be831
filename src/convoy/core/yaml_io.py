"""Reads untrusted YAML: plain values only; size, depth and aliases are bounded before anything is built."""

import re
from pathlib import Path
from typing import Any

import yaml

from convoy.core.errors import ConvoyError
from convoy.core.printable import reason

MOST_BYTES = 1_000_000
DEEPEST = 50
# Values after aliases are expanded: nine aliases of nine aliases of … make a file of 1 kB fill the memory.
MOST_VALUES = 100_000


# The parser of libyaml, ten times as fast, where PyYAML was built with it.
_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Loader(_Safe):
    """PyYAML's SafeLoader with YAML 1.2 scalars, as DVC reads them: 4e-3 is a number, `on` is a string."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_yaml(path: Path) -> Any:
    """Return the plain values of the YAML file at `path`.

    Raises ConvoyError for a file that is missing, not YAML, larger than 1 MB, nested deeper than 50 levels or
    of more than 100,000 values with its aliases expanded.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ConvoyError(f"larger than {MOST_BYTES:,} bytes", path=path, expected="a short YAML file")
        text = data.decode("utf-8")
        _check_depth(text, path)
        loader = Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _check_values(node, path)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except FileNotFoundError:
        raise ConvoyError("no such file", path=path, hint="run from the root of the checkout") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConvoyError(f"not valid YAML: {reason(error)}", path=path) from None


def _check_depth(text: str, path: Path) -> None:
    """Raise ConvoyError where values are nested too deeply for PyYAML, which recurses at each level."""
    depth = 0
    for event in yaml.parse(text, Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ConvoyError(f"nested more than {DEEPEST} levels deep", path=path, expected="plain sections")


def _check_values(root: yaml.Node, path: Path) -> None:
    """Raise ConvoyError where expanded aliases make too many values, or a value that contains itself."""
    counts: dict[int, int] = {}
    entered: set[int] = set()

    def count(node: yaml.Node) -> int:
        if isinstance(node, yaml.ScalarNode):
            return 1
        if id(node) in counts:
            return counts[id(node)]
        if id(node) in entered:
            raise ConvoyError("an alias refers to a value that contains it", path=path)
        entered.add(id(node))
        values = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,))]
        counts[id(node)] = 1 + sum(map(count, values))
        return counts[id(node)]

    if count(root) > MOST_VALUES:
        raise ConvoyError(f"more than {MOST_VALUES:,} values when its aliases are expanded", path=path)
