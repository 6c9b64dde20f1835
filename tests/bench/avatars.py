"""Avatars for benchmarks: pictures, labels and factor set, and the latents that the shipped base gives them.

Encoding 24,000 pictures takes most of a minute, so latents are kept in the temporary folder under the digests of
the base and of the data; a better base or other data makes a file of its own.
"""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_platform.base.bundle import default_bundle_path, load_bundle
from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.digest import sha256_hex
from heddle_platform.factors import FactorSet, parse_factor_set

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@dataclass(frozen=True, eq=False)
class Avatars:
    """A labelled set of N pictures.

    Attributes:
        images: uint8 [N, 64, 64, 3].
        values_NF: level indices, every level present.
        factor_set: F categorical factors.
        latents_NL: standardised latents, float32.
        base: the runtime that made them.
    """

    images: NDArray[np.uint8]
    values_NF: NDArray[np.int64]
    factor_set: FactorSet
    latents_NL: NDArray[np.float32]
    base: BaseRuntime


def load_avatars(file: str = "avatars.npz", base_path: Path | None = None) -> Avatars:
    """Load a rendered set of `../shared/data` with its latents.

    Args:
        file: name of the set.
        base_path: directory of a base; None: the shipped one.
    """
    data = (SHARED / file).read_bytes()
    stored = np.load(SHARED / file)
    bundle = load_bundle(base_path or default_bundle_path())
    base = BaseRuntime.from_bundle(bundle)
    values_NF, document = levels_of(stored)
    cached = Path(tempfile.gettempdir()) / "heddle_bench" / f"{sha256_hex(data)[:16]}-{bundle.digest[:16]}.npy"
    if not cached.is_file():
        cached.parent.mkdir(parents=True, exist_ok=True)
        aside = cached.with_suffix(f".{os.getpid()}.npy")
        np.save(aside, base.encode(stored["images"]))
        aside.replace(cached)
    return Avatars(stored["images"], values_NF, parse_factor_set(document), np.load(cached), base)


def levels_of(stored: Any) -> tuple[NDArray[np.int64], dict[str, Any]]:
    """Number the levels that occur; avatars.npz names hair styles that it never draws."""
    names = json.loads(str(stored["factor_values"]))
    columns, factors = [], []
    for index, factor in enumerate(stored["factor_names"]):
        levels, inverse = np.unique(stored["factors"][:, index], return_inverse=True)
        columns.append(inverse)
        spoken = [str(names[index][level]) for level in levels]
        factors.append({"name": str(factor), "kind": "categorical", "levels": spoken})
    return np.stack(columns, axis=1).astype(np.int64), {"name": "bench", "factors": factors}
