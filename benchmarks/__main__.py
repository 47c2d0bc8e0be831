"""`python -m benchmarks [NAME …]`: all benchmarks, or those named, one process after another.

They run on two cores, whatever the machine has, and with threads that wait as in the stages: processes
inherit both.
"""

import argparse
import os
import subprocess
import sys

from convoy.core import threads

NAMES = (
    "generation", "embedding", "training", "bow", "memory", "tracking", "downscaling", "century", "larger",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run the benchmarks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)} (all)")
    parser.add_argument("--cores", type=int, default=2, help="at most (2)")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no benchmark '{min(unknown)}'; expected {', '.join(NAMES)}")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    threads.sleep_soon()
    failed = []
    for name in options.names or NAMES:
        print(f"bench: {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"bench: failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
