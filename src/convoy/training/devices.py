"""The device and the number format of a network."""

import contextlib
from collections.abc import Iterator

import torch

from convoy.core.training_params import TrainingParams
from convoy.training.device_choice import device_here


class Device:
    """The device and precision set by `params`; `auto` takes a GPU where there is one.

    Raises ConvoyError where `params` set `cuda` and there is no GPU.
    """

    def __init__(self, params: TrainingParams) -> None:
        kind = device_here(params)
        self.torch = torch.device(kind)
        self.threads = params.threads
        self.bfloat16 = params.precision == "bfloat16" or (
            params.precision == "auto" and _bfloat16_pays(kind)
        )

    @contextlib.contextmanager
    def active(self) -> Iterator["Device"]:
        """Use the number of threads of `params` inside; results on a CPU depend on it."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        # The optimiser's moments of rare words fall below 1e-38, where a CPU is forty times slower: flush to
        # zero.
        torch.set_flush_denormal(True)
        try:
            # On a GPU: deterministic results, and no TF32 where `precision` is float32.
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
    """True where the hardware multiplies bfloat16: a recent GPU, or a CPU with AMX or AVX-512 BF16.

    oneDNN may be limited to older instructions (ONEDNN_MAX_CPU_ISA, a container without AVX-512); bfloat16 is
    then emulated, many times slower than float32.
    """
    if kind == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    units = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return units and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
