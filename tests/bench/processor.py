"""Processor seconds of a stack, by kind of process: on a busy machine they say what wall time cannot."""

import contextlib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import psutil

from heddle_infra.local.status import stack_processes

# what a command line holds -> who that is; the first that fits
_KINDS = (
    ("ray::", "ray workers"),
    ("default_worker.py", "ray workers"),
    ("heddle_workers", "dispatcher"),
    ("heddle_api.control", "control"),
    ("heddle_api.edge", "edge"),
    ("weed", "object store"),
    ("postgres", "database"),
    ("valkey", "redis"),
    ("raylet", "ray itself"),
    ("gcs_server", "ray itself"),
    ("ray", "ray itself"),
)


def processor_seconds(data_dir: Path) -> dict[str, float]:
    """Return seconds used since the start of each process, those of children that ended included."""
    used: dict[str, float] = defaultdict(float)
    for process in stack_processes(data_dir):
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline()) or process.name()
            kind = next((kind for part, kind in _KINDS if part in line), "others")
            times = process.cpu_times()
            used[kind] += times.user + times.system + times.children_user + times.children_system
    return used


def table(before: Mapping[str, float], after: Mapping[str, float], fits: int) -> None:
    """Print milliseconds of processor per fit, by kind and in total."""
    total = 0.0
    for kind, seconds in sorted(after.items(), key=lambda one: before.get(one[0], 0.0) - one[1]):
        each = 1_000 * (seconds - before.get(kind, 0.0)) / fits
        total += each
        print(f"{'  ' + kind:<28}{each:>10.1f} ms of processor per fit")
    print(f"{'  all processes':<28}{total:>10.1f} ms of processor per fit   (two cores: {2_000 / total:.1f} fits/s)")
