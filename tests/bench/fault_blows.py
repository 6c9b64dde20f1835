"""Blows at a running stack: a process is killed, or stopped for a while as one that hangs or is cut off."""

import contextlib
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil

from heddle_infra import local
from tests.bench.fault_schedule import Fault, Victim

_WAIT_FOR_VICTIM_SECONDS: Final = 45.0
_HEAD: Final = ("gcs_server", "raylet", "ray::RuntimeEnv", "ray::DashboardA")  # names are cut off at 15 letters


class Blows:
    """Strikes as a schedule says; what was stopped is woken again even if this ends in the middle.

    Attributes:
        struck: how often, by (victim, blow).
        missed: faults whose victim did not come back in time to be struck.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._timers: list[threading.Timer] = []
        self._asleep: list[psutil.Process] = []
        self._lock = threading.Lock()
        self.struck: Counter[tuple[Victim, str]] = Counter()
        self.missed = 0
        self.done = threading.Event()

    def strike_all(self, faults: Sequence[Fault], over: threading.Event) -> None:
        """Strike one after the other until all are done or `over` is set."""
        for fault in faults:
            if over.wait(fault.after_seconds):
                break
            self.strike(fault)
        self.done.set()

    def strike(self, fault: Fault) -> None:
        """Find the victim, waiting for it to be up, and strike."""
        end = time.monotonic() + _WAIT_FOR_VICTIM_SECONDS
        found: list[psutil.Process] = []
        while not found and time.monotonic() < end:
            found = self._find(fault)
            if not found:
                time.sleep(0.1)
        if not found:
            self.missed += 1
            return
        if fault.blow == "kill":
            # an immediate shutdown is PostgreSQL's own kill: no checkpoint, recovery at the next start
            number = signal.SIGQUIT if fault.victim == "postgres" else signal.SIGKILL
            _send(found[:1] if fault.victim == "postgres" else found, number)
        else:
            self._stop_for(found, fault.seconds)
        self.struck[fault.victim, fault.blow] += 1

    def wake_all(self) -> None:
        """Let everything that was stopped go on."""
        for timer in self._timers:
            timer.cancel()
        with self._lock:
            _send(self._asleep, signal.SIGCONT)
            self._asleep.clear()

    def _stop_for(self, processes: list[psutil.Process], seconds: float) -> None:
        with self._lock:
            self._asleep += processes
        _send(processes, signal.SIGSTOP)
        timer = threading.Timer(seconds, _send, (processes, signal.SIGCONT))
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    def _find(self, fault: Fault) -> list[psutil.Process]:
        name = "ray" if fault.victim in ("worker", "head") else fault.victim
        parts = [part for part in local.describe(self._data_dir).processes if part.name == name]
        if not parts or parts[0].state != "ready" or parts[0].pid is None:
            return []
        try:
            process = psutil.Process(parts[0].pid)
            below = process.children(recursive=True)
            match fault.victim:
                case "worker":
                    return _one(_workers(below), fault.pick)
                case "head":
                    return _one([child for child in below if child.name().startswith(_HEAD)], fault.pick)
                case _:
                    return [process, *below]
        except psutil.Error:
            return []


def _workers(below: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Return Ray workers, those that run a task of ours before all others."""
    titles: list[tuple[psutil.Process, str]] = []
    for child in below:
        with contextlib.suppress(psutil.Error, IndexError):
            titles.append((child, child.cmdline()[0]))
    busy = [child for child, title in titles if "ray::heddle" in title]
    return busy or [child for child, title in titles if title.startswith("ray::IDLE")]


def _one(processes: list[psutil.Process], pick: float) -> list[psutil.Process]:
    return [processes[int(pick * len(processes))]] if processes else []


def _send(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)
