"""Reading WebDataset shards: tar files whose members of one name make one sample (`0001.png`, `0001.json`)."""

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from heddle_platform.archive import IMAGE_SUFFIXES
from heddle_platform.base.sources.place import Entry, Place
from heddle_platform.base.sources.sample import IMAGE_MAX_BYTES, Sample
from heddle_platform.errors import InvalidInput, TooLarge

_LABELS_MAX_BYTES: Final = 1024**2
_CLASS_COLUMN: Final = "class"


@dataclass
class _Group:
    """The members of one sample, as far as they mean anything here."""

    key: str
    image: bytes | None = None
    labels: dict[str, Any] = field(default_factory=dict)


def read_tars(place: Place, tars: tuple[Entry, ...]) -> Iterator[Sample]:
    """Read shards in the order of their names.

    Labels are the entries of a sample's `.json` and the number in its `.cls` (column `class`); other members mean
    nothing here.

    Raises:
        InvalidInput: a shard is damaged, or a member of it.
    """
    total, before = max(1, sum(entry.size for entry in tars)), 0
    for entry in tars:
        with place.open(entry.name) as file:
            for sample in read_tar(file, f"{place}: {entry.name}"):
                yield Sample(sample.where, sample.image, (before + sample.share * entry.size) / total, sample.labels)
        before += entry.size


def read_tar(file: BinaryIO, where: str) -> Iterator[Sample]:
    """Read one shard, one member at a time.

    Args:
        file: an uncompressed tar: its members are compressed already, and no byte of it can become a thousand.
        where: names the shard in errors.

    Raises:
        InvalidInput: codes `damaged_shard`, `malformed_labels`; TooLarge: code `file_too_large`.
    """
    size = max(1, file.seek(0, 2))
    file.seek(0)
    group: _Group | None = None
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                # The list of all members is for going back; nobody does, and it would grow with the shard.
                tar.members = []  # type: ignore[attr-defined]
                key, _, kind = _split(member.name)
                if not member.isfile() or not key:
                    continue
                if group is None or group.key != key:
                    yield from _finished(group, where, member.offset / size)
                    group = _Group(key)
                _take(tar, member, kind.lower(), group, where)
    except tarfile.TarError as error:
        raise InvalidInput(
            f"{where} is not a readable tar ({str(error)[:100]}); write the shard again, uncompressed",
            code="damaged_shard",
        ) from error
    yield from _finished(group, where, 1.0)


def _split(name: str) -> tuple[str, str, str]:
    """Path up to the first dot of the file's name, and what follows it, as WebDataset has it."""
    folder, slash, file = name.rpartition("/")
    stem, dot, kind = file.partition(".")
    return (f"{folder}{slash}{stem}" if stem else ""), dot, kind


def _take(tar: tarfile.TarFile, member: tarfile.TarInfo, kind: str, group: _Group, where: str) -> None:
    if f".{kind}" in IMAGE_SUFFIXES:
        group.image = _read(tar, member, IMAGE_MAX_BYTES, where)
    elif kind in ("json", "cls"):
        text = _read(tar, member, _LABELS_MAX_BYTES, where)
        try:
            found = json.loads(text) if kind == "json" else {_CLASS_COLUMN: int(text)}
        except (ValueError, RecursionError) as error:
            raise InvalidInput(
                f"{where}: {member.name} is no {'JSON' if kind == 'json' else 'whole number'} ({str(error)[:80]})",
                code="malformed_labels",
            ) from error
        if not isinstance(found, dict):
            raise InvalidInput(
                f"{where}: {member.name} holds a {type(found).__name__}; an object of labels by column is read",
                code="malformed_labels",
            )
        group.labels.update(found)


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo, max_bytes: int, where: str) -> bytes:
    if member.size > max_bytes:
        raise TooLarge(
            f"{where}: {member.name} has {member.size} bytes, at most {max_bytes} are taken; make it smaller",
            code="file_too_large",
        )
    file = tar.extractfile(member)
    data = file.read() if file else b""
    if len(data) != member.size:
        raise InvalidInput(
            f"{where}: {member.name} ends after {len(data)} of {member.size} bytes; write the shard again",
            code="damaged_shard",
        )
    return data


def _finished(group: _Group | None, where: str, share: float) -> Iterator[Sample]:
    if group is not None and group.image is not None:
        yield Sample(f"{where}: {group.key}", group.image, share, group.labels)
