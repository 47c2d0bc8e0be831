"""The outputs of the series stages, small: run as DVC runs them, with a dvc.lock where one is wanted."""

import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

from convoy.cli.params_file import document
from convoy.core.files import write_text
from convoy.tracking import dvclock
from tests.conftest import ROOT

DATA, METRICS = Path("data/climate/series"), Path("data/climate/metrics/series")
BASELINES = ("correlations", "harmonics", "monthly_means", "quantiles", "majority")
NETWORK = "temporal_cnn"
SERIES: dict[str, Any] = {
    "data": {"synthetic": {"sites": 120, "years": 2}},
    "models": {
        NETWORK: {
            "n_filters": 4, "n_layers": 2, "output_dim": 8,
            "training": {"epochs": 2, "threads": 1, "device": "cpu", "precision": "float32"},
        },
        **{name: {"C": [0.1]} for name in BASELINES if name != "majority"},
    },
    "evaluate": {"resamples": 200},
}  # fmt: skip
STAGES = ("series", "series_gate", "series_baselines", "series_train", "series_evaluate", "series_compare",
          "series_embed")  # fmt: skip


def write_params(folder: Path, series: dict[str, Any]) -> None:
    """params.yaml with defaults for all that `series` leaves out."""
    write_text(folder / "params.yaml", document({"climate": {"series": series}}))


def run(stage: str, folder: Path) -> None:
    """Run a stage's script in `folder`, for the network where it takes a model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("CONVOY_TRACKING", "off")
        main = runpy.run_path(str(ROOT / "pipelines/climate" / f"{stage}.py"))["main"]
        takes_model = stage in ("series_train", "series_evaluate", "series_embed")
        main(NETWORK) if takes_model else main()


def make(folder: Path) -> None:
    """Fill `folder` with the outputs of all series stages and their dvc.lock."""
    folder.mkdir(parents=True, exist_ok=True)
    write_params(folder, SERIES)
    for stage in STAGES:
        run(stage, folder)
    lock(folder)


def lock(root: Path) -> None:
    """Write the dvc.lock that DVC would leave."""
    made = [DATA / "site_years", DATA / "truth.parquet"]

    def outputs(model: str, evaluated: str) -> list[Path]:
        return [DATA / "models" / model, METRICS / f"{model}.json", DATA / "evaluation" / evaluated]

    of_baselines = list(dict.fromkeys(path for name in BASELINES for path in outputs(name, "baselines")))
    model, *evaluated = outputs(NETWORK, f"networks/{NETWORK}")
    compared = [DATA / "report.html", DATA / "plots/comparison", METRICS / "comparison.json"]
    chosen = {"climate.series.networks": [NETWORK], "climate.series.baselines": list(BASELINES)}
    data = {"source": "synthetic", **SERIES["data"]}
    stages = {
        "climate-series": _stage(root, [], made, {"climate.series.data": data}),
        "climate-series-baselines": _stage(root, made, of_baselines, {"climate.series.evaluate": {}}),
        f"climate-series-train@{NETWORK}": _stage(
            root, made[:1], [model], {f"climate.series.models.{NETWORK}": SERIES["models"][NETWORK]}
        ),
        f"climate-series-evaluate@{NETWORK}": _stage(root, [*made, model], evaluated, {}),
        "climate-series-compare": _stage(root, made, compared, chosen),
    }
    write_text(root / "dvc.lock", yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False))


def _stage(root: Path, deps: list[Path], outs: list[Path], params: dict[str, Any]) -> dict[str, Any]:
    listed = {
        side: [{"path": path.as_posix(), "hash": "md5", "md5": dvclock.md5(root / path)} for path in paths]
        for side, paths in (("deps", deps), ("outs", outs))
    }
    return {"cmd": "x", **listed, "params": {"params.yaml": params}}
