"""Grad-CAM: equal to captum's, and it leaves the model and the process as they were."""

import gc

import pytest
import torch
from captum.attr import LayerGradCam, Saliency
from torch import nn

from convoy.core.errors import ConvoyError
from convoy.nn.gradcam import GradCAM, input_gradient
from convoy.nn.images import IMAGE_MODELS, LeNet5, SimpleCNN


class Small(nn.Module):
    """A convolution, a relu that works in place, a pooled linear head."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.drop(self.relu(self.norm(self.conv(x))).mean((2, 3))))


def networks():
    small = SimpleCNN(6, (1, 1, 1, 1), small_stem=True, width=8)
    lenet, resnet = LeNet5(6, in_channels=3), IMAGE_MODELS["resnet18"](num_classes=6)
    return [
        (small, small.stages[3]), (small, small.stages[1][0].conv1), (lenet, lenet.features[3]),
        (resnet, resnet.layer4), (resnet, resnet.layer2[0].conv2),
    ]  # fmt: skip


@pytest.mark.parametrize("case", range(5))
def test_equals_captum_before_normalisation(case):
    with torch.random.fork_rng():
        torch.manual_seed(case)
        model, layer = networks()[case]
        model.eval()
        x, targets = torch.randn(4, 3, 48, 48), torch.tensor([0, 5, 2, 2])
    expected = LayerGradCam(model, layer).attribute(x, targets).detach()[:, 0]
    assert expected.abs().max() > 1e-4
    with GradCAM(model, layer) as cam:
        torch.testing.assert_close(cam.weighted_activations(x, targets), expected, atol=1e-5, rtol=1e-5)
        fine = nn.functional.interpolate(expected[:, None].relu(), (48, 48), mode="bilinear")[:, 0]
        low, high = fine.amin((1, 2), keepdim=True), fine.amax((1, 2), keepdim=True)
        torch.testing.assert_close(cam.generate(x, targets), (fine - low) / (high - low), atol=1e-4, rtol=0)


def test_a_network_of_one_channel_by_hand():
    # y = w * mean(A), so alpha = w / (h * w) everywhere and the map is relu(w * A) scaled.
    model = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2, bias=False))
    model[3].weight.data = torch.tensor([[2.0], [-1.0]])
    x = torch.tensor([[[[0.0, 1.0], [2.0, 4.0]]]])
    with GradCAM(model, model[0]) as cam:
        torch.testing.assert_close(cam.weighted_activations(x, 0), x[:, 0] * 2 / 4)
        assert torch.equal(cam.generate(x, 0), x[:, 0] / 4)
        assert torch.equal(cam.generate(x), x[:, 0] / 4)  # class 0 has the highest score
        assert torch.equal(cam.generate(x, 1), torch.zeros(1, 2, 2))


def test_input_gradient_equals_captums_saliency():
    model, x = Small().eval(), torch.randn(3, 3, 9, 7)
    leaf = x.clone().requires_grad_()
    expected = Saliency(model).attribute(leaf, torch.tensor([1, 4, 0])).amax(1)
    low, high = expected.amin((1, 2), keepdim=True), expected.amax((1, 2), keepdim=True)
    torch.testing.assert_close(input_gradient(model, x, [1, 4, 0]), (expected - low) / (high - low))


def test_a_batch_is_its_images_one_by_one():
    model, x = Small(), torch.randn(5, 3, 12, 10)
    with GradCAM(model, model.conv) as cam:
        together = cam.generate(x)
        assert together.shape == (5, 12, 10)
        for number in range(5):
            torch.testing.assert_close(cam.generate(x[number : number + 1])[0], together[number])
        chosen = model.eval()(x).argmax(1)
        torch.testing.assert_close(cam.generate(x, chosen), together)
        torch.testing.assert_close(cam.generate(x, chosen.tolist()), together)
        assert torch.equal(cam.generate(x, 3), cam.generate(x, [3] * 5))


def state(model):
    return (
        [module.training for module in model.modules()],
        [(p.requires_grad, None if p.grad is None else p.grad.clone()) for p in model.parameters()],
        {key: value.clone() for key, value in model.state_dict().items()},
        [len(m._forward_hooks) + len(m._backward_hooks) + len(m._forward_pre_hooks) for m in model.modules()],
    )


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return all(same(*pair) for pair in zip(a, b, strict=True))
    return a == b


def map_by_gradcam(model, x):
    with GradCAM(model, model.norm) as cam:
        return cam.generate(x)


@pytest.mark.parametrize("method", [map_by_gradcam, input_gradient])
def test_the_model_is_left_as_it_was(method):
    model, x = Small(), torch.randn(4, 3, 8, 8)
    model(x).sum().backward()  # gradients that must stay
    model.train()
    model.drop.eval()
    model.head.requires_grad_(False)
    before = state(model)
    maps = method(model, x)
    assert same(state(model), before)
    assert not x.requires_grad
    assert x.grad is None
    # In training mode the batch statistics and the dropout would have changed the maps.
    torch.testing.assert_close(method(model.eval(), x), maps)


@pytest.mark.parametrize("method", [map_by_gradcam, input_gradient])
def test_works_without_any_weight_that_has_a_gradient(method):
    model, x = Small(), torch.randn(4, 3, 8, 8)
    expected = method(model, x)
    torch.testing.assert_close(method(model.requires_grad_(False), x), expected)


@pytest.mark.parametrize("method", [map_by_gradcam, input_gradient])
@pytest.mark.parametrize("outer", [torch.no_grad, torch.inference_mode])
def test_works_where_gradients_are_off(method, outer):
    model, x = Small(), torch.randn(4, 3, 8, 8)
    expected = method(model, x)
    with outer():
        torch.testing.assert_close(method(model, x + 0), expected)
        assert not torch.is_grad_enabled()


def test_gradients_stay_enabled_or_not_as_outside():
    model, x = Small(), torch.randn(2, 3, 8, 8)
    map_by_gradcam(model, x)
    assert torch.is_grad_enabled()
    with torch.no_grad(), pytest.raises(ConvoyError), GradCAM(model, model.head) as cam:
        cam.generate(x)
    assert torch.is_grad_enabled()


def test_a_model_made_in_inference_mode_is_refused():
    with torch.inference_mode():
        model = Small()
    for method in (map_by_gradcam, input_gradient):
        with pytest.raises(ConvoyError, match=r"made in torch\.inference_mode"):
            method(model, torch.randn(2, 3, 8, 8))


class Twice(Small):
    def forward(self, x):
        return super().forward(self.conv(x)[:, :3])


class Unused(Small):
    def forward(self, x):
        self.conv(x)
        return self.head(x.mean((2, 3)).repeat(1, 3)[:, :8])


class WithoutGradients(Small):
    def forward(self, x):
        with torch.no_grad():
            maps = self.conv(x)
        return self.head(maps.mean((2, 3)))


@pytest.mark.parametrize(
    ("model", "layer", "x", "target", "message"),
    [
        (Small(), "conv", torch.randn(3, 8, 8), None, r"images: expected floats \(N, C, H, W\)"),
        (Small(), "conv", torch.zeros(2, 3, 8, 8, dtype=torch.uint8), None, "images: expected floats"),
        (Small(), "conv", torch.zeros(0, 3, 8, 8), None, "images: expected floats"),
        (Small(), "conv", torch.randn(2, 3, 8, 8), 5, "target_class: expected 0 to 4; found 5"),
        (Small(), "conv", torch.randn(2, 3, 8, 8), [0, -1], "target_class: expected 0 to 4"),
        (Small(), "conv", torch.randn(2, 3, 8, 8), [0, 1, 2], "expected one whole number, or 2"),
        (Small(), "conv", torch.randn(2, 3, 8, 8), [0.5, 1], "target_class: expected one whole number"),
        (Small(), "head", torch.randn(2, 3, 8, 8), None, r"Linear: expected output \(N, K, h, w\)"),
        (Twice(), "conv", torch.randn(2, 3, 8, 8), None, "expected one call in a forward pass; found 2"),
        (Unused(), "norm", torch.randn(2, 3, 8, 8), None, "expected one call in a forward pass; found 0"),
        (Unused(), "conv", torch.randn(2, 3, 8, 8), None, "a layer that the scores depend on"),
        (WithoutGradients(), "conv", torch.randn(2, 3, 8, 8), None, "a layer that the scores depend on"),
        (Small(), "other", torch.randn(2, 3, 8, 8), None, "target_layer: expected a layer of the model"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(model, layer, x, target, message):
    chosen = nn.Conv2d(3, 3, 1) if layer == "other" else getattr(model, layer)
    before = state(model)
    with pytest.raises(ConvoyError, match=message), GradCAM(model, chosen) as cam:
        cam.generate(x, target)
    assert same(state(model), before)


def test_scores_of_another_shape_are_named():
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU())
    for method in (lambda x: GradCAM(model, model[0]).generate(x), lambda x: input_gradient(model, x)):
        with pytest.raises(ConvoyError, match=r"model: expected scores \(N, classes\); found \(2, 2, 6, 6\)"):
            method(torch.randn(2, 3, 8, 8))


def test_after_its_block_the_object_is_closed():
    model = Small()
    with GradCAM(model, model.conv) as cam:
        pass
    with pytest.raises(ConvoyError, match="closed"):
        cam.generate(torch.randn(2, 3, 8, 8))


def test_maps_under_autocast_are_float32():
    model, x = Small(), torch.randn(2, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert GradCAM(model, model.conv).generate(x).dtype == torch.float32


def test_nothing_is_left_after_a_thousand_calls():
    model, x = Small(), torch.randn(1, 3, 6, 6)

    def tensors():
        gc.collect()
        return sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects())

    with GradCAM(model, model.conv) as cam:
        cam.generate(x)
        before, hooks = tensors(), state(model)[3]
        for _ in range(1000):
            cam.generate(x)
        assert tensors() <= before
    assert state(model)[3] == hooks == [0] * len(hooks)
