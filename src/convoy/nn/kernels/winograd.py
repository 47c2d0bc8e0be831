"""3 x 3 convolutions on a CPU in float32 with a quarter of the multiplications, after Winograd.

F(4 x 4, 3 x 3) of Lavin and Gray (2016): each tile of 4 x 4 outputs is A' [(G g G') * (B' d B)] A, with the
kernel g, the 6 x 6 inputs d around the tile and a product of numbers in place of each convolution: 36
multiplications for 16 outputs, not 144. Summed over channels these are 36 matrix products, which PyTorch
does; the transforms around them are compiled. Gradients are those of the same sums. Results differ in
rounding: at 64 to 512 channels they are within 1e-5 of the largest value, those of a plain convolution within
3e-6. A value that is not finite makes whole tiles NaN.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.amp import custom_bwd, custom_fwd
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

from convoy.nn.kernels.switch import enabled
from convoy.nn.kernels.threads import in_threads

# With fewer channels, or few tiles in a batch, the transforms take longer than they save.
FEWEST_CHANNELS, FEWEST_TILES = 64, 128
# A plain convolution's multiplications as a multiple of those here: 4 where all tiles are whole, less where
# they reach over the edges of small images. With less, training gained little or nothing and inference lost.
LEAST_SAVED = 2
# Of the numbers of one block of images, which should stay in a shared cache; at most, for large images.
BLOCK_BYTES, MOST_BYTES = 2**24, 2**27
# Rows of a power of two would all meet in the same lines of a cache.
SPARE = 16

_G = torch.tensor([
    [1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1],
], dtype=torch.float32, device="cpu")  # fmt: skip
_KERNEL = torch.einsum("ik,jl->ijkl", _G, _G).reshape(36, 9)


class FastConvolutions(TorchFunctionMode):
    """A context in which `torch.conv2d` takes the convolutions of this module where they are faster.

    Those are: float32 on a CPU, channels last, 3 x 3 with stride 1 and padding 1, at least FEWEST_CHANNELS
    in and out, images that fill their tiles (LEAST_SAVED), and no autocast. All others, and all where the
    kernel `winograd` is off, are PyTorch's own. Not for torch.func, jit.trace and forward-mode gradients.
    """

    def __torch_function__(
        self, function: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        if function is torch.conv2d:
            taken = _bound(*args, **(kwargs or {}))
            if _is_faster(taken):
                output = convolution(taken.images, taken.weight)
                return output if taken.bias is None else output + taken.bias[:, None, None]
        return function(*args, **(kwargs or {}))


def convolution(images: Tensor, weight: Tensor) -> Tensor:
    """The convolution of `images` (N, C, H, W) with `weight` (K, C, 3, 3) and padding 1 -> (N, K, H, W).

    float32 on a CPU; the result's channels are last. Raises ValueError for other types and sizes. Gradients
    cannot be differentiated again.
    """
    for name, tensor in (("images", images), ("weight", weight)):
        if not (_is_float32(tensor) and tensor.dim() == 4):
            raise ValueError(f"{name}: expected four axes of float32 on a CPU, found {tensor.dtype}")
    if weight.shape[1:] != (images.shape[1], 3, 3) or 0 in images.shape or 0 in weight.shape:
        raise ValueError(f"weight {tuple(weight.shape)} for images {tuple(images.shape)}")
    output: Tensor = _Convolution.apply(images, weight)
    return output


class _Call(NamedTuple):
    """The arguments of `torch.conv2d`."""

    images: Tensor
    weight: Tensor
    bias: Tensor | None
    stride: Any
    padding: Any
    dilation: Any
    groups: int


def _bound(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,  # noqa: A002
    dilation: Any = 1, groups: int = 1,
) -> _Call:  # fmt: skip
    return _Call(input, weight, bias, stride, padding, dilation, groups)


def _is_faster(call: _Call) -> bool:
    tensors = [call.images, call.weight, *([] if call.bias is None else [call.bias])]
    # Proxies of torch.fx and other classes have operations of their own.
    if not all(type(each) in (Tensor, nn.Parameter) and _is_float32(each) for each in tensors):
        return False
    if not _fit_together(call):  # PyTorch raises then.
        return False
    filters, channels, *edges = call.weight.shape
    ones = all(_is_one(value) for value in (call.stride, call.padding, call.dilation, call.groups))
    if not (ones and edges == [3, 3] and min(filters, channels) >= FEWEST_CHANNELS):
        return False
    images, _, height, width = call.images.shape
    cut = _Tiles((images, height, width, channels), filters)
    return (
        images * cut.each >= FEWEST_TILES and cut.saved >= LEAST_SAVED
        and cut.bytes_each <= MOST_BYTES and call.images.is_contiguous(memory_format=torch.channels_last)
        and not torch.is_autocast_enabled("cpu") and enabled("winograd")
    )  # fmt: skip


def _is_float32(tensor: Tensor) -> bool:
    return tensor.is_cpu and tensor.dtype == torch.float32


def _fit_together(call: _Call) -> bool:
    images, weight, bias = call.images, call.weight, call.bias
    return (
        images.dim() == weight.dim() == 4 and 0 not in images.shape and images.shape[1] == weight.shape[1]
        and (bias is None or bias.shape == weight.shape[:1])
    )  # fmt: skip


def _is_one(value: Any) -> bool:
    return value == 1 or (isinstance(value, tuple | list) and tuple(value) == (1, 1))


class _Convolution(torch.autograd.Function):
    # Under autocast, too, all products are float32.
    @staticmethod
    @custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx: Any, images: Tensor, weight: Tensor) -> Tensor:
        from convoy.nn.kernels import winograd_loops as loops

        # The same two as a plain convolution saves: activation checkpointing may replace one by the other.
        ctx.save_for_backward(images, weight)
        filters, channels = weight.shape[:2]
        ctx.kernels = kernels = _kernels(weight)
        images = _channels_last(images)
        outputs = images.new_empty(*images.shape[:3], filters)
        cut = _Tiles(images.shape, filters)
        numbers, products = (_Numbers(cut, width) for width in (channels, filters))
        for low, high in cut.blocks():
            torch.bmm(
                numbers.run(loops.image_to_tiles, images[low:high]), kernels, out=products.of(high - low)
            )
            products.run(loops.tiles_to_image, outputs[low:high])
        return outputs.permute(0, 3, 1, 2)

    @staticmethod
    @custom_bwd(device_type="cpu")
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        from convoy.nn.kernels import winograd_loops as loops

        images, weight = ctx.saved_tensors
        of_images, of_weight = ctx.needs_input_grad
        images, gradient = _channels_last(images), _channels_last(gradient)
        filters, channels = weight.shape[:2]
        if of_images:
            image_gradient, kernels = torch.empty_like(images), ctx.kernels.transpose(1, 2)
        if of_weight:
            kernel_gradient = weight.new_zeros(36, channels, filters)
        cut = _Tiles(images.shape, filters)
        numbers, products = (_Numbers(cut, width) for width in (channels, filters))
        for low, high in cut.blocks():
            gradients = products.run(loops.gradient_to_tiles, gradient[low:high])
            if of_weight:
                inputs = numbers.run(loops.image_to_tiles, images[low:high])
                kernel_gradient.baddbmm_(inputs.transpose(1, 2), gradients)
            if of_images:
                torch.bmm(gradients, kernels, out=numbers.of(high - low))
                numbers.run(loops.tiles_to_gradient, image_gradient[low:high])
        return (
            image_gradient.permute(0, 3, 1, 2) if of_images else None,
            _weight_gradient(kernel_gradient) if of_weight else None,
        )


def _kernels(weight: Tensor) -> Tensor:
    """G g G' of each kernel of weight (K, C, 3, 3) -> (36, C, K)."""
    filters, channels = weight.shape[:2]
    return (_KERNEL @ weight.permute(2, 3, 1, 0).reshape(9, -1)).view(36, channels, filters)


def _weight_gradient(kernels: Tensor) -> Tensor:
    """The adjoint of `_kernels`."""
    return (_KERNEL.T @ kernels.flatten(1)).view(3, 3, *kernels.shape[1:]).permute(3, 2, 0, 1)


def _channels_last(images: Tensor) -> Tensor:
    """(N, C, H, W) as (N, H, W, C), in that order in memory."""
    return images.permute(0, 2, 3, 1).contiguous()


class _Tiles:
    """How images (N, H, W, C) are cut into tiles, each with 36 numbers for C and for K channels."""

    def __init__(self, shape: Sequence[int], filters: int) -> None:
        self.images, height, width, channels = shape
        self.down, self.across = -(-height // 4), -(-width // 4)
        self.each = self.down * self.across
        self.bytes_each = self.each * 36 * 4 * (channels + filters)
        self.saved = 9 * height * width / (36 * self.each)
        # An image is transformed by one thread.
        few = min(torch.get_num_threads(), MOST_BYTES // self.bytes_each)
        self.block = min(self.images, max(BLOCK_BYTES // self.bytes_each, few, 1))

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Ranges of images whose numbers fit into a cache together."""
        for low in range(0, self.images, self.block):
            yield low, min(low + self.block, self.images)


class _Numbers:
    """The 36 numbers of each tile of a block of images, for so many channels."""

    def __init__(self, cut: _Tiles, channels: int) -> None:
        self.cut, self.channels = cut, channels
        size = 36 * (cut.block * cut.each * channels + SPARE)
        self.memory = torch.empty(size, dtype=torch.float32, device="cpu")

    def of(self, images: int) -> Tensor:
        """(36, tiles, channels) of the first so many images of the block."""
        row = self._row(images)
        return self.memory.as_strided((36, images * self.cut.each, self.channels), (row, self.channels, 1))

    def run(self, loop: Callable[..., None], images: Tensor) -> Tensor:
        """Run a loop from images (n, H, W, channels) to the numbers of their tiles or back; the numbers."""
        pixels, numbers, row = images.view(-1).numpy(), self.memory.numpy(), self._row(len(images))
        shape, down, across = tuple(images.shape), self.cut.down, self.cut.across
        in_threads(
            lambda low, high: loop(pixels, shape, down, across, low, high, numbers, row),
            len(images), smallest=1, each=1,
        )  # fmt: skip
        return self.of(len(images))

    def _row(self, images: int) -> int:
        return images * self.cut.each * self.channels + SPARE
