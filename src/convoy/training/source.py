"""The source files that a module imports, to decide whether a stored state was computed by the same code."""

import ast
from collections.abc import Iterator
from importlib.util import find_spec, resolve_name
from pathlib import Path

import convoy

SOURCE = Path(convoy.__path__[0]).parent


def imported_files(module: str, root: Path = SOURCE) -> list[Path]:
    """Files of `module` and of the modules of this package that it imports, directly or indirectly; sorted.

    Imports inside functions count, those for type checkers do not. `root` contains the package's folder.
    Raises ModuleNotFoundError where `module` is not in the package.
    """
    first = _file(module, root)
    if first is None:
        raise ModuleNotFoundError(f"no module {module}", name=module)
    found, pending = {first}, [(module, first)]
    while pending:
        name, file = pending.pop()
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        for imported in _imports(ast.parse(file.read_bytes()), package):
            path = _file(imported, root)
            if path is not None and path not in found:
                found.add(path)
                pending.append((imported, path))
    return sorted(found)


def torch_build() -> bytes:
    """Content of the file that states torch's version, commit and CUDA version; torch is not imported."""
    spec = find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("version.py").read_bytes()


def _file(module: str, root: Path) -> Path | None:
    if module.partition(".")[0] != convoy.__name__:
        return None
    path = root.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Full names that the code imports; the last part may be a module or a name within one."""
    for node in _running(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes below `tree` but those that only type checkers read."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from _running(ast.Module(node.orelse, []))
        else:
            yield node
            yield from _running(node)
