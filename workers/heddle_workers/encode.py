"""Encoding: the images of a set to latents, once per set and base."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heddle_workers.image_set import ImageSet
from heddle_workers.progress import Report

if TYPE_CHECKING:  # the dispatcher stores latents and needs no ONNX Runtime for it
    from heddle_platform.base.runtime import BaseRuntime

_CHUNK = 32  # images decoded ahead; the base's own chunks are no larger than twice this


def encode_rows(
    images: ImageSet, rows: range, runtime: "BaseRuntime", report: Report, *, threads: int = 1
) -> NDArray[np.float32]:
    """Encode some rows of a set.

    Args:
        images: the set.
        rows: which of its images.
        runtime: the base.
        report: told the share done.
        threads: how many images are decoded and encoded at once.

    Returns:
        Standardised latents, float32 [len(rows), L].
    """
    latents_NL = np.empty((len(rows), runtime.latents), dtype=np.float32)
    starts = range(0, len(rows), _CHUNK)

    def encode(start: int) -> NDArray[np.float32]:
        return runtime.encode(images.small(rows[start : start + _CHUNK], runtime.image_size))

    with ThreadPoolExecutor(threads) as pool:
        for start, chunk_NL in zip(starts, pool.map(encode, starts), strict=True):
            latents_NL[start : start + len(chunk_NL)] = chunk_NL
            report("encoding", (start + len(chunk_NL)) / len(rows))
    return latents_NL
