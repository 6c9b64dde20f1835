"""The adapter: what a tenant gets. A frozen pair of small matrices, read and write, and what is known of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Literal

import numpy as np

from heddle_adapters.arrays import Mask, Singles, frozen
from heddle_adapters.contrast import Contrast, contrast_of
from heddle_adapters.design import Coding, column_slices, score_slices
from heddle_adapters.interaction import Interaction, pair_columns
from heddle_platform.errors import InvalidInput
from heddle_platform.factors import FactorSet

DetailMode = Literal["decode", "preserve"]
WriteKind = Literal["hybrid", "additive"]
ReadKind = Literal["closed_form", "discriminative"]


@dataclass(frozen=True, eq=False)
class Adapter:
    """A tenant's read/write pair over L standardised latents.

    F factors, P design columns, C score columns. All arrays are read-only; latents are standardised by the
    base's own statistics. `artifact.pack` gives equal adapters equal bytes.

    Attributes:
        factor_set: the factors, in order.
        base_digest: the base whose latents this adapter understands, and no other.
        codings: per factor, how its values become design columns.
        read_LC: score directions, all factors' columns side by side: a logit per level (binary, categorical,
            ordinal), the value in its unit (continuous), cos and sin (periodic).
        read_bias_C: their offsets; scores = latents @ read_LC + read_bias_C.
        temperature_F: what a levelled factor's logits are divided by before softmax; for continuous factors
            the standard error of a reading in its unit, for periodic ones in radians (both out of fold).
        write_PL: latent change per unit of each design column.
        gain_F: factor the change is multiplied by before it is written, chosen by the report card.
        detail: per factor, the drawing mode the report card measured as better.
        refused: names of factors the gate refused; they can be read and not edited.
        live_L: latents that vary; dead ones are neither read nor written.
        usable_F2: lowest and highest value edits reach: level index, or value in the factor's unit.
        spread_CL: covariance of scores with latents, read' Sigma: the metric in which `preserve` projects.
        mean_L, whiten_LL: (latents - mean_L) @ whiten_LL has unit covariance over the tenant's images.
        radius: whitened norm that 99 % of the tenant's images lie within, as if left out (`linear.trusted_radius`).
        write_kind: "hybrid", or "additive" where the probes were too badly conditioned for it.
        write_condition: condition number that decided about `write_kind`.
        read_kinds: per factor, which read won out of fold.
        ridge: pseudo-counts per level of the joint fit; unlearning keeps it.
        residual_share: how far the residual covariance was shrunk, share of the Gaussian optimum; kept likewise.
        interactions: pairs of factors whose effects do not add up; most adapters have none.
        interact_QL: latent change per unit of each of their Q product columns, pair after pair.
    """

    factor_set: FactorSet
    base_digest: str
    codings: tuple[Coding, ...]
    read_LC: Singles
    read_bias_C: Singles
    temperature_F: Singles
    write_PL: Singles
    gain_F: Singles
    detail: tuple[DetailMode, ...]
    refused: tuple[str, ...]
    live_L: Mask
    usable_F2: Singles
    spread_CL: Singles
    mean_L: Singles
    whiten_LL: Singles
    radius: float
    write_kind: WriteKind
    write_condition: float
    read_kinds: tuple[ReadKind, ...]
    ridge: float
    residual_share: float
    interactions: tuple[Interaction, ...] = ()
    interact_QL: Singles = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def __post_init__(self) -> None:
        if not self.interactions and not self.interact_QL.size:
            object.__setattr__(self, "interact_QL", np.zeros((0, self.latents), np.float32))
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, np.ndarray) and value.flags.writeable:
                object.__setattr__(self, one.name, frozen(value))

    @property
    def latents(self) -> int:
        """L, the number of latents."""
        return int(self.live_L.size)

    @cached_property
    def column_slices(self) -> tuple[slice, ...]:
        """Each factor's slice of the P design columns (rows of `write_PL`)."""
        return column_slices(self.codings)

    @cached_property
    def score_slices(self) -> tuple[slice, ...]:
        """Each factor's slice of the C score columns (columns of `read_LC`)."""
        return score_slices(self.codings)

    @property
    def products(self) -> int:
        """Q, the number of product columns its interactions ask for (rows of `interact_QL`)."""
        return sum(pair_columns(self.codings, one) for one in self.interactions)

    @cached_property
    def contrasts(self) -> tuple[Contrast, ...]:
        """Each factor's principal read directions, for `preserve`."""
        return tuple(
            contrast_of(self.read_LC[:, block], self.spread_CL[block], levelled=coding.levels > 0)
            for coding, block in zip(self.codings, self.score_slices, strict=True)
        )

    @cached_property
    def positions(self) -> dict[str, int]:
        """Factor name -> its place in the factor set."""
        return {name: index for index, name in enumerate(self.factor_set.names)}

    def with_gains(self, gains: Mapping[str, float]) -> "Adapter":
        """Return a copy whose named factors are written with these gains."""
        gain_F = self.gain_F.copy()
        for name, gain in gains.items():
            gain_F[self.positions[name]] = gain
        return replace(self, gain_F=gain_F)

    def with_detail(self, detail: Mapping[str, DetailMode]) -> "Adapter":
        """Return a copy whose named factors are drawn in these modes."""
        chosen = tuple(detail.get(name, mode) for name, mode in zip(self.factor_set.names, self.detail, strict=True))
        return replace(self, detail=chosen)

    def with_refused(self, names: Sequence[str]) -> "Adapter":
        """Return a copy in which exactly these factors cannot be edited.

        Raises:
            InvalidInput: code `unknown_factor`.
        """
        for name in names:
            self.factor_set.factor(name)
        return replace(self, refused=tuple(name for name in self.factor_set.names if name in set(names)))

    def check_latents(self, width: int) -> None:
        """Raise InvalidInput (code `latent_mismatch`) unless `width` is this adapter's number of latents."""
        if width != self.latents:
            raise InvalidInput(
                f"the latents have {width} columns, the adapter was fitted on {self.latents}; use its own base",
                code="latent_mismatch",
                param="latents",
            )
