"""Transport: an adapter carried from one base to another without its images, by two linear latent maps.

Row vectors throughout. An adapter on the old base reads scores = z R + c and writes delta z = h W. With the dictionary
forwards z' = z M + b and backwards z = z' N + d (both fitted on anchors, `latent_map`), on the new base

    scores      = (z' N + d) R + c      =>  R' = N R,  c' = c + d R
    delta z'    = h W M                 =>  W' = W M,  and product columns alike
    cov(scores, z')  = R' Sigma M       =>  spread' = spread M   (what M leaves over does not go with z)
    mean'       = mean M + b
    Sigma'      = M' Sigma M + E        with E the covariance that M leaves over on the anchors; whitening anew from it

Both maps shrink, so an edit would arrive weaker than it did: each factor's gain is multiplied by the least-squares
ratio of what the edit read as before, W R, to what it reads as now, W' R'. Where N = inverse(M) everything is exact.
Confidence is dampened by what the maps lose: logits are divided by the share of their variance that survives, errors
of numbers grow by what does not.
"""

from dataclasses import dataclass, replace

import numpy as np

from heddle_adapters.adapter import Adapter
from heddle_adapters.arrays import Floats, Singles, finite_matrix
from heddle_adapters.latent_map import LatentMap, fit_map
from heddle_adapters.linear import whitening
from heddle_adapters.read import read, scores_of
from heddle_adapters.scores.jackknife import wilson
from heddle_platform.errors import InvalidInput

LEAST_SURVIVING = 0.1
MOST_GAIN = 4.0
_ALIVE = 1e-3  # standard deviation over anchors, of a standardised latent


@dataclass(frozen=True, eq=False)
class Dictionary:
    """What two bases say of the same anchors.

    Attributes:
        old_NL, new_NM: standardised latents of the anchors that the maps were fitted on.
        held_old_NL, held_new_NM: those of anchors that they were not, for measuring the loss.
        forward, back: the maps.
    """

    old_NL: Floats
    new_NM: Floats
    held_old_NL: Floats
    held_new_NM: Floats
    forward: LatentMap
    back: LatentMap


@dataclass(frozen=True)
class FactorLoss:
    """What one factor's reading lost: over `anchors` held-out pictures, old reading against mapped one.

    Attributes:
        name: the factor's.
        measure: "agreement" (share of equal levels) or "correlation" (numbers; of the angle for periodic ones).
        value: of it.
        interval: 95 %: Wilson, or Fisher's z.
    """

    name: str
    measure: str
    value: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Loss:
    """What an adapter lost on its way, measured on anchors held out of the maps.

    Attributes:
        anchors: how many.
        explained_forward, explained_back: of the maps, left out one by one.
        factors: per factor, in order.
    """

    anchors: int
    explained_forward: float
    explained_back: float
    factors: tuple[FactorLoss, ...]


def dictionary(old_NL: Floats, new_NM: Floats, *, held_share: float = 0.25) -> Dictionary:
    """Fit both maps on the first anchors and hold out the last; the caller has shuffled them.

    Raises:
        InvalidInput: see `fit_map`.
    """
    old_NL, new_NM = finite_matrix(old_NL, "old latents"), finite_matrix(new_NM, "new latents")
    kept = len(old_NL) - int(held_share * len(old_NL))
    forward, back = fit_map(old_NL[:kept], new_NM[:kept]), fit_map(new_NM[:kept], old_NL[:kept])
    return Dictionary(old_NL[:kept], new_NM[:kept], old_NL[kept:], new_NM[kept:], forward, back)


def transported(adapter: Adapter, between: Dictionary, base_digest: str) -> Adapter:
    """Return the adapter on the new base; see the module for the formulas.

    Args:
        adapter: on the old base.
        between: what both bases say of the anchors.
        base_digest: the new base's.

    Raises:
        InvalidInput: code `latent_mismatch` if the adapter's latents are not the dictionary's old ones.
    """
    if between.old_NL.shape[1] != adapter.latents:
        raise InvalidInput(
            f"the adapter has {adapter.latents} latents, the anchors' old latents {between.old_NL.shape[1]}; "
            "encode the anchors with the adapter's own base",
            code="latent_mismatch",
        )
    forward, back = between.forward, between.back
    live_M = between.new_NM.std(axis=0) > _ALIVE
    read_LC, write_PL = adapter.read_LC.astype(np.float64), adapter.write_PL.astype(np.float64)
    read_MC = np.where(live_M[:, None], back.matrix_LM @ read_LC, 0.0)
    write_PM = np.where(live_M, write_PL @ forward.matrix_LM, 0.0)
    covariance_LL = _covariance(adapter)
    covariance_MM = forward.matrix_LM.T @ covariance_LL @ forward.matrix_LM + forward.left_MM
    whiten_MM = np.zeros_like(covariance_MM)
    whiten_MM[np.ix_(live_M, live_M)] = whitening(covariance_MM[np.ix_(live_M, live_M)])
    moved = replace(
        adapter,
        base_digest=base_digest,
        read_LC=read_MC.astype(np.float32),
        read_bias_C=(adapter.read_bias_C + back.offset_M @ read_LC).astype(np.float32),
        write_PL=write_PM.astype(np.float32),
        gain_F=(adapter.gain_F * _gain_ratio(adapter, read_LC, write_PL, read_MC, write_PM)).astype(np.float32),
        live_L=live_M,
        spread_CL=np.where(live_M, adapter.spread_CL @ forward.matrix_LM, 0.0).astype(np.float32),
        mean_L=np.where(live_M, forward(adapter.mean_L[None].astype(np.float64))[0], 0.0).astype(np.float32),
        whiten_LL=whiten_MM.astype(np.float32),
        radius=adapter.radius * float(np.sqrt(live_M.sum() / max(int(adapter.live_L.sum()), 1))),
        interact_QL=np.where(live_M, adapter.interact_QL @ forward.matrix_LM, 0.0).astype(np.float32),
    )
    return replace(moved, temperature_F=_temperatures(adapter, moved, between))


def loss_of(adapter: Adapter, moved: Adapter, between: Dictionary) -> Loss:
    """Measure what was lost: how the held-out anchors read before and after."""
    before, after = read(adapter, between.held_old_NL), read(moved, between.held_new_NM)
    anchors = len(between.held_old_NL)
    factors = []
    for index, name in enumerate(adapter.factor_set.names):
        old, new = before[name], after[name]
        if adapter.codings[index].levels:
            share = float((old.values == new.values).mean())
            factors.append(FactorLoss(name, "agreement", round(share, 6), _wilson(share, anchors)))
        else:
            period = adapter.codings[index].spread if adapter.codings[index].kind == "periodic" else None
            value = _correlation(old.values, new.values, period)
            factors.append(FactorLoss(name, "correlation", round(value, 6), _fisher(value, anchors)))
    return Loss(anchors, round(between.forward.explained, 6), round(between.back.explained, 6), tuple(factors))


def _covariance(adapter: Adapter) -> Floats:
    """Return Sigma of the tenant's images, from the whitening that was kept: Sigma = inverse(U U')."""
    live_L = adapter.live_L
    whiten_LL = adapter.whiten_LL.astype(np.float64)[np.ix_(live_L, live_L)]
    covariance_LL = np.zeros((adapter.latents, adapter.latents))
    inverse_LL = np.linalg.inv(whiten_LL)
    covariance_LL[np.ix_(live_L, live_L)] = inverse_LL.T @ inverse_LL
    return covariance_LL


def _gain_ratio(adapter: Adapter, read_LC: Floats, write_PL: Floats, read_MC: Floats, write_PM: Floats) -> Floats:
    ratios_F = np.ones(len(adapter.codings))
    for index, (columns, scores) in enumerate(zip(adapter.column_slices, adapter.score_slices, strict=True)):
        before = write_PL[columns] @ read_LC[:, scores]
        now = write_PM[columns] @ read_MC[:, scores]
        size = float(np.square(now).sum())
        if size > 0.0:
            ratios_F[index] = np.clip(float((before * now).sum()) / size, 1.0 / MOST_GAIN, MOST_GAIN)
    return ratios_F


def _temperatures(adapter: Adapter, moved: Adapter, between: Dictionary) -> Singles:
    old_NC, new_NC = scores_of(adapter, between.held_old_NL), scores_of(moved, between.held_new_NM)
    temperature_F = adapter.temperature_F.astype(np.float64)
    for index, (coding, block) in enumerate(zip(adapter.codings, adapter.score_slices, strict=True)):
        error = float(np.square(new_NC[:, block] - old_NC[:, block]).mean())
        spread = float(np.square(old_NC[:, block] - old_NC[:, block].mean(axis=0)).mean())
        if coding.levels:
            surviving = 1.0 - error / max(spread, 1e-12)
            temperature_F[index] /= np.clip(surviving, LEAST_SURVIVING, 1.0)
        else:
            temperature_F[index] = np.hypot(temperature_F[index], np.sqrt(error))
    return temperature_F.astype(np.float32)


def _correlation(old_N: Floats, new_N: Floats, period: float | None) -> float:
    if period is not None:
        return float(np.cos(2 * np.pi * (old_N - new_N) / period).mean())
    if old_N.std() < 1e-12 or new_N.std() < 1e-12:
        return 0.0
    return float(np.corrcoef(old_N, new_N)[0, 1])


def _wilson(share: float, count: int) -> tuple[float, float]:
    found = wilson(share * count, count)
    return round(found.low, 6), round(found.high, 6)


def _fisher(value: float, count: int) -> tuple[float, float]:
    turned, reach = np.arctanh(np.clip(value, -0.999999, 0.999999)), 1.959964 / np.sqrt(max(count - 3, 1))
    return round(float(np.tanh(turned - reach)), 6), round(float(np.tanh(turned + reach)), 6)
