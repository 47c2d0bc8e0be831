"""Generation of the synthetic catalogue, texts and hidden truth, on one core."""

import argparse
import os
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.machine import RESULTS, in_turn, report

REQUIRED = 100_000


def run(sizes: list[int], rounds: int, results: Path = RESULTS) -> Path:
    # Before the libraries start their threads, which keep the cores that they were born with.
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    from convoy.streamrec.catalogue.synthetic.items import SyntheticParams, generate

    params = {str(items): SyntheticParams(items=items) for items in sizes}
    seconds = in_turn({items: partial(generate, own) for items, own in params.items()}, rounds)
    os.sched_setaffinity(0, allowed)
    rows = [
        {"items": items, "seconds": median(values), "items/s": items / median(values), "required": REQUIRED}
        for items, values in zip(sizes, seconds.values(), strict=True)
    ]
    measured = {"what": __doc__, "cores used": 1, "seconds": seconds}
    return report("generation", rows, measured, ["numpy", "pyarrow"], results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, nargs="+", default=[50_000, 200_000])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    run(options.items, options.rounds)


if __name__ == "__main__":
    main()
