"""Where the evaluation of each model of images is."""

from pathlib import Path

from convoy.climate.events.models.specs import MODELS
from convoy.core.figures_io import FigureFiles

HEADLINE = (
    "test.accuracy", "test.macro_f1", "test.ece", "marked.test.accuracy",
    *(
        f"gradcam.{of}{name}"
        for of in ("", "random.", "center.", "randomised_weights.")
        for name in ("pointing", "energy_inside", "iou")
    ),
)  # fmt: skip
FILES = FigureFiles(
    "data/climate/metrics/events/{model}.json", Path("data/climate/events/evaluation"), MODELS, HEADLINE
)
