"""`make setup` empties no folder that it did not make."""

import shutil
import subprocess

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("link", "message"), [(True, "setup: .venv is a link"), (False, "setup: .venv is no Python environment")]
)
def test_setup_refuses_a_link_and_a_folder_of_others(tmp_path, link, message):
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    folder = tmp_path / ("elsewhere" if link else ".venv")
    folder.mkdir()
    (folder / "keep.txt").write_text("mine")
    if link:
        (tmp_path / ".venv").symlink_to(folder)
    done = subprocess.run(["make", "setup"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert (folder / "keep.txt").read_text() == "mine"
