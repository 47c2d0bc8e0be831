"""Classification: its loss, its option, and how epochs are compared where labels are smoothed."""

import pytest
import torch
from torch import Tensor

from convoy.training.objectives import Classification


def drawn() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(50, 4, generator=generator), torch.randint(4, (50,), generator=generator)


def test_the_loss_is_the_mean_negative_log_probability_of_the_smoothed_labels() -> None:
    outputs, labels = drawn()
    log_probability = outputs.double().log_softmax(1)
    right = log_probability[torch.arange(50), labels]
    assert float(Classification().loss(outputs, labels)) == pytest.approx(-float(right.mean()), rel=1e-5)
    smoothed = 0.8 * right + 0.2 * log_probability.mean(1)
    found = Classification(label_smoothing=0.2).loss(outputs, labels)
    assert float(found) == pytest.approx(-float(smoothed.mean()), rel=1e-5)


def test_accuracy_is_the_share_of_right_answers() -> None:
    outputs = torch.tensor([[0.0, 1.0], [2.0, 1.0], [0.0, 3.0], [0.0, 1.0]])
    _, accuracy = Classification().validate(outputs, torch.tensor([1, 0, 0, 1]))
    assert float(accuracy) == 0.75


def test_the_validation_loss_takes_no_smoothing() -> None:
    outputs, labels = drawn()
    plain = Classification()
    assert float(plain.validate(outputs, labels)[0]) == float(plain.loss(outputs, labels))


def test_with_smoothed_labels_the_validation_loss_does_not_depend_on_the_temperature() -> None:
    outputs, labels = drawn()
    outputs[torch.arange(50), labels] += 2
    smoothed = Classification(label_smoothing=0.1)
    losses = [float(smoothed.validate(outputs * scale, labels)[0]) for scale in (1.0, 0.5, 0.25)]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)
    assert losses[0] <= float(Classification().validate(outputs, labels)[0])
