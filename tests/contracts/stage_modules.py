"""The files of ours that each DVC stage runs, from the import graph: `make deps` writes them into dvc.yaml.

A stage's script is read from its `cmd` (`pipelines/run streamrec/train.py --model textcnn`). What counts
is the script, every module of ours that it imports directly or through others, package `__init__.py` files
that hold more than a docstring, and data files (templates) that lie beside such a module.
"""

import ast
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import grimp
import yaml

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "convoy"


@cache
def import_graph() -> grimp.ImportGraph:
    """The imports among our modules at run time: those for type checkers alone do not count."""
    return grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)


def stages(dvc_yaml: str) -> dict[str, dict[str, Any]]:
    """Stage name -> its definition; the variants of a matrix share one."""
    definitions = yaml.safe_load(dvc_yaml)["stages"]
    return {name: stage.get("do", stage) for name, stage in definitions.items()}


def script_of(stage: dict[str, Any]) -> str:
    """The script (relative to the root) that a stage's command runs."""
    runner, script, *_ = shlex.split(stage["cmd"])
    assert runner == "pipelines/run", f"expected `pipelines/run SCRIPT ...`, found `{stage['cmd']}`"
    return f"pipelines/{script}"


def required(stage: dict[str, Any], root: Path = ROOT) -> set[str]:
    """Files of ours that a stage runs, as paths relative to the root."""
    script = script_of(stage)
    graph = import_graph()
    direct = set(imported_modules((root / script).read_text(encoding="utf-8"), graph.modules))
    reached = direct.union(*(graph.find_upstream_modules(module) for module in direct))
    return {script} | files_of(reached, root)


def declared(stage: dict[str, Any]) -> set[str]:
    """Those of a stage's `deps` that are code of ours."""
    return {dependency for dependency in map(_path_of, stage.get("deps", [])) if _is_ours(dependency)}


def imported_modules(source: str, modules: Iterable[str]) -> Iterator[str]:
    """Modules out of `modules` that Python `source` imports anywhere, but for type checkers only."""
    known = set(modules)
    for node in _running_nodes(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # `from convoy.core import files` names a module, `... import Corpus` a part of one.
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in known else str(node.module) for name in full]
        else:
            continue
        yield from (name for name in names if name in known)


def files_of(modules: Iterable[str], root: Path = ROOT) -> set[str]:
    """Source files of `modules`, their packages' `__init__.py` where it does anything, data files beside."""
    files: set[Path] = set()
    for module in modules:
        path = root / "src" / Path(*module.split("."))
        inits = [parent / "__init__.py" for parent in (path, *path.parents) if _in_package(parent, root)]
        files.update(init for init in inits if init.is_file() and not _only_docstring(init))
        source = path.with_suffix(".py")
        if source.is_file():
            files.add(source)
            files.update(beside for beside in source.parent.iterdir() if _is_data(beside))
    return {file.relative_to(root).as_posix() for file in files}


def rewritten(dvc_yaml: str, requirements: dict[str, set[str]]) -> str:
    """The text of dvc.yaml with the code of each stage's `deps` replaced; every other line stays as it is."""
    lines: list[str] = []
    stage = None
    inside = False
    for line in dvc_yaml.splitlines():
        if inside and not line.startswith("      - "):
            inside = False
            script = script_of(stages(dvc_yaml)[str(stage)])
            modules = sorted(requirements[str(stage)] - {script})
            lines += [f"      - {file}" for file in (script, *modules)]
        if header := re.fullmatch(r"  ([\w-]+):", line):
            stage = header[1]
        if line == "    deps:":
            inside = True
        elif inside and _is_ours(line.removeprefix("      - ")):
            continue
        lines.append(line)
    text = "\n".join(lines) + "\n"
    for name, definition in stages(text).items():
        assert declared(definition) == requirements[name], f"{name}: write its `deps:` as a plain block list"
    return text


def differences(dvc_yaml: str) -> list[str]:
    """One line for each file that a stage's `deps` lack, or list without need."""
    lines = []
    for name, stage in stages(dvc_yaml).items():
        if not (ROOT / script_of(stage)).is_file():
            lines.append(f"{name}: no script {script_of(stage)}")
            continue
        listed, needed = declared(stage), required(stage)
        lines += [f"{name}: deps lack {file}" for file in sorted(needed - listed)]
        lines += [f"{name}: deps list {file}, which it does not import" for file in sorted(listed - needed)]
    return lines


def main(arguments: list[str]) -> int:
    """Rewrite dvc.yaml, or with `--check` only say what differs (exit code 1)."""
    path = ROOT / "dvc.yaml"
    text = path.read_text(encoding="utf-8")
    found = differences(text)
    print("\n".join(found) or "dvc.yaml: the deps of every stage are its imports")
    if "--check" in arguments or any(": no script " in line for line in found):
        return int(bool(found))
    path.write_text(rewritten(text, {name: required(stage) for name, stage in stages(text).items()}))
    return 0


def _running_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from (inner for other in node.orelse for inner in (other, *_running_nodes(other)))
            continue
        yield node
        yield from _running_nodes(node)


def _in_package(folder: Path, root: Path) -> bool:
    return (root / "src" / PACKAGE) in (folder, *folder.parents)


def _only_docstring(source: Path) -> bool:
    body = ast.parse(source.read_text(encoding="utf-8")).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


def _is_data(path: Path) -> bool:
    return path.is_file() and path.suffix not in {".py", ".pyc"} and path.name != "py.typed"


def _path_of(dependency: str | dict[str, Any]) -> str:
    return dependency if isinstance(dependency, str) else next(iter(dependency))


def _is_ours(dependency: str) -> bool:
    path = dependency.split(" #")[0].strip()
    return path.startswith("src/") or (path.startswith("pipelines/") and path.endswith(".py"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
