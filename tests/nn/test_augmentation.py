"""Augmentation in batches: what each transform does to known images, and with which probability."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.transforms.v2 import functional as tv

from convoy.core.augmentation_params import Augmentation
from convoy.core.errors import ConvoyError
from convoy.core.params import parse
from convoy.nn.augmentation import AveragedViews, _moved, _rotated, augment

LABELS = torch.arange(500) % 4


def random(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(count=500, side=12):
    return torch.randn(count, 2, side, side + 2, generator=random(1))


def changed(*names, images=None, **values):
    images = noise() if images is None else images
    params = Augmentation(transforms=names, **values)
    return augment(images, LABELS[: len(images)], 4, params, random())


def test_without_transforms_nothing_changes():
    images = noise()
    assert changed(images=images)[0] is images


@pytest.mark.parametrize("names", [("crop", "flip_left_right"), ("rotate",), ("erase",), ("mixup", "cutmix")])
def test_a_generator_makes_it_reproducible(names):
    params = Augmentation(transforms=names)
    a, b, c = (augment(noise(), LABELS, 4, params, random(seed))[0] for seed in (3, 3, 4))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_without_a_generator_it_takes_torchs_own():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        a = augment(noise(), LABELS, 4, Augmentation(transforms=("crop", "cutmix")))[0]
    assert torch.equal(
        a, augment(noise(), LABELS, 4, Augmentation(transforms=("crop", "cutmix")), random(3))[0]
    )


def test_crop_is_a_crop_of_the_padded_image_and_all_shifts_occur():
    images, labels = changed("crop", padding=2)
    assert labels is LABELS or torch.equal(labels, LABELS)
    padded, seen = F.pad(noise(), (2, 2, 2, 2)), []
    for number, image in enumerate(images):
        fits = [
            (y, x) for y in range(5) for x in range(5)
            if torch.equal(padded[number, :, y : y + 12, x : x + 14], image)
        ]  # fmt: skip
        assert len(fits) == 1
        seen += fits
    assert len(set(seen)) == 25


@pytest.mark.parametrize(("name", "axis"), [("flip_left_right", 3), ("flip_up_down", 2)])
def test_half_of_the_images_are_flipped(name, axis):
    images, _ = changed(name)
    flipped = (images == noise().flip(axis)).flatten(1).all(1)
    same = (images == noise()).flatten(1).all(1)
    assert torch.equal(flipped, ~same)
    assert 200 < flipped.sum() < 300  # 250, standard deviation 11


def test_moved_images_keep_channels_last_order():
    images = noise().contiguous(memory_format=torch.channels_last)
    assert changed("crop", images=images)[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("degrees", [90.0, -33.0, 7.5])
def test_rotation_is_torchvisions(degrees):
    images = torch.rand(2, 3, 20, 30, generator=random())
    ours = _rotated(images, torch.tensor([degrees, 0.0]))
    theirs = tv.rotate(images, degrees, tv.InterpolationMode.BILINEAR)
    torch.testing.assert_close(ours[0], theirs[0], atol=2e-4, rtol=0)
    torch.testing.assert_close(ours[1], images[1], atol=1e-5, rtol=0)


def test_rotation_stays_within_its_degrees():
    # The corner of a large image turns out of it unless the angle is small.
    images = torch.ones(500, 1, 41, 41)
    corners = [changed("rotate", images=images, degrees=degrees)[0][:, 0, 0, 0] for degrees in (0.01, 15.0)]
    assert corners[0].min() > 0.5
    assert (corners[1] == 0).float().mean() > 0.5


def test_erase_zeroes_one_box_of_the_stated_area_in_some_images():
    images = changed("erase", images=torch.ones(500, 2, 24, 30), erase_probability=0.5)[0]
    holes = images[:, 0] == 0
    assert torch.equal(holes, images[:, 1] == 0)
    assert 200 < holes.flatten(1).any(1).sum() < 300
    areas = []
    for hole in holes[holes.flatten(1).any(1)]:
        rows, columns = torch.nonzero(hole.any(1)), torch.nonzero(hole.any(0))
        assert hole.sum() == len(rows) * len(columns)  # one full box
        assert int(rows[-1] - rows[0]) + 1 == len(rows)
        areas.append(int(hole.sum()) / (24 * 30))
    assert 0.01 < min(areas) < 0.05  # 2% of 720 pixels, before the sides are rounded
    assert 0.25 < max(areas) < 0.36


def test_mixup_is_a_weighted_mean_of_two_images_and_their_labels():
    # Image i is constant i, so that a mixed pixel tells lambda * i + (1 - lambda) * j.
    images = torch.arange(500.0)[:, None, None, None].expand(-1, 1, 3, 3)
    mixed, targets = changed("mixup", images=images, mixup_alpha=1.0)
    assert torch.equal(mixed, mixed[:, :1, :1, :1].expand_as(mixed))
    torch.testing.assert_close(targets.sum(1), torch.ones(500))
    assert (targets > 0).sum(1).max() <= 2
    shares = targets.gather(1, LABELS[:, None])[:, 0]
    other = shares < 0.999  # with a partner of another class, lambda is the share of the own one
    partner = (mixed[:, 0, 0, 0] - shares * torch.arange(500)) / (1 - shares)
    near = other & (shares < 0.9)
    torch.testing.assert_close(partner[near], partner[near].round(), atol=0.02, rtol=0)
    assert torch.equal(
        LABELS[partner[near].round().long()], targets.scatter(1, LABELS[:, None], 0).argmax(1)[near]
    )
    assert shares[other].mean() == pytest.approx(0.5, abs=0.05)  # Beta(1, 1) is uniform


def test_lambda_follows_beta():
    # Variance of Beta(a, a): 1 / (4 (2a + 1)).
    images = torch.stack([torch.zeros(4000), torch.ones(4000)], 1).flatten()[:, None, None, None]
    labels = torch.arange(8000) % 2
    for alpha in (0.2, 1.0, 4.0):
        params = Augmentation(transforms=("mixup",), mixup_alpha=alpha)
        _, targets = augment(images, labels, 2, params, random())
        own = targets.gather(1, labels[:, None])[:, 0]
        with_other = own[own < 1]
        assert with_other.mean() == pytest.approx(0.5, abs=0.03)
        assert with_other.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_cutmix_replaces_a_box_by_its_partner_and_weighs_labels_by_area():
    images = torch.arange(500.0)[:, None, None, None].expand(-1, 2, 16, 20)
    mixed, targets = changed("cutmix", images=images)
    for number, image in enumerate(mixed):
        hole = image[0] != number
        assert torch.equal(image[0], image[1])
        if not hole.any():
            continue
        rows, columns = torch.nonzero(hole.any(1)), torch.nonzero(hole.any(0))
        assert hole.sum() == len(rows) * len(columns)
        (partner,) = set(image[0][hole].tolist())
        share = 1 - float(hole.float().mean())
        expected = share * F.one_hot(LABELS[number], 4) + (1 - share) * F.one_hot(LABELS[int(partner)], 4)
        torch.testing.assert_close(targets[number], expected)
    assert 0.3 < targets.gather(1, LABELS[:, None]).mean() < 0.9


def test_with_both_mixtures_each_image_has_one_of_them():
    images = torch.arange(500.0)[:, None, None, None].expand(-1, 1, 16, 16)
    mixed, _ = changed("mixup", "cutmix", images=images, mixup_alpha=1.0)
    values = torch.tensor([len(image.unique()) for image in mixed])
    whole = torch.tensor([bool((image == image.round()).all()) for image in mixed])
    assert 200 < (~whole).sum() < 300  # mixup makes no whole numbers
    assert values[~whole].max() == 1
    assert values[whole].max() == 2


def test_the_loss_of_mixed_targets_is_the_mixed_loss():
    # Zhang et al. (2018): lambda * L(y_i) + (1 - lambda) * L(y_j).
    scores, a, b = torch.randn(6, 4, generator=random()), torch.tensor(1), torch.tensor(3)
    soft = 0.3 * F.one_hot(a, 4) + 0.7 * F.one_hot(b, 4)
    expected = 0.3 * F.cross_entropy(scores, a.expand(6)) + 0.7 * F.cross_entropy(scores, b.expand(6))
    torch.testing.assert_close(F.cross_entropy(scores, soft.expand(6, 4)), expected)


class Corner(nn.Module):
    """Scores that depend on one pixel, so that every view gives others."""

    def forward(self, images):
        return torch.stack([images[:, 0, 2, 3], images[:, 1, 2, 3]], 1)


def test_views_are_averaged_as_probabilities():
    images = noise(3)
    names = ("crop", "flip_left_right", "flip_up_down", "mixup", "erase")
    views = AveragedViews(Corner(), Augmentation(transforms=names, padding=3))
    padded = F.pad(images, (2, 2, 2, 2))
    seen = [images, images.flip(2), images.flip(3)]
    seen += [padded[:, :, 2 - y : 14 - y, 2 - x : 16 - x] for y, x in ((-2, 0), (2, 0), (0, -2), (0, 2))]
    expected = torch.stack([Corner()(view).softmax(1) for view in seen]).mean(0)
    torch.testing.assert_close(views(images).exp(), expected)
    torch.testing.assert_close(
        AveragedViews(Corner(), Augmentation())(images).exp(), Corner()(images).softmax(1)
    )


def test_a_shift_moves_down_and_right():
    images = torch.zeros(1, 1, 4, 4)
    images[0, 0, 1, 1] = 1
    moved = _moved(images, torch.tensor([1]), torch.tensor([2]), None, None)
    assert torch.nonzero(moved).tolist() == [[0, 0, 2, 3]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"transforms": ["crop", "sharpen"]}, r"transforms\.1.*expected 'crop', .*found \"sharpen\""),
        ({"padding": 0}, "padding.*expected a value of at least 1"),
        ({"transform": ["crop"]}, r"unknown key 'transform' \(did you mean 'transforms'\?\)"),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_named(values, message):
    with pytest.raises(ConvoyError, match=message):
        parse(values, Augmentation, "params.yaml")
