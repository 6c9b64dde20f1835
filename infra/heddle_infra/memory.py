"""Object store and cache in memory, with the semantics of the real ones, for tests of what stands above the ports."""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from heddle_platform.errors import Forbidden, InvalidInput, NotFound, PreconditionFailed
from heddle_platform.ports import Looked, ObjectInfo, OpenMultipart, Part
from heddle_platform.rate import MICROSECONDS, Rate, Taken, take

_PART_MINIMUM_BYTES = 5 * 1024**2  # of every part but the last, as S3 has it


@dataclass
class MemoryObjectStore:
    """Implements `heddle_platform.ports.ObjectStore`; a pickled copy holds what was stored until then.

    Presigned URLs have the scheme `memory:`; `follow_get` and `follow_put` do what an HTTP client does with
    those of a server, and refuse tampered and expired ones alike.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    _uploads: dict[str, tuple[str, dict[int, bytes]]] = field(default_factory=dict)
    _written_at: dict[str, datetime] = field(default_factory=dict)  # of objects, and of uploads by their id
    _signing_key: bytes = field(default_factory=lambda: secrets.token_bytes(16))

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_version: str | None = None) -> str:
        """Write an object whole; see `ObjectStore.put`."""
        present = self.head(key)
        if if_absent and present is not None:
            raise PreconditionFailed(f"{key!r} is there already")
        if not if_absent and if_version is not None and (present is None or present.version != if_version):
            raise PreconditionFailed(f"{key!r} is not at version {if_version!r}")
        self.objects[key] = bytes(data)  # never alias the caller's memory
        self._written_at[key] = datetime.now(UTC)
        return _etag(data)

    def get(self, key: str) -> bytes:
        """Read an object whole; see `ObjectStore.get`."""
        if key not in self.objects:
            raise NotFound(f"the object store has no {key!r}")
        return self.objects[key]

    def head(self, key: str) -> ObjectInfo | None:
        """Return what is known of an object, or None; see `ObjectStore.head`."""
        data = self.objects.get(key)
        return None if data is None else ObjectInfo(key, len(data), _etag(data), self._written_at.get(key))

    def delete(self, key: str) -> None:
        """Remove an object; see `ObjectStore.delete`."""
        self.objects.pop(key, None)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """List objects in key order; see `ObjectStore.list`."""
        for key in sorted((key for key in self.objects if key.startswith(prefix)), key=str.encode):
            yield ObjectInfo(key, len(self.objects[key]), _etag(self.objects[key]), self._written_at.get(key))

    def folders(self, prefix: str) -> Iterator[str]:
        """List folders directly below a prefix; see `ObjectStore.folders`."""
        below = (key.removeprefix(prefix) for key in self.objects if key.startswith(prefix))
        yield from sorted({prefix + rest.partition("/")[0] + "/" for rest in below if "/" in rest}, key=str.encode)

    def copy(self, source: str, target: str) -> None:
        """Copy an object inside the store; see `ObjectStore.copy`."""
        self.put(target, self.get(source))

    def presign_get(self, key: str, *, expires_seconds: int) -> str:
        """Return a `memory:` URL; see `ObjectStore.presign_get`."""
        return self._signed(f"memory:///{quote(key)}", {"verb": "get"}, expires_seconds)

    def start_multipart(self, key: str) -> str:
        """Begin a multipart upload; see `ObjectStore.start_multipart`."""
        multipart_id = secrets.token_hex(8)
        self._uploads[multipart_id] = (key, {})
        self._written_at[multipart_id] = datetime.now(UTC)
        return multipart_id

    def presign_part(
        self, key: str, multipart_id: str, number: int, *, expires_seconds: int, size: int | None = None
    ) -> str:
        """Return a `memory:` URL; see `ObjectStore.presign_part`."""
        query = {"verb": "put", "upload": multipart_id, "part": str(number)}
        if size is not None:
            query["size"] = str(size)
        return self._signed(f"memory:///{quote(key)}", query, expires_seconds)

    def complete_multipart(self, key: str, multipart_id: str, parts: Sequence[Part]) -> str:
        """Make the object of its parts visible; see `ObjectStore.complete_multipart`."""
        stored = self._parts(key, multipart_id)
        numbers = [part.number for part in parts]
        if not parts or numbers != sorted(set(numbers)):
            raise InvalidInput("parts must be listed once each, in order", code="invalid_parts", param="parts")
        for part in parts:
            if part.number not in stored or _etag(stored[part.number]) != part.etag.strip('"'):
                raise InvalidInput(f"part {part.number} was not uploaded so", code="invalid_parts", param="parts")
        if any(len(stored[number]) < _PART_MINIMUM_BYTES for number in numbers[:-1]):
            raise InvalidInput("every part but the last has at least 5 MiB", code="invalid_parts", param="parts")
        del self._uploads[multipart_id]
        return self.put(key, b"".join(stored[number] for number in numbers))

    def abort_multipart(self, key: str, multipart_id: str) -> None:
        """Throw the parts away; see `ObjectStore.abort_multipart`."""
        self._uploads.pop(multipart_id, None)

    def open_multiparts(self, prefix: str) -> Iterator[OpenMultipart]:
        """List open multipart uploads; see `ObjectStore.open_multiparts`."""
        for multipart_id, (key, _) in sorted(self._uploads.items(), key=lambda item: item[1][0].encode()):
            if key.startswith(prefix):
                yield OpenMultipart(key, multipart_id, self._written_at.get(multipart_id))

    def follow_get(self, url: str) -> bytes:
        """Read what a URL of `presign_get` points at.

        Raises:
            Forbidden: it was tampered with, or is expired.
            NotFound: the object is gone.
        """
        key, _ = self._checked(url, "get")
        return self.get(key)

    def follow_put(self, url: str, data: bytes) -> str:
        """Send a part to a URL of `presign_part` and return its ETag.

        Raises:
            Forbidden: it was tampered with, is expired, or is for another number of bytes.
            NotFound: the multipart upload was completed or aborted.
        """
        key, query = self._checked(url, "put")
        if query.get("size", str(len(data))) != str(len(data)):
            raise Forbidden("the URL was signed for another number of bytes")
        self._parts(key, query["upload"])[int(query["part"])] = bytes(data)
        return _etag(data)

    def _parts(self, key: str, multipart_id: str) -> dict[int, bytes]:
        owner, stored = self._uploads.get(multipart_id, ("", {}))
        if owner != key:
            raise NotFound(f"there is no multipart upload {multipart_id!r} of {key!r}")
        return stored

    def _signed(self, address: str, query: dict[str, str], expires_seconds: int) -> str:
        text = f"{address}?{urlencode({**query, 'expires': repr(time.time() + expires_seconds)})}"
        return f"{text}&signature={self._signature(text)}"

    def _checked(self, url: str, verb: str) -> tuple[str, dict[str, str]]:
        text, _, signature = url.partition("&signature=")
        query = dict(parse_qsl(urlsplit(text).query))
        if not hmac.compare_digest(signature, self._signature(text)) or query["verb"] != verb:
            raise Forbidden("the URL was not signed by this store for this")
        if time.time() > float(query["expires"]):
            raise Forbidden("the URL has expired; ask for a new one")
        return unquote(urlsplit(text).path).removeprefix("/"), query

    def _signature(self, text: str) -> str:
        return hmac.new(self._signing_key, text.encode(), hashlib.sha256).hexdigest()


class MemoryCache:
    """Implements `heddle_platform.ports.Cache` inside one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Args: clock: seconds that only grow; what lifetimes are counted in."""
        self._clock = clock
        self._values: dict[str, tuple[bytes, float]] = {}
        self._buckets: dict[str, float] = {}
        self._listeners: dict[str, set[asyncio.Queue[str]]] = {}

    async def get(self, key: str) -> bytes | None:
        """Return the value; see `Cache.get`."""
        value, ends = self._values.get(key, (None, 0.0))
        return value if self._clock() < ends else None

    async def set(self, key: str, value: bytes, *, ttl_seconds: int) -> None:
        """Keep a value; see `Cache.set`."""
        self._values[key] = (bytes(value), self._clock() + ttl_seconds)

    async def add(self, key: str, value: bytes, *, ttl_seconds: float) -> bool:
        """Keep a value if the key has none; see `Cache.add`."""
        if await self.get(key) is not None:
            return False
        self._values[key] = (bytes(value), self._clock() + ttl_seconds)
        return True

    async def set_many(self, values: Mapping[str, tuple[bytes, int]]) -> None:
        """Keep several values; see `Cache.set_many`."""
        for key, (value, ttl_seconds) in values.items():
            await self.set(key, value, ttl_seconds=ttl_seconds)

    async def look(self, first: str, second: str, claim: str, *, ttl_seconds: float) -> Looked:
        """Return a value, or another and a claim; see `Cache.look`."""
        found = await self.get(first)
        if found is not None:
            return Looked(found)
        return Looked(None, await self.get(second), await self.add(claim, b"1", ttl_seconds=ttl_seconds))

    async def delete(self, key: str) -> None:
        """Forget a value; see `Cache.delete`."""
        self._values.pop(key, None)

    async def forget(self, prefix: str) -> int:
        """Forget what starts with `prefix`; see `Cache.forget`."""
        found = [key for key in self._values if key.startswith(prefix)]
        for key in found:
            del self._values[key]
        return len(found)

    async def take(self, key: str, rate: Rate, requests: int = 1) -> Taken:
        """Take requests out of a bucket; see `Cache.take`."""
        full_at, taken = take(self._buckets.get(key, 0.0), self._clock() * MICROSECONDS, rate, requests)
        self._buckets[key] = full_at
        return taken

    async def publish(self, channel: str, message: str) -> None:
        """Tell all present subscribers; see `Cache.publish`."""
        for queue in self._listeners.get(channel, ()):
            queue.put_nowait(message)

    async def subscribe(self, channel: str) -> AsyncIterator[str]:
        """Yield messages; see `Cache.subscribe`."""
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._listeners.setdefault(channel, set()).add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners[channel].discard(queue)

    async def ping(self) -> bool:
        """Answer; see `Cache.ping`."""
        return True

    async def close(self) -> None:
        """Do nothing: there are no connections."""


def _etag(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
