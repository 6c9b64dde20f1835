"""Encoding: the images of a set to latents, once per set and base; and the stored form of latents."""

import io
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heddle_platform.errors import DataCorrupt
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


def pack_latents(latents_NL: NDArray[np.float32]) -> bytes:
    """Return latents as `.npz` bytes."""
    out = io.BytesIO()
    np.savez(out, latents=latents_NL)
    return out.getvalue()


def unpack_latents(data: bytes, *, rows: int) -> NDArray[np.float32]:
    """Read what `pack_latents` wrote.

    Args:
        data: the bytes.
        rows: how many latents there must be.

    Raises:
        DataCorrupt: code `latents_corrupt`.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            latents_NL = np.asarray(stored["latents"], dtype=np.float32)
    except Exception as error:  # numpy and zipfile raise half a dozen types on damaged bytes
        raise DataCorrupt(f"{len(data)} bytes of stored latents cannot be read", code="latents_corrupt") from error
    if latents_NL.ndim != 2 or len(latents_NL) != rows or not np.isfinite(latents_NL).all():
        raise DataCorrupt(
            f"stored latents have shape {latents_NL.shape}, the set has {rows} images", code="latents_corrupt"
        )
    return latents_NL
