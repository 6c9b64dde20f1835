"""Pressed: an adapter in a third of its memory, for who holds the adapters of very many tenants.

| part | kept as | edits differ by |
|---|---|---|
| write, interactions | 20 bits a number | less than 1e-5 of a latent's deviation |
| read | 18 bits; of a levelled factor all columns less its last, which changes no reading | the same |
| whitening | 16 bits, its triangle alone | nothing; the extrapolation flag by 1e-3 of itself |
| spread | not at all: it is read' Sigma, and the whitening knows Sigma | only with `preserve`, by 1e-3 |
| factors, codings, choices | once for all adapters that have the same | nothing |

Pressing is a function of the adapter alone, so all replicas edit alike. An adapter of another make (a whitening
that is no triangle, a spread that is not read' Sigma) comes back from `press` as it went in.
"""

import json
from collections.abc import MutableMapping, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter
from heddle_adapters.arrays import Singles
from heddle_adapters.design import Coding, column_slices, score_slices
from heddle_adapters.fixed_point import pack_rows, packed_bytes, unpack_rows
from heddle_adapters.interaction import Interaction, pair_columns
from heddle_platform.digest import canonical_json
from heddle_platform.factors import FactorSet, parse_factor_set

_WRITE_BITS: Final = 20
_READ_BITS: Final = 18
_WHITEN_BITS: Final = 16
_SPREAD_TOLERANCE: Final = 1e-3  # of the largest number in it


class Pressed:
    """See the module."""

    __slots__ = ("_data", "head")

    def __init__(self, head: bytes, data: bytes) -> None:
        self.head = head  # what it has in common with others
        self._data = data

    @property
    def nbytes(self) -> int:
        """Bytes that are this adapter's alone."""
        return len(self._data)

    def adapter(self) -> Adapter:
        """Return the adapter, unpacked anew."""
        return _opened(json.loads(self.head), _factor_set(self.head), memoryview(self._data))


def press(adapter: Adapter, heads: MutableMapping[bytes, bytes]) -> Pressed | Adapter:
    """Press an adapter.

    Args:
        adapter: as it was unpacked.
        heads: what adapters pressed before have in common, by itself; a new one is added.

    Returns:
        The pressed adapter; `adapter` itself where it cannot be pressed.
    """
    whiten_LL = adapter.whiten_LL
    if not np.array_equal(np.tril(whiten_LL), whiten_LL) or not _derivable(adapter):
        return adapter
    head = _head(adapter)
    return Pressed(heads.setdefault(head, head), _data(adapter))


def _derivable(adapter: Adapter) -> bool:
    wanted_CL = adapter.spread_CL
    difference_CL = _contrasts(_spread(adapter.read_LC, adapter.whiten_LL, adapter.live_L) - wanted_CL, adapter)
    return bool(np.abs(difference_CL).max(initial=0.0) <= _SPREAD_TOLERANCE * np.abs(wanted_CL).max(initial=1e-30))


def _contrasts(spread_CL: NDArray[Any], adapter: Adapter) -> NDArray[Any]:
    result_CL = spread_CL.copy()
    for coding, block in zip(adapter.codings, adapter.score_slices, strict=True):
        if coding.levels:
            result_CL[block] -= result_CL[block].mean(axis=0)
    return result_CL


def _spread(read_LC: Singles, whiten_LL: Singles, live_L: NDArray[np.bool_]) -> Singles:
    """Return read' Sigma, where Sigma = inverse(U U') over the latents that live."""
    live = np.ix_(live_L, live_L)
    half_LL = np.linalg.inv(whiten_LL[live].astype(np.float64))
    spread_CL = np.zeros(read_LC.T.shape)
    spread_CL[:, live_L] = read_LC[live_L].T.astype(np.float64) @ (half_LL.T @ half_LL)
    return spread_CL.astype(np.float32)


def _kept(codings: Sequence[Coding]) -> NDArray[np.bool_]:
    """Say which score columns are kept: all but the last of each levelled factor."""
    kept = [np.arange(coding.scores) < (coding.scores - 1 if coding.levels else coding.scores) for coding in codings]
    return np.concatenate(kept)


def _from_last(scores: NDArray[Any], codings: Sequence[Coding]) -> NDArray[Any]:
    """Count a levelled factor's columns from its last one: argmax, softmax and contrasts stay as they are."""
    result = np.array(scores, dtype=np.float64)
    for coding, block in zip(codings, score_slices(codings), strict=True):
        if coding.levels:
            result[..., block] -= result[..., block.stop - 1 : block.stop]
    return result


def _head(adapter: Adapter) -> bytes:
    return canonical_json(
        {
            "factor_set": adapter.factor_set.document(),
            "base_digest": adapter.base_digest,
            "latents": adapter.latents,
            "codings": [[coding.kind, coding.levels] for coding in adapter.codings],
            "detail": adapter.detail,
            "refused": adapter.refused,
            "write_kind": adapter.write_kind,
            "read_kinds": adapter.read_kinds,
            "interactions": [[one.factor, one.on, one.thin] for one in adapter.interactions],
        }
    )


@lru_cache(maxsize=1024)
def _factor_set(head: bytes) -> FactorSet:
    return parse_factor_set(json.loads(head)["factor_set"])


def _data(adapter: Adapter) -> bytes:
    kept_C, below = _kept(adapter.codings), np.tril_indices(adapter.latents)
    numbers = [adapter.radius, adapter.write_condition, adapter.ridge, adapter.residual_share]
    numbers += [value for coding in adapter.codings for value in (coding.center, coding.spread)]
    numbers += [value for one in adapter.interactions for value in (one.gain, one.error)]
    small = [
        _from_last(adapter.read_bias_C, adapter.codings),
        adapter.temperature_F,
        adapter.gain_F,
        adapter.usable_F2.ravel(),
        adapter.mean_L,
    ]
    return b"".join(
        [
            np.array(numbers, "<f8").tobytes(),
            np.concatenate(small).astype("<f4").tobytes(),
            np.packbits(adapter.live_L).tobytes(),
            pack_rows(_from_last(adapter.read_LC, adapter.codings)[:, kept_C].T, _READ_BITS),
            pack_rows(adapter.write_PL, _WRITE_BITS),
            pack_rows(adapter.interact_QL, _WRITE_BITS),
            pack_rows(adapter.whiten_LL[below][None], _WHITEN_BITS),
        ]
    )


class _Reader:
    """Takes one part after another."""

    def __init__(self, data: memoryview) -> None:
        self._data = data

    def numbers(self, count: int, kind: str) -> NDArray[Any]:
        return np.frombuffer(self._take(count * np.dtype(kind).itemsize), kind)

    def rows(self, rows: int, columns: int, bits: int) -> Singles:
        return unpack_rows(self._take(packed_bytes(rows, columns, bits)), rows, columns, bits)

    def _take(self, size: int) -> memoryview:
        part, self._data = self._data[:size], self._data[size:]
        return part


def _opened(head: dict[str, Any], factor_set: FactorSet, data: memoryview) -> Adapter:
    reader, latents, factors = _Reader(data), head["latents"], len(head["codings"])
    pairs = head["interactions"]
    radius, condition, ridge, share, *numbers = reader.numbers(4 + 2 * factors + 2 * len(pairs), "<f8").tolist()
    codings = tuple(
        Coding(kind, levels, numbers[2 * index], numbers[2 * index + 1])
        for index, (kind, levels) in enumerate(head["codings"])
    )
    interactions = tuple(
        Interaction(factor, on, gain, error, tuple((own, other) for own, other in thin))
        for (factor, on, thin), gain, error in zip(
            pairs, numbers[2 * factors :: 2], numbers[2 * factors + 1 :: 2], strict=True
        )
    )
    kept_C, columns = _kept(codings), column_slices(codings)[-1].stop
    bias_C, temperature_F, gain_F, usable_F2, mean_L = (
        reader.numbers(count, "<f4").astype(np.float32)
        for count in (len(kept_C), factors, factors, 2 * factors, latents)
    )
    live_L = np.unpackbits(reader.numbers((latents + 7) // 8, "u1"), count=latents).astype(np.bool_)
    read_LC = np.zeros((latents, len(kept_C)), np.float32)
    read_LC[:, kept_C] = reader.rows(int(kept_C.sum()), latents, _READ_BITS).T
    write_PL = reader.rows(columns, latents, _WRITE_BITS)
    products = sum(pair_columns(codings, one) for one in interactions)
    interact_QL = reader.rows(products, latents, _WRITE_BITS)
    whiten_LL = np.zeros((latents, latents), np.float32)
    whiten_LL[np.tril_indices(latents)] = reader.rows(1, latents * (latents + 1) // 2, _WHITEN_BITS)[0]
    return Adapter(
        factor_set=factor_set,
        base_digest=head["base_digest"],
        codings=codings,
        read_LC=read_LC,
        read_bias_C=bias_C,
        temperature_F=temperature_F,
        write_PL=write_PL,
        gain_F=gain_F,
        detail=tuple(head["detail"]),
        refused=tuple(head["refused"]),
        live_L=live_L,
        usable_F2=usable_F2.reshape(factors, 2),
        spread_CL=_spread(read_LC, whiten_LL, live_L),
        mean_L=mean_L,
        whiten_LL=whiten_LL,
        radius=radius,
        write_kind=head["write_kind"],
        write_condition=condition,
        read_kinds=tuple(head["read_kinds"]),
        ridge=ridge,
        residual_share=share,
        interactions=interactions,
        interact_QL=interact_QL,
    )
