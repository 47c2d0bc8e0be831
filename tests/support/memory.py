"""The peak memory of a program that a test starts."""

# The end of its code: prints kilobytes. Not ru_maxrss, in which the memory of whoever started it counts too.
PRINT_PEAK = r"""
import re
from pathlib import Path
print(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
"""
