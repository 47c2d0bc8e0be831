"""requirements.lock: exact versions with hashes that satisfy pyproject.toml, and no host named."""

import ast
import itertools
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.contracts.stage_modules import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
ENTRY = r"^(\S+?)==(\S+?)(?: ; (.*?))? \\\n((?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)"
ENTRIES = re.findall(ENTRY, LOCK, re.MULTILINE)
ASKED = [*PROJECT["dependencies"], *itertools.chain(*PROJECT["optional-dependencies"].values())]


def pinned(name: str, python: str) -> list[str]:
    """Versions that the lock installs of a package on Linux under one version of Python."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
    }
    return [
        version
        for package, version, marker, _ in ENTRIES
        if canonicalize_name(package) == canonicalize_name(name)
        and (not marker or Marker(marker).evaluate(environment))
    ]


@pytest.mark.parametrize("python", ["3.11", "3.12"])
def test_every_dependency_is_pinned_within_its_bounds(python):
    problems = []
    for requirement in map(Requirement, ASKED):
        applies = requirement.marker is None or requirement.marker.evaluate({"python_version": python})
        versions = pinned(requirement.name, python)
        if len(versions) != applies or not all(requirement.specifier.contains(v) for v in versions):
            problems.append(f"{requirement}: the lock has {versions or 'nothing'} for Python {python}")
    assert not problems, "\n".join(["run `make lock`:", *problems])


def test_every_line_is_an_exact_version_a_hash_or_a_comment():
    entries = "".join(f"{n}=={v}{' ; ' + m if m else ''} \\\n{hashes}" for n, v, m, hashes in ENTRIES)
    rest = [line for line in LOCK.splitlines() if not line.startswith("    #")]
    assert rest == entries.splitlines()


def test_the_lock_names_no_host():
    assert not re.search(r"https?://|file:|index-url|find-links", LOCK)


def test_every_package_that_is_imported_is_declared():
    declared = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    makers = packages_distributions()
    undeclared = {}
    for path in [*ROOT.glob("src/convoy/**/*.py"), *ROOT.glob("pipelines/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [str(node.module)]
            for name in {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"convoy"}:
                if not declared & {canonicalize_name(maker) for maker in makers.get(name, [name])}:
                    undeclared[name] = path.relative_to(ROOT).as_posix()
    assert undeclared == {}
