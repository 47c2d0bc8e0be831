"""What the click model sees of the items."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from convoy.streamrec.recommender.models.specs import MODELS
from convoy.streamrec.recommender.representations import Sources, category

Vectors = npt.NDArray[np.float32]
SQUARED_LENGTH = 16


@dataclass(frozen=True, eq=False)
class Scaling:
    """Means and factors (D,) of columns, fitted on the items with a training event."""

    mean: Vectors
    factor: Vectors

    @classmethod
    def of(cls, vectors: Vectors, warm: npt.NDArray[np.bool_]) -> "Scaling":
        """Columns of mean 0 and of equal variance, and a mean squared length of 16, over the warm items.

        Vectors of many dimensions then move the click model as far in one step as those of few. A constant
        column becomes 0.
        """
        of_warm = vectors[warm].astype(np.float64)
        deviation = of_warm.std(axis=0) * np.sqrt(vectors.shape[1] / SQUARED_LENGTH)
        factor = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 1e-9)
        return cls(of_warm.mean(axis=0).astype(np.float32), factor.astype(np.float32))

    def __call__(self, vectors: Vectors) -> Vectors:
        return (vectors - self.mean) * self.factor


def inputs(name: str, vectors: Vectors, sources: Sources, scaling: Scaling | None = None) -> Vectors:
    """What the click model sees of the items: scaled vectors, and the category where the row has it.

    `scaling`: that of the vectors with which the model was fitted, where these are others.
    """
    if name == "category":
        return vectors
    scaled = (scaling or Scaling.of(vectors, sources.warm))(vectors)
    return np.concatenate([category(sources, None), scaled], axis=1) if MODELS[name].with_category else scaled
