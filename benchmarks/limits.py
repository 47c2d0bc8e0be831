"""What a machine can do at most, measured: operations a second of large products, bytes a second of a copy.

The limit of arithmetic is the better of the float32 and the bfloat16 product. On hardware without bfloat16
units the latter is emulated, many times slower than float32, and no limit of anything.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

# Squares of growing size: caches and start-up make either the small or the large one the slower.
SIZES = {"cpu": (512, 1024, 2048), "cuda": (4096, 8192)}
COPIED = {"cpu": 2**28, "cuda": 2**31}  # bytes
ROUNDS = 8
LONG = 0.5  # seconds; a product that takes more is not repeated, and no larger one is tried


def measure_limits(device: str) -> dict[str, float]:
    """Operations a second of both number formats and of the better one; bytes read and written a second."""
    products = {name: product(device, getattr(torch, name)) for name in ("float32", "bfloat16")}
    source = torch.empty(COPIED[device], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copy = min(_timed(lambda: target.copy_(source), device) for _ in range(ROUNDS))
    return {
        **{f"operations/s, {name}": rate for name, rate in products.items()},
        "operations/s": max(products.values()),
        "bytes/s": 2 * source.numel() / copy,
    }


def product(device: str, dtype: torch.dtype) -> float:
    """Operations a second of the fastest among several products of two square matrices."""
    best = 0.0
    for size in SIZES[device]:
        one, other = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        for _ in range(ROUNDS):
            seconds = _timed(partial(torch.mm, one, other), device)
            best = max(best, 2 * size**3 / seconds)
            if seconds > LONG:
                return best
    return best


def _timed(action: Callable[[], Any], device: str) -> float:
    began = time.perf_counter()
    action()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began
