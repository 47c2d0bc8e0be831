"""No import circle exists among our modules, imports for type checkers included."""

import grimp
import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components


def circles(imports: dict[str, set[str]]) -> list[list[str]]:
    """The groups of modules that import each other, directly or through others, given module -> imported."""
    names = sorted(imports)
    place = {name: number for number, name in enumerate(names)}
    pairs = [(place[name], place[other]) for name in names for other in imports[name]]
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T
    graph = csr_array((np.ones(len(pairs)), (first, second)), shape=(len(names), len(names)))
    labels = connected_components(graph, directed=True, connection="strong")[1]
    groups = [[name for name in names if labels[place[name]] == label] for label in np.unique(labels)]
    return [group for group in groups if len(group) > 1]


def test_no_modules_import_each_other_in_a_circle():
    graph = grimp.build_graph("convoy", exclude_type_checking_imports=False, cache_dir=None)
    assert len(graph.modules) > 100
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    found = circles(imports)
    assert not found, "\n".join(", ".join(group) for group in found)


@pytest.mark.parametrize(
    ("imports", "expected"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"a"}, "c": {"a"}}, [["a", "b"]]),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"e"}, "e": {"d"}}, [["a", "b", "c"], ["d", "e"]]),
    ],
)
def test_circles_are_found(imports, expected):
    assert circles(imports) == expected


def test_an_import_for_type_checkers_counts(tmp_path, monkeypatch):
    package = tmp_path / "tinycircle"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("from tinycircle import b\n")
    (package / "b.py").write_text("import typing\nif typing.TYPE_CHECKING:\n    from tinycircle import a\n")
    monkeypatch.syspath_prepend(tmp_path)
    graph = grimp.build_graph("tinycircle", exclude_type_checking_imports=False, cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    assert circles(imports) == [["tinycircle.a", "tinycircle.b"]]
