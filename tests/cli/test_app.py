"""The command line as a person or a scheduler meets it: output, exit codes, what is left on disk."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from convoy.cli.app import app
from convoy.core import artifact
from convoy.embeddings import io as embeddings
from convoy.embeddings.io import ALL_UNKNOWN, EMPTY_TEXT, OK
from tests.conftest import ROOT
from tests.support.tiny import write_model

CSV = "show_id,title,description\ns1,A tale,of two cats\ns2,,the road\ns3,,\n"
COLUMNS = "--columns=item_id=show_id,synopsis=description"
CONVOY = [sys.executable, "-m", "convoy.cli.app"]
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT / "src")}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    write_model(tmp_path / "model", "textcnn", ["a tale of two cats the road"])
    (tmp_path / "items.csv").write_text(CSV)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments):
    former = {number: signal.getsignal(number) for number in ENDING}
    try:
        return CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def warnings_of(result):
    """Lines on standard error that tell no progress, which appears where ten seconds have passed."""
    return [line for line in result.stderr.splitlines() if not line.endswith(" items/s")]


def refused(*arguments):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    return result.stderr


def test_embeds_a_file_and_says_so_in_one_line(folder):
    result = invoke("embed", "items.csv", "out", "--model", "model", COLUMNS)
    assert (result.exit_code, warnings_of(result)) == (0, [])
    assert result.stdout == (
        "embeddings: 3 items by textcnn (2 ok, 1 empty_text, 0 all_unknown, 0 no_signal); "
        "36 dimensions, normalise none\n"
    )
    ids, vectors = embeddings.read(folder / "out")
    assert ids.tolist() == ["s1", "s2", "s3"]
    assert vectors.any(1).tolist() == [True, True, False]


def test_embeds_a_real_catalogue(folder, real_data):
    arguments = ("embed", str(real_data / "catalogue/netflix_titles.csv"), "--model", "model", COLUMNS)
    assert invoke(*arguments, "out").exit_code == 0
    ids, vectors = embeddings.read(folder / "out")
    assert vectors.shape == (8786, 36)
    assert ids.tolist() == sorted(ids.tolist())
    assert vectors.any(1).mean() > 0.9  # nearly all have an `a` or a `the`


def test_l2_is_an_option(folder):
    assert invoke("embed", "items.csv", "out", "--model=model", COLUMNS, "--normalise=l2").exit_code == 0
    _, vectors = embeddings.read(folder / "out")
    assert (vectors[:2] ** 2).sum(1) == pytest.approx(1)
    result = invoke("embed", "items.csv", "out2", "--model=model", COLUMNS, "--normalise=l3")
    assert result.exit_code == 2
    assert "'l3' is not one of 'none', 'l2'" in result.stderr


def test_replaces_embeddings_only_when_forced_and_nothing_else_ever(folder):
    arguments = ("embed", "items.csv", "out", "--model", "model", COLUMNS)
    assert invoke(*arguments).exit_code == 0
    before = (folder / "out" / "_manifest.json").read_bytes()
    assert "out: is there already; name another folder, or replace it with --force" in refused(*arguments)
    assert (folder / "out" / "_manifest.json").read_bytes() == before
    (folder / "items.csv").write_text(CSV + "s4,new,cat\n")
    assert invoke(*arguments, "--force").exit_code == 0
    assert len(embeddings.read(folder / "out")[0]) == 4
    for other, told in (
        (
            "model",
            "model: holds config.json, manifest.json, model.safetensors and 1 more, which no embedding",
        ),
        ("items.csv", "items.csv: is not a folder"),
        (".", "holds items.csv, model, model/config.json and "),
    ):
        for force in ([], ["--force"]):
            assert told in refused("embed", "items.csv", other, "--model", "model", COLUMNS, *force)
    assert (folder / "model" / "config.json").is_file()


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_folder_with_notes_in_it_is_kept_and_an_empty_one_is_used(folder, force):
    arguments = ("embed", "items.csv", "out", "--model", "model", COLUMNS, *force)
    (folder / "out").mkdir()
    assert invoke(*arguments).exit_code == 0
    (folder / "out" / "my_notes.txt").write_text("mine")
    before = {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*")}
    line = refused(*arguments)
    assert "out: holds my_notes.txt, which no embedding made; name another folder" in line
    assert {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*")} == before


def test_mistakes_are_told_in_one_line(folder):
    def embed(*arguments):
        return refused("embed", *arguments)

    assert "nowhere.csv: no such file" in embed("nowhere.csv", "out", "--model", "model")
    assert "nowhere: no such model folder" in embed("items.csv", "out", "--model", "nowhere")
    missing = embed("items.csv", "out", "--model", "model", "--columns", "synopsis=plot")
    assert "no column 'plot' (synopsis); its columns are show_id, title, description" in missing
    assert "'x' is not ours=theirs" in embed("items.csv", "out", "--model", "model", "--columns", "x")
    (folder / "items.csv").write_text(CSV + "s1,again,cat\n")
    assert "ids given twice: 's1' (rows 1 and 4)" in embed("items.csv", "out", "--model", "model", COLUMNS)
    (folder / "header.csv").write_text("item_id,title,synopsis\n")
    assert "header.csv: no rows" in embed("header.csv", "new/deep/out", "--model", "model")
    assert "model: a folder; name a file" in embed("model", "out", "--model", "model")
    left = sorted(path.name for path in folder.iterdir())
    assert left == ["header.csv", "items.csv", "model"]


@pytest.mark.parametrize("out", ["/proc/out", "file/out", "file/deep/out", "l" * 250, "l" * 300, "new/loop"])
def test_an_out_that_cannot_be_written_is_named_and_nothing_is_left(folder, out):
    (folder / "file").write_text("")
    if out == "new/loop":
        (folder / "new").mkdir()
        (folder / out).symlink_to("loop")
    before = sorted(folder.rglob("*"))
    line = refused("embed", "items.csv", out, "--model", "model", COLUMNS)
    assert line.startswith(f"convoy: {out}: cannot be written: ")
    assert sorted(folder.rglob("*")) == before


TEXTS = {
    "blank": ("a,,\nb, ,<p></p>\n", [EMPTY_TEXT, EMPTY_TEXT]),
    "scripts": ("a,七人の侍,映画\nb,الرسالة,فيلم\n😀,👩‍👧🎬,😀 the road\n", [ALL_UNKNOWN, ALL_UNKNOWN, OK]),
}


@pytest.mark.parametrize(("rows", "statuses"), TEXTS.values(), ids=TEXTS)
def test_texts_that_the_model_cannot_know_get_zeros_and_a_status(folder, rows, statuses):
    (folder / "items.csv").write_text("item_id,title,synopsis\n" + rows, encoding="utf-8")
    assert invoke("embed", "items.csv", "out", "--model", "model").exit_code == 0
    ids, vectors = embeddings.read(folder / "out")
    assert ids.tolist() == [row.split(",")[0] for row in rows.splitlines()]
    assert vectors.any(1).tolist() == [status == OK for status in statuses]
    stored = pq.read_table(folder / "out" / "parquet/part-00000.parquet")["status"].to_pylist()
    assert stored == [embeddings.STATUSES[status] for status in statuses]


def test_every_item_gets_a_row_though_no_filter_rises_above_zero_for_some(folder):
    """As for 334 of the 10,087 words alone of the default pipeline's TextCNN, which is sound."""
    stored = artifact.read(folder / "model")
    tensors = {name: np.copy(tensor) for name, tensor in stored.tensors.items()}
    for name in tensors:
        if name.endswith("norm.bias"):
            tensors[name] -= np.float32(4.7)
    artifact.write(folder / "quiet", stored.config, {0: tensors}, stored.tokenizer_json)
    words = ["a", "tale", "of", "two", "cats", "the", "road", "zebra", ""]
    (folder / "words.csv").write_text("item_id,title,synopsis\n" + "".join(f"-{w},{w},\n" for w in words))
    assert invoke("embed", "words.csv", "out", "--model", "quiet", "--normalise=l2").exit_code == 0
    found = pd.read_parquet(folder / "out").set_index("item_id")["status"]
    assert found["-zebra"] == "all_unknown"
    assert found["-"] == "empty_text"
    known = found.drop(["-zebra", "-"])
    assert set(known) == {"ok", "no_signal"}
    ids, vectors = embeddings.read(folder / "out")
    assert vectors.any(1).tolist() == (found[ids] == "ok").tolist()
    counts = json.loads((folder / "out" / "_manifest.json").read_text())["status"]
    assert counts == {name: (found == name).sum() for name in embeddings.STATUSES}


@pytest.mark.parametrize(("known", "warned"), [(8, False), (7, True)])
def test_a_catalogue_of_words_that_the_model_does_not_know_is_warned_of(folder, known, warned):
    rows = [f"{row},,{'road' if row < known else 'zebra'}\n" for row in range(10)]
    (folder / "items.csv").write_text("item_id,title,synopsis\n" + "".join(rows))
    result = invoke("embed", "items.csv", "out", "--model", "model")
    assert result.exit_code == 0
    assert f"{10 - known} all_unknown" in result.stdout
    line = (
        "convoy: warning: 30% of the items (3 of 10) are all_unknown: none of their words are in the "
        "model's vocabulary, and their vectors are zeros; use a model trained on such texts"
    )
    assert warnings_of(result) == [line] * warned


def test_usage_errors_exit_with_2(folder):
    for arguments in (("embd",), ("embed", "items.csv"), ("embed", "items.csv", "out", "--modle", "model")):
        result = invoke(*arguments)
        assert result.exit_code == 2
        assert "Usage: " in result.stderr


IMPORTED = """
import sys
from convoy.cli import app as cli
slow = {"matplotlib", "mlflow", "numba", "numpy", "pandas", "pyarrow", "pydantic", "rich.progress", "sklearn"}
slow.add("torch")
before = sorted(slow & set(sys.modules))
try:
    cli.main()
finally:
    print(before, sorted(slow & set(sys.modules)))
"""


@pytest.mark.parametrize("code", [0, 2])
def test_imports_only_what_a_command_needs_and_exits_with_the_code(folder, code):
    model = "model" if code == 0 else "nowhere"
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, "embed", "items.csv", "out", "--model", model, COLUMNS],
        env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert done.stdout.splitlines()[-1] == "[] ['numba', 'numpy', 'pyarrow', 'pydantic']"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["", "embed", "downscale", "publish", "promote", "dashboard"])
def test_help_waits_for_no_library(command):
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *command.split(), "--help"],
        env=ENVIRONMENT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    # Typer itself imports pydantic to parse arguments.
    assert done.stdout.splitlines()[-1] in ("[] []", "[] ['pydantic']")


def test_version():
    assert invoke("--version").stdout.startswith("convoy 0.")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_an_interrupt_leaves_nothing(folder, number, code):
    rows = "".join(f"item-{row},title,the road of two cats and a tale\n" for row in range(400_000))
    (folder / "large.csv").write_text("item_id,title,synopsis\n" + rows)
    process = subprocess.Popen(
        [*CONVOY, "embed", "large.csv", "out", "--model", "model"],
        env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not list(folder.glob(".out.partial-*/_mmap/embeddings.npy")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert len([line for line in errors.splitlines() if not line.endswith(" items/s")]) <= 1
    assert sorted(path.name for path in folder.iterdir()) == ["items.csv", "large.csv", "model"]


def test_nohup_lets_a_command_outlive_its_terminal(folder):
    command = [*CONVOY, "embed", "items.csv", "out", "--model", "model", COLUMNS]
    with subprocess.Popen(["nohup", *command], env=ENVIRONMENT, stdout=subprocess.DEVNULL) as process:
        time.sleep(0.5)  # until nohup ignores the signal
        while process.poll() is None:
            process.send_signal(signal.SIGHUP)
            time.sleep(0.05)
    assert process.returncode == 0
    assert len(embeddings.read(folder / "out")[0]) == 3


def test_plain_progress_lines_away_from_a_terminal(folder, monkeypatch):
    monkeypatch.setattr("convoy.cli.progress.SECONDS_BETWEEN_LINES", 0.0)
    result = invoke("embed", "items.csv", "out", "--model", "model", COLUMNS)
    lines = result.stderr.splitlines()
    assert [line.split(" items, ")[0] for line in lines] == [
        "ids: 3", "vectors: 3 of 3", "Parquet: 0 of 3", "Parquet: 3 of 3",
    ]  # fmt: skip
    assert all(line.endswith(" items/s") for line in lines)


def test_a_bar_on_a_terminal(folder):
    import pty

    control, terminal = pty.openpty()
    process = subprocess.Popen(
        [*CONVOY, "embed", "items.csv", "out", "--model", "model", COLUMNS],
        env=ENVIRONMENT | {"TERM": "xterm", "COLUMNS": "120"},
        stdout=subprocess.PIPE, stderr=terminal, text=True,
    )  # fmt: skip
    os.close(terminal)
    shown = b""
    while True:
        try:
            block = os.read(control, 4096)
        except OSError:  # how Linux tells that the other end is closed
            break
        if not block:
            break
        shown += block
    out, _ = process.communicate()
    os.close(control)
    assert process.returncode == 0
    assert out.startswith("embeddings: 3 items")
    assert b"vectors" in shown
    assert b"3/3" in shown
    assert json.loads((folder / "out" / "_manifest.json").read_text())["items"] == 3
