"""Archives from anybody: a zip opened in bounded memory, every entry judged before a byte of it is inflated."""

import io
import os
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import BinaryIO, Final

from heddle_platform.errors import InvalidInput, TooLarge
from heddle_platform.labels import FaultReport

LABELS_FILE: Final = "labels.csv"
IMAGE_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp"})
MAX_PATH_CHARACTERS: Final = 255
LABELS_MAX_BYTES: Final = 64 * 1024**2
ENTRIES_BESIDE_IMAGES: Final = 1_000  # folders, litter and labels
# Images are compressed already: an honest upload inflates by a few per cent, a bomb by a thousandfold.
_MOST_INFLATION: Final = 30
_ALWAYS_FINE_BYTES: Final = 64 * 1024**2
_DIRECTORY_BYTES_PER_ENTRY: Final = 320
# what reading an entry raises on hostile bytes: OverflowError is a zip64 place that no file is long enough for
_DAMAGES: Final = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError, ValueError, OverflowError)
_LITTER: Final = frozenset({".ds_store", "thumbs.db", "desktop.ini"})  # what desktops put into every zip


def most_inflated(size: int) -> int:
    """Return how many bytes an upload of `size` bytes may hold at most: what is beyond is a bomb."""
    return max(_ALWAYS_FINE_BYTES, _MOST_INFLATION * size)


class Archive:
    """The harmless files of a zip, by path below its root."""

    def __init__(self, opened: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> None:
        self._zip = opened
        self._members = members

    @property
    def labelled(self) -> bool:
        """Whether there is a `labels.csv` to read."""
        return LABELS_FILE in self._members

    @property
    def images(self) -> tuple[str, ...]:
        """Paths of all images, sorted."""
        return tuple(sorted(name for name in self._members if name != LABELS_FILE))

    def find(self, name: str) -> str | None:
        """Return the path of the entry that a label names, or None; Unicode spelling (NFC, NFD) does not matter."""
        path = unicodedata.normalize("NFC", name)
        return path if path in self._members else None

    def read(self, path: str, *, max_bytes: int) -> bytes:
        """Inflate one entry.

        Args:
            path: one of `images`, or `LABELS_FILE`.
            max_bytes: most bytes taken; no more are ever inflated.

        Raises:
            TooLarge: code `file_too_large`.
            InvalidInput: code `damaged_entry`.
        """
        info = self._members[path]
        if info.file_size > max_bytes:
            raise TooLarge(
                f"the file has {info.file_size} bytes, at most {max_bytes} are taken; send a smaller one",
                code="file_too_large",
            )
        try:
            with self._zip.open(info) as entry:  # never yields more than the declared size, and checks the CRC
                return entry.read(info.file_size + 1)
        except _DAMAGES as error:
            raise InvalidInput(
                f"the entry is damaged ({str(error)[:100]}); pack the zip again", code="damaged_entry"
            ) from error


def zip_entry(name: str, compression: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    """Return an entry that depends on its name and bytes alone, not on when it was written: equal files, equal zips.

    Args:
        name: its path.
        compression: images are compressed already; text is worth ZIP_DEFLATED.
    """
    info = zipfile.ZipInfo(name)  # dated 1980, the format's zero
    info.compress_type = compression
    info.external_attr = 0o600 << 16
    return info


@contextmanager
def open_archive(
    source: BinaryIO, report: FaultReport, *, max_images: int, labels_needed: bool = True
) -> Iterator[Archive]:
    """Open a zip and judge its directory.

    Entries that escape their folder, are links, encrypted, twice there or of an unknown type are noted in `report`
    and cannot be read; folders and the litter of desktops are passed over. A zip that holds everything in one folder
    is read as if it held it at the root.

    Args:
        source: the zip, a file with a descriptor.
        report: takes the faults.
        max_images: most images taken; a zip of many more entries is not looked into.
        labels_needed: refuse a zip without `labels.csv` at its root.

    Raises:
        InvalidInput: codes `not_a_zip`, `no_labels_file`.
        TooLarge: codes `too_many_entries`, `compression_bomb`.
    """
    max_entries = max_images + ENTRIES_BESIDE_IMAGES
    with _BoundedFile(source, max_entries * _DIRECTORY_BYTES_PER_ENTRY) as file:
        try:
            opened = zipfile.ZipFile(file)
        except InvalidInput:
            raise
        except Exception as error:  # the parser raises half a dozen types on hostile bytes; all mean the same
            raise InvalidInput(
                f"these {file.size} bytes are not a readable zip ({str(error)[:100]}); send a zip with {LABELS_FILE} "
                "and images",
                code="not_a_zip",
            ) from error
        with opened:
            members = _judge(opened, file.size, report, max_entries)
            yield Archive(opened, _below_root(members, report, labels_needed=labels_needed))


class _BoundedFile(io.FileIO):
    """A file whose single reads are bounded: a forged directory cannot be read into memory whole."""

    def __init__(self, source: BinaryIO, max_read: int) -> None:
        super().__init__(source.fileno(), "rb", closefd=False)
        self._max_read = max(max_read, 1024**2)
        self.size = os.fstat(source.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        left = self.size - self.tell()
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted > self._max_read:
            raise TooLarge(
                f"the zip's directory has {wanted} bytes, at most {self._max_read} are read; split the set",
                code="too_many_entries",
            )
        return super().read(wanted) or b""


def _judge(opened: zipfile.ZipFile, size: int, report: FaultReport, max_entries: int) -> dict[str, zipfile.ZipInfo]:
    entries = opened.infolist()
    if len(entries) > max_entries:
        raise TooLarge(
            f"the zip has {len(entries)} entries, at most {max_entries} are taken; split the set",
            code="too_many_entries",
        )
    inflated = sum(info.file_size for info in entries)
    most = most_inflated(size)
    if inflated > most:
        raise TooLarge(
            f"the zip's {size} bytes would inflate to {inflated}, at most {most} are taken; pack plain image files",
            code="compression_bomb",
        )
    members: dict[str, zipfile.ZipInfo] = {}
    for info in entries:
        name = unicodedata.normalize("NFC", info.orig_filename)
        if fault := _fault_of(info, name, name in members):
            report.add(fault[0], f"{_shown(name)}: {fault[1]}", file=_shown(name))
        elif not info.is_dir() and not _is_litter(name):
            members[name] = info
    _refuse_overlaps(members, report)
    return members


def _fault_of(info: zipfile.ZipInfo, name: str, twice: bool) -> tuple[str, str] | None:
    if fault := _path_fault(name):
        return "unsafe_path", fault
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "not_a_file", "the entry is a link or a device; pack the files themselves"
    if info.is_dir() or _is_litter(name):
        return None
    if info.flag_bits & 0x1:
        return "encrypted_entry", "the entry is encrypted; pack the zip without a password"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "unsupported_compression", f"compression method {info.compress_type} is not read; use deflate or none"
    if twice:
        return "duplicate_entry", "the path stands in the zip twice; give every file a path of its own"
    if PurePosixPath(name).suffix.lower() not in IMAGE_SUFFIXES and PurePosixPath(name).name != LABELS_FILE:
        return "unknown_file_type", f"only {LABELS_FILE} and PNG, JPEG or WebP images are taken; leave the file out"
    return None


def _path_fault(name: str) -> str | None:
    steps = name.removesuffix("/").split("/")
    if name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        return "the path is absolute; pack the files with paths relative to one folder"
    if "\\" in name:
        return "the path holds a backslash; separate folders with /"
    if ".." in steps:
        return "the path leaves its folder (..); pack the files with paths relative to one folder"
    if "" in steps or "." in steps:
        return "the path has an empty step; pack the files with plain relative paths"
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        return "the path holds a control character; rename the file"
    if len(name) > MAX_PATH_CHARACTERS:
        return f"the path has {len(name)} characters, at most {MAX_PATH_CHARACTERS} are taken; rename the file"
    return None


def _is_litter(name: str) -> bool:
    steps = name.lower().split("/")
    return steps[0] == "__macosx" or steps[-1] in _LITTER


def _refuse_overlaps(members: dict[str, zipfile.ZipInfo], report: FaultReport) -> None:
    # entries that share bytes are how a small zip inflates to petabytes (Fifield 2019, "A better zip bomb")
    end = 0
    for name, info in sorted(members.items(), key=lambda member: member[1].header_offset):
        if info.header_offset < end:
            report.add("overlapping_entry", f"{_shown(name)}: shares bytes with another entry", file=_shown(name))
            del members[name]
        end = max(end, info.header_offset + 30 + info.compress_size)  # 30: least length of a local header


def _below_root(
    members: dict[str, zipfile.ZipInfo], report: FaultReport, *, labels_needed: bool
) -> dict[str, zipfile.ZipInfo]:
    if LABELS_FILE not in members:
        root = next(iter(members), "").partition("/")[0] + "/"
        if f"{root}{LABELS_FILE}" not in members or not all(name.startswith(root) for name in members):
            if not labels_needed:
                return {name: info for name, info in members.items() if not name.endswith(f"/{LABELS_FILE}")}
            raise InvalidInput(
                f"the zip holds no {LABELS_FILE} at its root; add one with a column `file` and a column per factor",
                code="no_labels_file",
            )
        members = {name.removeprefix(root): info for name, info in members.items()}
    for name in [name for name in members if name.endswith(f"/{LABELS_FILE}")]:
        report.add("second_labels_file", f"{_shown(name)}: one {LABELS_FILE}, at the root, is read", file=_shown(name))
        del members[name]
    return members


def _shown(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:200]
