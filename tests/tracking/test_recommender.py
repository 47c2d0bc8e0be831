"""The recommender in MLflow: a run per representation and the run of all, without versions."""

import json
from pathlib import Path

import pytest
import yaml

from convoy.core.figures_io import METRICS
from convoy.core.files import write_json, write_text
from convoy.core.plots_io import write_plots
from convoy.projects import REGISTERED, TASKS
from convoy.streamrec.recommender import comparison, findings, impressions, report
from convoy.streamrec.recommender.data import io as data
from convoy.streamrec.recommender.ladder import climb
from convoy.streamrec.recommender.ladder_io import write_ladder
from convoy.streamrec.recommender.models.specs import MODELS
from convoy.streamrec.recommender.params import ClickParams, ClickTraining, EvaluateParams
from convoy.streamrec.recommender.representations import Sources
from convoy.streamrec.recommender.sources.build import report as counts
from convoy.streamrec.recommender.task import TASK, figures, in_short
from convoy.tasks import Evaluated
from convoy.tracking import dvclock, store
from convoy.tracking.lineage.chain import lineage
from convoy.tracking.publish import publish
from tests.support import interactions as small

DATA = Path("data/streamrec")
NAMES = ("none", "popularity", "category", "taste")
OUTS = ("ladder", "recommender.html", "recommender.json", "plots/recommender", "metrics/recommender.json")


def make() -> None:
    """The outputs of the stage in the current folder, and the dvc.lock that DVC would leave."""
    made = small.interactions()
    coded = impressions.code(made, small.item_ids(300))
    training = ClickTraining(epochs=2, device="cpu", precision="float32", batch_size=256)
    params, evaluation = ClickParams(seeds=(0, 1), training=training), EvaluateParams(resamples=100)
    sources = Sources(small.catalogue(), {}, small.tastes(300), coded.warm)
    rungs = {
        name: climb(name, sources, MODELS[name].params.model_validate({}), coded, params) for name in NAMES
    }
    details = comparison.details(rungs, coded, evaluation)
    words = findings.findings(details, None)
    data.write(DATA / "interactions", made)
    write_ladder(DATA / "ladder", rungs, details, params)
    write_json(DATA / "metrics/recommender.json", comparison.headline(details))
    write_json(DATA / "recommender.json", {**details, "consumer": None, "words": words})
    write_text(DATA / "recommender.html", report.page(details, None, words, counts(made), 2))
    write_plots(DATA / "plots/recommender", report.pictures(details))
    lock(
        {"interactions": {"streamrec.recommender.interactions": {"source": "clicks.csv"}}},
        {"recommender": {"streamrec.recommender.representations": list(NAMES)}},
    )


def lock(of_data, of_ladder) -> None:
    def files(names):
        paths = [DATA / name for name in names]
        return [{"path": str(path), "hash": "md5", "md5": dvclock.md5(path)} for path in paths]

    def stage(deps, outs, params):
        return {"cmd": "x", "deps": files(deps), "outs": files(outs), "params": {"params.yaml": params}}

    stages = {
        "streamrec-interactions": stage([], ["interactions"], of_data["interactions"]),
        "streamrec-recommender": stage(["interactions"], OUTS, of_ladder["recommender"]),
    }
    write_text(Path("dvc.lock"), yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False))


@pytest.fixture
def published(repository, client):
    make()
    return publish(TASKS)


def runs():
    client = store.client()
    experiment = client.get_experiment_by_name(TASK.experiment)
    found = client.search_runs([experiment.experiment_id], max_results=100)
    return {run.data.tags["convoy.model"]: run for run in found}


def test_each_representation_is_a_run_and_none_is_a_version(published):
    assert set(published) == {TASK.experiment}
    assert set(published[TASK.experiment]) == set(NAMES)
    found = runs()
    assert set(found) == {*NAMES, "all"}
    metrics = json.loads((DATA / "metrics/recommender.json").read_text())
    for name in ("none", "category", "taste"):
        run = found[name]
        assert run.data.metrics["auc"] == metrics["clicks"][name]["auc"]
        assert run.info.run_name == f"{name} · clicks"
        assert run.data.params["training.epochs"] == "2"
        history = store.client().get_metric_history(run.info.run_id, "validation_auc")
        assert [point.step for point in history] == [1, 2]
    popular = found["popularity"].data.metrics
    assert popular["cold_recall_at_20"] == metrics["cold"]["popularity"]["recall_at_20"]
    retrieval = json.loads((DATA / "recommender.json").read_text())["retrieval"]
    assert popular["overall_recall_at_20"] == retrieval["popularity"]["overall"]["recall_at_20"]
    assert "auc" not in popular
    client, all_of = store.client(), found["all"]
    files = {file.path for file in client.list_artifacts(all_of.info.run_id)}
    assert {"recommender.html", "recommender.json", "ladder.png"} <= files
    note = all_of.data.tags["mlflow.note.content"]
    assert "/artifacts/recommender.html" in note
    assert note.startswith("Area under the ROC curve of clicks in the test period, best first: True taste")
    assert not client.search_registered_models()
    experiment = client.get_experiment_by_name(TASK.experiment)
    assert "versions of the model" not in experiment.tags["mlflow.note.content"]


def test_publishing_again_changes_nothing_and_the_lineage_of_a_run_leads_to_the_interactions(published):
    before = {name: run.info.run_id for name, run in runs().items()}
    assert publish(TASKS) == published
    assert {name: run.info.run_id for name, run in runs().items()} == before
    lines: list[str] = []
    lineage(f"runs:/{before['category']}", TASKS, lines.append)
    assert all(line.endswith(("  ok", "  not here")) for line in lines)
    text = "\n".join(lines)
    assert "data/streamrec/ladder/category: content" in text
    assert f"artifact evaluation/{METRICS}: md5" in text
    assert "data/streamrec/interactions: md5" in text


def test_a_task_without_registered_models_has_no_versions():
    assert TASK not in REGISTERED
    assert len(REGISTERED) == len(TASKS) - 1


def test_words_without_clicks_and_without_retrieval():
    retrieval = {"overall": {"recall_at_20": 0.25, "ndcg_at_20": 0.1, "mrr": 0.2, "users": 3}}
    popular = Evaluated("popularity", {"clicks": {}, "retrieval": retrieval})
    assert figures("popularity", popular.metrics) == {
        "overall_recall_at_20": 0.25, "overall_ndcg_at_20": 0.1, "overall_mrr": 0.2
    }  # fmt: skip
    assert in_short(popular) == "Popularity: recall@20 0.250 of all items"
    assert TASK.pages.table_row(popular) == ("–", "–", "–", "–", "0.250")
    nothing = Evaluated("none", {"clicks": {"auc": 0.5, "auc_low": 0.4, "auc_high": 0.6}, "retrieval": {}})
    assert TASK.pages.table_row(nothing)[:2] == ("0.500", "0.400 to 0.600")
    assert TASK.data_name({"streamrec.recommender.interactions": {"source": "synthetic"}}) == (
        "synthetic, 0 users"
    )
