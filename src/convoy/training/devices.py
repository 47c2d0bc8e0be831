"""Where a network runs and in which number format."""

import contextlib
from collections.abc import Iterator

import torch

from convoy.training.params import TrainingParams


class Device:
    """The device and precision that `params` ask for; `auto` takes a GPU where there is one.

    Raises ConvoyError where a GPU is asked for and there is none.
    """

    def __init__(self, params: TrainingParams) -> None:
        kind = params.device_here()
        self.torch = torch.device(kind)
        self.threads = params.threads
        self.bfloat16 = params.precision == "bfloat16" or (
            params.precision == "auto" and _bfloat16_pays(kind)
        )

    @contextlib.contextmanager
    def active(self) -> Iterator["Device"]:
        """Use the threads of `params` inside; CPU results depend on their number."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        # Moments of rare words sink below 1e-38, where a CPU is forty times slower: take them for zero.
        torch.set_flush_denormal(True)
        try:
            # On a GPU: the same bytes twice, and float32 where it is asked for.
            with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
                yield self
        finally:
            torch.set_flush_denormal(False)
            torch.set_num_threads(before)

    def autocast(self) -> torch.autocast:
        """The context in which the network's own operations run."""
        return torch.autocast(
            self.torch.type, dtype=torch.bfloat16, enabled=self.bfloat16, cache_enabled=False
        )


def _bfloat16_pays(kind: str) -> bool:
    """True where the hardware multiplies bfloat16 itself: a recent GPU, or a CPU with AMX or AVX-512 BF16.

    A CPU may have the units while oneDNN is kept from them (ONEDNN_MAX_CPU_ISA, a container without AVX-512);
    its bfloat16 is then emulated, many times slower than float32.
    """
    if kind == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    units = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return units and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
