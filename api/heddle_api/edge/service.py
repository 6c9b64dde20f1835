"""Service: an image and an edit in, an edited image out: cache, then batcher, then cache."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from heddle_api.auth import Principal
from heddle_api.edge import cache_key
from heddle_api.edge.answer import EditAnswer, GridAnswer, TakenAnswer
from heddle_api.edge.batcher import Coming, deadline_exceeded
from heddle_api.edge.form import ImageField
from heddle_api.edge.grid import GridRequest, grid_edits
from heddle_api.edge.loader import Loader
from heddle_api.edge.maker import EditMaker, Made, Order
from heddle_api.edge.metrics import EdgeMetrics
from heddle_api.edge.near import Near
from heddle_api.edge.patience import Patience
from heddle_api.edge.picture_work import PictureWork
from heddle_api.edge.remembered import Remembered, Upload
from heddle_api.edge.scope import EditScope, open_scope
from heddle_api.edge.serving import Serving
from heddle_api.edge.single_flight import SingleFlight
from heddle_api.edge.spelled import Speller
from heddle_api.edge.stopwatch import Stopwatch
from heddle_api.edit_id import EditSigner
from heddle_api.meter import Meter
from heddle_platform.digest import sha256_hex
from heddle_platform.edits import EditRequest
from heddle_platform.errors import InvalidInput, NotFound, Unavailable
from heddle_platform.ids import is_id, new_id
from heddle_platform.image_header import MediaType

_HASH_INLINE_BYTES: Final = 256 * 1024  # a longer hash would hold up the event loop for more than .2 ms


class EditService:
    """What the routes call; all its parts are given to it."""

    def __init__(
        self,
        *,
        loader: Loader,
        maker: EditMaker,
        pictures: PictureWork,
        remembered: Remembered,
        near: Near,
        signer: EditSigner,
        speller: Speller,
        metrics: EdgeMetrics,
        meter: Meter,
        deadline_seconds: float,
    ) -> None:
        self._loader = loader
        self._maker = maker
        self._pictures = pictures
        self._remembered = remembered
        self._near = near
        self._signer = signer
        self._speller = speller
        self._metrics = metrics
        self._meter = meter
        self._deadline_seconds = deadline_seconds
        self.patience = Patience(deadline_seconds)
        self._flights: SingleFlight[Made] = SingleFlight()

    async def edit(
        self,
        principal: Principal,
        image: ImageField,
        request: EditRequest,
        media_type: MediaType,
        *,
        deadline_seconds: float | None = None,
        background: bool = False,
    ) -> EditAnswer:
        """Edit one image.

        Args:
            principal: who asks.
            image: the image.
            request: the edit.
            media_type: type of the answer.
            deadline_seconds: how long somebody waits; None or longer than the platform's own: that.
            background: nobody waits for it now.

        Raises:
            NotFound: an unknown adapter, version, alias or image id.
            InvalidInput: an edit the adapter cannot do, or an image that cannot be read.
            Unavailable: too much to do, or the deadline has passed.
        """
        serving = await self._loader.knowing(principal.tenant, request)
        scope = self._scope(serving, principal, deadline_seconds, background, self._maker.coming)
        try:
            return await self._edit(scope, image, request, media_type)
        finally:
            scope.coming.end()

    async def _edit(
        self, scope: EditScope, image: ImageField, request: EditRequest, media_type: MediaType
    ) -> EditAnswer:
        target = scope.serving.resolve(scope.tenant_id, request)
        spelled = self._speller.spell(target, request)  # what is wrong is said before the image is looked for
        upload = await self._upload(scope, image)
        chosen, shadow = scope.serving.route(target, request, upload.digest)
        if chosen is not target:
            target, spelled = chosen, self._speller.spell(chosen, request)
        key = cache_key.edited_key(
            scope.tenant_id,
            scope.epoch,
            base_digest=target.base.digest,
            adapter_digest=target.digest,
            image_digest=upload.digest,
            edit=spelled.text,
            media_type=media_type,
        )
        made = self._at_hand(key)
        if made is None:
            made = await self._fly(scope, Order(target, shadow, upload, request, spelled.edit, media_type, key))
            self._near.put(scope.tenant_id, scope.epoch, key, made.image)
        scope.watch.add(made.seconds)
        self._count(made, scope.watch)
        self._meter.count(scope.tenant_id, "edits")
        return EditAnswer(
            made.image,
            made.cache,
            self._signer.issue(spelled.claims),
            spelled.label,
            spelled.reason,
            scope.watch.header(),
        )

    async def take(
        self, principal: Principal, data: bytes, adapter: str | None, *, deadline_seconds: float | None = None
    ) -> TakenAnswer:
        """Keep an image for edits to come, encoded once; read it with an adapter if one is named.

        Raises:
            InvalidInput: the image cannot be read.
            NotFound: an unknown adapter.
            Unavailable: code `image_not_kept`: the cache is away, and the image too large to be held here meanwhile.
        """
        asked = () if adapter is None else (EditRequest(adapter=adapter),)
        scope = self._scope(await self._loader.knowing(principal.tenant, *asked), principal, deadline_seconds)
        target = None
        upload = Upload(data, await _digest(data))
        for request in asked:
            target, _ = scope.serving.route(scope.serving.resolve(scope.tenant_id, request), request, upload.digest)
        base = target.base if target else scope.serving.default_base
        if base is None:
            raise Unavailable("the default base is not loaded yet; try again soon", code="base_not_loaded")
        image_id = new_id("img")
        picture, done, cache = await self._maker.draw(scope, base, upload, (), target)
        try:
            seconds = await self._remembered.keep_upload(
                scope.tenant_id, cache_key.upload_key(scope.tenant_id, scope.epoch, image_id), upload
            )
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
            datetime.now(UTC) + timedelta(seconds=seconds),
            cache,
            scope.watch.header(),
        )

    async def grid(
        self,
        principal: Principal,
        image: ImageField,
        request: GridRequest,
        media_type: MediaType,
        *,
        deadline_seconds: float | None = None,
    ) -> GridAnswer:
        """Draw one factor at all its levels, or at even steps through its range, side by side.

        Raises:
            As `edit`; besides TooLarge, code `grid_too_large`.
        """
        asked = EditRequest(adapter=request.adapter)
        scope = self._scope(await self._loader.knowing(principal.tenant, asked), principal, deadline_seconds)
        target = scope.serving.resolve(scope.tenant_id, asked)
        grid_edits(target.adapter, request)  # what is wrong is said before the image is looked for
        upload = await self._upload(scope, image)
        canary, _ = scope.serving.route(target, asked, upload.digest)
        try:
            edits = grid_edits(canary.adapter, request)
            target = canary
        except InvalidInput:
            edits = grid_edits(target.adapter, request)
        picture, done, cache = await self._maker.draw(scope, target.base, upload, edits, target)
        with scope.watch.stage("pixels"):
            data = await self._pictures.strip(picture, done.drawn, media_type)
        self._meter.count(scope.tenant_id, "edits", len(edits))
        values = tuple(edit.set[request.factor] for edit in edits)
        farthest = max(drawn.extrapolation for drawn in done.drawn)
        return GridAnswer(data, values, farthest, cache, target.label, scope.watch.header())

    async def settle(self) -> None:
        """Wait for what is still being written to the cache."""
        await self._remembered.settle()

    def _scope(
        self,
        serving: Serving | None,
        principal: Principal,
        deadline_seconds: float | None,
        background: bool = False,
        coming: Callable[[], Coming] = Coming,
    ) -> EditScope:
        most = self._deadline_seconds
        seconds = most if deadline_seconds is None else min(deadline_seconds, most)
        return open_scope(serving, principal, seconds, background=background, coming=coming)

    def _at_hand(self, key: str) -> Made | None:
        """Find a finished edit in this process's own memory: no call, no task and no timer."""
        started = time.perf_counter()
        image = self._near.get(key)
        if image is None:
            return None
        self._metrics.near_hits.inc()
        return Made(image, "hit", {"cache": time.perf_counter() - started})

    async def _fly(self, scope: EditScope, order: Order) -> Made:
        """Make an edit once for all who ask for it now; a flight that was too slow for its own caller is begun anew
        for one who can wait longer."""
        key = f"{order.key}{'/background' if scope.background else ''}"
        if key in self._flights:
            scope.coming.end()  # it is on its way already
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(max(0.0, scope.deadline - began)):
                    return await self._flights.run(key, lambda: self._maker.make(scope, order))
            except TimeoutError:
                raise deadline_exceeded() from None
            except Unavailable as error:
                if error.code != "deadline_exceeded" or time.monotonic() >= scope.deadline:
                    raise

    async def _upload(self, scope: EditScope, image: ImageField) -> Upload:
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

    def _count(self, made: Made, watch: Stopwatch) -> None:
        self._metrics.edits.labels(made.cache).inc()
        if made.image.extrapolation > 1.0:
            self._metrics.extrapolated.inc()
        self._metrics.observe_stages(watch.seconds)


async def _digest(data: bytes) -> str:
    if len(data) <= _HASH_INLINE_BYTES:
        return sha256_hex(data)
    return await asyncio.to_thread(sha256_hex, data)
