"""The stored form of an image set's latents: workers write it, workers and the control plane's preview read it."""

import io

import numpy as np
from numpy.typing import NDArray

from heddle_platform.errors import DataCorrupt


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
