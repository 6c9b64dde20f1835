"""Service: an image and an edit in, an edited image out: cache, then batcher, then cache."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from heddle_adapters.edit import check_request
from heddle_api.auth import Principal
from heddle_api.edge import cache_key
from heddle_api.edge.answer import CacheState, EditAnswer, GridAnswer, TakenAnswer
from heddle_api.edge.batcher import Batcher
from heddle_api.edge.draw import Done, Work
from heddle_api.edge.form import ImageField
from heddle_api.edge.grid import GridRequest, grid_edits
from heddle_api.edge.loader import Loader
from heddle_api.edge.metrics import EdgeMetrics
from heddle_api.edge.picture_work import Picture, PictureWork
from heddle_api.edge.remembered import EditedImage, Remembered, Upload
from heddle_api.edge.serving import LoadedBase, Serving, Target
from heddle_api.edge.single_flight import SingleFlight
from heddle_api.edge.stopwatch import Stopwatch
from heddle_api.edit_id import EditSigner
from heddle_api.meter import Meter
from heddle_platform.digest import sha256_hex
from heddle_platform.edits import EditRequest
from heddle_platform.errors import NotFound, Unavailable
from heddle_platform.ids import is_id, new_id
from heddle_platform.image_header import MediaType

_HASH_INLINE_BYTES: Final = 256 * 1024  # a longer hash would hold up the event loop for more than .2 ms


@dataclass(frozen=True, eq=False)
class _Scope:
    """Whose request this is, until when somebody waits, and where its time goes."""

    serving: Serving
    tenant_id: str
    epoch: int
    deadline: float
    watch: Stopwatch


@dataclass(frozen=True)
class _Made:
    image: EditedImage
    cache: CacheState
    seconds: dict[str, float]


class EditService:
    """What the routes call; all its parts are given to it."""

    def __init__(
        self,
        *,
        loader: Loader,
        batcher: Batcher,
        pictures: PictureWork,
        remembered: Remembered,
        signer: EditSigner,
        metrics: EdgeMetrics,
        meter: Meter,
        deadline_seconds: float,
    ) -> None:
        self._loader = loader
        self._batcher = batcher
        self._pictures = pictures
        self._remembered = remembered
        self._signer = signer
        self._metrics = metrics
        self._meter = meter
        self._deadline_seconds = deadline_seconds
        self._flights: SingleFlight[_Made] = SingleFlight()

    async def edit(
        self, principal: Principal, image: ImageField, request: EditRequest, media_type: MediaType
    ) -> EditAnswer:
        """Edit one image.

        Raises:
            NotFound: an unknown adapter, version, alias or image id.
            InvalidInput: an edit the adapter cannot do, or an image that cannot be read.
            Unavailable: too much to do, or the deadline has passed.
        """
        scope = self._scope(principal)
        target = scope.serving.resolve(scope.tenant_id, request)
        check_request(target.adapter, request)
        edit = cache_key.canonical_edit(target.adapter, request)
        upload = await self._upload(scope, image)
        key = cache_key.edited_key(
            scope.tenant_id,
            scope.epoch,
            base_digest=target.base.digest,
            adapter_digest=target.digest,
            image_digest=upload.digest,
            edit=edit,
            media_type=media_type,
        )
        with scope.watch.stage("cache"):
            found = await self._remembered.edited(key)
        if found is None:
            made = await self._flights.run(key, lambda: self._make(scope, target, upload, edit, media_type, key))
            scope.watch.add(made.seconds)
        else:
            made = _Made(found, "hit", {})
        self._count(made, scope.watch)
        self._meter.count(scope.tenant_id, "edits")
        return EditAnswer(
            made.image,
            made.cache,
            self._signer.sign(scope.tenant_id, target.label, target.digest, edit),
            target.label,
            scope.watch.header(),
        )

    async def take(self, principal: Principal, data: bytes, adapter: str | None) -> TakenAnswer:
        """Keep an image for edits to come, encoded once; read it with an adapter if one is named.

        Raises:
            InvalidInput: the image cannot be read.
            NotFound: an unknown adapter.
            Unavailable: code `image_not_kept`: the cache is away.
        """
        scope = self._scope(principal)
        target = None if adapter is None else scope.serving.resolve(scope.tenant_id, EditRequest(adapter=adapter))
        base = target.base if target else scope.serving.default_base
        if base is None:
            raise Unavailable("the default base is not loaded yet; try again soon", code="base_not_loaded")
        upload = Upload(data, await _digest(data))
        image_id = new_id("img")
        picture, done, _ = await self._draw(scope, base, upload, (), target)
        try:
            await self._remembered.keep_upload(cache_key.upload_key(scope.tenant_id, scope.epoch, image_id), upload)
        except Unavailable:
            raise Unavailable(
                "images cannot be kept at the moment; send the image itself with each edit", code="image_not_kept"
            ) from None
        height, width, _ = picture.full_HWC.shape
        return TakenAnswer(
            image_id,
            width,
            height,
            None if done.readings is None else done.readings.as_json(0),
            target.label if target else None,
            datetime.now(UTC) + timedelta(seconds=self._remembered.image_ttl_seconds),
            scope.watch.header(),
        )

    async def grid(
        self, principal: Principal, image: ImageField, request: GridRequest, media_type: MediaType
    ) -> GridAnswer:
        """Draw one factor at all its levels, or at even steps through its range, side by side.

        Raises:
            As `edit`; besides TooLarge, code `grid_too_large`.
        """
        scope = self._scope(principal)
        target = scope.serving.resolve(scope.tenant_id, EditRequest(adapter=request.adapter))
        edits = grid_edits(target.adapter, request)
        upload = await self._upload(scope, image)
        picture, done, cache = await self._draw(scope, target.base, upload, [(target.digest, edit) for edit in edits])
        with scope.watch.stage("pixels"):
            data = await self._pictures.strip(picture, done.drawn, media_type)
        self._meter.count(scope.tenant_id, "edits", len(edits))
        values = tuple(edit.set[request.factor] for edit in edits)
        return GridAnswer(data, values, cache, target.label, scope.watch.header())

    def _scope(self, principal: Principal) -> _Scope:
        serving = self._loader.serving
        if serving is None:
            raise Unavailable("this replica is still starting; try again in a moment", code="not_ready")
        tenant_id = principal.tenant
        epoch = serving.epochs.get(tenant_id, principal.tenant_epoch)
        return _Scope(serving, tenant_id, epoch, time.monotonic() + self._deadline_seconds, Stopwatch())

    async def _upload(self, scope: _Scope, image: ImageField) -> Upload:
        if image.data is not None:
            return Upload(image.data, await _digest(image.data))
        image_id = image.image_id or ""
        found = None
        if is_id(image_id, "img"):
            with scope.watch.stage("cache"):
                found = await self._remembered.upload(cache_key.upload_key(scope.tenant_id, scope.epoch, image_id))
        if found is None:
            raise NotFound(
                f"there is no image {image_id[:60]!r}, or it is kept no longer; send it again to POST /v1/images",
                code="unknown_image",
                param="image_id",
            )
        return found

    async def _make(
        self, scope: _Scope, target: Target, upload: Upload, edit: EditRequest, media_type: MediaType, key: str
    ) -> _Made:
        watch = Stopwatch()
        own = _Scope(scope.serving, scope.tenant_id, scope.epoch, scope.deadline, watch)
        picture, done, cache = await self._draw(own, target.base, upload, [(target.digest, edit)])
        drawn = done.drawn[0]
        with watch.stage("pixels"):
            data = await self._pictures.finish(picture, drawn, media_type)
        image = EditedImage(data, drawn.detail, drawn.extrapolation)
        with watch.stage("cache"):
            await self._remembered.keep_edited(key, image)
        return _Made(image, cache, watch.seconds)

    async def _draw(
        self,
        scope: _Scope,
        base: LoadedBase,
        upload: Upload,
        edits: Sequence[tuple[str, EditRequest]],
        reader: Target | None = None,
    ) -> tuple[Picture, Done, CacheState]:
        """Decode the file, find or make its latents, and draw the edits; new latents are kept."""
        key = cache_key.latent_key(scope.tenant_id, scope.epoch, base.digest, upload.digest)
        with scope.watch.stage("pixels"):
            picture, latents_L = await asyncio.gather(
                self._pictures.decode(upload.data, base.runtime.image_size),
                self._remembered.latent(key, base.runtime.latents),
            )
        work = Work(
            base,
            picture.small_HWC,
            latents_L,
            tuple(edits),
            scope.deadline,
            None if reader is None else reader.adapter,
        )
        done = await self._batcher.do(work)
        scope.watch.add(done.seconds)
        if latents_L is None:
            self._meter.count(scope.tenant_id, "images_encoded")
            await self._remembered.keep_latent(key, done.latents_L)
        return picture, done, "miss" if latents_L is None else "latent"

    def _count(self, made: _Made, watch: Stopwatch) -> None:
        self._metrics.edits.labels(made.cache).inc()
        if made.image.extrapolation > 1.0:
            self._metrics.extrapolated.inc()
        for stage, seconds in watch.seconds.items():
            self._metrics.stages.labels(stage).observe(seconds)


async def _digest(data: bytes) -> str:
    if len(data) <= _HASH_INLINE_BYTES:
        return sha256_hex(data)
    return await asyncio.to_thread(sha256_hex, data)
