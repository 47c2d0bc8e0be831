"""Which part of an image a classifier's score depends on: Grad-CAM and the plain gradient."""

import contextlib
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convoy.core.errors import ConvoyError

Targets: TypeAlias = int | Sequence[int] | Tensor | None


class GradCAM:
    """Grad-CAM (Selvaraju et al. 2017) at one layer of a classifier, batched, on the device of the model.

    With activations A (N, K, h, w) of `target_layer` and the score y_c of the class,

        alpha_k = mean over i, j of dy_c / dA^k_ij        L = relu(sum_k alpha_k A^k)

    Each call runs the model in evaluation mode and leaves it as it was: modes, `requires_grad`, `.grad` and
    hooks. The graph begins at the layer, so that layers before it cost a forward pass without gradients.
    Calls under `torch.no_grad` or `torch.inference_mode` work; a model whose weights were made in inference
    mode raises ConvoyError. After the `with` block the object holds no model, and calls raise ConvoyError.
    """

    def __init__(self, model: nn.Module, target_layer: nn.Module) -> None:
        if all(module is not target_layer for module in model.modules()):
            raise ConvoyError(key="target_layer", expected="a layer of the model", found=_kind(target_layer))
        self._pair: tuple[nn.Module, nn.Module] | None = (model, target_layer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._pair = None

    def generate(self, x: Tensor, target_class: Targets = None) -> Tensor:
        """Maps (N, H, W) in [0, 1] for images (N, C, H, W): L, bilinearly upsampled, then scaled by map.

        target_class: one class for all, one per image, or None for the class of the highest score. The
        smallest value of a map becomes 0 and the largest 1; a constant map becomes 0. Raises ConvoyError for
        wrong shapes and classes, and for a layer that the model does not call exactly once, on maps.
        """
        coarse = F.relu(self.weighted_activations(x, target_class))
        fine = F.interpolate(coarse[:, None], x.shape[2:], mode="bilinear", align_corners=False)
        return _scaled(fine[:, 0])

    def weighted_activations(self, x: Tensor, target_class: Targets = None) -> Tensor:
        """sum_k alpha_k A^k (N, h, w), at the layer's resolution, before relu, upsampling and scaling."""
        if self._pair is None:
            raise ConvoyError("GradCAM was closed at the end of its `with` block; make a new one")
        model, layer = self._pair
        outputs: list[Tensor] = []

        def begin_graph(_layer: nn.Module, _inputs: Any, output: Any) -> Tensor:
            if not isinstance(output, Tensor) or output.ndim != 4:
                found = f"{tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
                raise ConvoyError(
                    key=f"target_layer {_kind(layer)}", expected="output (N, K, h, w)", found=found
                )
            outputs.append(output.detach().requires_grad_())
            torch.set_grad_enabled(True)
            return outputs[-1].clone()  # a later layer may work in place

        with _evaluation(model), torch.inference_mode(False), torch.no_grad():
            x = _checked(model, x)
            handle = layer.register_forward_hook(begin_graph)
            try:
                scores = model(x)
            finally:
                handle.remove()
            if len(outputs) != 1:
                raise ConvoyError(
                    key=f"target_layer {_kind(layer)}", expected="one call in a forward pass",
                    found=str(len(outputs)), hint="choose a layer that is used once",
                )  # fmt: skip
            chosen = _chosen(scores, target_class)
            # Without a graph the layer was called under no_grad.
            gradients = None
            if chosen.requires_grad:
                (gradients,) = torch.autograd.grad(chosen.sum(), outputs, allow_unused=True)
            if gradients is None:
                raise ConvoyError(
                    key=f"target_layer {_kind(layer)}", expected="a layer that the scores depend on"
                )
            activations, weights = outputs[0].detach().float(), gradients.float().mean((2, 3))
            with torch.autocast(x.device.type, enabled=False):  # bfloat16 would give many cells the maximum
                return torch.einsum("nk,nkhw->nhw", weights, activations)


def input_gradient(model: nn.Module, x: Tensor, target_class: Targets = None) -> Tensor:
    """Maps (N, H, W) in [0, 1]: the largest |dy_c / dx| of the channels, scaled by map.

    Source: Simonyan et al. (2014). Arguments, errors and the state of the model: as in `GradCAM.generate`.
    """
    with _evaluation(model), torch.inference_mode(False), torch.enable_grad():
        x = _checked(model, x).detach().requires_grad_()
        (gradients,) = torch.autograd.grad(_chosen(model(x), target_class).sum(), [x])
    return _scaled(gradients.float().abs().amax(1))


@contextlib.contextmanager
def _evaluation(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; each module's own mode is restored."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _checked(model: nn.Module, x: Tensor) -> Tensor:
    """Images that may take part in a graph; raises ConvoyError for what cannot."""
    if x.ndim != 4 or not x.is_floating_point() or 0 in x.shape:
        raise ConvoyError(
            key="images", expected="floats (N, C, H, W), none of them 0", found=f"{x.dtype} {tuple(x.shape)}"
        )
    if any(weight.is_inference() for weight in (*model.parameters(), *model.buffers())):
        raise ConvoyError(
            "the model's weights were made in torch.inference_mode and have no gradients; build it outside"
        )
    return x.clone() if x.is_inference() else x


def _chosen(scores: Any, target_class: Targets) -> Tensor:
    """The score (N,) of each image's class."""
    if not isinstance(scores, Tensor) or scores.ndim != 2:
        found = f"{tuple(scores.shape)}" if isinstance(scores, Tensor) else type(scores).__name__
        raise ConvoyError(key="model", expected="scores (N, classes)", found=found)
    count, classes = scores.shape
    targets = scores.argmax(1) if target_class is None else torch.as_tensor(target_class)
    targets = targets.to(scores.device)
    whole = not targets.is_floating_point() and targets.dtype != torch.bool
    if not whole or tuple(targets.shape) not in ((), (count,)):
        raise ConvoyError(
            key="target_class", expected=f"one whole number, or {count} of them",
            found=f"{targets.dtype} {tuple(targets.shape)}",
        )  # fmt: skip
    if bool(((targets < 0) | (targets >= classes)).any()):
        raise ConvoyError(key="target_class", expected=f"0 to {classes - 1}", found=str(targets.tolist()))
    return scores.gather(1, targets.long().expand(count)[:, None])[:, 0]


def _scaled(maps: Tensor) -> Tensor:
    """Each map (H, W) of (N, H, W) brought to [0, 1]; a constant one is 0."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    span = high - low
    return torch.where(span > 0, (maps - low) / torch.where(span > 0, span, 1), 0)


def _kind(module: nn.Module) -> str:
    return type(module).__name__
