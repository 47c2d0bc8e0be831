"""The store of versions: each whole or not there, one pointer, what else lies in the folder refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ortho_group

from convoy.acceptance import versions_io
from convoy.core.errors import ConvoyError
from convoy.core.files import check_manifest, sha256, write_manifest
from convoy.embeddings import io, read
from convoy.embeddings.alignment import align
from tests.cli.test_app import invoke, refused
from tests.conftest import ROOT
from tests.support import embedded
from tests.support.accepted import contents, store


@pytest.fixture
def folder(tmp_path):
    """Three versions of the same items: the second is turned, the third has other vectors."""
    embedded.write(tmp_path)
    rows = contents(tmp_path / "out")
    turn = ortho_group.rvs(embedded.DIM, random_state=1)
    random = np.random.default_rng(2)
    noise = random.normal(size=rows.vectors.shape) * rows.vectors.any(1, keepdims=True)
    rows.facts["weights_sha256"] = "1" * 64
    store(tmp_path / "one", rows)
    changed = {"two": rows.vectors @ turn, "three": rows.vectors + noise / 9}
    for digit, (name, vectors) in zip("23", changed.items(), strict=True):
        facts = rows.facts | {"weights_sha256": digit * 64}
        store(tmp_path / name, replace(rows, vectors=vectors.astype(np.float32), facts=facts))
    return tmp_path


def offer(path, now=None):
    alignment = None if now is None else align(*read(path), *read(now.embeddings))
    manifest = sha256(path / io.MANIFEST)
    return versions_io.Offer(path, manifest, {"accepted": True}, "<p>", alignment, {"churn": 0.5})


def accept(place, path):
    with versions_io.exclusive(place):
        return versions_io.accept(place, offer(path, versions_io.current(place)))


def test_versions_one_after_another_and_back(folder):
    place = folder / "store"
    first, moved = accept(place, folder / "one")
    assert moved
    assert first == f"0001-{sha256(folder / 'one' / io.MANIFEST)[:12]}"
    reader = versions_io.accepted(place)
    second, _ = accept(place, folder / "two")
    third, _ = accept(place, folder / "three")
    assert [name[:4] for name in (first, second, third)] == ["0001", "0002", "0003"]
    # A reader that took the folder before still reads what it read.
    np.testing.assert_array_equal(read(reader)[1], read(folder / "one")[1])
    np.testing.assert_array_equal(read(versions_io.accepted(place))[1], read(folder / "three")[1])
    pointer = json.loads((place / "accepted.json").read_text())
    assert pointer["weights_sha256"] == "3" * 64
    assert pointer["former"] == [first, second]
    for expected in (second, first):
        with versions_io.exclusive(place):
            assert versions_io.rollback(place)[1] == expected
        assert versions_io.accepted(place).parent.name == expected
    with versions_io.exclusive(place), pytest.raises(ConvoyError, match="no version was accepted before"):
        versions_io.rollback(place)
    # Forward again: the version that was kept is taken as it is.
    before = (place / "versions" / second / "manifest.json").stat().st_ino
    assert accept(place, folder / "two") == (second, True)
    assert (place / "versions" / second / "manifest.json").stat().st_ino == before
    assert accept(place, folder / "two") == (second, False)


def test_each_version_ships_the_rotation_onto_the_one_that_it_replaced(folder):
    place = folder / "store"
    first, _ = accept(place, folder / "one")
    second, _ = accept(place, folder / "two")
    kept = place / "versions" / second
    rotation = np.load(kept / "rotation.npy")
    turned = read(kept / "embeddings")[1] @ rotation
    np.testing.assert_allclose(turned, read(folder / "one")[1], atol=1e-5)
    facts = json.loads((kept / "version.json").read_text())
    assert facts["onto"] == first
    assert facts["rotation"]["cosine"] == pytest.approx(1, abs=1e-5)
    assert facts["rotation"]["cosine_unrotated"] < 0.9
    assert not (place / "versions" / first / "rotation.npy").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from convoy.acceptance import versions_io
from tests.acceptance.test_versions import accept
def kill(*_): os.kill(os.getpid(), signal.SIGKILL)
setattr(versions_io, sys.argv[1], kill)
accept(Path(sys.argv[2]), Path(sys.argv[3]))
"""


@pytest.mark.parametrize("moment", ["write_json", "write_manifest", "_point"])
def test_kill_leaves_no_partial_version_and_the_next_run_finishes(folder, moment):
    place = folder / "store"
    accept(place, folder / "one")
    before = (place / "accepted.json").read_bytes()
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    command = [sys.executable, "-c", KILLED, moment, place, folder / "two"]
    done = subprocess.run(command, env=environment, cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    assert (place / "accepted.json").read_bytes() == before
    kept, accepted = versions_io.listing(place)
    assert len(accepted) == 1
    assert all(check_manifest(one.folder) for one in kept)
    np.testing.assert_array_equal(read(versions_io.accepted(place))[1], read(folder / "one")[1])
    name, moved = accept(place, folder / "two")
    assert (name[:4], moved) == ("0002", True)
    assert sorted(entry.name for entry in (place / "versions").iterdir()) == [kept[0].name, name]


def test_two_at_once_are_kept_one_after_the_other_and_one_is_pointed_to(folder):
    place = folder / "store"
    names = ("one", "two", "three")
    threads = [threading.Thread(target=accept, args=(place, folder / name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept, accepted = versions_io.listing(place)
    assert sorted(one.name for one in kept) == sorted(accepted)
    assert [one.facts["onto"] for one in kept] == [None, accepted[0], accepted[1]]
    assert read(versions_io.accepted(place))[1].shape == (100, embedded.DIM)


def test_what_is_no_store_is_refused_and_left_alone(folder):
    place = folder / "store"
    accept(place, folder / "one")
    name = versions_io.accepted(place).parent.name
    with pytest.raises(ConvoyError, match=r"'_manifest\.json' is no part of a store"):
        accept(folder / "one", folder / "two")
    assert not (folder / "one/versions").exists()
    (place / "thesis.tex").write_text("years of work")
    with pytest.raises(ConvoyError, match=r"'thesis\.tex' is no part of a store"):
        accept(place, folder / "two")
    (place / "thesis.tex").unlink()
    link = place / "versions" / "0002-0123456789ab"
    link.symlink_to(place / "versions" / name)
    with pytest.raises(ConvoyError, match="'0002-0123456789ab' is a symbolic link"):
        versions_io.listing(place)
    link.unlink()
    vectors = place / "versions" / name / "embeddings" / io.VECTORS
    shutil.move(vectors, folder / "elsewhere.npy")
    vectors.symlink_to(folder / "elsewhere.npy")
    with pytest.raises(ConvoyError, match=r"embeddings\.npy: a symbolic link"):
        versions_io.accepted(place)


@pytest.mark.parametrize(
    "pointer",
    [
        "[]",
        "{}",
        '{"version": "0001-0123456789ab", "former": 5}',
        '{"version": "../../etc", "former": []}',
        '{"version": 3}',
    ],
)
def test_a_pointer_that_names_no_version(folder, pointer):
    place = folder / "store"
    accept(place, folder / "one")
    (place / "accepted.json").write_text(pointer)
    with pytest.raises(ConvoyError, match="names no versions"):
        versions_io.accepted(place)


def test_a_version_that_somebody_changed_is_not_read(folder):
    place = folder / "store"
    accept(place, folder / "one")
    facts = versions_io.accepted(place).parent / "version.json"
    facts.write_text(facts.read_text().replace("1", "7"))
    with pytest.raises(ConvoyError, match=r"version\.json: "):
        versions_io.accepted(place)


@pytest.mark.parametrize(
    "wrong",
    [{"items": None}, {"onto": 3}, {"churn": None}, {"churn": {"churn": "x"}}, {"rotation": "x"}],
    ids=str,
)
def test_facts_of_a_version_that_are_none(folder, wrong):
    place = folder / "store"
    accept(place, folder / "one")
    kept = versions_io.accepted(place).parent
    facts = json.loads((kept / "version.json").read_text())
    (kept / "version.json").write_text(json.dumps(facts | wrong))
    write_manifest(kept)
    assert "not the facts of a version" in refused("versions", str(place))


def test_a_store_without_versions_and_none_at_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    assert invoke("versions", "empty").stdout.startswith("version ")
    assert "no version was accepted before" in refused("versions", "empty", "--rollback")
    assert "no such store of versions" in refused("versions", "nowhere", "--rollback")
    assert [entry.name for entry in tmp_path.rglob("*")] == ["empty"]


def test_a_store_made_for_a_command_that_fails_is_removed(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert "no such embeddings folder" in refused("accept", "nowhere", "--into=new/store")
    assert not Path("new/store").exists()
    Path("kept").mkdir()
    refused("accept", "nowhere", "--into=kept")
    assert Path("kept").is_dir()


INSIDE = ("--into=one/store", "--into=store/other")


@pytest.mark.parametrize(
    "options",
    [
        ["--out=one"],
        ["--out=one/parquet"],
        ["--out=two"],
        ["--out=store"],
        ["--out=store/new"],
        ["--out=store/versions/NAME"],
        ["--out=link/versions"],
        *(["--out=c", into] for into in INSIDE),
        ["--out=new", "--into=new"],
    ],
    ids=str,
)
def test_nothing_is_written_into_embeddings_or_stores(folder, monkeypatch, options):
    monkeypatch.chdir(folder)
    accept(folder / "store", folder / "one")
    name = versions_io.accepted(folder / "store").parent.name
    Path("link").symlink_to("store")
    before = sorted(folder.rglob("*"))
    line = refused("accept", "one", *(option.replace("NAME", name) for option in options))
    assert f"; name another {'--into' if options[-1] in INSIDE else '--out'}" in line
    assert sorted(folder.rglob("*")) == before
    versions_io.listing(folder / "store")
    read(folder / "one")


def test_the_commands(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for name in ("one", "two"):
        result = invoke("accept", name, "--into=store", "--out=certificate")
        assert (result.exit_code, result.stderr) == (0, "")
    listed = invoke("versions", "store").stdout
    second = listed.splitlines()[3].split()
    assert second[1:6] == ["accepted", "textcnn", "2" * 12, "100", "6"]
    assert second[-3:-1] == ["0.000", "1.000"]
    assert "no such store of versions" in refused("versions", "nowhere")
    rolled = invoke("versions", "store", "--rollback")
    assert rolled.stdout.startswith("accepted: 0001-")
    assert "no version was accepted before" in refused("versions", "store", "--rollback")
    line = refused("accept", "two", "--into=store", "--against=one")
    assert line == "convoy: --against: --into compares with the accepted version of that store\n"
    # A stored version is checked again, but nothing is written next to it.
    kept = next(Path("store/versions").iterdir()) / "embeddings"
    assert "is inside a stored version, which never changes" in refused("accept", str(kept))
    assert invoke("accept", str(kept), "--out=certificate").exit_code == 0
    # Not accepted: nothing is kept.
    rows = contents(Path("two"))
    rows.vectors[0] = np.nan
    store(Path("bad"), rows)
    assert invoke("accept", "bad", "--into=store", "--out=certificate").exit_code == 1
    assert len(versions_io.listing(Path("store"))[0]) == 2
