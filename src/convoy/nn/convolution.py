"""Convolution itself: as a matrix, its output sizes, its receptive field."""

import re
from collections.abc import Iterable
from typing import Literal

import numpy as np
import torch.fx
from torch import nn

from convoy.core.errors import ConvoyError

PaddingMode = Literal["valid", "same", "full"]


def toeplitz_matrix(kernel: np.ndarray, n: int) -> np.ndarray:
    """The banded Toeplitz matrix (n-k+1, n) with W[j, j:j+k] = kernel of a valid 1D convolution.

    Convolution means cross-correlation, as in all of deep learning: the kernel (k,) is not flipped.
    Raises ConvoyError where the kernel is empty or longer than n.
    """
    _check_1d("kernel", kernel)
    k = len(kernel)
    if not 1 <= k <= n:
        raise ConvoyError(f"kernel: expected 1 to {n} values for an input of {n}, found {k}")
    matrix = np.zeros((n - k + 1, n), dtype=np.result_type(kernel))
    for row in range(n - k + 1):
        matrix[row, row : row + k] = kernel
    return matrix


def conv1d_as_matmul(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve x (n,) with kernel (k,) by one matrix product -> (n-k+1,).

    Equals `np.correlate(x, kernel, "valid")`. Raises ConvoyError as `toeplitz_matrix` does.
    """
    _check_1d("x", x)
    return toeplitz_matrix(kernel, len(x)) @ x


def conv2d_matrix(
    kernel_OIkl: np.ndarray,
    height: int,
    width: int,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
) -> np.ndarray:
    """The doubly blocked Toeplitz matrix of a 2D convolution: (O * out_h * out_w, I * height * width).

    Its product with a flattened image (I, height, width) is the flattened output (O, out_h, out_w) of
    `torch.nn.functional.conv2d`. Padding is with zeros, so padded positions need no columns.
    `stride` and `padding` are one number or one per axis. Raises ConvoyError where no output fits.
    """
    if kernel_OIkl.ndim != 4:
        raise ConvoyError(f"kernel: expected axes (out, in, height, width), found {kernel_OIkl.ndim} axes")
    out_channels, in_channels, kernel_h, kernel_w = kernel_OIkl.shape
    rows = _taps(height, kernel_h, *_per_axis(stride, padding, axis=0))
    columns = _taps(width, kernel_w, *_per_axis(stride, padding, axis=1))
    # One block per kernel tap: the input pixel (column) that each output pixel (row) reads through it.
    blocks = np.einsum("kab,lcd,oikl->oacibd", rows, columns, kernel_OIkl)
    return blocks.reshape(out_channels * rows.shape[1] * columns.shape[1], in_channels * height * width)


def output_size(n: int, kernel: int, stride: int = 1, padding: int | PaddingMode = "valid") -> int:
    """Length of a convolution's output along one axis: floor((n + 2p - k) / s) + 1.

    `padding` is the number p of zeros on each side, or a mode: valid (p = 0), same (p = k // 2, for odd
    kernels at stride 1, so that the length stays n), full (p = k - 1, every overlap counts).
    Raises ConvoyError for sizes out of range and where `same` cannot hold.
    """
    for name, value, least in (("n", n, 1), ("kernel", kernel, 1), ("stride", stride, 1)):
        if value < least:
            raise ConvoyError(f"{name}: expected at least {least}, found {value}")
    p = _padding(padding, kernel, stride)
    if n + 2 * p < kernel:
        raise ConvoyError(f"kernel: expected at most {n + 2 * p} (n + 2 * padding), found {kernel}")
    return (n + 2 * p - kernel) // stride + 1


def receptive_field(layers: Iterable[tuple[int, int]]) -> int:
    """Number of input positions that one output position depends on: 1 + sum_l (k_l - 1) * prod_{i<l} s_i.

    `layers` are (kernel, stride) from the input on; `kernel_strides` reads them from a network.
    """
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump *= stride
    return field


def kernel_strides(network: nn.Module) -> list[tuple[int, int]]:
    """The (kernel, stride) of every convolution and pooling layer of a sequential network, in order.

    A dilated kernel counts with its extent, dilation * (k - 1) + 1. Adaptive pooling has no kernel of its own
    and is left out: the receptive field is that of the features which it pools. Layers are taken in the order
    in which they are registered; for networks with branches use `network_receptive_field`. Raises
    ConvoyError for kernels, strides or dilations that differ between axes, and for transposed convolutions.
    """
    return [_kernel_stride(module) for module in network.modules() if isinstance(module, _WINDOWED)]


def network_receptive_field(network: nn.Module) -> int:
    """Number of input positions along one axis that one feature before global pooling may depend on.

    Follows the calls of `forward`, so that of parallel branches the one with the largest field counts.
    Squeeze-and-excitation and other global pooling inside a branch have no kernel and are left out. Raises
    ConvoyError as `kernel_strides` does, and for networks that torch.fx cannot trace or that call pooling
    or convolution as functions, whose kernels are not in a module.
    """
    try:
        traced = torch.fx.symbolic_trace(nn.Sequential(network))  # a layer alone is a call of a module, too
    except (TypeError, ValueError, torch.fx.proxy.TraceError) as error:
        raise ConvoyError(f"{type(network).__name__}: torch.fx cannot trace it: {error}") from error
    modules = dict(traced.named_modules())
    reached: dict[torch.fx.Node, tuple[int, int]] = {}  # field, and input positions between neighbours
    for node in traced.graph.nodes:
        inputs = [reached[each] for each in node.all_input_nodes]
        field, jump = (
            max((each[0] for each in inputs), default=1),
            max((each[1] for each in inputs), default=1),
        )
        module = modules.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, _WINDOWED):
            kernel, stride = _kernel_stride(module)
            field, jump = field + (kernel - 1) * jump, jump * stride
        elif node.op == "call_function" and _WINDOWED_FUNCTION.search(getattr(node.target, "__name__", "")):
            raise ConvoyError(
                key=type(network).__name__, expected="pooling and convolution as modules",
                found=f"the function {node.target.__name__}",
            )  # fmt: skip
        reached[node] = field, jump
    return field


def parameter_count(network: nn.Module) -> int:
    """The number of trainable weights of a network."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)


_POOLING = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
_CONVOLUTION = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_WINDOWED = (*_POOLING, *_CONVOLUTION, *_TRANSPOSED)
_WINDOWED_FUNCTION = re.compile("conv|^(?!adaptive).*pool")


def _kernel_stride(module: nn.Module) -> tuple[int, int]:
    name = type(module).__name__
    if isinstance(module, _TRANSPOSED):
        raise ConvoyError(f"{name}: expected layers that shrink or keep their input; pass the encoder alone")
    kernel = _one_number(f"{name}: kernel_size", module.kernel_size)
    dilation = _one_number(f"{name}: dilation", getattr(module, "dilation", 1))
    return dilation * (kernel - 1) + 1, _one_number(f"{name}: stride", module.stride)


def _one_number(name: str, value: object) -> int:
    axes = set(value) if isinstance(value, tuple) else {value}
    if len(axes) > 1:
        raise ConvoyError(f"{name}: expected the same on every axis, found {value}")
    (number,) = axes
    assert isinstance(number, int)
    return number


def _padding(padding: int | PaddingMode, kernel: int, stride: int) -> int:
    if isinstance(padding, int):
        if padding < 0:
            raise ConvoyError(f"padding: expected at least 0, found {padding}")
        return padding
    if padding == "same" and (kernel % 2 == 0 or stride != 1):
        raise ConvoyError(
            f"padding 'same': expected an odd kernel and stride 1, found kernel {kernel}, stride {stride}"
        )
    sizes = {"valid": 0, "same": kernel // 2, "full": kernel - 1}
    if padding not in sizes:
        raise ConvoyError(f"padding: expected a number, 'valid', 'same' or 'full', found '{padding}'")
    return sizes[padding]


def _per_axis(stride: int | tuple[int, int], padding: int | tuple[int, int], axis: int) -> tuple[int, int]:
    return (
        stride if isinstance(stride, int) else stride[axis],
        padding if isinstance(padding, int) else padding[axis],
    )


def _taps(n: int, kernel: int, stride: int, padding: int) -> np.ndarray:
    """(k, out, n) with a one where output position j reads input position j * stride + tap - padding."""
    taps = np.zeros((kernel, output_size(n, kernel, stride, padding), n))
    for tap, position in np.ndindex(taps.shape[:2]):
        seen = position * stride + tap - padding
        if 0 <= seen < n:
            taps[tap, position, seen] = 1
    return taps


def _check_1d(name: str, values: np.ndarray) -> None:
    if np.ndim(values) != 1:
        raise ConvoyError(f"{name}: expected one axis, found {np.ndim(values)}")
