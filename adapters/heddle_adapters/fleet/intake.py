"""What enters the fleet: each tenant checked by itself, its rows dealt into folds; then equals are put side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import LARGEST_LATENT, Floats, finite_matrix
from heddle_adapters.design import Coding, code_all, coding_of
from heddle_adapters.fleet.structure import Widths, padded_rows, stacked, structure_of, widths_of
from heddle_adapters.folds import fold_of_rows
from heddle_adapters.held_out import fold_count
from heddle_adapters.intake import check_values
from heddle_adapters.weights import relative_weights
from heddle_platform.errors import InvalidInput
from heddle_platform.factors import FactorSet

CHUNK_TENANTS = 16  # of 1,000 rows and 64 latents: 8 MB, what a core's caches hold
_CHUNK_VALUES = CHUNK_TENANTS * 1024 * 64
_MOST_TENANTS = 256  # in a chunk: their matrices would outgrow the caches where rows are few


@dataclass(frozen=True, eq=False)
class FleetTenant:
    """One tenant's labelled set; see `fit.fit_adapter` for the fields."""

    latents_NL: NDArray[Any]
    values_NF: NDArray[Any]
    factor_set: FactorSet
    base_digest: str
    pool_ML: NDArray[Any] | None = None
    weight_N: NDArray[Any] | None = None


@dataclass(frozen=True, eq=False)
class Admitted:
    """A tenant whose input is in order.

    Attributes:
        index: its place in the fleet.
        tenant: as it came.
        values_NF: labels as float64.
        weight_N: of the rows, see `weights`.
        codings: per factor.
        fold_N: fold of each row.
        folds: how many.
    """

    index: int
    tenant: FleetTenant
    values_NF: Floats
    weight_N: Floats | None
    codings: tuple[Coding, ...]
    fold_N: NDArray[np.intp]
    folds: int

    @property
    def shape(self) -> tuple[int, int, int, int, bool, bool, Widths]:
        """What it must have in common with tenants solved beside it."""
        pool = self.tenant.pool_ML
        return (
            self.folds,
            padded_rows(-(-len(self.values_NF) // self.folds)),
            self.tenant.latents_NL.shape[1],
            padded_rows(len(pool)) if pool is not None else 0,
            bool(np.isnan(self.values_NF).any()),
            self.weight_N is not None,
            widths_of(self.codings),
        )


@dataclass(frozen=True, eq=False)
class Packed:
    """Tenants of one shape in padded arrays, [B, ...].

    Attributes:
        tenants: who they are, in order.
        latents_BGNL, values_BGNF: rows by fold; zero and NaN in padding.
        rows_BGN: one, or the row's weight; zero in padding.
        weighted: whether rows have weights.
        design_BGNP: NaN where a label is missing, zero in padding.
        counts_BGC: labels per level and fold, or the sum of their weights.
        labelled_BGF: labels per factor and fold; one in padded factors.
        period_BF: of periodic factors, else 1.
        layout: `structure.stacked`.
        pool_BML, pool_BM: unlabelled latents and their weights; None without.
    """

    tenants: Sequence[Admitted]
    latents_BGNL: Floats
    values_BGNF: Floats
    rows_BGN: Floats
    weighted: bool
    design_BGNP: Floats
    counts_BGC: Floats
    labelled_BGF: Floats
    period_BF: Floats
    layout: dict[str, NDArray[Any]]
    pool_BML: Floats | None
    pool_BM: Floats | None


def admit(index: int, tenant: FleetTenant) -> Admitted:
    """Check one tenant.

    Raises:
        InvalidInput: as `fit.fit_adapter`, except what only the latents' spread can tell.
    """
    _check_latents(tenant.latents_NL, "latents")
    values_NF = check_values(tenant.values_NF, tenant.factor_set, len(tenant.latents_NL))
    if tenant.pool_ML is not None:
        _check_latents(tenant.pool_ML, "pool latents")
        if tenant.pool_ML.shape[1] != tenant.latents_NL.shape[1]:
            raise InvalidInput(
                f"labelled latents have {tenant.latents_NL.shape[1]} columns, the pool's {tenant.pool_ML.shape[1]}; "
                "use one base",
                code="latent_mismatch",
            )
    weight_N = relative_weights(tenant.weight_N, len(values_NF))
    codings = tuple(
        coding_of(factor, values_NF[:, place], weight_N=weight_N)
        for place, factor in enumerate(tenant.factor_set.factors)
    )
    folds = fold_count(len(values_NF))
    return Admitted(index, tenant, values_NF, weight_N, codings, fold_of_rows(values_NF, folds, seed=0), folds)


def chunks_of(tenants: Sequence[Admitted]) -> Iterator[Sequence[Admitted]]:
    """Group tenants by padded shape, and cut the groups into chunks."""
    groups: dict[object, list[Admitted]] = {}
    for tenant in tenants:
        groups.setdefault(tenant.shape, []).append(tenant)
    return chain.from_iterable(_cut(group) for group in groups.values())


def _cut(group: list[Admitted]) -> Iterator[Sequence[Admitted]]:
    folds, rows, latents, pool, _, _, _ = group[0].shape
    count = max(1, _CHUNK_VALUES // ((folds * rows + pool) * latents))
    size = min(count, _MOST_TENANTS)
    return (group[start : start + size] for start in range(0, len(group), size))


def pack(tenants: Sequence[Admitted]) -> Packed:
    """Put tenants of one shape into padded arrays."""
    folds, rows, latents, pool, _, weighted, widths = tenants[0].shape
    size, factors = len(tenants), max(len(one.codings) for one in tenants)
    packed = Packed(
        tenants,
        np.zeros((size, folds, rows, latents)),
        np.full((size, folds, rows, factors), np.nan),
        np.zeros((size, folds, rows)),
        weighted,
        np.zeros((size, folds, rows, widths.columns)),
        np.zeros((size, folds, widths.scores)),
        np.ones((size, folds, factors)),
        np.ones((size, factors)),
        stacked([structure_of(one.codings, widths, factors) for one in tenants]),
        np.zeros((size, pool, latents)) if pool else None,
        np.zeros((size, pool)) if pool else None,
    )
    for place, one in enumerate(tenants):
        _fill(packed, place, one)
    return packed


def _fill(packed: Packed, place: int, one: Admitted) -> None:
    order_N = np.argsort(one.fold_N, kind="stable")
    fold_N = one.fold_N[order_N]
    row_N = np.arange(len(order_N)) - np.searchsorted(fold_N, np.arange(one.folds))[fold_N]
    packed.latents_BGNL[place, fold_N, row_N] = one.tenant.latents_NL[order_N]
    weight_N = None if one.weight_N is None else one.weight_N[order_N]
    packed.rows_BGN[place, fold_N, row_N] = 1.0 if weight_N is None else weight_N
    design_NP = code_all(one.values_NF, one.codings)
    packed.design_BGNP[place, fold_N, row_N, : design_NP.shape[1]] = design_NP[order_N]
    values_NF = one.values_NF[order_N]
    packed.values_BGNF[place, fold_N, row_N, : values_NF.shape[1]] = values_NF
    first = 0
    for index, coding in enumerate(one.codings):
        known_N = ~np.isnan(values_NF[:, index])
        packed.labelled_BGF[place, :, index] = np.bincount(fold_N[known_N], minlength=one.folds)
        if coding.levels:
            flat_N = fold_N[known_N] * coding.levels + values_NF[known_N, index].astype(np.int64)
            weights = None if weight_N is None else weight_N[known_N]
            counts = np.bincount(flat_N, weights, one.folds * coding.levels).reshape(one.folds, coding.levels)
            packed.counts_BGC[place, :, first : first + coding.levels] = counts
        if coding.kind == "periodic":
            packed.period_BF[place, index] = coding.spread
        first += coding.scores
    if packed.pool_BML is not None and packed.pool_BM is not None and one.tenant.pool_ML is not None:
        packed.pool_BML[place, : len(one.tenant.pool_ML)] = one.tenant.pool_ML
        packed.pool_BM[place, : len(one.tenant.pool_ML)] = 1.0


def _check_latents(latents_NL: NDArray[Any], what: str) -> None:
    # NaN is neither; only where the extremes tell of a fault, every value is looked at
    sound = latents_NL.ndim == 2 and 0 not in latents_NL.shape
    if not (sound and latents_NL.max() <= LARGEST_LATENT and latents_NL.min() >= -LARGEST_LATENT):
        finite_matrix(latents_NL, what, LARGEST_LATENT)
