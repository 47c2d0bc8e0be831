"""The files of ours that each DVC stage runs, from the import graph, and the code that its `deps` name.

A stage's script is read from its `cmd` (`pipelines/run streamrec/train.py --model textcnn`). What counts
is the script, every module of ours that it imports directly or through others, package `__init__.py` files
that hold more than a docstring, and data files (templates) that lie beside such a module. A registry imports
the code of its models when they are fitted or applied: such an import counts for the stages that do so.
"""

import ast
import shlex
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import grimp
import yaml

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "convoy"


# Imports inside functions of the registries and of what checks stored models -> stages that call these.
NETWORKS = {
    *("streamrec-train", "streamrec-evaluate", "streamrec-sweep", "streamrec-retrain"),
    *("climate-train", "climate-evaluate"),
    *("climate-series-train", "climate-series-evaluate", "climate-series-embed"),
    *("climate-events-train", "climate-events-evaluate"),
}
_TEXTS, _FIELDS = "convoy.streamrec.classification", "convoy.climate.downscaling"
_SERIES, _EVENTS = "convoy.climate.series", "convoy.climate.events"
ON_DEMAND = {
    (f"{_TEXTS}.models.specs", f"{_TEXTS}.networks.fit"): NETWORKS,
    (f"{_TEXTS}.models.specs", "convoy.training.seeds"): NETWORKS,
    (f"{_TEXTS}.models.specs", f"{_TEXTS}.baselines"): {"streamrec-baselines", "streamrec-sweep"},
    (f"{_TEXTS}.models.specs", "convoy.nn.kernels.lookup"): {"streamrec-embed", "streamrec-retrain"},
    (f"{_FIELDS}.models.specs", f"{_FIELDS}.networks.fit"): NETWORKS,
    (f"{_FIELDS}.models.specs", "convoy.training.seeds"): NETWORKS,
    (f"{_FIELDS}.models.stored", "convoy.nn.downscaling"): NETWORKS,
    (f"{_SERIES}.models.specs", f"{_SERIES}.networks.fit"): NETWORKS,
    (f"{_SERIES}.models.specs", "convoy.training.seeds"): NETWORKS,
    (f"{_EVENTS}.models.specs", f"{_EVENTS}.networks.fit"): NETWORKS,
    (f"{_EVENTS}.models.specs", "convoy.training.seeds"): NETWORKS,
    (f"{_EVENTS}.models.specs", f"{_EVENTS}.baselines"): {"climate-events-baselines"},
    (f"{_EVENTS}.models.stored", f"{_EVENTS}.networks.fit"): NETWORKS,
    (f"{_EVENTS}.models.stored", "convoy.nn.images"): NETWORKS,
    (f"{_EVENTS}.models.stored", f"{_EVENTS}.baselines"): set(),
    (f"{_EVENTS}.evaluation.evaluate", f"{_EVENTS}.evaluation.explanations"): NETWORKS,
    (f"{_EVENTS}.evaluation.evaluate", f"{_EVENTS}.networks.fit"): NETWORKS,
}


def import_graph() -> grimp.ImportGraph:
    """The imports among our modules at run time: those for type checkers alone do not count."""
    return grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)


@cache
def graph_of(stage: str) -> grimp.ImportGraph:
    """The imports that happen in a stage."""
    graph = import_graph()
    for (importer, imported), where in ON_DEMAND.items():
        if stage not in {*where, "publish"} and {importer, imported} <= graph.modules:
            graph.remove_import(importer=importer, imported=imported)
    return graph


def stages(dvc_yaml: str) -> dict[str, dict[str, Any]]:
    """Stage name -> its definition; the variants of a matrix share one."""
    definitions = yaml.safe_load(dvc_yaml)["stages"]
    return {name: stage.get("do", stage) for name, stage in definitions.items()}


def script_of(stage: dict[str, Any]) -> str:
    """The script (relative to the root) that a stage's command runs."""
    runner, script, *_ = shlex.split(stage["cmd"])
    assert runner == "pipelines/run", f"expected `pipelines/run SCRIPT ...`, found `{stage['cmd']}`"
    return f"pipelines/{script}"


def required(name: str, stage: dict[str, Any], root: Path = ROOT) -> set[str]:
    """Files of ours that a stage runs, as paths relative to the root."""
    script = script_of(stage)
    graph = graph_of(name)
    direct = set(imported_modules((root / script).read_text(encoding="utf-8"), graph.modules))
    reached = direct.union(*(graph.find_upstream_modules(module) for module in direct))
    return {script} | files_of(reached, root)


def declared(stage: dict[str, Any]) -> set[str]:
    """Those of a stage's `deps`, files and folders, that are code of ours."""
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


def differences(dvc_yaml: str) -> list[str]:
    """One line for each file that a stage's `deps` do not cover, or each of its deps that covers none."""
    lines = []
    for name, stage in stages(dvc_yaml).items():
        if not (ROOT / script_of(stage)).is_file():
            lines.append(f"{name}: no script {script_of(stage)}")
            continue
        listed, needed = declared(stage), required(name, stage)
        lines += [f"{name}: deps lack {file}" for file in sorted(needed) if not covers(listed, file)]
        idle = [path for path in sorted(listed) if not any(covers({path}, file) for file in needed)]
        lines += [f"{name}: deps list {path}, of which it imports nothing" for path in idle]
    return lines


def covers(paths: Iterable[str], file: str) -> bool:
    """Whether one of the paths is the file, or a folder that holds it."""
    return any(file == path or file.startswith(f"{path}/") for path in paths)


def reruns(dvc_yaml: str, file: str) -> set[str]:
    """The stages that a change of `file` makes stale: those that depend on it, and all after them."""
    definitions = stages(dvc_yaml)
    deps = {name: [_path_of(path) for path in stage.get("deps", [])] for name, stage in definitions.items()}
    stale = {name for name, paths in deps.items() if covers(paths, file)}
    while True:
        made = {path for name in stale for path in outputs(definitions[name])}
        after = {
            name
            for name, paths in deps.items()
            if any(covers([dep], path) or covers([path], dep) for dep in paths for path in made)
        }
        if after <= stale:
            return stale
        stale |= after


def outputs(stage: dict[str, Any]) -> list[str]:
    """Paths of a stage's outputs, metrics among them; of a matrix with its placeholders."""
    return [_path_of(out) for key in ("outs", "metrics") for out in stage.get(key, [])]


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
    return path.startswith(("src/", "pipelines/"))
