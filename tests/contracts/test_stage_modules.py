"""Each stage's `deps` list exactly the modules of ours that it imports, directly or through others."""

import subprocess
import sys

import grimp
import pytest

from tests.contracts import stage_modules
from tests.contracts.stage_modules import ROOT


def test_deps_of_every_stage_are_its_imports():
    found = stage_modules.differences((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    assert not found, "\n".join(["run `make deps`:", *found])


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import convoy.core.files", {"convoy.core.files"}),
        ("from convoy.core import files", {"convoy.core.files"}),
        ("from convoy.core.files import sha256", {"convoy.core.files"}),
        ("def f():\n    from convoy.core import params as p", {"convoy.core.params"}),
        ("try:\n    import convoy.core.errors\nexcept ImportError:\n    pass", {"convoy.core.errors"}),
        ("import json, convoy", {"convoy"}),
        (
            "if TYPE_CHECKING:\n    import convoy.core.params\nelse:\n    import convoy.core.errors",
            {"convoy.core.errors"},
        ),
        ("if typing.TYPE_CHECKING:\n    from convoy.core import params", set()),
        ("import convoyance", set()),
    ],
)
def test_imports_of_a_script(source, expected):
    modules = {"convoy", "convoy.core.errors", "convoy.core.params", "convoy.core", "convoy.core.files"}
    assert set(stage_modules.imported_modules(source, modules)) == expected


@pytest.fixture
def tiny_root(tmp_path, monkeypatch):
    """A checkout of two packages: a -> b.c (templates beside it) -> d; e is for type checkers only."""
    package = tmp_path / "src" / "tinyhouse"
    sources = {
        "__init__.py": '"""Nothing."""\n',
        "a.py": "from tinyhouse.b import c\n",
        "b/__init__.py": "VERSION = 1\n",
        "b/c.py": "import typing\nif typing.TYPE_CHECKING:\n    import tinyhouse.e\nimport tinyhouse.d\n",
        "b/page.html": "<p>",
        "d.py": "",
        "e.py": "",
        "f.py": "",
    }
    for name, text in sources.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "one.py").write_text("def main():\n    import tinyhouse.a\n")
    monkeypatch.syspath_prepend(tmp_path / "src")
    graph = grimp.build_graph("tinyhouse", exclude_type_checking_imports=True, cache_dir=None)
    monkeypatch.setattr(stage_modules, "import_graph", lambda: graph)
    monkeypatch.setattr(stage_modules, "PACKAGE", "tinyhouse")
    return tmp_path


NEEDED = {
    "pipelines/one.py",
    "src/tinyhouse/a.py",
    "src/tinyhouse/b/__init__.py",
    "src/tinyhouse/b/c.py",
    "src/tinyhouse/b/page.html",
    "src/tinyhouse/d.py",
}

DVC_YAML = """\
vars: []
stages:
  one:  # kept
    cmd: pipelines/run one.py --x ${item.x}
    matrix: {x: [1, 2]}
    deps:
      - data/in.csv  # kept too
      - pipelines/one.py
      - src/tinyhouse/f.py
    outs: [out]

  two:
    cmd: >-
      pipelines/run one.py
    deps:
      - pipelines/run
# the end
"""


def test_required_files_follow_the_imports(tiny_root):
    assert stage_modules.required({"cmd": "pipelines/run one.py"}, tiny_root) == NEEDED


def test_rewriting_touches_only_the_code_in_deps(tiny_root):
    needed = dict.fromkeys(("one", "two"), NEEDED)
    text = stage_modules.rewritten(DVC_YAML.replace("one:  # kept", "one:"), needed)
    listed = "".join(f"      - {file}\n" for file in ["pipelines/one.py", *sorted(NEEDED)[1:]])
    expected = DVC_YAML.replace("one:  # kept", "one:").replace(
        "      - pipelines/one.py\n      - src/tinyhouse/f.py\n", listed
    )
    assert text == expected.replace("      - pipelines/run\n", f"      - pipelines/run\n{listed}")
    assert stage_modules.rewritten(text, needed) == text


def test_differences_name_the_stage_and_the_file(tiny_root, monkeypatch):
    monkeypatch.setattr(stage_modules, "required", lambda stage: NEEDED - {"src/tinyhouse/a.py"})
    monkeypatch.setattr(stage_modules, "ROOT", tiny_root)
    found = stage_modules.differences(
        DVC_YAML.replace("# the end", "  three:\n    cmd: pipelines/run three.py")
    )
    assert "one: deps list src/tinyhouse/f.py, which it does not import" in found
    assert "one: deps lack src/tinyhouse/d.py" in found
    assert "three: no script pipelines/three.py" in found


def test_a_command_without_the_runner_is_refused():
    with pytest.raises(AssertionError, match="expected `pipelines/run SCRIPT"):
        stage_modules.script_of({"cmd": "python x.py"})


def test_only_publish_needs_tracking_and_only_when_it_runs():
    definitions = stage_modules.stages((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    tracking = {
        name
        for name, stage in definitions.items()
        if any("/tracking/" in file for file in stage_modules.required(stage))
    }
    assert tracking == {"publish"}
    # MLflow's settings are made before it is imported, by the commands that use it.
    probe = "import sys, convoy.cli.app, convoy.cli.artifacts, convoy.core.stage, convoy.training.event_log; "
    probe += "import convoy.projects, convoy.tracking.live, convoy.tracking.publish; "
    probe += "import convoy.tracking.registry.promotion, convoy.tracking.lineage.chain; "
    probe += "import convoy.tracking.dashboard.server; "
    probe += "print([name for name in sys.modules if name.split('.')[0] in ('mlflow', 'torch')])"
    done = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_what_publish_writes_is_not_in_git():
    """In a fresh clone the file would be there already, and nothing would be published."""
    command = ["git", "check-ignore", "--quiet", "data/published.json"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
