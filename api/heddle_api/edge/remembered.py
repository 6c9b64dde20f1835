"""Remembered: latents, uploads and finished edits in the cache, as typed values; a cache that fails is no cache.

Latents are 256 bytes and live long, pictures live shorter. Nothing here is the only copy of anything, except an
image that was sent ahead of its edits, which its sender still has.
"""

import json
import struct
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import structlog
from prometheus_client import Counter

from heddle_adapters.adapter import DetailMode
from heddle_adapters.arrays import Singles
from heddle_platform.errors import Unavailable
from heddle_platform.ports import Cache

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Upload:
    """An image sent ahead of its edits: the bytes as they came, and their SHA-256."""

    data: bytes
    digest: str


@dataclass(frozen=True)
class EditedImage:
    """A finished edit: encoded bytes, the mode it was drawn in, how far outside the trusted range it lies, and
    what would lie inside."""

    data: bytes
    detail: DetailMode
    extrapolation: float
    suggestion: dict[str, Any] | None = None


class Remembered:
    """The cache behind the edge; reads answer None and writes do nothing while it is away."""

    def __init__(self, cache: Cache, failures: Counter, *, latent_ttl_seconds: int, image_ttl_seconds: int) -> None:
        self._cache = cache
        self._failures = failures
        self._latent_ttl_seconds = latent_ttl_seconds
        self.image_ttl_seconds = image_ttl_seconds

    async def latent(self, key: str, latents: int) -> Singles | None:
        """Return the latent under `key` if it is there and has `latents` numbers."""
        data = await self._get(key)
        if data is None or len(data) != 4 * latents:
            return None
        return np.frombuffer(data, "<f4").astype(np.float32)

    async def keep_latent(self, key: str, latents_L: Singles) -> None:
        """Keep a latent."""
        await self._set(key, latents_L.astype("<f4").tobytes(), self._latent_ttl_seconds)

    async def edited(self, key: str) -> EditedImage | None:
        """Return the finished edit under `key`."""
        found = _unframe(await self._get(key))
        if found is None:
            return None
        head, data = found
        return EditedImage(data, head["detail"], head["extrapolation"], head.get("suggestion"))

    async def keep_edited(self, key: str, image: EditedImage) -> None:
        """Keep a finished edit."""
        head = {name: value for name, value in asdict(image).items() if name != "data"}
        await self._set(key, _frame(head, image.data), self.image_ttl_seconds)

    async def claim(self, key: str, seconds: float) -> bool:
        """Take the making of an edit upon oneself; False: another replica has, less than `seconds` ago."""
        try:
            return await self._cache.add(key, b"1", ttl_seconds=seconds)
        except Unavailable:
            return True  # the read beside it counts the failure

    async def upload(self, key: str) -> Upload | None:
        """Return the image sent ahead under `key`.

        Raises:
            Unavailable: the cache is away, so nobody can say whether the image is still there.
        """
        found = _unframe(await self._cache.get(key))
        return None if found is None else Upload(found[1], found[0]["digest"])

    async def keep_upload(self, key: str, upload: Upload) -> None:
        """Keep an image sent ahead.

        Raises:
            Unavailable: the cache is away; unlike the others this cannot be done without it.
        """
        await self._cache.set(key, _frame({"digest": upload.digest}, upload.data), ttl_seconds=self.image_ttl_seconds)

    async def _get(self, key: str) -> bytes | None:
        try:
            return await self._cache.get(key)
        except Unavailable:
            self._failures.inc()
            return None

    async def _set(self, key: str, value: bytes, ttl_seconds: int) -> None:
        try:
            await self._cache.set(key, value, ttl_seconds=ttl_seconds)
        except Unavailable:
            self._failures.inc()


def _frame(head: dict[str, object], data: bytes) -> bytes:
    text = json.dumps(head, separators=(",", ":")).encode()
    return struct.pack("<I", len(text)) + text + data


def _unframe(value: bytes | None) -> tuple[dict[str, Any], bytes] | None:
    if value is None:
        return None
    try:
        (length,) = struct.unpack_from("<I", value)
        head = json.loads(value[4 : 4 + length])
    except (struct.error, ValueError):
        _log.warning("cache_value_unreadable", bytes=len(value))
        return None
    return head, value[4 + length :]
