"""The training loop: it learns, stops, resumes to the same weights, and names what breaks it."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from convoy.core.errors import ConvoyError
from convoy.core.training_params import RATES, TrainingParams
from convoy.nn.text import BagOfWordsModel
from convoy.streamrec.classification.networks.batches import TextBatches
from convoy.training.calibration import temperature
from convoy.training.checkpoints import Checkpoint
from convoy.training.devices import Device
from convoy.training.loop import fit, predict, seeded
from convoy.training.objectives import Classification


def examples(count: int, seed: int, word_dropout: float = 0.1) -> TextBatches:
    """Two classes that words 2..5 and 6..9 tell apart, in texts of 1 to 12 words with some noise."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 13, count)
    labels = random.integers(0, 2, count)
    tokens = np.concatenate(
        [np.where(random.random(n) < 0.8, random.integers(2, 6, n) + 4 * y, random.integers(2, 10, n))
         for n, y in zip(lengths, labels, strict=True)]
    )  # fmt: skip
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    names = [f"text-{i}" for i in range(count)]
    return TextBatches(
        torch.from_numpy(tokens.astype(np.int32)), offsets, torch.from_numpy(labels), names, word_dropout
    )


PLAIN = Classification()


def params(**changes: object) -> TrainingParams:
    values = {"recipe": "adam", "learning_rate": 3e-3, "batch_size": 32, "epochs": 6, "patience": 6}
    return TrainingParams(**{**values, "threads": 1, "device": "cpu", "checkpoint_seconds": 0.0, **changes})


def network() -> nn.Module:
    with seeded(5):
        return BagOfWordsModel(10, 8, 2)


@dataclass(frozen=True)
class KilledInTheFourthEpoch(Classification):
    """With 10 batches an epoch, ends the run in the fifth batch of the fourth."""

    calls: list[int] = field(default_factory=list)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.calls.append(len(outputs))
        if len(self.calls) == 3 * 10 + 5:
            raise KeyboardInterrupt
        return super().loss(outputs, targets)


@dataclass(frozen=True)
class NotFiniteInTheSecondEpoch(Classification):
    """With 10 batches an epoch, breaks the second batch of the second: step 11, counted from 0."""

    calls: list[int] = field(default_factory=list)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.calls.append(len(outputs))
        return super().loss(outputs, targets) * (float("nan") if len(self.calls) == 12 else 1.0)


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("recipe", RATES)
def test_every_recipe_learns_and_predicts_what_it_learnt(recipe: str) -> None:
    model = network()
    settings = params(recipe=recipe, learning_rate=None)
    fitted = fit(model, examples(600, 0), examples(200, 1), PLAIN, settings, 0, "bow")
    assert fitted.best.validation_figure > 0.85
    held_out = examples(300, 2)
    outputs = predict(model, held_out, params())
    assert (outputs.argmax(1) == held_out.labels).float().mean() > 0.85


def test_the_curve_and_the_weights_are_those_of_the_best_epoch() -> None:
    validation = examples(200, 1)
    model = network()
    fitted = fit(model, examples(600, 0), validation, PLAIN, params(), 0, "bow")
    losses = [row.validation_loss for row in fitted.curve]
    assert fitted.best.validation_loss == min(losses)
    outputs = predict(model, validation, params())
    assert float(PLAIN.loss(outputs, validation.labels)) == pytest.approx(min(losses), rel=1e-4)


def test_few_examples_get_more_epochs_where_their_number_is_left_open() -> None:
    few = params(epochs=None, patience=None, batch_size=2)
    fitted = fit(network(), examples(300, 0), examples(20, 9), PLAIN, few, 0, "x")
    assert len(fitted.curve) == 9  # of 150 steps each
    assert few.epochs_of(100_000) == 6


def test_early_stopping_ends_after_patience() -> None:
    fitted = fit(
        network(),
        examples(64, 0, 0),
        examples(64, 9),
        PLAIN,
        params(epochs=200, patience=3, learning_rate=0.1),
        0,
        "x",
    )
    assert len(fitted.curve) == fitted.best.epoch + 3 < 200


def test_patience_longer_than_the_run_lets_it_end() -> None:
    fitted = fit(network(), examples(300, 0), examples(100, 1), PLAIN, params(epochs=3, patience=5), 0, "bow")
    assert len(fitted.curve) == 3


def test_equal_seeds_give_equal_weights_and_other_seeds_do_not() -> None:
    results = []
    for seed in (0, 0, 1):
        model = network()
        fit(model, examples(300, 0), examples(100, 1), PLAIN, params(epochs=2), seed, "bow")
        results.append(weights(model))
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])
    assert not all(torch.equal(results[0][name], results[2][name]) for name in results[0])


@pytest.mark.parametrize("average_epochs", [0.0, 1.5])
@pytest.mark.parametrize("recipe", RATES)
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path, recipe: str, average_epochs: float) -> None:
    settings = params(recipe=recipe, average_epochs=average_epochs)
    train, validation = examples(300, 0), examples(100, 1)
    unbroken = network()
    fitted = fit(unbroken, train, validation, PLAIN, settings, 0, "bow")
    checkpoint = Checkpoint(tmp_path, "bow-0", "key")
    with pytest.raises(KeyboardInterrupt):
        fit(network(), train, validation, KilledInTheFourthEpoch(), settings, 0, "bow", checkpoint)
    assert checkpoint.path.is_file()
    resumed = network()
    again = fit(resumed, train, validation, PLAIN, settings, 0, "bow", checkpoint)
    assert again == fitted
    expected = weights(unbroken)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(resumed).items())


def test_a_checkpoint_of_another_run_or_a_torn_one_is_not_used(tmp_path: Path) -> None:
    one = Checkpoint(tmp_path, "bow-0", "one")
    one.save({"network.x": torch.ones(3)}, {"curve": []})
    two = Checkpoint(tmp_path, "bow-0", "two")
    assert two.load() is None
    assert not one.path.exists()
    two.save({"network.x": torch.ones(3)}, {"curve": []})
    two.path.write_bytes(two.path.read_bytes()[:-5])
    assert two.load() is None


def test_the_first_loss_that_is_not_finite_stops_the_run_and_names_step_and_items() -> None:
    with pytest.raises(
        ConvoyError, match=r"not finite at step 11 \(epoch 2\); items text-\d+, .* and 24 more"
    ):
        fit(network(), examples(320, 0), examples(50, 1), NotFiniteInTheSecondEpoch(), params(), 0, "bow")


def test_temperature_recovers_a_planted_one() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20000, 5, generator=generator) * 2
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    assert temperature(logits * 3, labels) == pytest.approx(3, rel=0.05)


def test_a_gpu_that_is_not_there_is_a_clear_error() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConvoyError, match="expected a GPU"):
        Device(params(device="cuda"))


def test_random_state_is_left_as_found() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    fit(network(), examples(64, 0), examples(32, 1), PLAIN, params(epochs=1), 0, "bow")
    assert torch.equal(torch.get_rng_state(), before)
