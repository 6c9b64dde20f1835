"""Where a corpus lies: a folder or file of this machine, or a name in the object store; both used the same way."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from heddle_platform import keys
from heddle_platform.errors import InvalidInput, NotFound
from heddle_platform.ports import ObjectStore


@dataclass(frozen=True)
class Entry:
    """One file of a place: its path below it, its size in bytes, and what changes when its bytes do."""

    name: str
    size: int
    version: str

    @property
    def suffix(self) -> str:
        """The name's last suffix in lower case, with its dot."""
        return PurePosixPath(self.name).suffix.lower()


class Place(Protocol):
    """Files by path. `str()` of a place names it in errors."""

    def entries(self) -> tuple[Entry, ...]:
        """List all files, sorted by name; hidden ones are passed over.

        Raises:
            InvalidInput: code `corpus_not_found`: there is nothing here.
        """

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Open a file for reading in any order; it has a descriptor."""

    def read(self, name: str) -> bytes | None:
        """Read a file whole, or None if there is none."""

    def write(self, name: str, data: bytes) -> None:
        """Write a file: it is there whole or not at all."""


class LocalPlace:
    """A folder, or a single file, which is then the only entry."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def entries(self) -> tuple[Entry, ...]:
        """List all files below; see `Place.entries`."""
        if self._path.is_file():
            return (self._entry(self._path, self._path.name),)
        found: list[Entry] = []
        for folder, folders, files in os.walk(self._path):
            folders[:] = [name for name in folders if not name.startswith(".")]
            paths = [Path(folder, name) for name in files if not name.startswith(".")]
            found += [self._entry(path, path.relative_to(self._path).as_posix()) for path in paths]
        if not found:
            raise _nothing(self)
        return tuple(sorted(found, key=lambda entry: entry.name))

    @staticmethod
    def _entry(path: Path, name: str) -> Entry:
        known = path.stat()
        return Entry(name, known.st_size, str(known.st_mtime_ns))

    def _file(self, name: str) -> Path:
        # A path that is a file has no other below it; asking for one finds nothing.
        return self._path if self._path.is_file() and name == self._path.name else self._path / name

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Open a file; see `Place.open`."""
        return self._file(name).open("rb")

    def read(self, name: str) -> bytes | None:
        """Read a file; see `Place.read`."""
        try:
            return self._file(name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, name: str, data: bytes) -> None:
        """Write a file aside and rename it; see `Place.write`."""
        self._path.mkdir(parents=True, exist_ok=True)
        # Hidden, so that what a killed writer leaves behind is never listed.
        handle, aside = tempfile.mkstemp(dir=self._path, prefix=".", suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(aside, self._path / name)


class StoredPlace:
    """A corpus in the object store, by its name."""

    def __init__(self, store: ObjectStore, name: str) -> None:
        self._store, self._name = store, name

    def __str__(self) -> str:
        return f"stored:{self._name}"

    def entries(self) -> tuple[Entry, ...]:
        """List the corpus's objects; see `Place.entries`."""
        prefix = keys.corpus_prefix(self._name)
        found = [Entry(info.key.removeprefix(prefix), info.size, info.version) for info in self._store.list(prefix)]
        if not found:
            raise _nothing(self)
        return tuple(sorted(found, key=lambda entry: entry.name))

    @contextmanager
    def _fetched(self, name: str) -> Iterator[BinaryIO]:
        # The port reads objects whole; on disk their bytes do not stay in memory while they are gone through.
        with tempfile.TemporaryFile() as file:
            file.write(self._store.get(keys.corpus_file(self._name, name)))
            file.seek(0)
            yield file

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Fetch an object into a temporary file; see `Place.open`."""
        return self._fetched(name)

    def read(self, name: str) -> bytes | None:
        """Read an object; see `Place.read`."""
        try:
            return self._store.get(keys.corpus_file(self._name, name))
        except NotFound:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Put an object; see `Place.write`."""
        self._store.put(keys.corpus_file(self._name, name), data)


def _nothing(place: Place) -> InvalidInput:
    return InvalidInput(f"there is no file at {place}; check where the corpus lies", code="corpus_not_found")
