"""Params of the models, the sections `streamrec.models.<name>` of params.yaml."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from convoy.core.params import Section
from convoy.core.training_params import ClassificationParams, Recipe


class NetworkTraining(ClassificationParams):
    """The training loop's params with defaults tuned for short texts.

    They suit the synthetic catalogue and real titles alike: small initial embeddings, word dropout, label
    smoothing, weights averaged over an epoch.
    """

    epochs: int | None = Field(8, ge=1, le=10000)
    patience: int | None = Field(5, ge=1, le=10000)
    average_epochs: float = Field(1.0, ge=0, le=1000)
    label_smoothing: float = Field(0.1, ge=0, lt=1)


class BowTraining(NetworkTraining):
    """The defaults for the bag of words, which overfits sooner.

    Adagrad, whose steps for a word decrease with its accumulated gradients, gets closer to the Bayes accuracy
    in three epochs than AdamW in twelve.
    """

    recipe: Recipe = "adagrad_linear"
    epochs: int | None = Field(3, ge=1, le=10000)
    patience: int | None = Field(3, ge=1, le=10000)
    average_epochs: float = Field(0.0, ge=0, le=1000)
    label_smoothing: float = Field(0.5, ge=0, lt=1)
    # Steps are short: a second thread gains a fifth at best, and loses far more on a busy machine.
    threads: int = Field(1, ge=1, le=256)


RANDOM = "random"
Mode = Literal["random", "static", "non_static", "multichannel"]


class EmbeddingParams(Section):
    """The initial word embeddings and how they are trained (Kim, 2014)."""

    vectors: str = Field(
        RANDOM,
        pattern=r"^[^\x00]+$",
        description="`random`, or the path of word vectors: word2vec text, GloVe, fastText .vec, these with "
        ".gz, or a folder with a .safetensors file and vocabulary.txt",
    )
    mode: Mode = Field(
        "random",
        description="with vectors: static (fixed), non_static (trained on) or multichannel (the sum of both)",
    )

    @model_validator(mode="after")
    def _vectors_fit_the_mode(self) -> Self:
        if self.mode == "random" and self.vectors != RANDOM:
            raise ValueError("mode random uses no vectors: set mode to static, non_static or multichannel")
        if self.mode != "random" and self.vectors == RANDOM:
            raise ValueError(f"mode {self.mode} needs vectors: set vectors to their path")
        return self


class StartParams(Section):
    """Weights to begin with: those of the version in use, so that its consumers can read the new one."""

    weights: str = Field(
        RANDOM,
        pattern=r"^[^\x00]+$",
        description="`random`, or the folder of a textcnn, for which training.epochs 2 and a "
        "training.learning_rate of 0.001 are enough",
    )
    compatibility: float = Field(
        10.0,
        ge=0,
        le=1e6,
        description="with such a folder: weight in the loss of the mean squared distance of item vectors to "
        "those of that model, relative to their variance; 0: none",
    )


class TextCNNParams(Section):
    """The network of convoy.nn.text.TextCNN and how it is fitted."""

    embedding_dim: int = Field(128, ge=1, le=4096)
    embedding_std: float = Field(0.1, gt=0, le=10, description="standard deviation of initial embeddings")
    embedding: EmbeddingParams = EmbeddingParams()
    start: StartParams = StartParams.model_validate({})
    num_filters: int = Field(100, ge=1, le=4096, description="per kernel size")
    kernel_sizes: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field(
        (3, 4, 5), min_length=1, max_length=8, description="in words"
    )
    dropout: float = Field(0.5, ge=0, lt=1)
    word_dropout: float = Field(0.1, ge=0, lt=1, description="share of words made unknown in training")
    training: NetworkTraining = NetworkTraining()

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        if self.start.weights != RANDOM and self.embedding.mode != "random":
            raise ValueError("start.weights hold the word embeddings: set embedding to its defaults")
        return self

    def arguments(self) -> dict[str, Any]:
        found = self.model_dump(mode="json", exclude={"embedding", "start", "word_dropout", "training"})
        return found if self.embedding.mode == "random" else {**found, "mode": self.embedding.mode}


class BowParams(Section):
    """The network of convoy.nn.text.BagOfWordsModel and how it is fitted."""

    embedding_dim: int = Field(128, ge=1, le=4096)
    embedding_std: float = Field(0.5, gt=0, le=10, description="standard deviation of initial embeddings")
    dropout: float = Field(0.0, ge=0, lt=1)
    word_dropout: float = Field(0.2, ge=0, lt=1, description="share of words made unknown in training")
    training: BowTraining = BowTraining()

    def arguments(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude={"word_dropout", "training"})


class MajorityParams(Section):
    """Category frequencies have no params."""


class LinearParams(Section):
    """TF-IDF and logistic regression with the `C` that has the lowest validation loss."""

    C: tuple[float, ...] = Field(
        default=(1.0, 3.0, 10.0, 30.0, 100.0),
        min_length=1,
        max_length=20,
        description="Inverse strengths of the L2 penalty, tried in order until the validation loss rises.",
    )
    max_iter: int = Field(default=100, ge=1, le=10_000, description="Most Newton steps for each C.")
    min_documents: int = Field(
        default=2, ge=1, le=1_000_000, description="Words and pairs in fewer training items are left out."
    )

    @field_validator("C")
    @classmethod
    def _ascending_and_bounded(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if not all(1e-6 <= value <= 1e6 for value in values):
            raise ValueError("expected every C within 1e-6 and 1e6")
        if list(values) != sorted(set(values)):
            raise ValueError("expected each C once, in ascending order")
        return values
