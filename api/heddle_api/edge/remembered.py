"""Remembered: latents, uploads and finished edits in the cache, as typed values; a cache that fails is no cache.

Latents are 256 bytes and live long, pictures live shorter. Nothing here is the only copy of anything, except an
image that was sent ahead of its edits, which its sender still has. While the cache is away, such images and latents
are held by this process (`held`). What edits leave is written a moment later and together: a call for each would take
a twentieth of an edit's time.
"""

import asyncio
import json
import struct
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import structlog
from prometheus_client import Counter

from heddle_adapters.adapter import DetailMode
from heddle_adapters.arrays import Singles
from heddle_api.edge.held import SECONDS as HELD_SECONDS
from heddle_api.edge.held import Held
from heddle_platform.errors import Unavailable
from heddle_platform.ports import Cache

_log = structlog.get_logger(__name__)

_LATER_SECONDS: Final = 0.02  # how long writes wait for more
_LATER_BYTES: Final = 512 * 1024  # more than this is written at once


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


@dataclass(frozen=True)
class Found:
    """What is known of an edit before it is made.

    Attributes:
        edited: the finished edit.
        latents_L: the image's latents.
        mine: nobody else is making it.
    """

    edited: EditedImage | None
    latents_L: Singles | None = None
    mine: bool = True


class Remembered:
    """The cache behind the edge; reads answer None and writes do nothing while it is away."""

    def __init__(
        self,
        cache: Cache,
        failures: Counter,
        *,
        latent_ttl_seconds: int,
        image_ttl_seconds: int,
        held: Held[bytes] | None = None,
    ) -> None:
        self._cache = cache
        self._failures = failures
        self._latent_ttl_seconds = latent_ttl_seconds
        self._image_ttl_seconds = image_ttl_seconds
        self._held = held or Held(len)
        self._later: dict[str, tuple[bytes, int]] = {}
        self._later_owners: dict[str, str] = {}  # of the latents among them
        self._later_bytes = 0
        self._due: asyncio.TimerHandle | None = None
        self._writing: set[asyncio.Task[None]] = set()

    async def look(self, edited: str, latent: str, claim: str, *, latents: int, claim_seconds: float) -> Found:
        """Look for a finished edit; if there is none, for its image's latents, and claim the making of it.

        Args:
            edited: key of the finished edit.
            latent: key of the latents, which are `latents` numbers.
            claim: key of the claim, which lasts `claim_seconds`.
        """
        try:
            looked = await self._cache.look(edited, latent, claim, ttl_seconds=claim_seconds)
        except Unavailable:
            self._failures.inc()
            return Found(None, _latents(self._here(latent), latents))
        if (image := _edited(looked.first)) is not None:
            return Found(image)
        mine = looked.mine or looked.first is not None  # what is there and unreadable is made anew
        return Found(None, _latents(looked.second or self._here(latent), latents), mine)

    async def latent(self, key: str, latents: int) -> Singles | None:
        """Return the latent under `key` if it is there and has `latents` numbers."""
        return _latents(await self._get(key) or self._here(key), latents)

    async def edited(self, key: str) -> EditedImage | None:
        """Return the finished edit under `key`."""
        return _edited(await self._get(key))

    async def keep_latent(self, owner: str, key: str, latents_L: Singles) -> None:
        """Keep a latent of a tenant."""
        await self._keep({key: (_packed(latents_L), self._latent_ttl_seconds)}, {key: owner})

    def keep_made(self, owner: str, edited: str, image: EditedImage, latent: str, latents_L: Singles | None) -> None:
        """Keep a finished edit, and its image's latents unless they are None; nobody waits for it.

        Who asks for the edit meanwhile finds its claim, and looks again.
        """
        head = {name: value for name, value in asdict(image).items() if name != "data"}
        self._keep_later(edited, _frame(head, image.data), self._image_ttl_seconds)
        if latents_L is not None:
            self._keep_later(latent, _packed(latents_L), self._latent_ttl_seconds)
            self._later_owners[latent] = owner
        if self._later_bytes > _LATER_BYTES:
            self._write()
        elif self._due is None:
            self._due = asyncio.get_running_loop().call_later(_LATER_SECONDS, self._write)

    async def settle(self) -> None:
        """Write what waits, and wait for what is being written."""
        self._write()
        await asyncio.gather(*self._writing, return_exceptions=True)

    async def upload(self, key: str) -> Upload | None:
        """Return the image sent ahead under `key`.

        Raises:
            Unavailable: the cache is away and this process does not hold it, so nobody can say whether it is there.
        """
        value = self._held.get(key)
        found = _unframe(await self._cache.get(key) if value is None else value)
        return None if found is None else Upload(found[1], found[0]["digest"])

    async def keep_upload(self, owner: str, key: str, upload: Upload) -> float:
        """Keep an image sent ahead by a tenant, in this process where the cache is away; return for how many seconds.

        Raises:
            Unavailable: the cache is away, and the image too large to be held.
        """
        value = _frame({"digest": upload.digest}, upload.data)
        try:
            await self._cache.set(key, value, ttl_seconds=self._image_ttl_seconds)
        except Unavailable:
            self._failures.inc()
            if not self._held.put(owner, key, value):
                raise
            return HELD_SECONDS
        return self._image_ttl_seconds

    async def _get(self, key: str) -> bytes | None:
        try:
            return await self._cache.get(key)
        except Unavailable:
            self._failures.inc()
            return None

    def _here(self, latent: str) -> bytes | None:
        """Return latents that are not in the cache yet, or cannot be while it is away."""
        later = self._later.get(latent)
        return self._held.get(latent) if later is None else later[0]

    def _keep_later(self, key: str, value: bytes, ttl_seconds: int) -> None:
        self._later[key] = value, ttl_seconds
        self._later_bytes += len(value)

    def _write(self) -> None:
        if self._due is not None:
            self._due.cancel()
        if self._later:
            task = asyncio.create_task(self._keep(self._later, self._later_owners))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)
        self._later, self._later_owners, self._later_bytes, self._due = {}, {}, 0, None

    async def _keep(self, values: dict[str, tuple[bytes, int]], owners: dict[str, str]) -> None:
        """Write values; `owners`: whose the latents among them are, which are held here while the cache is away."""
        try:
            await self._cache.set_many(values)
        except Unavailable:
            self._failures.inc()
            for latent, owner in owners.items():
                self._held.put(owner, latent, values[latent][0])


def _packed(latents_L: Singles) -> bytes:
    return latents_L.astype("<f4").tobytes()


def _latents(data: bytes | None, latents: int) -> Singles | None:
    if data is None or len(data) != 4 * latents:
        return None
    return np.frombuffer(data, "<f4").astype(np.float32)


def _edited(value: bytes | None) -> EditedImage | None:
    found = _unframe(value)
    if found is None:
        return None
    head, data = found
    return EditedImage(data, head["detail"], head["extrapolation"], head.get("suggestion"))


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
