"""`convoy downscale` and `convoy embed` with models that MLflow's URIs name; what is refused, in one line."""

import re

import numpy as np
import pandas as pd
import pytest

from convoy.climate.downscaling.evaluation import daily_io as daily
from convoy.climate.downscaling.task import TASK as DOWNSCALING
from convoy.core import artifact as folders
from convoy.core.figures_io import DETAILS
from convoy.core.files import write_json
from tests.cli.test_app import invoke, refused
from tests.support import downscaled, gridfiles
from tests.tracking import shelves
from tests.tracking.servers import free_port
from tests.tracking.tampering import flip

MODEL = "models:/climate-downscaling"
DOWNSCALE, EMBED = ("downscale", "in.nc", "out.nc"), ("embed", "items.csv", "out")


@pytest.fixture(scope="module")
def home():
    return downscaled.climate()[0]


@pytest.fixture(scope="module")
def network(home):
    return downscaled.stored("residual", home)


@pytest.fixture
def version(client, add, repository, network, home):
    """Of a downscaling network, beside one of a textcnn; and files to give to them."""
    days = home.at(slice(370, 400))
    gridfiles.write(repository / "in.nc", downscaled.variables(days))
    (repository / "items.csv").write_text("item_id,title,synopsis\na,A tale,of two cats\nb,,the road\n")
    add("textcnn", 900)
    folders.write(repository / "network", network.config, network.seeds, None)
    squared = daily.Daily(np.full(3, "home"), np.arange(3), np.ones(3))
    daily.write(repository / "evaluation" / "daily.parquet", {"residual": {"test": squared}})
    write_json(repository / "evaluation" / "metrics.json", {"test": {"rmse": 1.0}})
    write_json(repository / "evaluation" / DETAILS, {"test": {"rmse": 1.0, "mae": 0.8}})
    rows = {name: [day.ravel() for day in field[:2]] for name, field in days.inputs.items()}
    example = pd.DataFrame({"date": days.days.labels[:2], **rows})
    shelves.publish(
        client, repository / "network", repository / "evaluation", "residual", {"grids": "1"}, DOWNSCALING,
        example,
    )  # fmt: skip
    return client.get_model_version("climate-downscaling", "1")


def made(command, out, model):
    """The bytes of what comes out."""
    result = invoke(*command[:2], str(out), "--model", str(model))
    assert result.exit_code == 0, result.stderr
    files = [out] if out.is_file() else sorted(file for file in out.rglob("*") if file.is_file())
    return {file.relative_to(out).as_posix(): file.read_bytes() for file in files}


def test_a_version_downscales_as_its_folder_does_to_the_byte(version, tmp_path):
    of_folder = made(DOWNSCALE, tmp_path / "of_folder.nc", "network")
    for number, uri in enumerate(
        (
            f"{MODEL}/1", f"{MODEL}@challenger", version.source,
            f"runs:/{version.run_id}/residual",
        )
    ):  # fmt: skip
        assert made(DOWNSCALE, tmp_path / f"{number}.nc", uri) == of_folder, uri


def test_an_alias_embeds_as_the_folder_of_its_version_does_to_the_byte(version, tmp_path):
    (folder,) = tmp_path.glob("models/textcnn-0")
    of_folder = made(EMBED, tmp_path / "of_folder", folder)
    assert made(EMBED, tmp_path / "of_alias", "models:/streamrec-text@challenger") == of_folder


def test_a_model_that_cannot_be_used_is_refused_in_one_line(version, repository):
    def line(command, uri):
        return refused(*command, "--model", uri).removeprefix("convoy: ")

    other = line(DOWNSCALE, "models:/streamrec-text@challenger")
    assert other.startswith(
        "models:/streamrec-text@challenger: a model 'textcnn' downscales nothing; name one of climate's"
    )
    assert line(EMBED, f"{MODEL}/1").startswith("model 'residual': expected one of textcnn, bow, ")
    for uri in (f"{MODEL}/77", f"{MODEL}@champion"):
        missing = line(DOWNSCALE, uri)
        assert missing.startswith(f"{uri}: no such version at sqlite:///")
        assert missing.endswith(f"; there are {MODEL}/1\n")
    assert line(DOWNSCALE, "models:/nowhere/1").endswith("; there are none, run `convoy publish`\n")
    assert re.match(r"runs:/0123/residual: .*not found", line(DOWNSCALE, "runs:/0123/residual"))
    for uri in ("models:/", "models:climate-downscaling", "runs:/0123"):
        assert line(DOWNSCALE, uri).startswith(f"{uri}: expected models:/NAME/VERSION, models:/NAME@ALIAS, ")
    for command in (DOWNSCALE, EMBED):
        for uri in ("s3://bucket/model", "file:///tmp/model", "http://127.0.0.1/model", "model:/a/1"):
            assert line(command, uri) == (
                "--model: expected a model folder, models:/NAME/VERSION, models:/NAME@ALIAS, models:/ID or "
                f"runs:/RUN/PATH; found '{uri}'\n"
            )
    assert not (repository / "out").exists()
    assert not (repository / "out.nc").exists()


def test_a_version_that_was_changed_in_the_store_is_refused(version, repository):
    for weights in (repository / "mlruns" / "artifacts").rglob("model.safetensors"):
        flip(weights)
    for command, uri in ((DOWNSCALE, f"{MODEL}/1"), (EMBED, "models:/streamrec-text@challenger")):
        line = refused(*command, "--model", uri)
        assert line.startswith(f"convoy: {uri}/")
        assert "model.safetensors: sha256 differs from the manifest" in line


def test_a_store_that_is_not_there_or_out_of_reach_is_told_and_none_is_made(repository, monkeypatch):
    uri = f"{MODEL}@champion"
    (repository / "mlruns" / "mlflow.db").unlink()
    line = refused(*DOWNSCALE, "--model", uri)
    assert line.startswith("convoy: MLflow: no store at sqlite:///")
    assert line.endswith("mlflow.db; `convoy publish` makes it\n")
    assert not (repository / "mlruns" / "mlflow.db").exists()
    server = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    for command in (DOWNSCALE, EMBED):
        line = refused(*command, "--model", uri)
        assert line.startswith(f"convoy: MLflow at {server}: ")
        assert line.endswith("; name a model folder, or try again\n")
        assert "convoy publish" not in line
