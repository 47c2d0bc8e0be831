"""Columns and params that MLflow's pages show."""

import pytest

from convoy.projects import TASKS
from convoy.tracking import runs
from convoy.tracking.dashboard import views

NAMES = [task.experiment for task in TASKS]


@pytest.mark.parametrize("task", TASKS, ids=NAMES)
def test_the_table_of_runs_has_the_interval_of_the_figure_that_ranks(task):
    columns = views.state(task)["selectedColumns"]
    for name in (task.ranking.metric, f"{task.ranking.metric}_low", f"{task.ranking.metric}_high"):
        assert f"metrics.`{name}`" in columns
    for name in task.pages.charts.reference_lines:
        assert f"metrics.`{name}`" in columns
    assert not [name for name in task.pages.version_tags if name.startswith("convoy.")]


def test_the_number_of_epochs_is_the_real_one():
    parts = {"network": {"width": 4}, "training": {"epochs": None, "patience": None}}
    assert runs.params_of(parts, None) == {"network.width": 4, "training.patience": None}
    assert runs.params_of(parts, 7) == {"network.width": 4, "training.epochs": 7, "training.patience": None}
    assert runs.params_of({"training": {"epochs": 3}}, 2) == {"training.epochs": 3}
