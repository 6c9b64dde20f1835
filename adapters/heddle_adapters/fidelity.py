"""Preservation and faithfulness: what an edit changes that no factor names, and whether the base can draw it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter
from heddle_adapters.arrays import Floats, Mask, Singles
from heddle_adapters.curves import Reported
from heddle_adapters.design import code_all
from heddle_adapters.edit import extrapolation
from heddle_adapters.interaction import product_columns
from heddle_adapters.judges import Judge
from heddle_adapters.report_edits import FidelityCard

LABELLED_SHARE = 0.10  # of a direction's variance told by the labels, from which it counts as labelled


@dataclass(frozen=True, eq=False)
class Yardstick:
    """The space in which preservation is measured.

    Attributes:
        nuisance_LL: changes @ nuisance is the part of them outside the labelled span, split by Mahalanobis' metric and
            measured in standardised latents: whitened ones would count the encoder's noise as high as anything.
        dimensions: of that part; may be 0.
        pair, nuisance_pair: mean distance of random pairs of labelled images, in all and outside the span.
        mean_L: mean of the images.
        live_L: latents that vary.
    """

    nuisance_LL: Floats
    dimensions: int
    pair: float
    nuisance_pair: float
    mean_L: Floats
    live_L: Mask

    def preserved(self, change_BL: Singles) -> float | None:
        """Return 1 - mean length of changes outside the labelled span / distance of random pairs there."""
        if not self.dimensions or self.nuisance_pair <= 0:
            return None
        return 1.0 - float(np.linalg.norm(change_BL @ self.nuisance_LL, axis=1).mean()) / self.nuisance_pair

    def error(self, seen_BL: NDArray[Any], asked_BL: NDArray[Any]) -> float:
        """Return the root mean square of seen - asked over that of asked - mean, over latents that vary."""
        wrong_BL = (seen_BL - asked_BL)[:, self.live_L].astype(np.float64)
        size_BL = (asked_BL - self.mean_L)[:, self.live_L].astype(np.float64)
        return float(np.sqrt(np.square(wrong_BL).sum() / max(float(np.square(size_BL).sum()), 1e-12)))


def yardstick(adapter: Adapter, latents_NL: Floats, values_NF: Floats, seed: int = 0) -> Yardstick:
    """Measure the labelled span and the distance of random pairs.

    The labelled span is made of the whitened directions of whose variance the labels of all factors tell a tenth or
    more (canonical correlation squared; twice what chance tells, where that is more).

    Args:
        adapter: fitted on all labels; its whitening and codings are used, none of its directions.
        latents_NL, values_NF: the labelled set.
        seed: of the random pairs.
    """
    whiten_LL = adapter.whiten_LL.astype(np.float64)
    code_NL = (latents_NL - adapter.mean_L) @ whiten_LL
    code_NL = code_NL - code_NL.mean(axis=0)
    design_NP = code_all(values_NF, adapter.codings)
    design_NP = np.where(np.isnan(design_NP), 0.0, design_NP - np.nanmean(design_NP, axis=0))
    # what a factor's look owes to another's level is named by the two of them
    looks = [product_columns(design_NP, values_NF, adapter.codings, one.factor, one.on) for one in adapter.interactions]
    design_NP = np.hstack([design_NP, *(look_NQ - look_NQ.mean(axis=0) for look_NQ in looks)])
    left_NP, size_P, _ = np.linalg.svd(design_NP, full_matrices=False)
    basis_NP = left_NP[:, size_P > 1e-9 * max(float(size_P[0]), 1e-12)]
    told_PL = basis_NP.T @ code_NL
    total_L, turn_LL = np.linalg.eigh(told_PL.T @ told_PL / len(code_NL))
    least = max(LABELLED_SHARE, 2 * basis_NP.shape[1] / len(code_NL))
    live = int(adapter.live_L.sum())
    free_L = total_L < least
    # dead latents whiten to nothing: of the directions the labels do not tell, only as many as vary are real
    free_L &= np.square(whiten_LL @ turn_LL).sum(axis=0) > 1e-12 if live < adapter.latents else True
    free_LD = turn_LL[:, free_L]
    nuisance_LL = whiten_LL @ free_LD @ free_LD.T @ np.linalg.pinv(whiten_LL)
    order = np.random.default_rng(seed).permutation(len(latents_NL))
    apart_NL = (latents_NL[order] - latents_NL[np.roll(order, 1)])[:, adapter.live_L]
    return Yardstick(
        nuisance_LL,
        free_LD.shape[1],
        float(np.linalg.norm(apart_NL, axis=1).mean()),
        float(np.linalg.norm(apart_NL @ nuisance_LL[adapter.live_L], axis=1).mean()),
        adapter.mean_L.astype(np.float64),
        adapter.live_L,
    )


def fidelity_card(
    name: str,
    reported: Sequence[Reported],
    gone_back: Sequence[tuple[Reported, Singles]],
    judges: Mapping[int, Judge],
    measure: Yardstick,
) -> FidelityCard:
    """Sum up one factor.

    Args:
        name: of the factor.
        reported: its edits as served, one part per fold.
        gone_back: some of them, each with the latents of the pictures after the factor was set back.
        judges: fold -> judge.
        measure: the space.
    """
    change_BL = np.concatenate([one.seen_BL - one.unedited_BL for one in reported])
    edited_BL = np.concatenate([one.trial.edited_BL for one in reported])
    seen_BL = np.concatenate([one.seen_BL for one in reported])
    norm_B = np.concatenate([extrapolation(one.trial.adapter, one.trial.edited_BL) for one in reported])
    back_BL = np.concatenate([back - one.plain_BL for one, back in gone_back])
    restored = 1.0 - float(np.linalg.norm(back_BL[:, measure.live_L], axis=1).mean()) / max(measure.pair, 1e-12)
    factor = reported[0].trial.factor
    same = [
        judges[one.fold].values(back)[:, factor] == judges[one.fold].values(one.plain_BL)[:, factor]
        for one, back in gone_back
    ]
    levelled = reported[0].trial.adapter.codings[factor].levels > 0
    preserved = measure.preserved(change_BL)
    return FidelityCard(
        factor=name,
        preserved=None if preserved is None else round(preserved, 6),
        faithful=round(measure.error(seen_BL, edited_BL), 6),
        restored=round(restored, 6),
        restored_reading=round(float(np.concatenate(same).mean()), 6) if levelled else None,
        outside=round(float((norm_B > 1.0).mean()), 6),
        distance=round(float(np.median(norm_B)), 6),
    )
