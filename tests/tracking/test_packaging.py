"""Model folders for MLflow: what is written, what MLflow makes of it, what its server answers."""

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from convoy.core.errors import ConvoyError
from convoy.core.files import sha256
from convoy.streamrec.classification.prediction import Predictor
from convoy.streamrec.classification.text_model import TextModel
from tests.conftest import ROOT
from tests.support import trained
from tests.tracking import packaged
from tests.tracking.packaged import NAME, check_same, frame, of_mlflow, save
from tests.tracking.servers import environment, free_port, stop, wait_for
from tests.tracking.tampering import flip

KINDS = ("bow", "textcnn", "linear")
WRITTEN = {
    *("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt"),
    *("input_example.json", "serving_input_example.json"),
}


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    return trained.make(tmp_path_factory.mktemp("product"), KINDS)


@pytest.fixture(scope="module")
def rows(product):
    return packaged.rows_of(product)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_folder_holds_the_model_and_words_no_code(product, rows, tmp_path, kind):
    folder = save(product.folders[kind], rows, tmp_path / "saved", "r1", "m-1")
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    copied = {f"data/{kind}/{path.name}" for path in product.folders[kind].iterdir()}
    assert files == WRITTEN | copied
    assert all(sha256(folder / name) == sha256(product.folders[kind] / Path(name).name) for name in copied)
    described = yaml.safe_load((folder / "MLmodel").read_text())
    assert described["metadata"] == {"content": sha256(product.folders[kind] / "manifest.json")}
    assert (described["run_id"], described["model_id"]) == ("r1", "m-1")
    assert (
        described["flavors"]["python_function"]["loader_module"] == "convoy.streamrec.classification.serving"
    )
    assert described["flavors"]["python_function"]["code"] is None
    outputs = {column["name"]: column for column in json.loads(described["signature"]["outputs"])}
    assert {name: column["type"] for name, column in outputs.items()} == {
        "category": "string",
        "probability": "double",
        "status": "string",
        **({} if kind == "linear" else {"embedding": "array"}),
    }
    inputs = json.loads(described["signature"]["inputs"])
    assert [(column["name"], column["type"], column["required"]) for column in inputs] == [
        ("title", "string", False),
        ("synopsis", "string", True),
    ]
    example = json.loads((folder / "input_example.json").read_text())
    assert example["columns"] == ["title", "synopsis"]
    assert [row[1] for row in example["data"]] == rows[1]
    requirements = (folder / "requirements.txt").read_text().split()
    assert all(line.count("==") == 1 and "/" not in line and "+" not in line for line in requirements)
    text = "".join((folder / name).read_text() for name in WRITTEN)
    assert "http" not in text
    assert str(product.folders[kind]) not in text


def test_what_is_changed_or_shows_nothing_is_not_saved(product, rows, tmp_path):
    copied = shutil.copytree(product.folders["bow"], tmp_path / "bow")
    with pytest.raises(ConvoyError, match="no rows as an example"):
        save(copied, ([], []), tmp_path / "saved")
    flip(copied / "model.safetensors")
    with pytest.raises(ConvoyError, match=r"model\.safetensors: sha256 differs"):
        save(copied, rows, tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_a_project_of_uv_in_the_current_folder_is_left_alone(product, rows, tmp_path, monkeypatch):
    for name in ("uv.lock", "pyproject.toml"):
        (tmp_path / name).write_text("version = 1\n")
    monkeypatch.chdir(tmp_path)
    folder = save(product.folders["linear"], rows, tmp_path / "saved")
    assert {path.name for path in folder.iterdir()} == {*WRITTEN, "data"}


@pytest.mark.parametrize("kind", KINDS)
def test_mlflow_loads_a_saved_folder(product, rows, tmp_path, kind):
    folder = save(product.folders[kind], rows, tmp_path / "saved")
    predictor = Predictor(product.stored(kind))
    loaded = of_mlflow(folder)
    check_same(loaded.predict(frame(rows)), predictor, rows)
    assert loaded.input_example["synopsis"].tolist() == rows[1]
    unknown = loaded.predict(pd.DataFrame({"title": [None], "synopsis": [None]}))
    assert 0 < unknown["probability"].iloc[0] <= 1
    assert len(loaded.predict(frame(([], [])).astype("string"))) == 0


def test_tables_that_cannot_be_read_are_refused_and_titles_may_be_missing(product, rows):
    model = TextModel(Predictor(product.stored("bow")))
    without = model.predict(frame(rows)[["synopsis"]])
    empty = model.predict(frame(([""] * len(rows[1]), rows[1])))
    assert without["category"].tolist() == empty["category"].tolist()
    for table, words in (
        (frame(rows)[["title"]], "expected the columns title and synopsis, each once, found title"),
        (frame(rows).rename(columns={"synopsis": "plot"}), "found title, plot"),
        (pd.DataFrame(), "found none"),
        (pd.DataFrame({"synopsis": [1.5]}), r"synopsis, row 1: expected a text or null, found float 1\.5"),
        (pd.DataFrame({"synopsis": [["a"]]}), r"synopsis, row 1: expected a text or null, found list"),
        ([["a", "b"]], "expected a table with title and synopsis, found list"),
    ):
        with pytest.raises(ConvoyError, match=words) as refused:
            model.predict(table)
        assert "\n" not in str(refused.value)
    nulls = pd.DataFrame({"title": [None, np.nan, pd.NA], "synopsis": [float("nan")] * 3})
    answer = model.predict(nulls)
    assert not np.stack(answer["embedding"]).any()
    assert answer["status"].tolist() == ["empty_text"] * 3


def ask(port, payload):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", json.dumps(payload).encode(),
        {"Content-Type": "application/json"},
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_mlflow_models_serve_answers(product, rows, tmp_path):
    repository = packaged.make(tmp_path / "repository", product)
    port = free_port()
    command = [
        "mlflow", "models", "serve", "-m", f"models:/{NAME}@champion", "--env-manager", "local",
        "-p", str(port),
    ]  # fmt: skip
    settings = environment(ROOT, MLFLOW_TRACKING_URI=f"sqlite:///{repository / 'mlruns' / 'mlflow.db'}")
    log = repository / "serve.log"
    with open(log, "wb") as output:
        server = subprocess.Popen(
            command, cwd=repository, env=settings, stdout=output, stderr=output, start_new_session=True
        )

    def up():
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5) as response:
                return response.status == 200
        except OSError:
            return False

    try:
        wait_for(up, 240)
        records = [{"title": title, "synopsis": synopsis} for title, synopsis in zip(*rows, strict=True)]
        status, answer = ask(port, {"dataframe_records": records})
        assert status == 200
        predictions = pd.DataFrame(answer["predictions"])
        expected = Predictor(product.stored("bow"))(*rows)
        assert predictions["category"].tolist() == expected.category
        np.testing.assert_allclose(predictions["probability"], expected.probability, rtol=1e-5)
        found = np.array(predictions["embedding"].tolist(), np.float32)
        np.testing.assert_array_equal(found, expected.embedding)
        # Every format of a request gets the same answer; in the last two MLflow turns null into "None".
        split = {"columns": ["title", "synopsis"], "data": list(zip(*rows, strict=True))}
        assert ask(port, {"dataframe_split": split}) == (200, answer)
        whole = [{name: value or "" for name, value in record.items()} for record in records]
        columns = {name: [record[name] for record in whole] for name in whole[0]}
        for body in ({"instances": whole}, {"inputs": columns}):
            assert ask(port, body) == (200, answer), list(body)
        # The example, as the README fetches it.
        example = f"models:/{NAME}@champion/serving_input_example.json"
        fetch = ["mlflow", "artifacts", "download", "-u", example, "-d", str(tmp_path)]
        subprocess.run(fetch, cwd=repository, env=settings, check=True, stdout=subprocess.DEVNULL)
        status, found = ask(port, json.loads((tmp_path / "serving_input_example.json").read_text()))
        assert status == 200
        assert {row["status"] for row in found["predictions"]} == {"ok"}
        status, answer = ask(port, {"dataframe_records": [{"title": None, "synopsis": ""}]})
        assert status == 200
        assert not any(answer["predictions"][0]["embedding"])
        assert answer["predictions"][0]["status"] == "empty_text"
        for record, words in (
            ({"title": "a"}, "Model is missing inputs ['synopsis']"),
            ({"synopsis": 5, "title": "a"}, ""),
            ({"synopsis": ["a"]}, "synopsis, row 1: expected a text or null, found list"),
        ):
            status, answer = ask(port, {"dataframe_records": [record]})
            assert status == 400
            assert words in answer["message"]
    finally:
        stop(server)
