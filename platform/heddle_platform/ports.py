"""Ports to the outside: what the code asks of an object store and of a cache, whoever provides them.

`heddle_infra` implements them over S3 and Redis, and in memory for tests; one contract suite runs over all.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from heddle_platform.rate import Rate, Taken


@dataclass(frozen=True)
class ObjectInfo:
    """What the store knows of an object without its bytes: `size` in bytes, `version` its ETag.

    `modified_at` is when it was written, by the store's clock; None where a store does not say.
    """

    key: str
    size: int
    version: str
    modified_at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True)
class OpenMultipart:
    """A multipart upload that was begun and neither completed nor aborted; None where a store does not say when."""

    key: str
    multipart_id: str
    begun_at: datetime | None


@dataclass(frozen=True)
class Part:
    """One uploaded part of a multipart upload: its number (from 1) and the ETag the store answered with."""

    number: int
    etag: str


class ObjectStore(Protocol):
    """Blobs by key. Blocking; call it from a thread in asyncio code. Picklable."""

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_version: str | None = None) -> str:
        """Write an object whole and return its version.

        Args:
            key: slash-separated, no empty parts.
            data: the bytes.
            if_absent: write only if no object has this key.
            if_version: write only if the object now has this version.

        Raises:
            PreconditionFailed: the condition does not hold.
            Unavailable: the store cannot be reached.
        """

    def get(self, key: str) -> bytes:
        """Read an object whole.

        Raises:
            NotFound: no object has this key.
            Unavailable: the store cannot be reached.
        """

    def head(self, key: str) -> ObjectInfo | None:
        """Return what is known of an object, or None if there is none."""

    def delete(self, key: str) -> None:
        """Remove an object; not an error if there is none."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """List objects whose key starts with `prefix`, in key order."""

    def folders(self, prefix: str) -> Iterator[str]:
        """List what stands directly below `prefix` as folders (`prefix` and one more part, with its slash), sorted."""

    def copy(self, source: str, target: str) -> None:
        """Copy an object inside the store.

        Raises:
            NotFound: no object has the key `source`.
        """

    def presign_get(self, key: str, *, expires_seconds: int) -> str:
        """Return a URL that reads this one object until it expires, without credentials."""

    def start_multipart(self, key: str) -> str:
        """Begin a multipart upload and return its id; nothing is visible until it completes."""

    def presign_part(
        self, key: str, multipart_id: str, number: int, *, expires_seconds: int, size: int | None = None
    ) -> str:
        """Return a URL that accepts a PUT of part `number` (from 1), of exactly `size` bytes unless that is None."""

    def complete_multipart(self, key: str, multipart_id: str, parts: Sequence[Part]) -> str:
        """Make the object of its parts visible and return its version.

        Raises:
            InvalidInput: a part is missing or its ETag is not the one uploaded (code `invalid_parts`).
            NotFound: no such multipart upload.
        """

    def abort_multipart(self, key: str, multipart_id: str) -> None:
        """Throw the parts away; not an error if there are none."""

    def open_multiparts(self, prefix: str) -> Iterator[OpenMultipart]:
        """List multipart uploads under `prefix` that are neither completed nor aborted, by key."""


@dataclass(frozen=True)
class Looked:
    """What `Cache.look` found; `second` and `mine` are asked only where there is no `first`."""

    first: bytes | None
    second: bytes | None = None
    mine: bool = False


class Cache(Protocol):
    """Bytes by key, lost at any time, and messages. Every call may raise Unavailable; callers go on without."""

    async def get(self, key: str) -> bytes | None:
        """Return the value, or None if it is not there."""

    async def set(self, key: str, value: bytes, *, ttl_seconds: int) -> None:
        """Keep a value for at most `ttl_seconds`."""

    async def add(self, key: str, value: bytes, *, ttl_seconds: float) -> bool:
        """Keep a value for at most `ttl_seconds` if the key has none; return whether it had none."""

    async def set_many(self, values: Mapping[str, tuple[bytes, int]]) -> None:
        """Keep several values, each with its `ttl_seconds`, in one journey."""

    async def look(self, first: str, second: str, claim: str, *, ttl_seconds: float) -> Looked:
        """Return the value of `first`; or if there is none, that of `second`, and add `claim` as `add` does; all in
        one step, so that of many who look at once exactly one is told that the claim is its own."""

    async def delete(self, key: str) -> None:
        """Forget a value; not an error if there is none."""

    async def forget(self, prefix: str) -> int:
        """Forget all values whose key starts with `prefix`; return how many were found."""

    async def take(self, key: str, rate: Rate, requests: int = 1) -> Taken:
        """Take so many requests out of the bucket `key`, which all that share the cache share, in one step.

        Returns:
            `allowed`: all of them were taken; else none was.

        Raises:
            Unavailable: the cache is away.
        """

    async def publish(self, channel: str, message: str) -> None:
        """Tell all present subscribers of a channel."""

    def subscribe(self, channel: str) -> AsyncIterator[str]:
        """Yield messages published on the channel from now on, until closed."""

    async def ping(self) -> bool:
        """Tell whether the cache answers."""

    async def close(self) -> None:
        """Release connections."""
