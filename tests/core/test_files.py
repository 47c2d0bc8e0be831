"""Atomic files and folders, JSON, manifests: whole or not at all, and never quietly changed."""

import json
import os
import subprocess
import sys

import pytest

from convoy.core import files
from convoy.core.errors import ConvoyError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def fail_after_half(path, error):
    path.write_text("half")
    raise error


@pytest.fixture
def dead():
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_file_appears_whole_at_the_end(tmp_path):
    path = tmp_path / "new" / "folder" / "x.txt"
    with files.atomic_file(path) as partial:
        partial.write_text("half")
        assert not path.exists()
        assert partial.parent == path.parent
        partial.write_text("whole")
    assert path.read_text() == "whole"
    assert names(path.parent) == ["x.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failed_file_leaves_the_former_one_and_nothing_else(tmp_path, error):
    path = tmp_path / "x.txt"
    path.write_text("former")
    with pytest.raises(error), files.atomic_file(path) as partial:
        fail_after_half(partial, error)
    assert path.read_text() == "former"
    assert names(tmp_path) == ["x.txt"]


def test_a_folder_takes_the_place_of_the_former_one_as_a_whole(tmp_path):
    path = tmp_path / "out"
    for content in ("old", "new"):
        with files.atomic_directory(path) as partial:
            (partial / "sub").mkdir()
            (partial / "sub" / content).write_text(content)
            assert not (path / "sub" / content).exists()
    assert names(tmp_path) == ["out"]
    assert names(path / "sub") == ["new"]


def test_a_folder_is_never_missing_while_it_is_replaced(tmp_path, monkeypatch):
    if not exchanges(tmp_path):
        pytest.skip("this file system cannot exchange two folders in one step")

    def refused(*_):
        raise AssertionError("moved aside first")

    path = tmp_path / "out"
    for content in ("old", "new"):
        with files.atomic_directory(path) as partial:
            (partial / content).write_text(content)
            monkeypatch.setattr(os, "replace", refused)
        monkeypatch.undo()
    assert names(path) == ["new"]
    assert names(tmp_path) == ["out"]


def exchanges(folder):
    for name in ("one", "other"):
        (folder / name).mkdir()
    able = files._exchange(folder / "one", folder / "other")
    for name in ("one", "other"):
        (folder / name).rmdir()
    return able


def test_a_folder_is_replaced_where_nothing_can_be_exchanged(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_exchange", lambda *_: False)
    path = tmp_path / "out"
    for content in ("old", "new"):
        with files.atomic_directory(path) as partial:
            (partial / content).write_text(content)
    assert names(path) == ["new"]
    assert names(tmp_path) == ["out"]


def test_a_folder_that_another_writer_makes_meanwhile_is_replaced(tmp_path, monkeypatch):
    path = tmp_path / "out"
    rename = os.rename

    def late(source, target):
        path.mkdir()
        (path / "theirs").write_text("theirs")
        monkeypatch.setattr(os, "rename", rename)
        rename(source, target)

    with files.atomic_directory(path) as partial:
        (partial / "ours").write_text("ours")
        monkeypatch.setattr(os, "rename", late)
    assert names(path) == ["ours"]
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failed_folder_leaves_the_former_one_and_nothing_else(tmp_path, error):
    path = tmp_path / "out"
    with files.atomic_directory(path) as partial:
        (partial / "old").write_text("old")
    with pytest.raises(error), files.atomic_directory(path) as partial:
        fail_after_half(partial / "half", error)
    assert names(tmp_path) == ["out"]
    assert names(path) == ["old"]


def test_leftovers_of_dead_processes_go_and_those_of_the_living_stay(tmp_path, dead):
    (tmp_path / f".x.partial-{dead}-0").write_text("half")
    (tmp_path / f".x.partial-{dead}-1").mkdir()
    (tmp_path / f".x.partial-{dead}-1" / "file").write_text("half")
    (tmp_path / f".y.partial-{dead}-0").write_text("of another output")
    (tmp_path / f".x.partial-{os.getppid()}-0").write_text("still being written")
    with files.atomic_file(tmp_path / "x") as partial:
        partial.write_text("x")
    assert names(tmp_path) == sorted([f".x.partial-{os.getppid()}-0", f".y.partial-{dead}-0", "x"])


def test_two_writers_of_one_name_have_files_of_their_own(tmp_path):
    path = tmp_path / "x"
    with files.atomic_file(path) as first:
        first.write_text("first")
        with files.atomic_file(path) as second:
            second.write_text("second")
        assert first.read_text() == "first"
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert names(tmp_path) == ["x"]


KILLED = """
import os, signal
from pathlib import Path
from convoy.core.files import atomic_directory
with atomic_directory(Path("out")) as partial:
    (partial / "new").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_leaves_the_former_folder_and_the_next_writer_tidies_up(tmp_path):
    with files.atomic_directory(tmp_path / "out") as partial:
        (partial / "old").write_text("old")
    assert subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, check=False).returncode == -9
    assert names(tmp_path / "out") == ["old"]
    assert len(names(tmp_path)) == 2
    with files.atomic_directory(tmp_path / "out") as partial:
        (partial / "newer").write_text("whole")
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["newer"]


def test_json_is_sorted_readable_and_repeats(tmp_path):
    files.write_json(tmp_path / "x.json", {"b": 1.5, "a": ["é", None, True]})
    assert (tmp_path / "x.json").read_bytes() == (
        '{\n  "a": [\n    "é",\n    null,\n    true\n  ],\n  "b": 1.5\n}\n'.encode()
    )
    assert files.read_json(tmp_path / "x.json") == {"a": ["é", None, True], "b": 1.5}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"deep": [-float("inf")]}])
def test_json_has_no_nan(tmp_path, value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "x.json", value)
    assert names(tmp_path) == []


def test_text_keeps_its_newlines(tmp_path):
    files.write_text(tmp_path / "x", "a\r\nb\nc\r")
    assert (tmp_path / "x").read_bytes() == b"a\r\nb\nc\r"


@pytest.mark.parametrize("content", [b'{"a": 1', b"\xff", b"", b"[NaN]", b"[-Infinity]", b"[1e999]"])
def test_broken_json_is_refused_by_name(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ConvoyError, match=r"x\.json: not valid JSON"):
        files.read_json(tmp_path / "x.json")


def test_missing_json_is_refused_by_name(tmp_path):
    with pytest.raises(ConvoyError, match=r"x\.json: no such file"):
        files.read_json(tmp_path / "x.json")


def test_sha256_of_a_published_value(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert files.sha256(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.fixture
def listed(tmp_path):
    folder = tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.bin").write_bytes(b"12345")
    (folder / "sub" / "b.txt").write_text("text")
    files.write_manifest(folder, rows=3)
    return folder


def test_the_manifest_lists_every_file_and_keeps_facts(listed):
    manifest = files.check_manifest(listed)
    assert manifest["rows"] == 3
    assert {name: facts["bytes"] for name, facts in manifest["files"].items()} == {"a.bin": 5, "sub/b.txt": 4}
    assert manifest == json.loads((listed / files.MANIFEST).read_text())


def change_a_byte(folder):
    (folder / "a.bin").write_bytes(b"12346")


def cut(folder):
    (folder / "a.bin").write_bytes(b"1234")


def lose_a_file(folder):
    (folder / "sub" / "b.txt").unlink()


def add_a_file(folder):
    (folder / "sub" / "extra").write_text("")


def lose_the_manifest(folder):
    (folder / files.MANIFEST).unlink()


def cut_the_manifest(folder):
    (folder / files.MANIFEST).write_text('{"files": {')


def empty_the_manifest(folder):
    (folder / files.MANIFEST).write_text("[]")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (change_a_byte, r"a\.bin: sha256 differs from the manifest"),
        (cut, r"a\.bin: 4 bytes, expected 5"),
        (lose_a_file, r"sub/b\.txt: missing"),
        (add_a_file, r"sub/extra: not in the manifest"),
        (lose_the_manifest, r"out: no manifest\.json, so the folder is not whole"),
        (cut_the_manifest, r"manifest\.json: not valid JSON"),
        (empty_the_manifest, r"manifest\.json: no list of files"),
    ],
)
def test_a_folder_that_differs_from_its_manifest_is_refused(listed, harm, message):
    harm(listed)
    with pytest.raises(ConvoyError, match=message):
        files.check_manifest(listed)
