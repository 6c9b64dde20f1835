"""The task of a sweep: it starts the sweep as a driver of the cluster it runs on itself, and tells what that leaves.

A process of its own, for Tune keeps its trainings as long as its process lives: killed, it takes them along at once.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final

import yaml

from heddle_platform.base.sweeps.folder import BEST, LOCK, REPORT, RESULT, SETTINGS
from heddle_platform.digest import canonical_json, sha256_hex
from heddle_platform.errors import HeddleError
from heddle_workers.base_sweep.told import FAILURE, PROGRESS, SweepProgress, read_failure, read_progress
from heddle_workers.cluster import WorkerLost
from heddle_workers.fetch import fetch_bytes
from heddle_workers.pretrained import Noted
from heddle_workers.progress import Failed, Progress, Report, Tell, Told, streamed_telling
from heddle_workers.swept import FolderChanged, SweepRequest, Swept

_FILE_MAX_BYTES: Final = 16 * 1024**3
_LOOK_SECONDS: Final = 0.2
_KEEP_SECONDS: Final = 2.0
_NOTE_SECONDS: Final = 10.0
_NOT_KEPT: Final = frozenset({SETTINGS, LOCK, PROGRESS, FAILURE, RESULT, BEST, REPORT})
_WORDS: Final = 300
_ROOM: Final = "heddle-sweep-job-"
_HELD: Final = "held"
_ENTER_SECONDS: Final = 10.0  # between making a room and holding it


def heddle_sweep(request: SweepRequest) -> Iterator[Progress | Failed | Told | Swept]:
    """Sweep, telling what is in the sweep's folder as that changes."""

    def work(report: Report, tell: Tell) -> Swept:
        report("fetching", 0.0)
        with sweep_room() as room:
            return _sweep(request, room, report, tell)

    yield from streamed_telling(work)


@contextmanager
def sweep_room() -> Iterator[Path]:
    """A folder for one sweep; those that sweeps ended by force left on this machine are taken away."""
    for left in Path(tempfile.gettempdir()).glob(f"{_ROOM}*"):
        with suppress(OSError), (left / _HELD).open("r+") as held:  # who is held is at work
            if time.time() - os.fstat(held.fileno()).st_mtime > _ENTER_SECONDS:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
    room = Path(tempfile.mkdtemp(prefix=_ROOM))
    try:
        with (room / _HELD).open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield room
    finally:
        # Ray ends trainings a little after their driver: under another name the folder gets nothing new from them
        shutil.rmtree(room.rename(room.with_suffix(".gone")), ignore_errors=True)


def _sweep(request: SweepRequest, room: Path, report: Report, tell: Tell) -> Swept:
    folder, plan_file, errors = room / "sweep", room / "plan.yaml", room / "errors"
    plan_file.write_bytes(canonical_json(request.plan))  # JSON is YAML
    for path, (url, sha256) in request.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(fetch_bytes(url, max_bytes=_FILE_MAX_BYTES, sha256=sha256))
    courier = _Courier(folder, {path: sha256 for path, (_, sha256) in request.files.items()})
    listener = _Listener(report, tell)
    with _driver(plan_file, folder, request.cpus, errors) as process:
        keep_at = 0.0
        while process.poll() is None:
            time.sleep(_LOOK_SECONDS)
            listener.heed(read_progress(folder))
            if time.monotonic() >= keep_at and (changed := courier.look()) is not None:
                tell(changed)
                keep_at = time.monotonic() + _KEEP_SECONDS
    return _result(folder, errors)


@contextmanager
def _driver(plan_file: Path, folder: Path, cpus: float, errors: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start the sweep; it ends when this does, and when this process is killed."""
    import ray

    address = ray.get_runtime_context().gcs_address
    command = [sys.executable, "-m", "heddle_workers.base_sweep", f"--plan={plan_file}", f"--out={folder}"]
    with errors.open("wb") as told:
        process = subprocess.Popen(
            [*command, f"--join={address}", f"--cpus={cpus}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=told,
            env={**os.environ, "TMPDIR": str(errors.parent)},  # Tune's scratch goes with the room
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # those that render for it, too
            process.wait()
        if process.stdin is not None:
            process.stdin.close()


class _Listener:
    """Passes on what the sweep tells of itself; refused once the job is cancelled."""

    def __init__(self, report: Report, tell: Tell) -> None:
        self._report, self._tell = report, tell
        self._last = SweepProgress("starting", 0.0)
        self._ended, self._next = -1, 0.0

    def heed(self, told: SweepProgress | None) -> None:
        self._last = told or self._last
        self._report(self._last.stage, self._last.share)
        new = self._last.trainings != self._ended
        if self._last.stage == "sweeping" and (new or time.monotonic() >= self._next):
            self._ended, self._next = self._last.trainings, time.monotonic() + _NOTE_SECONDS
            self._tell(Noted("sweeping", {key: value for key, value in asdict(self._last).items() if key != "stage"}))


class _Courier:
    """Sees what changed in the sweep's folder.

    Args:
        folder: the sweep's.
        known: path -> SHA-256 of what is stored already.
    """

    def __init__(self, folder: Path, known: dict[str, str]) -> None:
        self._folder, self._listing = folder, known
        self._seen: dict[str, tuple[int, int]] = {}

    def look(self) -> FolderChanged | None:
        """What there is now, or None if that was told.

        The list of settings is read last: it knows every setting of which a training is seen, for it is written first.
        """
        listing: dict[str, str] = {}
        new: dict[str, bytes] = {}
        for path in (*self._files(), SETTINGS):
            try:
                status = (self._folder / path).stat()
                seen = (status.st_mtime_ns, status.st_size)
                if path in self._listing and self._seen.get(path) == seen:
                    listing[path] = self._listing[path]
                    continue
                data = (self._folder / path).read_bytes()
            except FileNotFoundError:
                continue  # a checkpoint that nobody needs any more
            self._seen[path], listing[path] = seen, sha256_hex(data)
            if listing[path] != self._listing.get(path):
                new[listing[path]] = data
        if listing == self._listing:
            return None
        self._listing = listing
        return FolderChanged(listing, new)

    def _files(self) -> list[str]:
        found = [path for path in self._folder.rglob("*") if path.is_file() and path.suffix != ".writing"]
        return [path.relative_to(self._folder).as_posix() for path in found if path.name not in _NOT_KEPT]


def _result(folder: Path, errors: Path) -> Swept:
    failure: HeddleError | None = read_failure(folder)
    if failure is not None:
        raise failure
    try:
        # plain: what reads it into its own kind imports torch, which this process needs for nothing else
        result = json.loads((folder / RESULT).read_bytes())
    except FileNotFoundError:
        words = errors.read_text(encoding="utf-8", errors="replace").strip()[-_WORDS:]
        raise WorkerLost(f"the sweep's process ended without a result: {words or 'it was killed'}") from None
    if not result["complete"]:
        raise WorkerLost("the sweep was interrupted")
    statuses = Counter(trial["status"] for setting in result["settings"] for trial in setting["trials"])
    criterion = {name: result["plan"]["criterion"][name] for name in ("score", "labels")}
    figures = {
        "name": result["name"],
        "settings": len(result["settings"]),
        "trainings": {status: statuses[status] for status in ("finished", "stopped", "failed")},
        "criterion": criterion,
        "chosen": None,
        "why": result["why"],
    }
    for best in result["settings"]:
        if best["number"] == result["chosen"]:
            criterion |= {"value": best["criterion"], "low": best["low"], "high": best["high"]}
            figures["chosen"] = best["setting"]
            figures["recipe"] = yaml.safe_load((folder / BEST).read_text(encoding="utf-8"))
    report, document = ((folder / name).read_bytes() for name in (REPORT, RESULT))
    return Swept(figures, figures["chosen"] is not None, result["why"], report, document)
