"""Loader: keeps the resident state of serving new, and swaps it whole.

Every adapter of every tenant is in memory, so an edit never waits for a load. When the database or the object
store is away the old state goes on serving; an alias whose new version cannot be read stays on the old one. A poll
reads the source's stamp, and everything only when that has changed; what takes long for very many tenants is done on
a thread.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Final, TypeVar

import structlog

from heddle_api.edge.artifacts import fetch_adapter, fetch_base
from heddle_api.edge.assemble import assemble
from heddle_api.edge.retiring import Retiring
from heddle_api.edge.serving import LoadedBase, Serving, Target
from heddle_api.edge.source import SnapshotSource
from heddle_infra.database.serving import CHANGED_CHANNEL, ServedVersion, ServingSnapshot
from heddle_platform.edits import EditRequest
from heddle_platform.errors import HeddleError, Unavailable
from heddle_platform.ports import Cache, ObjectStore

_FETCHES_AT_ONCE: Final = 8
_RETRY_FIRST_SECONDS: Final = 0.5
_RETRY_MOST_SECONDS: Final = 30.0
# After a refresh that took long the next announcement waits a little: where hundreds of versions appear in a row,
# refreshing takes a fifth of the time at most. An alias's move is still seen within a second.
_REST: Final = 4.0
_LONGEST_REST_SECONDS: Final = 0.4
_LOOK_SECONDS: Final = 1.0  # how long a request for a name not known here waits for a newer state

_log = structlog.get_logger(__name__)
_Loaded = TypeVar("_Loaded")


class Loader:
    """Owns the current `Serving`; everybody else reads it."""

    def __init__(
        self,
        source: SnapshotSource,
        objects: ObjectStore,
        *,
        threads: int = 1,
        grace_seconds: float = 10.0,
        swapped: Callable[[Serving], object] = lambda _: None,
    ) -> None:
        """Make a loader that holds nothing yet.

        Args:
            source: rows of versions, aliases, keys, bases.
            objects: where artifacts lie.
            threads: ONNX Runtime threads of each base.
            grace_seconds: how long an adapter that nothing names any more stays, for edits under way.
            swapped: told each new state on the event loop, before anybody is served by it.
        """
        self._source = source
        self._objects = objects
        self._threads = threads
        self._grace_seconds = grace_seconds
        self._bases: dict[str, LoadedBase] = {}
        self._unnamed: dict[tuple[str, str], float] = {}
        self._retiring = Retiring(grace_seconds)
        self._faults: dict[str, tuple[float, float]] = {}
        self._wake = asyncio.Event()
        self._refreshing = asyncio.Lock()
        self._looked = asyncio.Condition()
        self._looked_at = float("-inf")
        self._running = False
        self._snapshot: ServingSnapshot | None = None
        self._stamp: str | None = None
        self._targets: dict[ServedVersion, Target] = {}
        self._serving: Serving | None = None
        self._swapped = swapped
        self._taken_at: float | None = None
        self._away = False

    @property
    def serving(self) -> Serving | None:
        """The current state; None before the first snapshot."""
        return self._serving

    @property
    def resident(self) -> int:
        """How many adapters are in memory."""
        return sum(len(base.bank) for base in self._bases.values())

    @property
    def bases(self) -> tuple[str, ...]:
        """Digests of the bases in memory; two or more while a new one is rolled out."""
        return tuple(self._bases)

    @property
    def age_seconds(self) -> float:
        """How long ago the source last answered; infinite if never."""
        return float("inf") if self._taken_at is None else time.monotonic() - self._taken_at

    async def checks(self) -> dict[str, bool]:
        """Readiness: a snapshot is loaded, and the base aliased `default` is warm."""
        serving = self._serving
        return {"snapshot": serving is not None, "base": serving is not None and serving.default_base is not None}

    async def knowing(self, tenant_id: str, *requests: EditRequest) -> Serving | None:
        """Return the current state, or the next one where this one does not know what a request names.

        A client that has just approved a version may ask for it before the announcement arrived here; so nobody is
        told that a name is unknown from a state that is older than the question. The wait is a second at most, and
        however many ask, the source is looked at no more often than announcements make it.

        Args:
            tenant_id: whose names.
            requests: what will be resolved.

        Returns:
            The state, which still may not know them; None before the first.
        """
        serving = self._serving
        if serving is None or not self._running or all(serving.names_known(tenant_id, each) for each in requests):
            return serving
        asked_at = time.monotonic()
        self._wake.set()
        try:
            async with asyncio.timeout(_LOOK_SECONDS), self._looked:
                await self._looked.wait_for(lambda: self._looked_at >= asked_at)
        except TimeoutError:
            pass  # the source is slow or away: the answer is out of what is known
        return self._serving

    async def refresh(self) -> None:
        """Take a snapshot, load what is new, swap.

        Raises:
            Unavailable: the source is away; the old state stays.
        """
        async with self._refreshing:
            await self._refresh()

    async def _refresh(self) -> None:
        stamp = await self._source.stamp()  # before the snapshot: what changes in between is read twice, not never
        known = self._snapshot if stamp is not None and stamp == self._stamp else None
        snapshot = known or await self._source.snapshot()
        self._taken_at = time.monotonic()
        same = snapshot is self._snapshot or await asyncio.to_thread(lambda: snapshot == self._snapshot)
        self._stamp = stamp
        if same and not (self._faults or self._unnamed or self._retiring):
            return
        needed = await asyncio.to_thread(_bases_of, snapshot)
        before = len(self._bases)
        await _gather(partial(self._load_base, snapshot, digest) for digest in needed if digest in snapshot.bases)
        present = self._targets
        missing = await asyncio.to_thread(_missing_of, snapshot, present)
        for version, target in await _gather(partial(self._load_version, version) for version in missing):
            present[version] = target
        if not same or missing or len(self._bases) != before:
            self._targets, serving = await asyncio.to_thread(self._assembled, snapshot)
            self._swapped(serving)
            self._serving = serving
        self._snapshot = snapshot
        await asyncio.to_thread(self._drop_unnamed, self._serving)
        in_use = {digest for digest, base in self._bases.items() if len(base.bank)}
        for digest in self._retiring.due(self._bases.keys(), needed | in_use):
            _log.info("base_released", name=self._bases.pop(digest).name, digest=digest[:12])

    def _assembled(self, snapshot: ServingSnapshot) -> tuple[dict[ServedVersion, Target], Serving]:
        present = self._targets
        targets = {version: present[version] for version in snapshot.versions if version in present}
        return targets, assemble(snapshot, targets, self._bases, self._serving)

    async def run(self, cache: Cache, *, poll_seconds: float) -> None:
        """Refresh for ever: at every message on the channel, and every `poll_seconds` in any case."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(cache))
            self._running = True
            while True:
                self._wake.clear()
                started = time.monotonic()
                await self._attempt_refresh()
                async with self._looked:
                    self._looked_at = started
                    self._looked.notify_all()
                rest = min(_REST * (time.monotonic() - started), _LONGEST_REST_SECONDS)
                try:
                    async with asyncio.timeout(poll_seconds):
                        await self._wake.wait()
                except TimeoutError:
                    continue
                await asyncio.sleep(rest)  # what is announced meanwhile is taken in with it

    async def _attempt_refresh(self) -> None:
        try:
            await self.refresh()
        except Unavailable as error:
            if not self._away:  # once, not at every poll of a long night
                _log.warning("snapshot_source_away", reason=error.message)
            self._away = True
        except Exception as error:
            _log.error("snapshot_failed", exc_info=error)
        else:
            if self._away:
                _log.info("snapshot_source_back")
            self._away = False

    async def _listen(self, cache: Cache) -> None:
        while True:
            try:
                async for _ in cache.subscribe(CHANGED_CHANNEL):
                    self._wake.set()
            except Unavailable:
                pass
            await asyncio.sleep(1.0)  # polling goes on meanwhile

    async def _load_base(self, snapshot: ServingSnapshot, digest: str) -> None:
        if digest in self._bases:
            return
        base = snapshot.bases[digest]
        loaded = await self._attempt(
            digest,
            lambda: asyncio.to_thread(fetch_base, self._objects, base.name, digest, threads=self._threads),
        )
        if loaded is not None:
            self._bases[digest] = loaded
            _log.info("base_loaded", name=base.name, digest=digest[:12])

    async def _load_version(self, version: ServedVersion) -> tuple[ServedVersion, Target] | None:
        base = self._bases.get(version.base_digest)
        if base is None:
            return None
        if version.digest not in base.bank:
            held = await self._attempt(version.digest, lambda: asyncio.to_thread(self._fetch, base, version))
            if held is None:
                return None
        return version, Target(version.tenant_id, version.adapter_name, version.version, version.digest, base)

    def _fetch(self, base: LoadedBase, version: ServedVersion) -> bool:
        adapter = fetch_adapter(self._objects, version.tenant_id, version.digest, version.base_digest)
        base.bank.add(version.digest, adapter)
        return True

    async def _attempt(self, digest: str, load: Callable[[], Awaitable[_Loaded]]) -> _Loaded | None:
        """Load one artifact; on failure log it and leave it alone for a while that doubles each time."""
        retry_at, pause = self._faults.get(digest, (0.0, _RETRY_FIRST_SECONDS))
        if time.monotonic() < retry_at:
            return None
        try:
            loaded = await load()
        except Exception as error:
            self._faults[digest] = (time.monotonic() + pause, min(2 * pause, _RETRY_MOST_SECONDS))
            _log.error(
                "artifact_unreadable",
                digest=digest[:12],
                code=error.code if isinstance(error, HeddleError) else type(error).__name__,
                reason=str(error),
                retry_seconds=pause,
            )
            return None
        self._faults.pop(digest, None)
        return loaded

    def _drop_unnamed(self, serving: Serving | None) -> None:
        if serving is None:
            return
        named = {(target.base.digest, target.digest) for target in serving.named() if target is not None}
        held = {(base.digest, digest) for base in self._bases.values() for digest in base.bank.digests}
        now = time.monotonic()
        self._unnamed = {key: self._unnamed.get(key, now) for key in held - named}
        for base_digest, digest in [key for key, since in self._unnamed.items() if now - since > self._grace_seconds]:
            self._bases[base_digest].bank.remove(digest)
            del self._unnamed[base_digest, digest]


def _bases_of(snapshot: ServingSnapshot) -> set[str]:
    return {version.base_digest for version in snapshot.versions} | set(snapshot.base_aliases.values())


def _missing_of(snapshot: ServingSnapshot, present: Mapping[ServedVersion, Target]) -> list[ServedVersion]:
    return [version for version in snapshot.versions if version not in present]


async def _gather(steps: Iterable[Callable[[], Awaitable[_Loaded | None]]]) -> list[_Loaded]:
    """Do all, a few at a time, and return what was loaded; of 100,000 steps never more than a few exist."""
    waiting, done = iter(steps), list[_Loaded]()

    async def some() -> None:
        for step in waiting:
            loaded = await step()
            if loaded is not None:
                done.append(loaded)

    await asyncio.gather(*(some() for _ in range(_FETCHES_AT_ONCE)))
    return done
