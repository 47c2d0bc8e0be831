"""The saved view of an experiment on MLflow's pages, best models first, and links to pages.

MLflow stores views, saved under `Views`, as tags of the experiment, and opens one by its key in the address.
The tag has the form of MLflow 3.17's pages; pages that cannot read it show their default view.
"""

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from convoy.core.files import parse_json
from convoy.tasks import Charts, TaskSpec

VIEW, TITLE = "convoy", "Best first"
TAG = f"mlflow.sharedViewState.{VIEW}"
# Without this tag the pages may open on those for agents.
KIND = {"mlflow.experimentKind": "custom_model_development"}
_NAME, _NOTE, _MODELS = "attributes.`Run Name`", "attributes.`Description`", "attributes.`Models`"
_WIDTHS = {_NAME: 260, _NOTE: 330, _MODELS: 110}  # pixels
_FIGURE_WIDTH = 122
_RESULTS, _CURVES, _PICTURES, _OTHERS = "r", "c", "p", "f"  # sections; short, since a tag has little room


def tags(task: TaskSpec) -> dict[str, str]:
    """The experiment's tags: pages for training, and the view."""
    # Older servers refuse values of more than 5,000 characters.
    packed = json.dumps(state(task), separators=(",", ":"))
    envelope = {"name": TITLE, "createdAt": 0, "updatedAt": 0, "state": packed}
    return {**KIND, TAG: json.dumps(envelope, separators=(",", ":"))}


def saved(tags: Mapping[str, str]) -> dict[str, Any] | None:
    """The view among an experiment's tags; None where there is none, or its tag has another form."""
    with contextlib.suppress(KeyError, ValueError, TypeError, RecursionError):
        found = parse_json(json.loads(tags[TAG])["state"])
        if isinstance(found, dict) and all(type(found[name]) is kind for name, kind in _FORM.items()):
            return found
    return None


_FORM = {
    "searchFilter": str, "orderByKey": str, "orderByAsc": bool, "selectedColumns": list, "columnOrder": list,
    "columnWidths": dict, "runsExpanded": dict, "runsVisibilityMap": dict, "compareRunCharts": list,
    "compareRunSections": list, "globalLineChartConfig": dict,
}  # fmt: skip
"""Types of some keys of a view, without which the pages show nothing."""


def state(task: TaskSpec) -> dict[str, Any]:
    """The table's columns and order, and the charts, in the form of MLflow's pages."""
    figures = [f"metrics.`{name}`" for name in task.pages.columns]
    order = [_NAME, *figures, _NOTE, _MODELS, "runDateAndNestInfo", "duration"]
    sections = (
        _section(_RESULTS, "Results on the test split", 2, 340),
        _section(_CURVES, "Learning curves", 2, 340),
        _section(_PICTURES, "Pictures", 1, 640),
        {**_section(_OTHERS, "Model metrics", 3, 360), "display": False, "isGenerated": True},
    )
    return {
        "searchFilter": "",
        "orderByKey": f"metrics.`{task.ranking.metric}`",
        "orderByAsc": task.ranking.lower_is_better,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [*figures, _NOTE, _MODELS],
        "columnOrder": order,
        "columnWidths": _WIDTHS | dict.fromkeys(figures, _FIGURE_WIDTH),
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsVisibilityMap": {},
        "runsHiddenMode": "FIRST_10_RUNS",
        "compareRunCharts": _charts(task.pages.charts),
        "compareRunSections": sections,
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": True,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": None,
        "groupsExpanded": {},
        "autoRefreshEnabled": True,
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }


def runs_link(experiment: str, charts: bool = False) -> str:
    """The link to the view, relative to a server's address."""
    mode = "&compareRunsMode=CHART" if charts else ""
    return f"#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={VIEW}{mode}"


def run_link(experiment: str, run_id: str, artifact: str = "") -> str:
    """The link to a run, or to one of its artifacts."""
    return f"#/experiments/{experiment}/runs/{run_id}" + (f"/artifacts/{artifact}" if artifact else "")


def model_link(registered: str) -> str:
    """The link to a registered model."""
    return f"#/models/{registered}"


def _section(uuid: str, name: str, columns: int, height: int) -> dict[str, Any]:
    return {
        "uuid": uuid, "name": name, "display": True, "isReordered": True, "deleted": False,
        "isGenerated": False, "columns": columns, "cardHeight": height,
    }  # fmt: skip


def _charts(charts: Charts) -> list[dict[str, Any]]:
    bars = [{"type": "BAR", **_metrics(_RESULTS, names)} for names in charts.bars]
    lines = [
        {"type": "LINE", **_metrics(_CURVES, names), "xAxisKey": "step", "yAxisKey": "metric",
         "xAxisScaleType": "linear", "scaleType": "linear", "lineSmoothness": 0, "range": {},
         "selectedXAxisMetricKey": "", "yAxisExpressions": [],
         "useGlobalXaxisKey": True, "useGlobalLineSmoothing": True}
        for names in charts.lines
    ]  # fmt: skip
    pictures = [
        {"type": "IMAGE", **_card(_PICTURES, name), "imageKeys": [name], "step": 0, "showRunParams": False}
        for name in charts.pictures
    ]
    return [*bars, *lines, *pictures]


def _metrics(section: str, names: tuple[str, ...]) -> dict[str, Any]:
    # MLflow makes a title itself where there are several names.
    return {**_card(section, names[0]), "metricKey": names[0], "selectedMetricKeys": list(names)}


def _card(section: str, name: str) -> dict[str, Any]:
    return {
        "uuid": f"{section}-{name}", "metricSectionId": section, "displayName": name,
        "runsCountToCompare": 10,
    }  # fmt: skip
