"""Where the evaluation of each model of fields is."""

from pathlib import Path

from convoy.climate.downscaling.models.specs import MODELS
from convoy.core.figures_io import FigureFiles

HEADLINE = (
    "*.rmse",  # of every split, and of the noise floor
    "*.skill_vs_best_baseline", "warmer_*.change_error",
    *(f"test.{name}" for name in ("rmse_low", "rmse_high", "bias", "sd_ratio", "noise_floor_share")),
)  # fmt: skip
FILES = FigureFiles(
    "data/climate/metrics/downscaling/{model}.json", Path("data/climate/evaluation"), MODELS, HEADLINE
)
