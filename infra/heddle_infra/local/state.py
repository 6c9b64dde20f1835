"""What a stack's supervisor tells the world about itself: one file, rewritten whole at every change."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from heddle_infra.local.credentials import write_private

ServiceState = Literal["waiting", "starting", "ready", "crashed", "stopping", "stopped", "external"]
Phase = Literal["starting", "ready", "stopping", "failed"]


class ServiceRecord(BaseModel, frozen=True):
    """One process, as the supervisor last saw it.

    Attributes:
        started_at: seconds since the epoch; with the pid it names one process for ever.
        restarts: how often it was started again since the stack came up.
        last_exit: how it ended last, in words, or None if it never did.
        folder, program: working folder and file name; what it leaves running is known by both.
    """

    name: str
    state: ServiceState
    address: str
    pid: int | None = None
    started_at: float | None = None
    restarts: int = 0
    last_exit: str | None = None
    folder: str | None = None
    program: str | None = None


class StackRecord(BaseModel, frozen=True):
    """The whole stack, as its supervisor last saw it. Holds no secret."""

    supervisor_pid: int
    supervisor_started_at: float
    phase: Phase
    failure: str | None = None
    services: tuple[ServiceRecord, ...] = ()


def write_state(path: Path, record: StackRecord) -> None:
    """Replace the state file."""
    write_private(path, record.model_dump_json(indent=2))


def read_state(path: Path) -> StackRecord | None:
    """Read the state file; None if there is none or it is not ours to understand."""
    try:
        return StackRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


@contextlib.contextmanager
def held_lock(path: Path) -> Iterator[bool]:
    """Try to become the one supervisor of a stack for the length of the block.

    Yields:
        Whether we are. The kernel frees the lock when the process ends, however it ends.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield _locked(handle, fcntl.LOCK_EX)
    finally:
        os.close(handle)


def is_locked(path: Path) -> bool:
    """Tell whether a supervisor holds the lock now."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _locked(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)


def _locked(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
