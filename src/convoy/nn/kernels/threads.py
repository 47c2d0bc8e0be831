"""Compiled loops that release the interpreter's lock, run in as many threads as torch uses."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch


def in_threads(work: Callable[[int, int], None], count: int, smallest: int = 16, each: int = 8) -> None:
    """Run `work(low, high)` over ranges that cover `count`, of at least `smallest`; `each` of them a thread.

    More ranges balance work that differs, fewer cost less. `work` must not call this again: it would wait for
    threads that wait for it.
    """
    threads = torch.get_num_threads()
    step = max(smallest, -(-count // (each * threads)))
    ranges = [(low, min(low + step, count)) for low in range(0, count, step)]
    if threads == 1 or len(ranges) < 2:
        work(0, count)
        return
    for future in [_pool(threads).submit(work, low, high) for low, high in ranges]:
        future.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)
