"""Climate: the task from coarse fields to fine ones, networks and their baselines alike."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convoy.climate.data import io as grids
from convoy.climate.downscaling.evaluate import TODAY
from convoy.climate.downscaling.findings import findings, headline
from convoy.climate.downscaling.models import MODELS
from convoy.climate.downscaling.names import capital, split_label
from convoy.climate.downscaling.stored import TASK
from convoy.core.files import read_json
from convoy.report.numbers import Measure, percent
from convoy.tasks import names_of
from convoy.tracking.daily_errors import DailyErrors, signed
from convoy.tracking.dvclock import Entry
from convoy.tracking.task import FIGURES, Metrics, Task, Trained

if TYPE_CHECKING:
    import pandas as pd

_EXAMPLES = 2  # days
_NOISE_FLOOR = "noise_floor"
_SHARES = ("skill_vs_best_baseline", "noise_floor_share")
_ALSO = {"bias": "bias", "sd_ratio": "standard deviation ratio", "anomaly_correlation": "anomaly correlation"}


class Downscaling(Task):
    """From the fields of a coarse climate model to fine ones."""

    experiment = TASK
    registered = "climate-downscaling"
    prefix = "climate"
    data = Path("data/climate")
    dataset = "grids"
    judge = DailyErrors()
    best_metric = "test_rmse"
    lower_is_better = True
    validation = "validation_rmse"
    columns = (
        "test_rmse", "test_skill_vs_best_baseline", "test_noise_floor_share", "test_sd_ratio",
        "unseen_terrain_rmse", "warmer_4k_rmse",
    )  # fmt: skip
    shown_with_versions = ("test_rmse_low", "test_rmse_high", "test_bias", "noise_floor", *columns)
    bars = (("test_rmse", "noise_floor"), ("test_skill_vs_best_baseline",))
    lines = (("validation_rmse", "noise_floor"), ("validation_loss", "train_loss"))
    horizons = (_NOISE_FLOOR,)
    heads = (
        "RMSE on test days",
        "95% interval",
        "skill against the best baseline",
        "share of the way to the noise floor",
    )
    data_stages = ("grids",)
    about = "Climate: fine fields of a whole region from coarse ones, day by day."
    description = (
        "**How to read this.** Each run is one model, a network or a baseline; the run named *All models* "
        "compares those of one pipeline run in words, with a report and pictures. Figures named `test_…` are "
        "on years that no training has seen; `unseen_terrain_…`, `warmer_2k_…` and `warmer_4k_…` on other "
        "ground and in warmer worlds, where the climate is synthetic.\n\n"
        "| figure | meaning |\n|---|---|\n"
        "| `test_rmse` | root mean squared error over days and area, in the unit of the variable; smaller is "
        "better; `…_low` and `…_high` are its 95% interval |\n"
        "| `test_skill_vs_best_baseline` | 1 - RMSE / RMSE of the best baseline: above 0 it beats that |\n"
        "| `noise_floor` | synthetic climate with perfect inputs only: the RMSE that no model can pass |\n"
        "| `test_noise_floor_share` | share of the way from the best baseline to the noise floor |\n"
        "| `test_sd_ratio` | variability of the model over that of the truth: 1 is right |\n"
        "| `…_change_error` | error of the modelled change of the mean in a warmer world |\n\n"
        f"Networks are {', '.join(f'`{name}`' for name in names_of(MODELS, 'network'))}; all others are "
        "baselines."
    )
    version_note = (
        "A table in and out, a row per day: `date` (YYYY-MM-DD) and one column per coarse variable, whose "
        "values are lists of numbers, rows from south to north and each from west to east, in SI units; the "
        "fine field comes back likewise. A version per trained network; its description says how good it "
        "is.\n\n"
        "`champion` is the version in use, `challenger` the newest candidate. "
        "`convoy promote --model climate-downscaling` compares them and records what it decides, "
        "`convoy rollback` goes back; the buttons of these pages do neither."
    )
    models = MODELS

    @property
    def pictures(self) -> tuple[str, ...]:
        # Not all of them: some stores keep 5000 characters of a tag.
        return ("splits", "days", "per_pixel", "spectra")

    def trained(self, lock: Mapping[str, Entry]) -> list[Trained]:
        """But for what `climate.run` names no more: DVC keeps its entries, perhaps not its outputs."""
        compared = self.comparison(lock)
        chosen = compared.params.get("climate.run") if compared is not None else None
        return [
            model
            for model in super().trained(lock)
            if chosen is None or model.kind in chosen or model.folder.exists()
        ]

    def data_name(self, lock: Mapping[str, Entry]) -> str:
        entry = lock.get(f"{self.prefix}-grids")
        params = entry.params.get("climate.grids", {}) if entry is not None else {}
        source = params.get("source", "unknown data")
        if source == "synthetic":
            synthetic = params.get("synthetic", {})
            years, inputs = synthetic.get("years", ""), synthetic.get("inputs", "perfect")
            return f"synthetic {years} years" + ("" if inputs == "perfect" else f", {inputs} inputs")
        fine = source.get("fine", "unknown data") if isinstance(source, dict) else source
        return Path(str(fine[0] if isinstance(fine, list) else fine)).stem

    def delivers(self, kind: str) -> bool:
        return "served" in MODELS[kind].exports

    def figures(self, kind: str, metrics: Mapping[str, Any]) -> Metrics:  # noqa: ARG002
        figures: Metrics = {}
        for split, measured in metrics.items():
            if split != _NOISE_FLOOR:
                figures |= _flat(split, measured)
        for season, measured in (metrics[TODAY].get("by_season") or {}).items():
            figures |= _flat(f"{TODAY}_{season}", measured)
        if metrics[_NOISE_FLOOR] is not None:
            figures[_NOISE_FLOOR] = float(metrics[_NOISE_FLOOR]["rmse"])
        return figures

    def in_short(self, kind: str, metrics: Mapping[str, Any]) -> str:
        test = metrics[TODAY]
        short = f"{MODELS[kind].label}: RMSE {self._shown(test['rmse'])} on test days"
        if test["best_baseline"] == kind:
            return f"{short}, the best baseline"
        skill = test["skill_vs_best_baseline"]
        return (
            short
            if skill is None
            else f"{short}, skill {signed(skill)} against {MODELS[test['best_baseline']].phrase}"
        )

    def summary(self, kind: str, metrics: Mapping[str, Any]) -> str:
        test, noise_floor = metrics[TODAY], metrics[_NOISE_FLOOR]
        sentences = [f"{self.in_short(kind, metrics)}."]
        if test["rmse_low"] is not None:
            interval = f"{self._shown(test['rmse_low'])} to {self._shown(test['rmse_high'])}"
            sentences.append(f"95% interval of the RMSE: {interval}.")
        if noise_floor is not None and test["noise_floor_share"] is not None:
            share = percent(test["noise_floor_share"]).replace("-", "−")
            possible = f"No model can pass the noise floor of {self._shown(noise_floor['rmse'])}"
            sentences.append(f"{possible}: it went {share} of the way there from the best baseline.")
        parts = [f"{words} {test[key]:.3g}" for key, words in _ALSO.items() if test.get(key) is not None]
        sentences += [f"{capital(', '.join(parts))}."] if parts else []
        elsewhere = {split: found for split, found in metrics.items() if split not in (TODAY, _NOISE_FLOOR)}
        sentences += [f"{split_label(split)}: {self._there(found)}." for split, found in elsewhere.items()]
        return f"{' '.join(sentences)}\n\n{MODELS[kind].summary}"

    def row(self, kind: str, metrics: Mapping[str, Any]) -> tuple[str, ...]:  # noqa: ARG002
        test = metrics[TODAY]
        shares = ["–" if test[key] is None else signed(test[key]) for key in _SHARES]
        low, high = (self._shown(test[key]) for key in ("rmse_low", "rmse_high"))
        return (self._shown(test["rmse"]), "–" if low == "–" else f"{low} to {high}", *shares)

    def comparison_words(self) -> tuple[str, list[str]]:
        comparison = read_json(self._comparison)
        return headline(comparison), findings(comparison)

    def comparison_files(self) -> dict[str, Path]:
        files = {
            "report.html": self.data / "report.html",
            "comparison.json": self._comparison,
            "gate.json": self.data / "gate.json",
            **{path.name: path for path in self._drawn()},
        }
        return {name: path for name, path in files.items() if path.is_file()}

    def examples(self) -> "pd.DataFrame":
        """The first test days."""
        import pandas as pd

        from convoy.tracking.fields_model import DATE

        domain = grids.read(self.data / "grids", TODAY)[0]
        days = domain.at(slice(0, _EXAMPLES))
        fields = {
            name: list(np.asarray(field, np.float64).reshape(len(days.days), -1))
            for name, field in days.inputs.items()
        }
        return pd.DataFrame({DATE: days.days.labels, **fields})

    def _outputs(self, kind: str) -> tuple[dict[str, Path], Path | None]:
        evaluation = {
            DailyErrors.file: self.data / "daily" / f"{kind}.parquet",
            FIGURES: self.data / "metrics" / "downscaling" / f"{kind}.json",
            "maps.safetensors": self.data / "maps" / f"{kind}.safetensors",
        }
        return evaluation, None

    def _data(self, md5s: Mapping[str, str]) -> dict[str, str]:
        path = self.data / "grids"
        return {path.name: md5s[str(path)]} if str(path) in md5s else {}

    def _drawn(self) -> list[Path]:
        """The pictures of the comparison."""
        return sorted((self.data / "plots" / "comparison").glob("*.png"))

    @property
    def _comparison(self) -> Path:
        return self.data / "metrics" / "comparison.json"

    def _shown(self, value: float | None) -> str:
        """A figure in the units of the variable, as far as a comparison told them."""
        units = read_json(self._comparison)["units"] if self._comparison.is_file() else ""
        return Measure(value or 0.0, units)(value)

    def _there(self, measured: Mapping[str, Any]) -> str:
        """How a model does on another split, in words."""
        if measured["rmse"] is None:
            return "it cannot go there"
        change = measured.get("change_error")
        more = "" if change is None else f", the change of the mean missed by {self._shown(change)}"
        return f"RMSE {self._shown(measured['rmse'])}{more}"


def _flat(prefix: str, measured: Mapping[str, Any]) -> Metrics:
    """The numbers among what was measured, by name."""
    return {
        f"{prefix}_{key}": float(value) for key, value in measured.items() if isinstance(value, int | float)
    }
