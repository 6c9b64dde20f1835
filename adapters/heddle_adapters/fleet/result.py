"""What the fleet solver returns: all fits side by side, any of them as an adapter. Numbers only, no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter, DetailMode, ReadKind
from heddle_adapters.arrays import Floats, Mask, Singles
from heddle_adapters.design import Coding, column_slices, score_slices
from heddle_adapters.fit import usable_range
from heddle_adapters.fleet.intake import FleetTenant
from heddle_adapters.intake import labels_of
from heddle_adapters.linear import WORST_CONDITION
from heddle_adapters.weights import relative_weights
from heddle_platform.errors import InvalidInput, NotFound

DETAIL: DetailMode = "decode"
READ_KIND: ReadKind = "closed_form"


@dataclass(frozen=True, eq=False)
class Solved:
    """One chunk's fits in padded arrays, [B, ...], named as the fields of `Adapter`.

    Attributes:
        indices: places in the fleet.
        codings: per tenant.
        ridge_B: pseudo-counts that were chosen.
        share_B: shares of the residual covariance's shrinkage that were.
        refused: places of tenants that could not be solved.
    """

    indices: tuple[int, ...]
    codings: tuple[tuple[Coding, ...], ...]
    read_BLC: Singles
    read_bias_BC: Singles
    temperature_BF: Singles
    write_BPL: Singles
    live_BL: Mask
    spread_BCL: Singles
    mean_BL: Singles
    whiten_BLL: Singles
    radius_B: Floats
    condition_B: Floats
    ridge_B: Floats
    share_B: Floats
    refused: dict[int, InvalidInput]


@dataclass(frozen=True, eq=False)
class FleetFit:
    """The fits of a fleet.

    Attributes:
        tenants: as they came in.
        solved: place in the fleet -> its chunk and its place there.
        refused: place in the fleet -> why there is no fit.
    """

    tenants: tuple[FleetTenant, ...]
    solved: Mapping[int, tuple[Solved, int]]
    refused: Mapping[int, InvalidInput]

    def ridge(self, index: int) -> float:
        """Return the pseudo-counts that tenant `index` was fitted with; raises as `adapter`."""
        chunk, place = self._find(index)
        return float(chunk.ridge_B[place])

    def adapter(self, index: int) -> Adapter:
        """Return tenant `index`'s adapter: what `fit_adapter(..., refine=False)` returns for it, to 1e-6.

        Raises:
            InvalidInput: why it was refused.
            NotFound: there is no such tenant.
        """
        chunk, place = self._find(index)
        tenant, codings = self.tenants[index], chunk.codings[place]
        factors, columns, scores = len(codings), column_slices(codings)[-1].stop, score_slices(codings)[-1].stop
        condition, values_NF = float(chunk.condition_B[place]), labels_of(tenant.values_NF)
        return Adapter(
            factor_set=tenant.factor_set,
            base_digest=tenant.base_digest,
            codings=codings,
            read_LC=chunk.read_BLC[place, :, :scores],
            read_bias_C=chunk.read_bias_BC[place, :scores],
            temperature_F=chunk.temperature_BF[place, :factors],
            write_PL=chunk.write_BPL[place, :columns],
            gain_F=np.ones(factors, np.float32),
            detail=(DETAIL,) * factors,
            refused=(),
            live_L=chunk.live_BL[place],
            usable_F2=usable_range(tenant.factor_set, values_NF, relative_weights(tenant.weight_N, len(values_NF))),
            spread_CL=chunk.spread_BCL[place, :scores],
            mean_L=chunk.mean_BL[place],
            whiten_LL=chunk.whiten_BLL[place],
            radius=float(chunk.radius_B[place]),
            write_kind="additive" if condition > WORST_CONDITION else "hybrid",
            write_condition=condition,
            read_kinds=(READ_KIND,) * factors,
            ridge=self.ridge(index),
            residual_share=float(chunk.share_B[place]),
        )

    def _find(self, index: int) -> tuple[Solved, int]:
        if index in self.refused:
            raise self.refused[index]
        if index not in self.solved:
            raise NotFound(f"there is no tenant {index} among {len(self.tenants)}", code="unknown_tenant")
        return self.solved[index]


def singles(array: NDArray[Any]) -> Singles:
    """Return single precision, in which adapters are kept."""
    with np.errstate(over="ignore"):  # of tenants that are refused
        return np.ascontiguousarray(array, dtype=np.float32)


def none_live(rows: int, latents: int, least: float) -> InvalidInput:
    """Return the refusal of a tenant whose images do not differ."""
    return InvalidInput(
        f"none of {latents} latents varies by {least} over {rows} images; are they all the same picture?",
        code="no_live_latent",
    )


def not_solvable(rows: int, factors: Sequence[str]) -> InvalidInput:
    """Return the refusal of a tenant whose equations have no finite solution."""
    return InvalidInput(
        f"the fit of {len(factors)} factors to {rows} images has no finite solution; remove images that repeat "
        "each other, or factors that say the same",
        code="ill_conditioned",
    )
