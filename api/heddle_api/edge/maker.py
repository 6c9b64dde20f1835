"""Maker: one image and its edits, drawn: latents from the cache or the encoder, pictures from the decoder."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from heddle_api.edge import cache_key
from heddle_api.edge.answer import CacheState
from heddle_api.edge.batcher import Batcher, Coming
from heddle_api.edge.draw import Done, Work
from heddle_api.edge.drift import DriftTally
from heddle_api.edge.picture_work import Picture, PictureWork
from heddle_api.edge.remembered import EditedImage, Remembered, Upload
from heddle_api.edge.scope import EditScope
from heddle_api.edge.serving import LoadedBase, Target
from heddle_api.edge.shadow import Answered, Shadows
from heddle_api.meter import Meter
from heddle_platform.edits import EditRequest
from heddle_platform.image_header import MediaType

CLAIM_SECONDS: Final = 0.25  # how long other replicas wait for one that makes the same edit
_LOOK_SECONDS: Final = 0.005


@dataclass(frozen=True)
class Made:
    """A finished edit, what the cache had, and seconds per stage."""

    image: EditedImage
    cache: CacheState
    seconds: dict[str, float]


@dataclass(frozen=True, eq=False)
class Order:
    """One edit to be made.

    Attributes:
        target: who edits.
        shadow: who draws the same for comparison, or None.
        upload: the image.
        asked: the edit as it was asked for.
        edit: the edit in its canonical spelling for `target`.
        media_type: type of the answer.
        key: where the finished edit is cached.
    """

    target: Target
    shadow: Target | None
    upload: Upload
    asked: EditRequest
    edit: EditRequest
    media_type: MediaType
    key: str


class EditMaker:
    """What the service draws with."""

    def __init__(
        self,
        batcher: Batcher,
        pictures: PictureWork,
        remembered: Remembered,
        shadows: Shadows,
        meter: Meter,
        drift: DriftTally,
    ) -> None:
        self._batcher = batcher
        self._pictures = pictures
        self._remembered = remembered
        self._shadows = shadows
        self._meter = meter
        self._drift = drift

    def coming(self) -> Coming:
        """Let the batcher know that an edit is on its way; end it when the edit is over, however it ends."""
        return self._batcher.coming()

    async def make(self, shared: EditScope, order: Order) -> Made:
        """Draw, encode and keep one edit, unless another replica is at it and done in time.

        Raises:
            InvalidInput: the image cannot be read.
            Unavailable: too much to do, or the deadline has passed.
        """
        scope = shared.timed_anew()
        base = order.target.base
        key = cache_key.latent_key(scope.tenant_id, scope.epoch, base.digest, order.upload.digest)
        with scope.watch.stage("cache"):
            found = await self._remembered.look(
                order.key,
                key,
                cache_key.claim_key(order.key),
                latents=base.runtime.latents,
                claim_seconds=CLAIM_SECONDS,
            )
        edited = found.edited
        if edited is None and not found.mine:
            edited = await self._elsewhere(scope, order.key)
        if edited is not None:
            return Made(edited, "hit", scope.watch.seconds)
        latents_L = found.latents_L
        with scope.watch.stage("pixels"):
            picture = await self._pictures.decode(order.upload.data, base.runtime.image_size, deadline=scope.deadline)
        work = Work(
            base,
            picture.small_HWC,
            latents_L,
            ((order.target.digest, order.edit),),
            scope.deadline,
            owner=scope.owner,
            background=scope.background,
        )
        done = await self._batcher.do(work, scope.coming)
        scope.watch.add(done.seconds)
        drawn = done.drawn[0]
        with scope.watch.stage("pixels"):
            data = await self._pictures.finish(picture, drawn, order.media_type)
        image = EditedImage(data, drawn.detail, drawn.extrapolation, drawn.suggestion)
        self._remembered.keep_made(
            scope.tenant_id, order.key, image, key, done.latents_L if latents_L is None else None
        )
        if latents_L is None:
            self._meter.count(scope.tenant_id, "images_encoded")
        self._drift.see(scope.epoch, order.target, order.upload.digest, done.latents_L)
        if order.shadow is not None:
            self._shadows.follow(
                Answered(order.target, order.asked, picture.small_HWC, done.latents_L, drawn), order.shadow
            )
        return Made(image, "miss" if latents_L is None else "latent", scope.watch.seconds)

    async def draw(
        self,
        scope: EditScope,
        base: LoadedBase,
        upload: Upload,
        edits: Sequence[EditRequest],
        target: Target | None = None,
    ) -> tuple[Picture, Done, CacheState]:
        """Decode the file, find or make its latents, and draw a target's edits, or read where there are none; new
        latents are kept."""
        key = cache_key.latent_key(scope.tenant_id, scope.epoch, base.digest, upload.digest)
        with scope.watch.stage("pixels"):
            latents_L, picture = await asyncio.gather(
                self._remembered.latent(key, base.runtime.latents),
                self._pictures.decode(upload.data, base.runtime.image_size, deadline=scope.deadline),
            )
        work = Work(
            base,
            picture.small_HWC,
            latents_L,
            () if target is None else tuple((target.digest, edit) for edit in edits),
            scope.deadline,
            None if target is None or edits else target.adapter,
            scope.owner,
            scope.background,
        )
        done = await self._batcher.do(work)
        scope.watch.add(done.seconds)
        if target is not None:
            self._drift.see(scope.epoch, target, upload.digest, done.latents_L)
        if latents_L is None:
            self._meter.count(scope.tenant_id, "images_encoded")
            await self._remembered.keep_latent(scope.tenant_id, key, done.latents_L)
        return picture, done, "miss" if latents_L is None else "latent"

    async def _elsewhere(self, scope: EditScope, key: str) -> EditedImage | None:
        """Look for what another replica is making, for as long as its claim lasts."""
        scope.coming.end()
        ends = min(time.monotonic() + CLAIM_SECONDS, scope.deadline)
        with scope.watch.stage("elsewhere"):
            while time.monotonic() < ends:
                found = await self._remembered.edited(key)
                if found is not None:
                    return found
                await asyncio.sleep(_LOOK_SECONDS)
        return None
