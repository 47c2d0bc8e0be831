"""Transforms of single images: what is random, what is not, and the closed forms of both."""

import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import torch
import torch.nn.functional as F

from convoy.core.errors import ConvoyError
from convoy.nn.image_transforms import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    get_eval_transforms,
    get_small_train_transforms,
    get_train_transforms,
)


def image(height=40, width=60):
    random = np.random.default_rng(0)
    return PIL.Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))


def seeded(transform, seed=0, picture=None):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return transform(picture or image())


@pytest.mark.parametrize("randaugment", [False, True])
def test_training_is_random_and_reproducible(randaugment):
    transform = get_train_transforms(24, randaugment=randaugment)
    first = seeded(transform)
    assert (first.shape, first.dtype) == ((3, 24, 24), torch.float32)
    assert torch.equal(first, seeded(transform))
    assert not torch.equal(first, seeded(transform, seed=1))


def test_training_has_the_transforms_of_the_chapter_in_their_order():
    names = [type(each).__name__ for each in get_train_transforms(24, randaugment=True).transforms]
    assert names == [
        "ToImage", "RandomResizedCrop", "RandomHorizontalFlip", "RandAugment", "ColorJitter",
        "RandomGrayscale", "ToDtype", "Normalize", "RandomErasing",
    ]  # fmt: skip
    randaugment = get_train_transforms(24, randaugment=True).transforms[3]
    assert (randaugment.num_ops, randaugment.magnitude) == (2, 9)


def test_evaluation_is_a_centre_crop_of_the_resized_image():
    # PIL's own resizing, which torchvision's of tensors follows to a rounding.
    found = get_eval_transforms(28)(image())
    resized = image().resize((48, 32), PIL.Image.Resampling.BILINEAR)  # 1.143 x 28 = 32, and 60 x 32 / 40
    cropped = np.asarray(resized.crop((10, 2, 38, 30)), np.float32) / 255
    expected = (cropped - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD)
    np.testing.assert_allclose(found.permute(1, 2, 0).numpy(), expected, atol=0.02)
    assert torch.equal(found, seeded(get_eval_transforms(28), seed=3))


def test_small_images_are_shifted_by_up_to_four_pixels_and_flipped():
    picture, mean, std = image(32, 32), (0.1, 0.2, 0.3), (0.5, 1.0, 2.0)
    transform, seen = get_small_train_transforms(mean, std), set()
    padded = F.pad(torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1) / 255, (4, 4, 4, 4))
    for seed in range(40):
        found = (
            seeded(transform, seed, picture) * torch.tensor(std)[:, None, None]
            + torch.tensor(mean)[:, None, None]
        )
        fits = [
            (y, x, flip) for y in range(9) for x in range(9) for flip in (False, True)
            if torch.allclose(found.flip(2) if flip else found, padded[:, y : y + 32, x : x + 32], atol=1e-5)
        ]  # fmt: skip
        assert len(fits) == 1
        seen |= set(fits)
    assert {flip for _, _, flip in seen} == {False, True}
    assert len(seen) > 20


def test_small_images_are_rotated_where_that_is_allowed():
    transform = get_small_train_transforms((0.0,) * 3, (1.0,) * 3, degrees=15)
    assert [type(each).__name__ for each in transform.transforms][3] == "RandomRotation"
    assert transform.transforms[3].degrees == [-15, 15]


@pytest.mark.parametrize("make", [get_train_transforms, get_eval_transforms])
def test_an_impossible_size_is_refused(make):
    with pytest.raises(ConvoyError, match="image_size: expected at least 1; found 0"):
        make(0)


def test_torchvision_is_imported_when_it_is_needed():
    script = "import sys, convoy.nn.image_transforms; print('torchvision' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert shown.stdout == "False\n"
