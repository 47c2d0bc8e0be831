"""`make setup` empties no folder that it did not make."""

import re
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


def test_the_installer_itself_is_installed_with_its_hashes():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    (entry,) = re.findall(r"^uv==.*\n(?: +--hash=.*\n)+", lock, flags=re.MULTILINE)
    asked = 'include Makefile\nshow:\n\t@$(UV_OF_LOCK)\n\t@grep -n "pip install" Makefile\n'
    done = subprocess.run(
        ["make", "--no-print-directory", "-f", "-", "show"],
        cwd=ROOT, input=asked, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(entry)
    assert "hash" in entry
    by_pip = [line for line in done.stdout.splitlines() if "-m pip install" in line]
    assert [("--require-hashes" in line, ".venv/uv.txt" in line) for line in by_pip] == [(True, True)]
