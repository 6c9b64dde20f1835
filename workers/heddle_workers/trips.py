"""Round trips: what an edited latent looks like once drawn and seen again, in both ways of drawing."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_platform.base.runtime import BaseRuntime
from heddle_workers.image_set import ImageSet

_PICTURES_KEPT = 4_000  # at 64 x 64: 98 MB
_STEPS = np.float32(65_535)  # of a kept picture's values, 0..1; half floats take seven times as long to make


class RoundTrips:
    """Draws latents with a base and encodes the pictures, at the base's own resolution.

    Args:
        runtime: the base.
        images: the set.
        latents_NL: its standardised latents, row for row.
        threads: how many pictures are drawn at once.
        remember: keep pictures that are drawn, and what was seen of them; a brief card asks for nothing twice.
    """

    def __init__(
        self,
        runtime: BaseRuntime,
        images: ImageSet,
        latents_NL: NDArray[np.float32],
        threads: int = 1,
        *,
        remember: bool = True,
    ) -> None:
        self.runtime = runtime
        self.images = images
        self.latents_NL = latents_NL
        self.threads = threads
        self._remember = remember
        self._drawn: dict[bytes, NDArray[np.uint16]] = {}
        self._owned: dict[int, NDArray[np.uint8]] = {}
        self._known: dict[bytes, NDArray[np.float32]] = {}

    def decoded(self, latents_BL: NDArray[Any]) -> NDArray[np.float32]:
        """Return E(D(z)), [B, L] -> [B, L]: edits with detail "decode"."""
        if not self._remember:
            return self.runtime.seen_again(latents_BL)

        def see(places: Sequence[int]) -> NDArray[np.float32]:
            some_PL = latents_BL[places]
            return self._seen(lambda part: self._pictures(some_PL[part]), len(places))

        return self._once(_keys(latents_BL), see)

    def preserved(self, rows_B: NDArray[np.intp], latents_BL: NDArray[Any]) -> NDArray[np.float32]:
        """Return E(x + D(z') - D(z)), [B, L]: edits with detail "preserve" of the pictures x in rows [B]."""

        def see(places: Sequence[int]) -> NDArray[np.float32]:
            rows, some_PL = rows_B[places], latents_BL[places]
            return self._seen(lambda part: self._preserve(rows[part].tolist(), some_PL[part]), len(places))

        pictures = [b"%d of " % row for row in rows_B.tolist()]
        return self._once([picture + key for picture, key in zip(pictures, _keys(latents_BL), strict=True)], see)

    def _once(self, keys: Sequence[bytes], see: Callable[[Sequence[int]], NDArray[np.float32]]) -> NDArray[np.float32]:
        # a card asks for the same edit twice: it is tuned on edits that were drawn to weigh interactions
        missing = list({key: place for place, key in enumerate(keys) if key not in self._known}.values())
        if missing:
            self._known |= zip([keys[place] for place in missing], see(missing), strict=True)
        return np.stack([self._known[key] for key in keys])

    def _seen(self, draw: Callable[[slice], NDArray[np.float32]], count: int) -> NDArray[np.float32]:
        # the base's sessions leave Python's lock while they compute, so threads are as good as processes
        size = min(self.runtime.batch, max(1, -(-count // self.threads)))
        parts = [slice(start, start + size) for start in range(0, count, size)]
        out_BL = np.empty((count, self.runtime.latents), dtype=np.float32)
        if self.threads == 1:
            for part in parts:
                out_BL[part] = self.runtime.seen(draw(part))
            return out_BL
        with ThreadPoolExecutor(self.threads) as pool:
            for part, latents_PL in zip(
                parts, pool.map(lambda part: self.runtime.seen(draw(part)), parts), strict=True
            ):
                out_BL[part] = latents_PL
        return out_BL

    def _preserve(self, rows: Sequence[int], latents_BL: NDArray[Any]) -> NDArray[np.float32]:
        pictures = self._pictures(latents_BL)
        pictures -= self._pictures(self.latents_NL[rows])
        pictures += np.stack([self._own(row) for row in rows]) / np.float32(255)
        return pictures

    def _own(self, row: int) -> NDArray[np.uint8]:
        """Return image `row` as a base sees it, [3, S, S]; a card edits the same images again and again."""
        kept = self._owned.get(row)
        if kept is None:
            kept = np.ascontiguousarray(self.images.small([row], self.runtime.image_size)[0].transpose(2, 0, 1))
            if len(self._owned) < _PICTURES_KEPT:
                self._owned[row] = kept
        return kept

    def _pictures(self, latents_BL: NDArray[Any]) -> NDArray[np.float32]:
        """Return what latents draw, [B, 3, S, S], as an array of the caller's own."""
        # a card asks for the same picture twice: edits are judged in both modes, and rows edited for every factor
        keys = _keys(latents_BL)
        kept = [self._drawn.get(key) for key in keys]
        missing = [index for index, picture in enumerate(kept) if picture is None]
        if len(missing) == len(keys):
            pictures = self.runtime.drawn(latents_BL)
        else:
            pictures = np.empty((len(keys), 3, self.runtime.image_size, self.runtime.image_size), dtype=np.float32)
            if missing:
                pictures[missing] = self.runtime.drawn(latents_BL[missing])
        for index, picture in enumerate(kept):
            if picture is not None:
                np.divide(picture, _STEPS, out=pictures[index])
            elif len(self._drawn) < _PICTURES_KEPT:
                self._drawn[keys[index]] = (pictures[index] * _STEPS + np.float32(0.5)).astype(np.uint16)
        return pictures


def _keys(latents_BL: NDArray[Any]) -> list[bytes]:
    return [latents_L.tobytes() for latents_L in latents_BL.astype(np.float32, copy=False)]
