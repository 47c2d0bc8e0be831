"""`python -m benchmarks [NAME …]`: all benchmarks, or those named, one process after another.

They run on two cores, whatever the machine has, and with threads that wait as in the stages: processes
inherit both. Each shows its parts as they begin and end. On a CPU with AVX2 alone (`--avx2` makes one of a
newer CPU, and the results state it) each is to end within five minutes; a longer one is marked.
"""

import argparse
import os
import subprocess
import sys
import time

from benchmarks.machine import AVX2
from convoy.core import threads

NAMES = (
    "generation", "embedding", "training", "bow", "memory", "tracking", "downscaling", "century", "gradcam",
    "augmentation", "architectures", "readers", "noop",
)  # fmt: skip
MOST_SECONDS = 300


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run the benchmarks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)} (all)")
    parser.add_argument("--cores", type=int, default=2, help="at most (2)")
    parser.add_argument("--avx2", action="store_true", help="limit a newer CPU to the instructions of AVX2")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no benchmark '{min(unknown)}'; expected {', '.join(NAMES)}")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    threads.sleep_soon()
    os.environ.update(AVX2 if options.avx2 else {})
    failed = []
    for name in options.names or NAMES:
        print(f"bench: {name}", flush=True)
        began = time.monotonic()
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:
            failed.append(name)
        spent = time.monotonic() - began
        longer = f", more than {MOST_SECONDS}" if spent > MOST_SECONDS else ""
        print(f"bench: {name}: {spent:,.0f} s{longer}", flush=True)
    if failed:
        print(f"bench: failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
