"""Image batches: what a network gets, and that the loop trains with them."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from convoy.core.augmentation_params import Augmentation
from convoy.core.errors import ConvoyError
from convoy.core.training_params import TrainingParams
from convoy.nn.images import SimpleCNN
from convoy.training.batches import Batch
from convoy.training.image_batches import ChannelStatistics, ImageBatches, channel_statistics, standardised
from convoy.training.loop import fit, predict, seeded
from convoy.training.objectives import Classification

PLAIN = ChannelStatistics((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def stripes(count, seed=0):
    """Bytes (N, 3, 16, 16): class 0 has horizontal stripes, class 1 vertical ones, both with noise."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    wave = np.where(np.arange(16) // 2 % 2, 160, 90)
    images = np.where(labels[:, None, None], wave[None, :], wave[:, None])[:, None]
    images = images + random.normal(0, 25, (count, 3, 16, 16))
    return torch.from_numpy(images.clip(0, 255).astype(np.uint8)), torch.from_numpy(labels)


def everything(batches, training=False):
    return batches.draw(Batch(torch.arange(len(batches)), (len(batches),)), training)


def test_statistics_are_numpys():
    images, _ = stripes(1500)
    images[:, 2] = 7
    found = channel_statistics(images)
    values = images.numpy().astype(np.float64)
    np.testing.assert_allclose(found.mean, values.mean((0, 2, 3)))
    np.testing.assert_allclose(found.std[:2], values.std((0, 2, 3))[:2])
    assert (found.mean[2], found.std[2]) == (7, 1)  # a constant channel


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_inputs_are_standardised_and_on_a_cpu_have_their_channels_first(kind):
    images, labels = stripes(40)
    images = images.to(kind)
    before = images.clone()
    batches = ImageBatches(images, labels, 2, channel_statistics(images))
    inputs, targets = everything(batches)
    assert torch.equal(targets, labels)
    assert inputs.dtype == torch.float32
    assert inputs.is_contiguous()
    torch.testing.assert_close(inputs.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(inputs.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)
    assert torch.equal(standardised(images, batches.standard), inputs)
    assert torch.equal(images, before)


def test_only_training_augments():
    images, labels = stripes(64)
    allowed = Augmentation(transforms=("crop", "flip_left_right", "mixup"))
    batches = ImageBatches(images, labels, 2, PLAIN, allowed)
    inputs, targets = everything(batches, training=False)
    assert torch.equal(inputs, images.float())
    assert torch.equal(targets, labels)
    with seeded(0):
        first, soft = everything(batches, training=True)
    assert not torch.equal(first, inputs)
    assert soft.shape == (64, 2)
    with seeded(0):
        again, _ = everything(batches, training=True)
    assert torch.equal(first, again)  # the loop seeds torch's generator


def test_a_batch_has_the_images_of_its_items():
    images, labels = stripes(20)
    batches = ImageBatches(images, labels, 2, PLAIN, ids=[f"map-{number}" for number in range(20)])
    inputs, targets = batches.draw(Batch(torch.tensor([7, 3]), (2,)), training=False)
    assert torch.equal(inputs, images[[7, 3]].float())
    assert torch.equal(targets, labels[[7, 3]])
    assert batches.names([7, 3]) == ["map-7", "map-3"]
    assert batches.plan(6, None).sizes() == [6, 6, 6, 2]
    assert sorted(batches.plan(6, np.random.default_rng(0)).order.tolist()) == list(range(20))


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("transforms", [(), ("crop", "erase", "mixup", "cutmix")])
def test_the_loop_trains_a_network(transforms, last):
    train_images, train_labels = stripes(256)
    standard = channel_statistics(train_images)
    allowed = Augmentation(transforms=transforms, padding=2)
    train = ImageBatches(train_images, train_labels, 2, standard, allowed, channels_last=last)
    images, labels = stripes(100, seed=1)
    validation = ImageBatches(images, labels, 2, standard, channels_last=last)
    params = TrainingParams(
        recipe="sgd_cosine", learning_rate=0.05, batch_size=32, epochs=4, threads=1, device="cpu",
        precision="float32",
    )  # fmt: skip
    with seeded(1):
        network = SimpleCNN(2, (1, 1, 1, 1), small_stem=True, width=16)
    fitted = fit(network, train, validation, Classification(), params, 0, "simple_cnn")
    assert fitted.best.validation_figure > 0.95
    outputs = predict(network, ImageBatches(images, None, 2, standard), params)
    assert (outputs.argmax(1) == labels).float().mean() == pytest.approx(fitted.best.validation_figure)


@pytest.mark.parametrize("transforms", [(), ("crop",), ("rotate", "erase"), ("mixup",)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("last", [False, True])
def test_convolutions_of_augmented_images_have_their_channels_where_they_are_wanted(
    transforms, channels, last
):
    images, labels = stripes(8)
    standard = ChannelStatistics((0.0,) * channels, (1.0,) * channels)
    allowed = Augmentation(transforms=transforms, padding=2, erase_probability=1.0)
    batches = ImageBatches(images[:, :channels], labels, 2, standard, allowed, channels_last=last)
    outputs = nn.Conv2d(channels, 8, 3)(everything(batches, training=True)[0])
    assert outputs.is_contiguous() is not last
    assert outputs.is_contiguous(memory_format=torch.channels_last) is last
    inputs, _ = everything(batches)
    if channels > 1:  # else in both orders at once
        assert inputs.is_contiguous(memory_format=torch.channels_last) is last
    with seeded(0):
        drawn = everything(batches, training=True)[0]
    with seeded(0):
        assert torch.equal(everything(replace(batches, channels_last=not last), training=True)[0], drawn)


EIGHT_CHANNELS = """
import numpy as np, torch
from convoy.core.augmentation_params import Augmentation
from convoy.nn.images import SimpleCNN, channels_last_is_safe
from convoy.training.image_batches import ImageBatches, channel_statistics
from convoy.training.loop import fit, seeded
from convoy.training.objectives import Classification
from convoy.core.training_params import TrainingParams

random = np.random.default_rng(0)
images = torch.from_numpy(random.normal(size=(64, 3, 64, 64)).astype(np.float32))
labels = torch.from_numpy(random.integers(0, 2, 64))
standard = channel_statistics(images)
with seeded(0):
    network = SimpleCNN(2, (1, 1, 1, 1), small_stem=True, width=8)
allowed, last = Augmentation(transforms=("crop",)), channels_last_is_safe(network)
train = ImageBatches(images, labels, 2, standard, allowed, channels_last=last)
params = TrainingParams(batch_size=32, epochs=2, threads=2, device="cpu", precision="float32")
fit(network, train, ImageBatches(images, labels, 2, standard), Classification(), params, 0, "simple_cnn")
assert all(torch.isfinite(weights).all() for weights in network.parameters())
"""
AVX2 = {
    "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"
}  # fmt: skip


@pytest.mark.parametrize("limits", [{}, AVX2], ids=["as it is", "AVX2"])
def test_a_network_of_eight_channels_trains_without_harm_to_its_memory(limits):
    """1x1 convolutions of stride 2 from 8 channels that come last crash in oneDNN (torch 2.15, AVX-512).

    In a process of its own, which glibc ends where it finds its memory corrupted; MALLOC_PERTURB_ makes it
    find more.
    """
    environment = {**os.environ, "MALLOC_CHECK_": "3", "MALLOC_PERTURB_": "85", **limits}
    done = subprocess.run(
        [sys.executable, "-c", EIGHT_CHANNELS], env=environment, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def test_mixed_targets_are_for_the_loop_what_probabilities_are():
    scores, labels = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    soft = nn.functional.one_hot(labels, 3).float()
    torch.testing.assert_close(Classification().loss(scores, soft), Classification().loss(scores, labels))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": torch.zeros(4, 3, 8)}, "images: expected"),
        ({"images": torch.zeros(4, 3, 8, 8, dtype=torch.float64)}, r"images: expected.*found torch.float64"),
        ({"images": torch.zeros(0, 3, 8, 8), "labels": torch.zeros(0).long()}, "images: expected"),
        ({"labels": torch.tensor([0, 1, 2, 0])}, "labels: expected 0 to 1; found 0 to 2"),
        ({"labels": torch.tensor([0, -1, 1, 0])}, "labels: expected 0 to 1; found -1 to 1"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, r"labels: expected int64 \(4,\)"),
        ({"labels": torch.zeros(4)}, r"labels: expected int64 \(4,\); found torch.float32"),
        ({"standard": ChannelStatistics((0.0,), (1.0,))}, "standard: expected 3 channels; found 1"),
        ({"ids": ["a"]}, "ids: expected 4; found 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(changes, message):
    values = {
        "images": torch.zeros(4, 3, 8, 8), "labels": torch.tensor([0, 1, 1, 0]), "classes": 2,
        "standard": PLAIN,
    }  # fmt: skip
    with pytest.raises(ConvoyError, match=message):
        ImageBatches(**{**values, **changes})
