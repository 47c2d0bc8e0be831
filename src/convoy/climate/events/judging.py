"""One stored model applied to images: classes, probabilities, and where it looks.

The command `convoy explain`, the served model and the evaluation compute the same: probabilities by
`models.specs.probabilities`, importance by `evaluation.explanations.importance_of`.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from convoy.climate.events.models import specs
from convoy.core.artifact import StoredModel
from convoy.core.errors import ConvoyError
from convoy.core.models import model_named


@dataclass(frozen=True, eq=False)
class Judged:
    """A model's predictions for n images."""

    probabilities: npt.NDArray[np.float64]
    """(n, classes), rows sum to 1."""
    classes: tuple[str, ...]

    @property
    def indices(self) -> npt.NDArray[np.int64]:
        """The predicted class of each image, (n,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def names(self) -> list[str]:
        """The name of the predicted class of each image."""
        return [self.classes[index] for index in self.indices]

    @property
    def probability(self) -> npt.NDArray[np.float64]:
        """The probability of the predicted class, (n,)."""
        return self.probabilities.max(axis=1)


class Judge:
    """Predicts and explains images with the first seed of a stored model."""

    def __init__(self, stored: StoredModel) -> None:
        """Raise ConvoyError for an unknown kind of model, or inconsistent parts."""
        stored = specs.checked(stored).on_any_machine()
        seed, tensors = next(iter(stored.seeds.items()))
        self._stored = replace(stored, seeds={seed: tensors})
        config = stored.config
        self.is_network = model_named(specs.MODELS, config["kind"]).is_network
        self.classes: tuple[str, ...] = tuple(config["classes"])
        self.channels: tuple[str, ...] = tuple(config["channels"])
        self.units: tuple[str, ...] = tuple(config["units"])
        self.edges: tuple[int, int] = (config["edges"][0], config["edges"][1])

    def __call__(self, values: npt.NDArray[Any]) -> Judged:
        """Predict images (n, C, H, W) as the model was fitted on.

        Raises ConvoyError for other shapes, for gaps, and for values so large that nothing finite results.
        """
        shape = (len(self.channels), *self.edges)
        if values.ndim != 4 or values.shape[1:] != shape:
            raise ConvoyError(
                key="images", expected=f"{shape[0]} channels of {shape[1]} x {shape[2]}",
                found=str(values.shape[1:]),
            )  # fmt: skip
        if not np.isfinite(values).all():
            raise ConvoyError(key="images", expected="finite numbers", found="missing or infinite ones")
        if len(values) == 0:
            return Judged(np.empty((0, len(self.classes))), self.classes)
        probabilities = next(iter(specs.probabilities(self._stored, values).values()))
        if not np.isfinite(probabilities).all():
            raise ConvoyError(
                f"model '{self._stored.config['kind']}' has no finite probabilities for these images",
                hint="check their units, and the model",
            )
        return Judged(probabilities, self.classes)

    def importance(self, values: npt.NDArray[Any], judged: Judged) -> npt.NDArray[np.float32]:
        """Grad-CAM (n, H, W) in [0, 1] for the predicted classes; ConvoyError for a baseline."""
        if not self.is_network:
            raise ConvoyError(
                f"'{self._stored.config['kind']}' is no network and has no layers to look into",
                path=self._stored.name, hint="name a network's folder",
            )  # fmt: skip
        from convoy.climate.events.evaluation.explanations import importance_of

        return importance_of(self._stored.config, self._stored.tensors, values, judged.indices)
