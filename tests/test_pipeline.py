"""The whole pipeline as its users run it, on a small catalogue; every command of the README among them."""

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
import yaml
from PIL import Image

from convoy.embeddings import io as embeddings
from tests.conftest import ROOT
from tests.pipelines import workspace
from tests.tracking.servers import NO_JOBS, answers, environment, free_port, stop, wait_for

README = (ROOT / "README.md").read_text(encoding="utf-8")
STREAMREC = Path("data/streamrec")
EPOCHS, FILTERS = 15, 20


def commands() -> list[str]:
    """The indented lines of the README, each a command; comments and continued lines joined away."""
    prose = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    blocks = re.findall(r"(?:^    .+\n)+", prose, flags=re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [re.sub(r"\s+#.*", "", line).strip() for line in lines]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small workspace after `dvc repro`, whose networks have learnt enough to be promoted.

    `dvc exp run` of the README's commands trains with live epochs; here they would only take longer.
    """
    training = {"epochs": EPOCHS, "patience": EPOCHS, "batch_size": 64, "threads": 1}
    models = {"bow": {}, "textcnn": {"num_filters": FILTERS, "training": training}}
    changes = {f"streamrec.models.{name}": params for name, params in models.items()}
    folder = workspace.make(tmp_path_factory.mktemp("project"), changes)
    done = workspace.shell("CONVOY_TRACKING=off make -o setup repro", folder)
    assert done.returncode == 0, done.stdout
    return folder


def test_it_ends_with_embeddings_and_a_report(project: Path) -> None:
    for model, dimension in (("textcnn", 60), ("bow", 128)):
        ids, vectors = embeddings.read(project / STREAMREC / "embeddings" / model)
        assert vectors.shape == (2000, dimension)
        assert list(ids) == sorted(ids)
        assert np.isfinite(vectors).all()
        certificate = json.loads((project / STREAMREC / f"acceptance/{model}/certificate.json").read_text())
        assert certificate["checks"]["re_embedded"]["state"] == "passed"
        assert certificate["checks"]["clicks"]["state"] in ("passed", "failed")
    page = (project / STREAMREC / "report.html").read_text(encoding="utf-8")
    assert "TextCNN" in page
    for model in ("bow", "textcnn", "linear", "linear_pairs"):
        metrics = json.loads((project / STREAMREC / "metrics" / f"{model}.json").read_text())
        test, bayes = metrics["test"], metrics["bayes"]
        assert test["accuracy_low"] <= test["accuracy"] <= test["accuracy_high"]
        assert {"macro_f1", "log_loss", "ece"} <= set(test)
        assert bayes["order_blind"] < bayes["full"]


def test_dvc_metrics_show_has_headline_figures_of_models_alone(project: Path) -> None:
    """All other figures are in files of details, and reports on data are outputs; they made 999 columns."""
    shown = workspace.shell("dvc metrics show --json", project)
    files = {name: set(keys(file["data"])) for name, file in json.loads(shown.stdout)[""]["data"].items()}
    assert {Path(name).parent.as_posix() for name in files} == {
        "data/streamrec/metrics", "data/climate/metrics/downscaling", "data/climate/metrics/series",
        "data/climate/metrics/events",
    }  # fmt: skip
    representations = files.pop("data/streamrec/metrics/recommender.json")
    assert {name: len(found) for name, found in files.items() if not 3 <= len(found) <= 16} == {}
    by_name = [key.split(".")[1] for key in representations]
    assert max(by_name.count(name) for name in by_name) <= 4
    assert len(representations.union(*files.values())) <= 80


def keys(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield from keys(value, f"{prefix}{name}.") if isinstance(value, dict) else [f"{prefix}{name}"]


def test_a_second_repro_has_nothing_to_do_and_says_so(project: Path) -> None:
    done = workspace.shell("dvc repro", project)
    assert done.returncode == 0
    assert "Data and pipelines are up to date." in done.stdout
    assert "Running stage" not in done.stdout


def test_a_clone_without_its_data_is_known_to_be_up_to_date(project: Path, tmp_path: Path) -> None:
    """The usual check of a CI that has no data."""
    identity = "-c user.name=convoy -c user.email=convoy@example.org"
    workspace.shell(f"git add --all && git {identity} commit --quiet --message made", project)
    done = workspace.shell(
        f"git clone --quiet . {tmp_path}/clone && cd {tmp_path}/clone && dvc repro --allow-missing --dry",
        project,
    )
    assert "Data and pipelines are up to date." in done.stdout, done.stdout
    assert not (tmp_path / "clone/data/climate/grids").exists()


def test_no_output_names_this_machine_or_holds_a_leftover(project: Path) -> None:
    names = [path.name for path in (project / "data").rglob("*")]
    assert not [name for name in names if "partial" in name or name == "checkpoints"]
    for path in (project / STREAMREC).rglob("*"):
        if path.suffix in {".json", ".html", ".csv"}:
            assert str(project) not in path.read_text(encoding="utf-8"), path


def test_convoy_embed_gives_the_vectors_of_the_stage(project: Path, tmp_path: Path) -> None:
    done = workspace.shell(
        f"convoy embed {STREAMREC}/catalogue.parquet {tmp_path}/out --model {STREAMREC}/models/textcnn",
        project,
    )
    assert done.returncode == 0, done.stdout
    ids, vectors = embeddings.read(tmp_path / "out")
    expected_ids, expected = embeddings.read(project / STREAMREC / "embeddings" / "textcnn")
    assert np.array_equal(ids, expected_ids)
    assert np.array_equal(vectors, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"streamrec.catalogue.surce": "x"}, r"unknown key 'surce'"),
        ({"streamrec.catalogue.synthetic.items": "many"}, r"'synthetic.items'.*found \"many\""),
        ({"streamrec.catalogue.min_category_size": -1}, r"min_category_size.*found -1"),
    ],
)
def test_a_wrong_param_stops_in_one_line_and_leaves_nothing(
    project: Path, change: dict[str, object], message: str
) -> None:
    before = (project / "params.yaml").read_text()
    workspace.edit(project, change)
    try:
        done = workspace.shell("pipelines/run streamrec/catalogue.py", project)
        repro = workspace.shell("dvc repro streamrec-catalogue", project)
        assert not (project / STREAMREC / "catalogue.parquet").exists()
    finally:
        (project / "params.yaml").write_text(before)
        workspace.shell("dvc checkout", project)
    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 1
    assert re.search(message, done.stdout)
    assert repro.returncode != 0
    assert "Traceback" not in repro.stdout


def test_the_python_of_the_readme_reads_the_embeddings(project: Path) -> None:
    examples = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(examples) == 2
    shapes = []
    for example in examples:
        done = workspace.shell(
            f"python - <<'END'\n{example}\nprint(vectors.shape, vectors.dtype)\nEND", project
        )
        assert done.returncode == 0, done.stdout
        shapes.append(done.stdout.strip())
    assert shapes == ["(2000, 60) float32"] * 2


def test_the_readme_shows_pictures_that_the_pipeline_made() -> None:
    stages = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    outputs = [out["path"] for stage in stages.values() for out in stage.get("outs", [])]
    pictures = re.findall(r"!\[.+\]\((.+)\)", README)
    assert len(pictures) >= 5
    for picture in pictures:
        assert (ROOT / picture).read_bytes().startswith(b"\x89PNG"), picture
        assert picture.startswith(("tests/tracking/", *outputs)), picture


def test_the_params_that_the_readme_sets_stand_in_the_file() -> None:
    keys = re.findall(r"(?:-S|--set-param)[ =]'?([\w.]+)=", README)
    assert len(keys) >= 3
    for key in keys:
        values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        for name in key.split("."):
            values = values[name]


def test_every_command_of_the_readme_works(
    project: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    (project / "titles.csv").write_text("item_id,title,synopsis\nb,One,of them\na,Another,\n")
    shutil.copy(project / "data/climate/grids/home/coarse_2001.nc", project / "coarse.nc")
    write_map(project / "map.nc")
    write_pictures(project / "photos")
    here = {
        # Running the tests from a test would never end; make knows what it would run.
        "make test": "make -o setup -n test",
        "make repro": "make -o setup repro",
        "make dashboard": f"make -o setup dashboard PORT={free_port()}",
        # The text network as it is, so that DVC has nothing to run again: climate and events change theirs.
        "num_filters=200": f"num_filters={FILTERS}",
        "hidden=96": "hidden=6",
        "epochs=24": "epochs=2",
        "epochs=12": f"epochs={EPOCHS}",
        "epochs=8": "epochs=1",
        "items=50000": "items=2000",
        "years=20": "years=4",
        "/srv/mlflow": str(tmp_path / "artifacts"),
        "5001": str(free_port()),
        "5002": str(free_port()),
    }
    setting, ran = "true", []
    with contextlib.ExitStack() as servers:
        for command in commands():
            if "postgresql://" in command:
                here["postgresql://user:secret@db/mlflow"] = request.getfixturevalue("postgres")
                here["mlflow server"] = f"mlflow server --workers 1 --port {free_port()}"
            shown = "|".join(map(re.escape, here))
            command = re.sub(shown, lambda found: here[found[0]], command)
            if command.startswith("export "):
                setting = command
            elif port := re.search(r"(?:PORT=|--port )(\d+)", command):
                servers.enter_context(serving(f"{setting} && {command}", project, int(port[1])))
            else:
                done = workspace.shell(f"source .venv/bin/activate && {setting} && {command}", project)
                assert done.returncode == 0, f"{command}\n{done.stdout}"
                if command.startswith("curl") and "serving_input_example" in command:
                    assert re.search('"tasmax": *\\[[23][0-9]{2}[.]', done.stdout)  # kelvins
                elif command.startswith("curl"):
                    assert '"category"' in done.stdout
                    assert re.search('"status": *"ok"', done.stdout)
            ran.append(command)
    assert len(ran) >= 15


def write_map(path: Path) -> None:
    """A weather map in the units and channels of the events task."""
    values = np.random.default_rng(0).normal(size=(64, 64))
    units = {"temperature": "K", "pressure": "hPa", "humidity": "g/kg"}
    variables = {name: (("y", "x"), values, {"units": unit}) for name, unit in units.items()}
    xarray.Dataset(variables).to_netcdf(path)


def write_pictures(folder: Path) -> None:
    """Pictures of noise in two classes, one darker than the other."""
    random = np.random.default_rng(0)
    for label, name in enumerate(("dark", "bright")):
        (folder / name).mkdir(parents=True)
        for number in range(60):
            pixels = random.integers(100 * label, 100 * label + 150, (70, 60, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.jpg")


@contextlib.contextmanager
def serving(command: str, folder: Path, port: int) -> Iterator[None]:
    """The command, in a process group of its own, from its first answer until the block is left."""
    with open(folder / "server.log", "ab") as log:
        server = subprocess.Popen(
            ["/bin/bash", "-c", f"source .venv/bin/activate && {command}"],
            cwd=folder, env=environment(folder, **NO_JOBS), stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}") or server.poll() is not None, 180)
        assert server.poll() is None, f"{command}\n{(folder / 'server.log').read_text()}"
        yield
    finally:
        stop(server)
