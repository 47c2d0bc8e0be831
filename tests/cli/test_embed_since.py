"""`convoy embed … --since`: what it prints, which bytes it writes, what it refuses."""

import numpy as np
import pytest

from convoy.cli import embed
from convoy.embeddings import io as embeddings
from tests.cli.test_app import COLUMNS, invoke, refused, warnings_of
from tests.support.tiny import write_model

CSV = "show_id,title,description\ns1,A tale,of two cats\ns2,,the road\ns3,,\n007,,a road\n"
LATER = "show_id,title,description\n070,,cats\ns3,,\ns1,A tale,of two cats\ns2,,the other road\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, words in (("model", "a tale of two cats the road"), ("other", "a tale of three cats the road")):
        write_model(tmp_path / name, "textcnn", [words])
    (tmp_path / "items.csv").write_text(CSV)
    (tmp_path / "later.csv").write_text(LATER)
    monkeypatch.chdir(tmp_path)
    assert invoke("embed", "items.csv", "old", "--model", "model", COLUMNS).exit_code == 0
    return tmp_path


def test_prints_what_changed_and_writes_the_bytes_of_a_full_export(folder):
    arguments = ("embed", "later.csv", "--model", "model", COLUMNS)
    result = invoke(*arguments, "out", "--since", "old")
    assert (result.exit_code, warnings_of(result)) == (0, [])
    assert result.stdout == (
        "embeddings: 4 items by textcnn (3 ok, 1 empty_text, 0 all_unknown, 0 no_signal); "
        "36 dimensions, normalise none\n"
        "since old: 1 new, 1 changed, 2 kept, 1 removed\n"
    )
    assert invoke(*arguments, "full").exit_code == 0
    for name in (
        "_manifest.json",
        "parquet/part-00000.parquet",
        "_mmap/embeddings.npy",
        "_mmap/item_ids.npy",
    ):
        assert (folder / "full" / name).read_bytes() == (folder / "out" / name).read_bytes()
    ids, vectors = embeddings.read(folder / "out")
    former_ids, former = embeddings.read(folder / "old")
    assert ids.tolist() == ["070", "s1", "s2", "s3"]
    assert former_ids.tolist() == ["007", "s1", "s2", "s3"]
    assert np.array_equal(vectors[[1, 3]], former[[1, 3]])
    assert not np.array_equal(vectors[2], former[2])


def test_updates_a_folder_in_its_place_when_forced(folder):
    arguments = ("embed", "later.csv", "old", "--since", "old", "--model", "model", COLUMNS)
    assert "old: is there already; name another folder, or replace it with --force" in refused(*arguments)
    assert invoke(*arguments, "--force").stdout.endswith("since old: 1 new, 1 changed, 2 kept, 1 removed\n")
    assert embeddings.read(folder / "old")[0].tolist() == ["070", "s1", "s2", "s3"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ("--model=other", "--since=old"),
            "old: tokenizer_sha256: made by another model or in another way; expected ",
        ),
        (
            ("--model=model", "--since=old", "--normalise=l2"),
            "expected l2; found none; embed every item, without --since",
        ),
        (("--model=model", "--since=gone"), "gone: no such embeddings folder"),
        (("--model=model", "--since=model"), "model: no _manifest.json, so the folder is not whole"),
    ],
)
def test_a_version_that_cannot_be_continued_is_refused_in_one_line(folder, options, told):
    line = refused("embed", "later.csv", "out", *options, COLUMNS)
    assert told in line
    assert not (folder / "out").exists()


@pytest.mark.parametrize("out", ["model/new", "old/new"])
def test_nothing_is_written_into_a_model_or_other_embeddings(folder, out):
    line = refused("embed", "later.csv", out, "--model", "model", COLUMNS, "--since", "old")
    assert line.endswith("; name another OUT\n")
    embeddings.read(folder / "old")
    assert not (folder / out).exists()


def test_what_another_export_wrote_meanwhile_is_kept_without_force(folder, monkeypatch):
    """The place was free at first: only the check before the end can see that it is taken."""
    checks: list[object] = []

    def check(out, force):
        checks.append(out)
        if len(checks) == 3:  # before the end, after the command and the writer looked
            (folder / "old").rename(folder / "out")
        original(out, force)

    original = embed._check_out
    monkeypatch.setattr(embed, "_check_out", check)
    line = refused("embed", "later.csv", "out", "--model", "model", COLUMNS)
    assert "out: is there already; name another folder, or replace it with --force" in line
    assert embeddings.read(folder / "out")[0].tolist() == ["007", "s1", "s2", "s3"]
