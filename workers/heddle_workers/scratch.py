"""Scratch archives: a task sends a zip too long for a message to a key of its own; known by its digest, it moves there.

Killed in between, what was sent is an unfinished multipart upload or an object that no row names; both are swept.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from heddle_platform.ports import ObjectStore, Part
from heddle_workers.work import PRESIGNED_SECONDS


@dataclass(frozen=True)
class Scratch:
    """Where a task may send an archive.

    Attributes:
        urls: presigned PUTs for part 1, 2, ...
        part_bytes: length of every part but the last.
    """

    objects: ObjectStore
    key: str
    multipart: str
    urls: tuple[str, ...]
    part_bytes: int

    async def move(self, parts: Sequence[Part], target: str) -> None:
        """Put the parts together and have them lie under `target`, unless an object lies there already."""

        def move() -> None:
            self.objects.complete_multipart(self.key, self.multipart, parts)
            if self.objects.head(target) is None:
                self.objects.copy(self.key, target)
            self.objects.delete(self.key)

        await asyncio.to_thread(move)


@asynccontextmanager
async def scratch_archive(
    objects: ObjectStore, key: str, *, most_bytes: int, part_bytes: int
) -> AsyncIterator[Scratch]:
    """Open a place for an archive; what was sent and not moved is forgotten.

    Args:
        objects: the store.
        key: of the scratch object.
        most_bytes: longest archive taken.
        part_bytes: length of every part but the last.
    """
    multipart = await asyncio.to_thread(objects.start_multipart, key)

    def sign() -> tuple[str, ...]:
        return tuple(
            objects.presign_part(key, multipart, number, expires_seconds=PRESIGNED_SECONDS)
            for number in range(1, most_bytes // part_bytes + 2)
        )

    try:
        yield Scratch(objects, key, multipart, await asyncio.to_thread(sign), part_bytes)
    finally:
        await asyncio.to_thread(objects.abort_multipart, key, multipart)  # of one put together nothing is left to abort
