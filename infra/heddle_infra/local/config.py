"""What a local stack is made of and where it keeps its files."""

import hashlib
import os
import stat
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from heddle_platform.errors import Conflict, InvalidInput, Unavailable

SERVICES: Final = ("postgres", "objects", "cache", "ray", "dispatcher", "control", "edge")

# a settings variable that is set already means: this server runs elsewhere, start none
EXTERNAL_VARIABLE: Final = {
    "postgres": "HEDDLE_DATABASE_URL",
    "objects": "HEDDLE_S3_ENDPOINT_URL",
    "cache": "HEDDLE_REDIS_URL",
    "ray": "HEDDLE_RAY_ADDRESS",
}

_SOCKET_PATH_BYTES: Final = 100  # Linux takes 107, macOS 103
_LONGEST_SOCKET: Final = "/ray/session_2026-01-01_00-00-00_000000_0000000/sockets/plasma_store"


class StackFailed(Unavailable):
    """A part of the local stack did not start; the sentence names it and its log."""

    default_code = "stack_failed"


class StackBusy(Conflict):
    """Another process is starting or stopping the same stack."""

    default_code = "stack_busy"


@dataclass(frozen=True)
class StackConfig:
    """What to start, and where.

    Attributes:
        data_dir: everything that must survive lies below it.
        services: which parts; a subset of `SERVICES` (tests start single servers).
        ray_cpus: CPUs that Ray may hand out, and so the number of fits that run at once.
        ray_object_store_bytes: shared memory of Ray's object store.
        cache_bytes: memory of the cache, least used first out.
        python: interpreter of the children.
    """

    data_dir: Path
    services: tuple[str, ...] = SERVICES
    ray_cpus: int = 2
    ray_object_store_bytes: int = 200 * 1024**2
    cache_bytes: int = 64 * 1024**2
    python: str = sys.executable

    def __post_init__(self) -> None:
        unknown = set(self.services) - set(SERVICES)
        if unknown or not self.services:
            raise InvalidInput(
                f"services must be some of {', '.join(SERVICES)}; got {', '.join(sorted(unknown)) or 'none'}",
                code="unknown_service",
            )


@dataclass(frozen=True)
class StackPaths:
    """The files of one stack. `data` survives; `run` holds sockets and is made anew after a reboot."""

    data: Path
    run: Path

    @property
    def secrets(self) -> Path:
        """Keys and passwords, mode 0600."""
        return self.data / "secrets.json"

    @property
    def ports(self) -> Path:
        """The ports chosen at the first start, so that addresses stay."""
        return self.data / "ports.json"

    @property
    def settings(self) -> Path:
        """The `HEDDLE_*` variables of the stack's processes, mode 0600."""
        return self.data / "settings.json"

    @property
    def state(self) -> Path:
        """What runs now; rewritten whole at every change."""
        return self.data / "state.json"

    @property
    def lock(self) -> Path:
        """Held by the one supervisor of this stack."""
        return self.data / "lock"

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.data / "logs"

    def log(self, name: str) -> Path:
        """Return the log file of a process."""
        return self.logs / f"{name}.log"

    def make(self) -> None:
        """Create the folders; those that exist keep their mode.

        Raises:
            StackFailed: they cannot be created, or the run folder belongs to somebody else.
        """
        try:
            if not self.data.exists():
                # root's database runs as another user, who must get through but need not look around
                self.data.mkdir(parents=True, mode=0o711 if os.geteuid() == 0 else 0o700)
            self.logs.mkdir(mode=0o700, exist_ok=True)
            self.run.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, exist_ok=True)
        except OSError as error:
            raise StackFailed(f"cannot create {error.filename}: {error.strerror}; choose another --data-dir") from error
        found = self.run.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise StackFailed(f"{self.run} belongs to another user; remove it or set TMPDIR to a folder of your own")


def stack_paths(data_dir: Path) -> StackPaths:
    """Return where a stack keeps its files; creates nothing.

    The run folder lies in the temporary folder under a name made from the data folder's path, because
    the sockets in it must have short paths (Linux allows 107 bytes).

    Args:
        data_dir: may be relative and need not exist.
    """
    data = data_dir.expanduser().resolve()
    name = f"heddle-{os.geteuid()}-{hashlib.sha256(bytes(data)).hexdigest()[:10]}"
    for folder in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):  # noqa: S108  our folder in it is 0700
        if folder.is_dir() and len(bytes(folder / name)) + len(_LONGEST_SOCKET) <= _SOCKET_PATH_BYTES:
            return StackPaths(data, folder / name)
    raise StackFailed("no temporary folder has a short enough path for sockets; set TMPDIR to one such as /tmp")
