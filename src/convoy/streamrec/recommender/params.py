"""Params of the recommender, the sections `streamrec.recommender.*` of params.yaml."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, TypeVar

from pydantic import Field, model_validator

from convoy.core.params import Section
from convoy.core.training_params import RATES, Rates, Recipe, TrainingParams
from convoy.streamrec.catalogue.synthetic.interactions import SyntheticInteractionsParams

SYNTHETIC = "synthetic"
ANOTHER_SEED, WARM_START, COMPATIBLE = "another_seed", "warm_start", "compatible"
RETRAININGS = {
    ANOTHER_SEED: "another seed, from random weights",
    WARM_START: "from the accepted weights",
    COMPATIBLE: "from the accepted weights, compatible",
}
"""Retrainings of TextCNN by name, with their labels."""
S = TypeVar("S", bound=Section)


class Columns(Section):
    """Column names of the file, where they differ; MovieLens: userId, movieId, rating, timestamp."""

    user_id: str | None = Field(None, min_length=1, description="null: `user_id`")
    item_id: str | None = Field(None, min_length=1, description="null: `item_id`")
    timestamp: str | None = Field(
        None, min_length=1, description="null: `timestamp`; s, ms, us or ns since 1970"
    )
    rating: str | None = Field(None, min_length=1, description="null: `rating`, where the file has it")
    click: str | None = Field(
        None, min_length=1, description="null: `click`, where the file has it; 0, 1, true or false"
    )
    position: str | None = Field(
        None, min_length=1, description="null: `position`, where the file has it; from 1"
    )


class IdMapParams(Section):
    """A file that maps the item ids of the interactions to those of the catalogue, such as links.csv."""

    file: str | None = Field(None, min_length=1, description="null: both have the same ids")
    of_interactions: str = Field("movieId", min_length=1, description="its column with their ids")
    of_catalogue: str = Field("imdbId", min_length=1, description="its column with the catalogue's ids")


class InteractionsParams(Section):
    """Source of the interactions, and how they are cleaned and split."""

    source: str = Field(
        SYNTHETIC, min_length=1, description="`synthetic`, or the path of a CSV, JSON lines or Parquet file"
    )
    columns: Columns = Field(Columns.model_validate({}), description="For a file: its names of the columns")
    id_map: IdMapParams = Field(
        IdMapParams.model_validate({}), description="For a file: the item ids of another system"
    )
    min_rating: float = Field(
        4.0, ge=-1e6, le=1e6, description="a rating of at least this is a click, any other rating is none"
    )
    negatives: int = Field(4, ge=1, le=100, description="items drawn per click where a file has clicks only")
    train_share: float = Field(0.7, gt=0, lt=1, description="share of the events, by time")
    validation_share: float = Field(0.15, gt=0, lt=1, description="the events after them; the rest is tested")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="of the sampled negatives")
    synthetic: SyntheticInteractionsParams = Field(
        SyntheticInteractionsParams.model_validate({}), description="For `source: synthetic`"
    )

    @model_validator(mode="after")
    def _leaves_a_test_split(self) -> "InteractionsParams":
        if self.train_share + self.validation_share > 0.99:
            raise ValueError("expected train_share and validation_share to leave 0.01 or more for the test")
        return self


class ClickTraining(TrainingParams):
    """The training loop's params with defaults tuned for impressions."""

    rates: ClassVar[Mapping[Recipe, Rates]] = MappingProxyType({**RATES, "adamw_one_cycle": Rates(0.02, 0.3)})

    batch_size: int = Field(4096, ge=2, le=65536)
    epochs: int | None = Field(5, ge=1, le=10000)
    patience: int | None = Field(3, ge=1, le=10000)
    # Steps are short: a second thread loses more on a busy machine than it gains.
    threads: int = Field(1, ge=1, le=256)


class ClickParams(Section):
    """The click model of convoy.nn.clicks.ClickModel and how it is fitted."""

    projection: int = Field(16, ge=1, le=1024, description="dimensions of projected item vectors")
    hidden: int = Field(32, ge=1, le=4096)
    seeds: tuple[int, ...] = Field(
        (0, 1, 2, 3, 4),
        min_length=1,
        max_length=100,
        description="one training of each representation per seed",
    )
    training: ClickTraining = ClickTraining.model_validate({})


class ContinuedParams(Section):
    """The retrainings that begin with the accepted weights."""

    epochs: int = Field(1, ge=1, le=10_000)
    learning_rate: float = Field(1e-3, gt=0, le=10, description="peak value")
    compatibility: float = Field(
        10.0, gt=0, le=1e6, description="of the compatible one, as in streamrec.models.textcnn.start"
    )


class RetrainParams(Section):
    """Further trainings of TextCNN, whose embeddings a consumer of the first ones is fed with."""

    seed: int = Field(1, ge=0, le=2**32 - 1, description="of all of them")
    epochs: int = Field(
        4, ge=1, le=10_000, description="of the one from random weights; fewer than the model's own cost less"
    )
    continued: ContinuedParams = ContinuedParams.model_validate({})

    def versions(self, params: S, accepted: str) -> dict[str, S]:
        """The params of each retraining by its name in `RETRAININGS`; `accepted`: the first one's folder."""
        start, training = params.start, params.training  # type: ignore[attr-defined]
        first = start.model_validate({})
        continued = {"epochs": self.continued.epochs, "learning_rate": self.continued.learning_rate}
        warm = {"weights": accepted, "compatibility": 0.0}
        changes = {
            ANOTHER_SEED: (first, {"epochs": self.epochs}),
            WARM_START: (first.model_copy(update=warm), continued),
            COMPATIBLE: (
                first.model_copy(update={**warm, "compatibility": self.continued.compatibility}), continued
            ),
        }  # fmt: skip
        return {
            name: params.model_copy(
                update={"start": begin, "training": training.model_copy(update=of_training)}
            )
            for name, (begin, of_training) in changes.items()
        }


class EvaluateParams(Section):
    """Params of the metrics and their confidence intervals."""

    resamples: int = Field(1000, ge=100, le=100_000, description="bootstrap samples of users and seeds")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="of the bootstrap")


class NoParams(Section):
    """The representation has no params."""


class RandomParams(Section):
    """Standard normal vectors without any information."""

    dimensions: int = Field(64, ge=1, le=4096)
    seed: int = Field(0, ge=0, le=2**32 - 1)


class LinearPairsParams(Section):
    """TF-IDF of words and adjacent pairs, reduced by a truncated SVD."""

    dimensions: int = Field(64, ge=1, le=1000)
    max_features: int = Field(20_000, ge=100, le=1_000_000, description="most frequent words and pairs")
    min_documents: int = Field(
        2, ge=1, le=1_000_000, description="words and pairs in fewer items are left out"
    )
    seed: int = Field(0, ge=0, le=2**32 - 1)
