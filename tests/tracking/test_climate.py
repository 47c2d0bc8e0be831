"""The downscaling task in MLflow: published, served, traced; alone and beside the texts."""

import json
import shutil
from dataclasses import replace

import cftime
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.exceptions import MlflowException

from convoy.climate.data import io as grids
from convoy.climate.data.domains import EPOCH, Days
from convoy.climate.downscaling.evaluation.files import FILES
from convoy.climate.downscaling.fields_model import FieldsModel
from convoy.climate.downscaling.models import specs as models
from convoy.climate.downscaling.task import TASK as DOWNSCALING
from convoy.core import artifact as folders
from convoy.core.errors import ConvoyError
from convoy.core.files import MANIFEST, sha256
from convoy.projects import TASKS
from convoy.tracking import store
from convoy.tracking.dashboard import server
from convoy.tracking.lineage.chain import lineage
from convoy.tracking.publish import publish
from convoy.tracking.registry import loading, packaging
from convoy.tracking.runs import NOTE
from convoy.training import event_log
from tests.tracking import climates, shelves
from tests.tracking.packaged import of_mlflow

MODEL, EXPERIMENT = "climate-downscaling", "climate/downscaling"
CELLS, FINE = 8, 32


@pytest.fixture
def project(climate, repository, client):
    """A repository with these outputs and an empty store, as the current folder."""
    shutil.copytree(climate, repository, dirs_exist_ok=True)
    return repository


@pytest.fixture
def published(project):
    publish(TASKS)
    return store.client()


def runs(client, name=EXPERIMENT):
    """The runs of a task by the kind of their model."""
    experiment = client.get_experiment_by_name(name)
    found = client.search_runs([experiment.experiment_id], max_results=100)
    return {run.data.tags["convoy.model"]: run for run in found}


def metrics(kind):
    return FILES.read(kind)


def test_networks_and_baselines_are_runs_and_networks_alone_are_versions(published, project):
    found = runs(published)
    assert set(found) == {*climates.KINDS, "all"}
    assert published.get_experiment_by_name("streamrec/text") is None
    ridge, residual = found["ridge"].data, found["residual"].data
    assert residual.metrics["test_rmse"] == metrics("residual")["test"]["rmse"]
    assert residual.metrics["warmer_2k_change_error"] == metrics("residual")["warmer_2k"]["change_error"]
    assert residual.metrics["test_DJF_rmse"] == metrics("residual")["test"]["by_season"]["DJF"]["rmse"]
    assert residual.metrics["noise_floor"] == 0.2
    assert "unseen_terrain_rmse" in residual.metrics
    assert "unseen_terrain_rmse" not in ridge.metrics, "it cannot go there"
    history = published.get_metric_history(found["residual"].info.run_id, "validation_rmse")
    assert [point.step for point in history] == [1, 2]
    assert residual.params["network.width"] == "4"
    # The task draws none of a network by itself: that of the comparison which shows networks.
    assert "notes/spectra.png" in residual.tags[NOTE]
    assert "notes/" not in ridge.tags[NOTE]
    assert found["residual"].info.run_name == "residual · synthetic 4 years"
    (data,) = found["residual"].inputs.dataset_inputs
    lock = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    assert (data.dataset.name, data.dataset.digest) == ("grids", lock["climate-grids"]["outs"][0]["md5"])
    versions = published.search_model_versions(f"name = '{MODEL}'")
    assert {version.tags["convoy.model"] for version in versions} == set(climates.NETWORKS)
    assert all(version.tags["test_rmse"] for version in versions)
    assert all(next(iter(version.tags)) == "test_rmse" for version in versions), "not a hash first"
    assert not published.search_registered_models("name = 'streamrec-text'")


def test_the_smallest_error_comes_first_and_is_told_in_words(published):
    found = runs(published)
    order = sorted(climates.KINDS, key=lambda kind: metrics(kind)["test"]["rmse"])
    parent = found["all"]
    note = parent.data.tags["mlflow.note.content"]
    rows = [line for line in note.splitlines() if line.startswith("| [")]
    assert [row.removeprefix("| [").partition("]")[0] for row in rows] == order
    # Pages trim blanks, and show neither lines nor space between cells.
    assert all(cell.strip().endswith("&emsp;") for row in rows for cell in row.split("|")[1:-2])
    assert parent.data.tags["convoy.best"] == order[0] == "ridge"
    tags = published.get_experiment_by_name(EXPERIMENT).tags
    assert tags["best"] == f"ridge, {metrics('ridge')['test']['rmse']:.3g} K"
    assert "Best on synthetic 4 years" in tags["mlflow.note.content"]
    state = json.loads(json.loads(tags["mlflow.sharedViewState.convoy"])["state"])
    assert state["orderByKey"] == "metrics.`test_rmse`"
    assert state["orderByAsc"] is True
    assert (
        "Unseen terrain: not applicable, the model is bound to the terrain"
        in found["ridge"].data.tags["mlflow.note.content"]
    )
    files = {file.path for file in published.list_artifacts(parent.info.run_id)}
    assert {"report.html", "comparison.json", "errors.png", "spectra.png"} <= files
    assert "get-artifact?path=notes/errors.png" in note


def test_the_challenger_is_the_best_of_the_networks_by_validation(published):
    def last(kind):
        lines = (climates.DATA / "models" / kind / "curve.csv").read_text().splitlines()
        rows = [
            dict(zip(lines[0].split(","), map(float, line.split(",")), strict=True)) for line in lines[1:]
        ]
        return min(rows, key=lambda row: row["validation_loss"])["validation_rmse"]

    challenger = published.get_model_version_by_alias(MODEL, "challenger")
    assert challenger.tags["convoy.model"] == min(climates.NETWORKS, key=last)


def test_publishing_again_changes_nothing(published, project):
    before = shelves.rows(project)
    assert set(publish(TASKS)) == {EXPERIMENT}
    assert shelves.rows(project) == before


def test_a_live_run_is_taken_over_with_its_times(project, monkeypatch):
    monkeypatch.setenv("CONVOY_TRACKING", "off")
    facts = {"task": EXPERIMENT, "model": "residual", "key": "k", "seeds": [0], "device": "cpu", "params": {}}
    with event_log.recorded(facts, "convoy.tracking.live") as live:
        for epoch in (1, 2):
            live.epoch(0, {"epoch": epoch, "train_loss": 1.0, "validation_rmse": 2.0})
        live.finished(sha256(climates.DATA / "models" / "residual" / MANIFEST))
    publish(TASKS)
    (record,) = event_log.records()
    client = store.client()
    found = runs(client)
    assert set(found) == {*climates.KINDS, "all"}
    history = client.get_metric_history(found["residual"].info.run_id, "validation_rmse")
    assert [point.timestamp for point in history] == [event["time"] for event in record.epochs]


def test_any_subset_is_published_without_a_comparison_too(project):
    shutil.rmtree(climates.DATA / "plots")
    (climates.DATA / "metrics" / "comparison.json").unlink()
    climates.lock(project, ("bicubic",))
    assert set(publish(TASKS)[EXPERIMENT]) == {"bicubic"}
    climates.lock(project, ("residual", "bicubic"))
    assert set(publish(TASKS)[EXPERIMENT]) == {"residual", "bicubic"}
    client = store.client()
    assert len(client.search_model_versions(f"name = '{MODEL}'")) == 1


def test_what_climate_models_no_longer_names_may_be_missing(project):
    """DVC keeps the entries of stages that dvc.yaml no longer has, but does not bring their outputs."""
    climates.lock(project, climates.KINDS, left=("srcnn",))
    shutil.rmtree(climates.DATA / "models" / "srcnn")
    found = publish(TASKS)
    assert set(found[EXPERIMENT]) == set(climates.KINDS) - {"srcnn"}


def test_one_that_was_just_compared_must_not_be_missing(project):
    shutil.rmtree(climates.DATA / "models" / "srcnn")
    with pytest.raises(ConvoyError, match="data/climate/models/srcnn: no such output"):
        publish(TASKS)


def test_both_tasks_stand_side_by_side(built, climate, tmp_path, empty_store, monkeypatch):
    project = shutil.copytree(built, tmp_path / "both", symlinks=True)
    texts = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    shutil.copytree(climate / climates.DATA, project / climates.DATA, dirs_exist_ok=True)
    climates.lock(project, climates.KINDS, texts)
    (project / "mlruns").mkdir(exist_ok=True)
    shutil.copy(empty_store, project / "mlruns" / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project / 'mlruns' / 'mlflow.db'}")
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.chdir(project)
    found = publish(TASKS)
    assert {task: len(models) for task, models in found.items()} == {"streamrec/text": 5, EXPERIMENT: 4}
    client = store.client()
    assert (len(runs(client, "streamrec/text")), len(runs(client))) == (6, 5)
    assert {model.name for model in client.search_registered_models()} == {MODEL, "streamrec-text"}
    guide = "\n".join(server._guide(client, TASKS, "http://here/"))
    assert guide.index("streamrec/text, best first") < guide.index("climate/downscaling, best first")


def test_the_dashboard_leads_to_what_is_there(published):
    guide = server._guide(published, TASKS, "http://here/")
    assert len(guide) == 5
    assert "climate/downscaling, best first" in guide[1]
    assert guide[4].endswith(f"#/models/{MODEL}")


def days(count=3):
    """Test days as a table of the service, and what the evaluate stage would say of them."""
    grids.read_facts(climates.DATA / "grids")
    domain = grids.read(climates.DATA / "grids", "test")[0].at(slice(10, 10 + count))
    fields = {name: [day.ravel().tolist() for day in field] for name, field in domain.inputs.items()}
    return domain, pd.DataFrame({"date": domain.days.labels, **fields})


def test_a_version_gives_the_fields_of_the_evaluate_stage(published):
    domain, table = days()
    version = published.get_model_version_by_alias(MODEL, "challenger")
    stored = folders.read(climates.DATA / "models" / version.tags["convoy.model"])
    calendar = stored.config.get("calendar", "standard")
    dates = [cftime.datetime(*map(int, label.split("-")), calendar=calendar) for label in domain.days.labels]
    ordinal = np.array([cftime.date2num(date, EPOCH, calendar) for date in dates])
    domain = replace(domain, days=Days(calendar, ordinal))
    expected = models.downscale(stored, domain)[0].reshape(len(table), -1)
    for loaded in (
        loading.load(published, f"models:/{MODEL}@challenger", DOWNSCALING.serving),
        of_mlflow(f"models:/{MODEL}@challenger"),
    ):
        answer = loaded.predict(table)
        assert list(answer.columns) == ["date", "tasmax"]
        assert answer["date"].tolist() == table["date"].tolist()
        np.testing.assert_allclose(np.stack(answer["tasmax"]), expected, rtol=1e-6)
        assert np.stack(answer["tasmax"]).shape == (3, FINE**2)
    example = loaded.input_example
    assert example["date"].tolist() == ["2004-01-01", "2004-01-02"]
    assert len(loaded.predict(example)) == 2


def test_mlflow_s_scoring_takes_and_gives_json(published):
    from mlflow.pyfunc.scoring_server import invocations

    _, table = days(2)
    loaded = of_mlflow(f"models:/{MODEL}@challenger")
    expected = loaded.predict(table)

    def asked(records):
        body = json.dumps({"dataframe_records": records})
        return invocations(body, "application/json", loaded, loaded.metadata.get_input_schema())

    records = table.to_dict(orient="records")
    answer = json.loads(asked(records).response)["predictions"]
    assert [row["date"] for row in answer] == table["date"].tolist()
    found = np.array([row["tasmax"] for row in answer], np.float32)
    np.testing.assert_array_equal(found, np.stack(expected["tasmax"]))
    with pytest.raises(MlflowException, match="psl, row 1: expected 64 numbers, 8 rows from south to north"):
        asked([{**records[0], "psl": records[0]["psl"][1:]}])
    with pytest.raises(MlflowException, match="Model is missing inputs"):
        asked([{"date": "2004-01-01"}])

    def values(answer):
        return [row["tasmax"] for row in json.loads(answer.response)["predictions"]]

    whole = [{**row, "psl": [round(value) for value in row["psl"]]} for row in records]
    assert np.isfinite(np.array(values(asked(whole)))).all()
    # Of a day without any value of an input there is no answer; a hole is filled from its neighbours.
    one, two = values(
        asked([{**records[0], "huss": [None] * 64}, {**records[1], "huss": [None, *records[1]["huss"][1:]]}])
    )
    assert one is None
    assert np.isfinite(np.array(two)).all()
    # Every format of a request gets the same answer, or one line.
    schema, table = loaded.metadata.get_input_schema(), {"columns": list(records[0])}
    for body in (
        {"dataframe_split": {**table, "data": [list(row.values()) for row in records]}},
        {"instances": records},
        {"inputs": {name: [row[name] for row in records] for name in records[0]}},
    ):
        response = invocations(json.dumps(body), "application/json", loaded, schema)
        np.testing.assert_array_equal(np.array(values(response), np.float32), found)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("tasmax", lambda x: x - 273.15, r"tasmax, row 1: is \S+ at lat .*expected 150 to 350 K"),
        ("tasmax", lambda x: x + 100, "expected 150 to 350 K"),
        ("psl", lambda x: x / 100, "psl, row 1: .*expected 80000 to 115000 Pa"),
        ("psl", lambda x: 0 * x, "expected 80000 to 115000 Pa"),
        ("psl", lambda x: 0 * x + 1e26, "expected 80000 to 115000 Pa"),
        ("huss", lambda x: 1000 * x, "huss, row 1: .*expected 0 to 0.06 kg kg-1"),
        ("huss", lambda x: 0 * x - 9999, "expected 0 to 0.06 kg kg-1"),
        ("huss", lambda x: np.where(np.arange(64) == 3, np.inf, x), r"is inf at lat .*\(the first of 1\)"),
        ("huss", lambda x: np.where(np.arange(64) == 3, 1e39, x), r"is 1e\+39 at lat"),
        ("psl", lambda x: ["101325"] * 64, "found no list of numbers"),
        ("psl", lambda x: [True] * 64, "found no list of numbers"),
        ("psl", lambda x: [{}] * 64, "found no list of numbers"),
        ("psl", lambda x: [10**400] * 64, "found no list of numbers"),
        ("psl", lambda x: 101325.0, "found no list of numbers"),
        ("date", lambda x: "２００４-01-11", "date, row 1: expected a day"),
    ],
)
def test_a_day_that_the_command_refuses_is_refused_by_the_served_model(residual, name, change, words):
    """By the table of variables, as `convoy downscale` does."""
    _, table = days(2)
    first = table.iloc[0].to_dict()
    changed = change(np.array(first[name]) if name != "date" else first[name])
    first[name] = changed.tolist() if isinstance(changed, np.ndarray) else changed
    with pytest.raises(ConvoyError, match=words) as refused:
        residual.predict(pd.DataFrame([first]))
    assert "\n" not in str(refused.value)


@pytest.fixture
def residual(project):
    return FieldsModel(folders.read(climates.DATA / "models" / "residual"))


def test_cells_without_a_truth_in_training_are_null(project):
    whole = folders.read(climates.DATA / "models" / "residual")
    known = np.ones(whole.tensors["cells_with_truth"].shape, np.uint8)
    assert (whole.tensors["cells_with_truth"] == known).all()
    known[3, 5] = 0
    sea = replace(whole, seeds={0: {**whole.tensors, "cells_with_truth": known}})
    _, table = days(2)
    for cells, all_cells in zip(
        FieldsModel(sea).predict(table)["tasmax"], FieldsModel(whole).predict(table)["tasmax"], strict=True
    ):
        place = 3 * known.shape[1] + 5
        assert cells[place] is None
        assert np.delete(cells, place).tolist() == np.delete(all_cells, place).tolist()


def test_tables_that_cannot_be_read_are_refused_in_one_line(residual):
    _, table = days(2)
    for changed, words in (
        (table.drop(columns="huss"), "expected the columns date, tasmax, psl, huss, found date, tasmax, psl"),
        (
            table.assign(date=["2004-01-11", "11.1.2004"]),
            r"date, row 2: expected a day as YYYY-MM-DD .*'11\.1",
        ),
        (table.assign(date=["2004-02-31", "2004-01-11"]), "date, row 1: expected a day"),
        (
            table.assign(psl=[[1.0], [2.0]]),
            r"psl, row 1: expected 64 numbers, .*found an array of shape \(1,\)",
        ),
        (table.assign(psl=["high", "low"]), "psl, row 1: expected 64 numbers, .*found no list of numbers"),
        ([[1.0]], "expected a table, found list"),
    ):
        with pytest.raises(ConvoyError, match=words) as refused:
            residual.predict(changed)
        assert "\n" not in str(refused.value)
    empty = residual.predict(table.iloc[:0])
    assert list(empty.columns) == ["date", "tasmax"]
    assert len(empty) == 0


def test_a_network_with_a_spread_serves_it_and_one_that_was_trained_on_a_gpu_runs_here(project, tmp_path):
    splits = {split: grids.read(climates.DATA / "grids", split) for split in ("train", "validation")}
    facts = grids.read_facts(climates.DATA / "grids")
    params = climates.QUICK.model_copy(update={"spread": "normal"})
    config, tensors, curve = models.train("srcnn", params, splits["train"], splits["validation"], facts, (0,))
    config["training"]["device"] = "cuda"
    folders.write(tmp_path / "wide", config, tensors, None, curve)
    _, table = days(2)
    saved = packaging.save(
        DOWNSCALING.serving,
        tmp_path / "wide",
        DOWNSCALING.serving.examples(climates.DATA),
        tmp_path / "saved",
    )
    answer = of_mlflow(saved).predict(table)
    assert list(answer.columns) == ["date", "tasmax", "tasmax_sd"]
    assert (np.stack(answer["tasmax_sd"]) > 0).all()
    outputs = json.loads(yaml.safe_load((saved / "MLmodel").read_text())["signature"]["outputs"])
    assert [column["name"] for column in outputs] == ["date", "tasmax", "tasmax_sd"]


def test_lineages_of_climate_s_outputs(published, project):
    version = published.get_model_version_by_alias(MODEL, "challenger")
    kind = version.tags["convoy.model"]
    for what in (
        f"data/climate/models/{kind}", f"{FILES.folder_of(kind)}/daily.parquet",
        f"models:/{MODEL}@challenger", f"runs:/{version.run_id}",
    ):  # fmt: skip
        lines: list[str] = []
        lineage(what, TASKS, lines.append)
        text = "\n".join(lines)
        assert f"models:/{MODEL}/{version.version} @challenger" in text, what
        assert "data/climate/grids: md5 " in text
        assert "artifact evaluation/maps.safetensors: md5 " in text
    changed = climates.DATA / "models" / kind / "model.safetensors"
    changed.write_bytes(changed.read_bytes()[:-1] + b"?")
    with pytest.raises(ConvoyError, match=r"model\.safetensors"):
        lineage(f"models:/{MODEL}@challenger", TASKS, lines.append)
