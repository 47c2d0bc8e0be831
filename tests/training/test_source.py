"""What the key of a checkpoint depends on: params, data, torch's build and the code that training imports."""

import shutil
from pathlib import Path

import pytest
import torch

from convoy.climate.downscaling.models import specs as downscaling
from convoy.streamrec.classification.models import specs as classification
from convoy.training import checkpoints, source
from convoy.training.checkpoints import run_key
from convoy.training.source import SOURCE, imported_files, torch_build
from tests.contracts.stage_modules import import_graph

TRAINED_BY = [classification.TRAINED_BY, downscaling.TRAINED_BY]


@pytest.mark.parametrize("module", TRAINED_BY)
def test_the_files_are_those_of_the_import_graph(module: str) -> None:
    graph = import_graph()
    modules = {module, *graph.find_upstream_modules(module)}
    files = {SOURCE.joinpath(*name.split(".")).with_suffix(".py") for name in modules}
    expected = {file for file in files if file.is_file()}
    # Beside them only packages, of which `__init__.py` holds a docstring.
    assert {file for file in imported_files(module) if file.name != "__init__.py"} == expected


@pytest.mark.parametrize("module", TRAINED_BY)
def test_reports_evaluation_and_tracking_are_not_among_them(module: str) -> None:
    names = {file.relative_to(SOURCE / "convoy").as_posix() for file in imported_files(module)}
    assert {"training/loop.py", "training/recipes.py", "core/errors.py"} <= names
    assert not [name for name in names if name.startswith(("report/", "tracking/", "cli/", "quality/"))]
    assert not {"report", "evaluate", "compare", "findings", "gate"} & {Path(name).stem for name in names}


@pytest.mark.parametrize("module", TRAINED_BY)
def test_editing_the_loop_changes_the_key_and_editing_a_report_does_not(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(SOURCE / "convoy", tmp_path / "convoy", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(checkpoints, "imported_files", lambda module: imported_files(module, tmp_path))
    before = run_key({"epochs": 3}, "data", module)
    assert before == run_key({"epochs": 3}, "data", module)
    with open(tmp_path / "convoy" / "report" / "page.py", "a") as file:
        file.write("# a remark\n")
    with open(tmp_path.joinpath(*module.split(".")).with_name("report.py"), "a") as file:
        file.write("# a remark\n")
    assert run_key({"epochs": 3}, "data", module) == before
    with open(tmp_path / "convoy" / "training" / "loop.py", "a") as file:
        file.write("# a remark\n")
    assert run_key({"epochs": 3}, "data", module) != before


def test_params_and_data_change_the_key() -> None:
    module = TRAINED_BY[0]
    keys = {
        run_key({"epochs": 3}, "one", module), run_key({"epochs": 4}, "one", module),
        run_key({"epochs": 3}, "two", module), run_key({"epochs": 3}, "one", TRAINED_BY[1]),
    }  # fmt: skip
    assert len(keys) == 4


def test_another_build_of_torch_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    assert torch.__version__.encode() in torch_build()
    before = run_key({}, "data", TRAINED_BY[0])
    other = torch_build().replace(torch.__version__.encode(), b"0.0.0+cpu")
    monkeypatch.setattr(checkpoints, "torch_build", lambda: other)
    assert run_key({}, "data", TRAINED_BY[0]) != before


def test_imports_are_found_wherever_they_stand(tmp_path: Path) -> None:
    for_checkers = "if TYPE_CHECKING:\n    from convoy import e\nelse:\n    from convoy import d\n"
    sources = {
        "a": "import convoy.b\nimport numpy\n\ndef f():\n    from convoy.c import g\n    return g\n",
        "b": f"from typing import TYPE_CHECKING\n{for_checkers}", "c": "from convoy import a\ng = a\n",
        "d": "from .p import q\n", "e": "", "p/__init__": "", "p/q": "", "p/r": "",
    }  # fmt: skip
    for name, text in sources.items():
        path = tmp_path / "convoy" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    files = imported_files("convoy.a", tmp_path)
    found = [file.relative_to(tmp_path / "convoy").as_posix() for file in files]
    assert found == ["a.py", "b.py", "c.py", "d.py", "p/__init__.py", "p/q.py"]
    with pytest.raises(ModuleNotFoundError, match=r"convoy\.x"):
        imported_files("convoy.x", tmp_path)
    assert source.SOURCE.name == "src"
