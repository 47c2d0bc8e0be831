"""What a model folder may hold beside plain files."""

import os
import socket

import pytest

from convoy.cli.options import stored_model
from convoy.core.errors import ConvoyError
from tests.support.tiny import write_model


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "model", "textcnn", ["a tale of two cats the road"])
    return tmp_path / "model"


def test_a_link_to_a_file_counts_as_the_file(model, tmp_path):
    """DVC makes such links under `cache.type symlink`."""
    before = stored_model("model")
    kept, weights = tmp_path / "cache", model / "model.safetensors"
    weights.rename(kept)
    weights.symlink_to(kept)
    after = stored_model("model")
    assert (after[0].sha256, after[1]) == (before[0].sha256, before[1])
    kept.write_bytes(kept.read_bytes()[:-1] + b"\0")
    with pytest.raises(ConvoyError, match=r"^model/model\.safetensors: sha256 differs from the manifest"):
        stored_model("model")


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("kind", ["pipe", "socket", "loop", "dangling", "above", "itself", "elsewhere"])
def test_what_is_no_file_is_refused_in_one_line(model, tmp_path, kind, deep, monkeypatch):
    place = model / "more" if deep else model
    place.mkdir(exist_ok=True)
    odd = place / "odd"
    if kind == "pipe":
        os.mkfifo(odd)
    elif kind == "socket":
        monkeypatch.chdir(place)  # the path of a socket is short
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("odd")
        monkeypatch.chdir(tmp_path)
    else:
        targets = {
            "loop": odd,
            "dangling": place / "none",
            "above": tmp_path,
            "itself": place,
            "elsewhere": "/usr",
        }
        odd.symlink_to(targets[kind])
    with pytest.raises(ConvoyError) as caught:
        stored_model("model")
    what = "neither a file nor a folder" if kind in ("pipe", "socket") else "a link that leads to no file"
    assert str(caught.value) == f"{odd.relative_to(tmp_path)}: {what}; remove it"
