"""How OpenMP's threads wait for work; torch reads it when it is loaded."""

import os

POLICY, TURNS = "passive", "10000"  # as in pipelines/run, which says why


def sleep_soon() -> None:
    """Let threads that wait sleep soon, here and in child processes, unless the caller's shell says how."""
    if not os.environ.get("OMP_WAIT_POLICY") and not os.environ.get("GOMP_SPINCOUNT"):
        os.environ |= {"OMP_WAIT_POLICY": POLICY, "GOMP_SPINCOUNT": TURNS}
