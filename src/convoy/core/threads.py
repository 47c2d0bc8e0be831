"""Process settings that must be made before libraries load: OpenMP's wait policy, malloc's thresholds."""

import ctypes
import os

# Parameters of glibc's mallopt (malloc.h), the variables by which a shell sets them, and the largest
# threshold that every version takes.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_OF_SHELL = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")
_ALWAYS_TAKEN = 32 * 2**20


def sleep_soon() -> None:
    """Let waiting threads sleep soon, here and in child processes, unless the caller's shell sets a policy.

    They sleep after some tenths of a millisecond. Threads that spin longer occupy the cores of a busy
    machine: training next to four other processes ran at a quarter of the speed. Threads that sleep at once
    wake too late for the next of many small operations: downscaling trained at 0.6 of the speed.
    """
    if not os.environ.get("OMP_WAIT_POLICY") and not os.environ.get("GOMP_SPINCOUNT"):
        # GNU's OpenMP counts spins; other runtimes know the policy alone.
        os.environ |= {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "10000"}


def keep_memory() -> None:
    """Let glibc keep the memory of freed arrays for the next ones, unless the caller's shell sets it.

    By default it returns arrays of some megabytes to the kernel as soon as they are freed, and gets the next
    ones page by page, each filled with zeros, which took a third of the training time of downscaling. Other C
    libraries have no such thresholds; with them nothing is changed.
    """
    if any(os.environ.get(name) for name in _OF_SHELL):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP_THRESHOLD, 2**30) or mallopt(_MMAP_THRESHOLD, _ALWAYS_TAKEN)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
