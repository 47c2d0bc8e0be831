"""The models of a lock that have runs."""

from convoy.climate.downscaling.task import TASK
from convoy.core.files import write_json
from convoy.tracking.dvclock import Entry
from convoy.tracking.outputs import trained


def test_models_without_a_figure_have_no_run(tmp_path, monkeypatch):
    """A baseline that equals another has a note in place of metrics; a file elsewhere is not read."""
    monkeypatch.chdir(tmp_path)
    names = ("bicubic", "lapse_daily", "unet")
    metrics = {name: f"data/climate/metrics/downscaling/{name}.json" for name in names}
    outs = {f"data/climate/models/{name}": "md5" for name in names} | dict.fromkeys(metrics.values(), "md5")
    write_json(tmp_path / metrics["bicubic"], {"test": {"by_elevation": [{"rmse": 1.5}], "bias": None}})
    write_json(tmp_path / metrics["lapse_daily"], {"same_as": "bicubic", "because": "no heights"})
    lock = {"climate-baselines": Entry("climate-baselines", {}, outs, {}, {})}
    assert [one.model for one in trained(TASK, lock)] == ["bicubic", "unet"]
