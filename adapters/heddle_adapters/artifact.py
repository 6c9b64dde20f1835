"""The stored form of an adapter: one `.npz` without pickle, byte-identical for equal adapters."""

import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from heddle_adapters.adapter import Adapter
from heddle_adapters.design import Coding
from heddle_adapters.interaction import Interaction
from heddle_adapters.sealed_zip import npy_array, npy_bytes, zipped
from heddle_adapters.solve import RESIDUAL_SHARE
from heddle_platform.digest import canonical_json, sha256_hex
from heddle_platform.errors import DataCorrupt
from heddle_platform.factors import parse_factor_set

FORMAT_VERSION = 2  # with interactions; an adapter without any is written as format 1
FORMATS = (1, 2)
_HEADER = "header.json"
_ARRAYS = (
    "read_LC",
    "read_bias_C",
    "temperature_F",
    "write_PL",
    "gain_F",
    "live_L",
    "usable_F2",
    "spread_CL",
    "mean_L",
    "whiten_LL",
)


def pack(adapter: Adapter) -> bytes:
    """Return the adapter's bytes: sorted names, fixed dates, no compression, little-endian."""
    header: dict[str, Any] = {
        "format": FORMAT_VERSION if adapter.interactions else 1,
        "factor_set": adapter.factor_set.document(),
        "base_digest": adapter.base_digest,
        "codings": [[coding.kind, coding.levels, coding.center, coding.spread] for coding in adapter.codings],
        "detail": adapter.detail,
        "refused": adapter.refused,
        "radius": adapter.radius,
        "write_kind": adapter.write_kind,
        "write_condition": adapter.write_condition,
        "read_kinds": adapter.read_kinds,
        "ridge": adapter.ridge,
        "residual_share": adapter.residual_share,
    }
    if adapter.interactions:
        header["interactions"] = [[one.factor, one.on, one.gain, one.error, one.thin] for one in adapter.interactions]
    members = {_HEADER: canonical_json(header)}
    for name in _array_names(header["format"]):
        members[f"{name}.npy"] = npy_bytes(getattr(adapter, name))
    return zipped(members)


def unpack(data: bytes) -> Adapter:
    """Read what `pack` wrote.

    Raises:
        DataCorrupt: the bytes are damaged, or of another format version.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            header: dict[str, Any] = json.loads(archive.read(_HEADER))
            if header["format"] not in FORMATS:
                raise DataCorrupt(
                    f"the adapter has format {header['format']}, this program reads up to {FORMAT_VERSION}; refit it",
                    code="unknown_format",
                )
            arrays = {name: npy_array(archive.read(f"{name}.npy")) for name in _array_names(header["format"])}
        adapter = Adapter(
            factor_set=parse_factor_set(header["factor_set"]),
            base_digest=header["base_digest"],
            codings=tuple(Coding(*row) for row in header["codings"]),
            detail=tuple(header["detail"]),
            refused=tuple(header["refused"]),
            radius=header["radius"],
            write_kind=header["write_kind"],
            write_condition=header["write_condition"],
            read_kinds=tuple(header["read_kinds"]),
            ridge=header.get("ridge", 3.0),  # what all fits had before it was chosen
            residual_share=header.get("residual_share", RESIDUAL_SHARE),  # likewise
            interactions=tuple(_interaction(*row) for row in header.get("interactions", ())),
            **arrays,
        )
        _check_shapes(adapter)
    except DataCorrupt:
        raise
    except Exception as error:  # a damaged zip, header or array fails in too many ways to list
        raise DataCorrupt(
            f"the adapter's {len(data)} bytes cannot be read ({type(error).__name__}); fetch or refit it",
            code="adapter_corrupt",
        ) from error
    return adapter


def digest_of(data: bytes) -> str:
    """Return the content address of packed bytes."""
    return sha256_hex(data)


def _array_names(version: int) -> tuple[str, ...]:
    return _ARRAYS if version == 1 else (*_ARRAYS, "interact_QL")


def _interaction(factor: int, on: int, gain: float, error: float, thin: Sequence[Sequence[int]]) -> Interaction:
    return Interaction(factor, on, gain, error, tuple((int(own), int(other)) for own, other in thin))


def _check_shapes(adapter: Adapter) -> None:
    latents, factors = adapter.latents, len(adapter.factor_set.factors)
    scores, columns = adapter.score_slices[-1].stop, adapter.column_slices[-1].stop
    wanted = {
        "read_LC": (latents, scores),
        "read_bias_C": (scores,),
        "temperature_F": (factors,),
        "write_PL": (columns, latents),
        "gain_F": (factors,),
        "usable_F2": (factors, 2),
        "spread_CL": (scores, latents),
        "mean_L": (latents,),
        "whiten_LL": (latents, latents),
        "interact_QL": (adapter.products, latents),
    }
    for name, shape in wanted.items():
        found = getattr(adapter, name).shape
        if found != shape:
            raise DataCorrupt(f"the adapter's {name} has shape {found}, its header asks for {shape}; refit it")
    finite = np.isfinite(adapter.write_PL).all() and np.isfinite(adapter.interact_QL).all()
    if len(adapter.codings) != factors or not finite:
        raise DataCorrupt("the adapter's matrices do not belong to its header; refit it")
