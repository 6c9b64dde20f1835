"""Memory of a training stays with its process from step to step, and can still be given back."""

import platform
import subprocess
import sys

import pytest

# Page faults of twenty blocks of 16 MB, taken, written and freed one after the other; then resident MB before and
# after what an idle worker does.
SCRIPT = """
import ctypes, resource, sys
from pathlib import Path
import numpy as np
from heddle_platform.base.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
np.ones(2**21)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(2**21)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
held = resident()
ctypes.CDLL(None).malloc_trim(0)
print(held - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the setting")
def test_freed_memory_is_used_again_and_can_be_given_back() -> None:
    def figures(how: str) -> list[float]:
        ran = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True)
        return [float(line) for line in ran.stdout.split()]

    (faults, _), (faults_kept, given_back) = figures("usual"), figures("kept")
    assert faults_kept < faults / 5
    assert given_back > 10
