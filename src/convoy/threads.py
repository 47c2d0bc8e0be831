"""How OpenMP's threads wait for work; torch reads it when it is loaded."""

import os


def sleep_soon() -> None:
    """Let threads that wait sleep soon, here and in child processes, unless the caller's shell says how.

    After some tenths of a millisecond. Spinning longer they take a busy machine's cores from those that have
    work: training beside four other processes ran at a quarter of the speed. Sleeping at once they wake too
    late for the next of many small operations: downscaling trained at 0.6 of it.
    """
    if not os.environ.get("OMP_WAIT_POLICY") and not os.environ.get("GOMP_SPINCOUNT"):
        # GNU's OpenMP counts turns; others know the policy alone.
        os.environ |= {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "10000"}
