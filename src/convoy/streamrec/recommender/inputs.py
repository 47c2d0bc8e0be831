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
    """Means of columns (D,) and one factor for all, fitted on the items with a training event."""

    mean: Vectors
    factor: float

    @classmethod
    def of(cls, vectors: Vectors, warm: npt.NDArray[np.bool_]) -> "Scaling":
        """Columns of mean 0 and a mean squared length of 16 over the warm items.

        Vectors of many dimensions then move the click model as far in one step as those of few. Columns keep
        their relative sizes: scaled apart, a rotation of the vectors would turn noise of small columns into
        that of large ones.
        """
        of_warm = vectors[warm].astype(np.float64)
        mean = of_warm.mean(axis=0)
        squared = float(np.square(of_warm - mean).sum(axis=1).mean()) if len(of_warm) else 0.0
        return cls(mean.astype(np.float32), float(np.sqrt(SQUARED_LENGTH / squared)) if squared > 0 else 0.0)

    def __call__(self, vectors: Vectors) -> Vectors:
        return (vectors - self.mean) * np.float32(self.factor)


def inputs(name: str, vectors: Vectors, sources: Sources, scaling: Scaling | None = None) -> Vectors:
    """What the click model sees of the items: scaled vectors, and the category where the row has it.

    `scaling`: that of the vectors with which the model was fitted, where these are others.
    """
    if name == "category":
        return vectors
    scaled = (scaling or Scaling.of(vectors, sources.warm))(vectors)
    return np.concatenate([category(sources, None), scaled], axis=1) if MODELS[name].with_category else scaled
