"""Rules of the house that linters do not know: sizes, pure packages, who may import which library."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.stage_modules import ROOT

SOURCES = sorted((ROOT / "src").rglob("*.py"))
SCRIPTS = sorted((ROOT / "pipelines").rglob("*.py"))
# Disk access is in `convoy.core.files` and in modules with these names; a `task` names its readers.
DISK = re.compile(r"(\w+_)?io|data|netcdf(_child)?|headers|classic|task")
PURE = [
    path for path in SOURCES if {"streamrec", "climate"} & set(path.parts) and not DISK.fullmatch(path.stem)
]

# What pure functions have no business with: the disk, the process, the clock, the network.
IMPURE_MODULES = {
    *("argparse", "datetime", "fcntl", "glob", "io", "logging", "os", "pickle", "random"),
    *("shutil", "signal", "socket", "subprocess", "sys", "tempfile", "threading", "time", "typer", "urllib"),
    *("uuid", "secrets", "pyarrow.parquet", "pyarrow.dataset", "pyarrow.csv", "pyarrow.json"),
}
IMPURE_CALLS = {
    *("open", "print", "input", "exec", "eval", "read_text", "read_bytes", "write_text", "write_bytes"),
    *("exists", "is_file", "is_dir", "iterdir", "rglob", "stat", "cwd", "resolve", "hardlink_to", "rename"),
    *("mkdir", "unlink", "touch", "rmdir", "savez", "savetxt", "loadtxt", "tofile", "fromfile", "memmap"),
    *("to_csv", "to_parquet", "to_json", "to_netcdf", "to_zarr", "read_csv", "read_parquet", "read_table"),
    *("write_table", "open_dataset", "savefig", "manual_seed", "set_num_threads", "memory_map", "from_file"),
}
# Of modules that read and write, types, constants and formats are welcome; what touches the disk is not.
TOUCHES_DISK = re.compile(
    r"convoy\.(core\.(files|artifact)|training\.checkpoints)\.[a-z]"
    r"|convoy\.core\.(files|artifact)$"
    r"|convoy\.(\w+\.)+((\w+_)?io|data|cf)\.(read|write|iter|open|load|save|remove)(_|$)"
    r"|convoy\.(\w+\.)+(\w+_)?io$"
)


def trees(paths: list[Path]) -> Iterator[tuple[str, ast.Module]]:
    for path in paths:
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def test_every_larger_package_has_layers_of_its_own():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layered = {name for one in contracts if one["type"] == "layers" for name in one["containers"]}
    modules = {path.parent if path.name != "__init__.py" else path.parent.parent for path in SOURCES}
    sizes = {folder: len({*folder.glob("*.py"), *folder.glob("*/__init__.py")}) - 1 for folder in modules}
    larger = {".".join(folder.relative_to(ROOT / "src").parts) for folder, size in sizes.items() if size > 5}
    assert larger > {"convoy.core", "convoy.tracking"}
    assert not larger - layered, "more than five modules, and no layers contract in pyproject.toml"


def test_files_and_functions_stay_short():
    long = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in [*SOURCES, *SCRIPTS]
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 350
    ]
    for name, tree in trees([*SOURCES, *SCRIPTS]):
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        long += [
            f"{name}:{node.lineno}: {node.name} has more than 60 lines"
            for node in functions
            if (node.end_lineno or 0) - node.lineno >= 60
        ]
    assert not long, "\n".join(long)


def test_stage_scripts_have_one_shape():
    problems = []
    for name, tree in trees(SCRIPTS):
        *body, last = tree.body
        functions = [node.name for node in body if isinstance(node, ast.FunctionDef)]
        if functions != ["main"] or any(isinstance(node, ast.ClassDef) for node in body):
            problems.append(f"{name}: expected one function, `main`, found {functions}")
        if ast.unparse(last) != "if __name__ == '__main__':\n    run(main)":
            problems.append(f'{name}: expected to end with `if __name__ == "__main__": run(main)`')
        if tree.body and (last.end_lineno or 0) > 60:
            problems.append(f"{name}: {last.end_lineno} lines; about 40 hold no logic")
    assert not problems, "\n".join(problems)


def test_packages_hold_only_a_docstring_in_init():
    for name, tree in trees([path for path in SOURCES if path.name == "__init__.py"]):
        if name != "src/convoy/embeddings/__init__.py":  # whose `read` is a name that others rely on
            assert len(tree.body) == 1, name
        assert ast.get_docstring(tree), name


def impurities(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of everything that a pure module must not import or call."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, n.name) for n in names if is_impure(n.name))
            case ast.ImportFrom(module=str(module), names=names):
                full = [f"{module}.{n.name}" for n in names]
                yield from ((node.lineno, name) for name in full if is_impure(name))
                yield from ((node.lineno, name) for name in full if TOUCHES_DISK.match(name))
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in IMPURE_CALLS:
                yield node.lineno, f"{name}()"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr="save" | "load" as name)):
                yield node.lineno, f"np.{name}()"
            case ast.Global():
                yield node.lineno, "global"


def is_impure(module: str) -> bool:
    return any(f"{module}.".startswith(f"{impure}.") for impure in IMPURE_MODULES)


def test_streamrec_and_climate_touch_no_disk_no_clock_and_no_global_state():
    found = [f"{name}:{line}: {what}" for name, tree in trees(PURE) for line, what in impurities(tree)]
    assert PURE
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "Path('x').exists()",
        "import pyarrow.parquet as pq",
        "from pyarrow import parquet",
        "from os.path import join",
        "with open('x') as f: pass",
        "p.write_text('')",
        "np.load('x')",
        "torch.manual_seed(0)",
        "def f():\n    global x",
        "from convoy.streamrec.classification.corpus.data import read",
        "from convoy.core import files",
        "from convoy.core.files import sha256",
        "from convoy.streamrec.catalogue.source_io import iter_source",
    ],
)
def test_the_purity_scan_sees(source):
    assert list(impurities(ast.parse(source)))


def test_no_module_hides_an_import():
    # A module imported by name would be missing from the stages' deps.
    for name, tree in trees([*SOURCES, *SCRIPTS]):
        for node in ast.walk(tree):
            if isinstance(node, ast.Name | ast.Attribute):
                assert ast.unparse(node) not in {"__import__", "importlib.import_module"}, (
                    f"{name}:{node.lineno}"
                )
