"""3 x 3 convolutions on a CPU in float32 with a quarter of the multiplications, after Winograd.

F(4 x 4, 3 x 3) of Lavin and Gray (2016): each tile of 4 x 4 outputs is A' [(G g G') * (B' d B)] A, with the
kernel g, the 6 x 6 inputs d around the tile and a product of numbers in place of each convolution: 36
multiplications for 16 outputs, not 144. Summed over channels these are 36 matrix products, which PyTorch
does; the transforms around them are compiled. Gradients are those of the same sums. Results differ in
rounding: they are within about 5e-6 of the largest value, those of a plain convolution within 1e-6.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

from convoy.nn.kernels.switch import enabled
from convoy.nn.kernels.threads import in_threads

# With fewer channels, or few tiles in a batch, the transforms take longer than they save.
FEWEST_CHANNELS, FEWEST_TILES = 64, 128
# Of the numbers of one block of images, which should stay in a shared cache; of those of one image, at most.
BLOCK_BYTES, LARGEST_IMAGE = 2**24, 2**27
# Rows of a power of two would all meet in the same lines of a cache.
SPARE = 16

_G = torch.tensor([
    [1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1],
])  # fmt: skip
_KERNEL = torch.einsum("ik,jl->ijkl", _G, _G).reshape(36, 9)


class FastConvolutions(TorchFunctionMode):
    """A context in which `torch.conv2d` takes the convolutions of this module where they are faster.

    Those are: float32 on a CPU, channels last, 3 x 3 with stride 1 and padding 1, at least FEWEST_CHANNELS
    in and out, and no autocast. All others, and all where the kernel `winograd` is off, are PyTorch's own.
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
        if not (tensor.is_cpu and tensor.dtype == torch.float32 and tensor.dim() == 4):
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
    images, weight = call.images, call.weight
    if not (images.dim() == 4 and weight.shape[2:] == (3, 3) and min(weight.shape[:2]) >= FEWEST_CHANNELS):
        return False
    ones = all(_is_one(value) for value in (call.stride, call.padding, call.dilation, call.groups))
    own = all(each.is_cpu and each.dtype == torch.float32 for each in (images, weight))
    if not (ones and own and images.is_contiguous(memory_format=torch.channels_last)):
        return False
    cut = _Tiles(images.permute(0, 2, 3, 1).shape, weight.shape[0])
    return (
        len(images) * cut.each >= FEWEST_TILES and cut.bytes_each <= LARGEST_IMAGE
        and not torch.is_autocast_enabled("cpu") and enabled("winograd")
    )  # fmt: skip


def _is_one(value: Any) -> bool:
    return value == 1 or (isinstance(value, tuple | list) and tuple(value) == (1, 1))


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor) -> Tensor:
        from convoy.nn.kernels import winograd_loops as loops

        filters, channels = weight.shape[:2]
        kernels = (_KERNEL @ weight.permute(2, 3, 1, 0).reshape(9, -1)).view(36, channels, filters)
        ctx.save_for_backward(images, kernels)
        images = _channels_last(images)
        outputs = torch.empty(*images.shape[:3], filters)
        cut = _Tiles(images.shape, filters)
        numbers, products = (_Numbers(cut, width) for width in (channels, filters))
        for low, high in cut.blocks():
            torch.bmm(
                numbers.run(loops.image_to_tiles, images[low:high]), kernels, out=products.of(high - low)
            )
            products.run(loops.tiles_to_image, outputs[low:high])
        return outputs.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        from convoy.nn.kernels import winograd_loops as loops

        images, kernels = ctx.saved_tensors
        of_images, of_weight = ctx.needs_input_grad
        images, gradient = _channels_last(images), _channels_last(gradient)
        _, channels, filters = kernels.shape
        image_gradient, kernel_gradient = torch.empty_like(images), torch.zeros_like(kernels)
        cut = _Tiles(images.shape, filters)
        numbers, products = (_Numbers(cut, width) for width in (channels, filters))
        for low, high in cut.blocks():
            gradients = products.run(loops.gradient_to_tiles, gradient[low:high])
            if of_weight:
                inputs = numbers.run(loops.image_to_tiles, images[low:high])
                kernel_gradient.baddbmm_(inputs.transpose(1, 2), gradients)
            if of_images:
                torch.bmm(gradients, kernels.transpose(1, 2), out=numbers.of(high - low))
                numbers.run(loops.tiles_to_gradient, image_gradient[low:high])
        weight_gradient = (_KERNEL.T @ kernel_gradient.flatten(1)).view(3, 3, channels, filters)
        return image_gradient.permute(0, 3, 1, 2), weight_gradient.permute(3, 2, 0, 1)


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
        # An image is transformed by one thread.
        self.block = min(self.images, max(BLOCK_BYTES // self.bytes_each, torch.get_num_threads()))

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Ranges of images whose numbers fit into a cache together."""
        for low in range(0, self.images, self.block):
            yield low, min(low + self.block, self.images)


class _Numbers:
    """The 36 numbers of each tile of a block of images, for so many channels."""

    def __init__(self, cut: _Tiles, channels: int) -> None:
        self.cut, self.channels = cut, channels
        self.memory = torch.empty(36 * (cut.block * cut.each * channels + SPARE))

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
