"""Shadow: a version on trial draws what another one answered, afterwards, and only the difference is kept.

Nobody waits for it: it runs in the background lane of the queue, a few at a time, and is dropped where there are more.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Histogram

from heddle_adapters.arrays import Singles
from heddle_adapters.read import read
from heddle_api.edge.batcher import Batcher
from heddle_api.edge.cache_key import canonical_edit
from heddle_api.edge.draw import Drawn, Work
from heddle_api.edge.serving import Target
from heddle_platform.edits import EditRequest
from heddle_platform.errors import HeddleError

_AT_ONCE: Final = 16
_SECONDS: Final = 10.0
_DIFFERENCES: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, eq=False)
class Answered:
    """What the answering version made of an image at the base's size."""

    target: Target
    request: EditRequest
    small_HWC: NDArray[np.uint8]
    latents_L: Singles
    drawn: Drawn


class Shadows:
    """Runs comparisons; `close` it when the plane stops."""

    def __init__(self, batcher: Batcher, registry: CollectorRegistry) -> None:
        self._batcher = batcher
        self._running: set[asyncio.Task[None]] = set()
        self._outcomes = Counter(
            "heddle_shadow_edits_total", "Edits a shadow was asked to draw too.", ("outcome",), registry=registry
        )
        self._pixels = Histogram(
            "heddle_shadow_pixel_difference",
            "Mean absolute difference of a shadow's picture from the answer, 0 to 1.",
            buckets=_DIFFERENCES,
            registry=registry,
        )
        self._readings = Counter(
            "heddle_shadow_readings_total", "Factors read by both versions.", ("agreed",), registry=registry
        )

    def follow(self, answered: Answered, shadow: Target) -> None:
        """Compare in the background; returns at once."""
        if len(self._running) >= _AT_ONCE:
            self._outcomes.labels("dropped").inc()
            return
        task = asyncio.create_task(self._compare(answered, shadow))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def settle(self) -> None:
        """Wait for the comparisons under way."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def close(self) -> None:
        """Drop what runs."""
        for task in self._running:
            task.cancel()
        await self.settle()

    async def _compare(self, answered: Answered, shadow: Target) -> None:
        target = answered.target
        same_base = shadow.base is target.base
        work = Work(
            shadow.base,
            None if same_base else answered.small_HWC,
            answered.latents_L if same_base else None,
            ((shadow.digest, canonical_edit(shadow.adapter, answered.request)),),
            time.monotonic() + _SECONDS,
            shadow.adapter,
            f"{target.tenant_id}/background",
            True,
        )
        try:
            if not same_base and shadow.base.runtime.image_size != target.base.runtime.image_size:
                raise HeddleError("the shadow's base has another image size; they cannot be compared")
            done = await self._batcher.do(work)
        except HeddleError as error:
            self._outcomes.labels("failed").inc()
            _log.warning("shadow_failed", tenant_id=target.tenant_id, adapter=shadow.label, reason=error.message)
            return
        difference = float(np.abs(done.drawn[0].after_HWC - answered.drawn.after_HWC).mean())
        mine = read(target.adapter, answered.latents_L[None]).as_json(0)
        theirs = {} if done.readings is None else done.readings.as_json(0)
        shared = [name for name in mine if name in theirs]
        differing = [name for name in shared if mine[name].get("value") != theirs[name].get("value")]
        self._outcomes.labels("compared").inc()
        self._pixels.observe(difference)
        self._readings.labels("yes").inc(len(shared) - len(differing))
        self._readings.labels("no").inc(len(differing))
        _log.info(
            "shadow_compared",
            tenant_id=target.tenant_id,
            answered=target.label,
            shadow=shadow.label,
            pixel_difference=round(difference, 5),
            read_differently=differing,
        )
