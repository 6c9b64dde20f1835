"""Read: latents -> factor values with calibrated confidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from heddle_adapters.adapter import Adapter
from heddle_adapters.arrays import LARGEST_LATENT, Floats, Integers, finite_matrix
from heddle_adapters.design import Coding
from heddle_platform.errors import InvalidInput
from heddle_platform.factors import Binary, FactorSet, FactorSpec, LevelledFactor

TOLERANCE = 0.1  # confidence of a number: that the truth lies within this share of the range or period


@dataclass(frozen=True, eq=False)
class FactorReading:
    """What B latents say about one factor.

    Attributes:
        levels: [B] level indices, most probable first choice; None for continuous and periodic factors.
        values: [B] level index, or value in the factor's unit.
        confidence: [B] in 0..1: probability of the level read; for numbers, probability that the truth lies
            within a tenth of the declared range (or of the period) of the value read.
        probabilities: [B, K] calibrated probability of each level; [B, 0] for continuous and periodic factors.
    """

    levels: Integers | None
    values: Floats
    confidence: Floats
    probabilities: Floats


@dataclass(frozen=True, eq=False)
class Readings:
    """What B latents say about every factor: `readings["glasses"].levels`."""

    factor_set: FactorSet
    factors: Mapping[str, FactorReading]

    def __getitem__(self, name: str) -> FactorReading:
        return self.factors[name]

    @property
    def values_BF(self) -> Floats:  # noqa: N802  shape suffix
        """All values side by side, columns in the factor set's order."""
        return np.stack([self.factors[name].values for name in self.factor_set.names], axis=1)

    def as_json(self, row: int) -> dict[str, dict[str, Any]]:
        """Return one row as `{factor: {"value": level name | bool | number, "confidence": 0..1}}`."""
        return {
            factor.name: {
                "value": _spoken(factor, float(self.factors[factor.name].values[row])),
                "confidence": round(float(self.factors[factor.name].confidence[row]), 4),
            }
            for factor in self.factor_set.factors
        }


def read(adapter: Adapter, latents_BL: NDArray[Any]) -> Readings:
    """Read every factor from standardised latents.

    Args:
        adapter: the tenant's adapter.
        latents_BL: latents of B images, standardised by the base's statistics.

    Raises:
        InvalidInput: see `scores_of`.
    """
    return interpret(adapter, scores_of(adapter, latents_BL))


def read_values(adapter: Adapter, latents_BL: NDArray[Any]) -> Floats:
    """Return `read(...).values_BF`, [B, F], without the work of probabilities.

    Raises:
        InvalidInput: see `scores_of`.
    """
    return values_of(adapter, scores_of(adapter, latents_BL))


def scores_of(adapter: Adapter, latents_BL: NDArray[Any]) -> Floats:
    """Return the raw scores [B, C]: logits before temperature, values, (cos, sin).

    Raises:
        InvalidInput: codes `wrong_shape`, `latent_mismatch`, `not_finite`.
    """
    if latents_BL.ndim != 2:
        raise InvalidInput(
            f"latents must be a table of images x latents, got shape {latents_BL.shape}",
            code="wrong_shape",
            param="latents",
        )
    adapter.check_latents(latents_BL.shape[1])
    scores_BC: Floats = (latents_BL.astype(np.float32, copy=False) @ adapter.read_LC + adapter.read_bias_C).astype(
        np.float64
    )
    if not np.isfinite(scores_BC).all():  # as those of what is not finite are
        finite_matrix(latents_BL, "latents", LARGEST_LATENT)
    return scores_BC


def interpret(adapter: Adapter, scores_BC: Floats) -> Readings:
    """Turn raw scores [B, C] into readings."""
    factors = {
        factor.name: read_scores(
            factor,
            adapter.codings[index],
            scores_BC[:, adapter.score_slices[index]],
            float(adapter.temperature_F[index]),
        )
        for index, factor in enumerate(adapter.factor_set.factors)
    }
    return Readings(adapter.factor_set, factors)


def values_of(adapter: Adapter, scores_BC: Floats) -> Floats:
    """Return the values [B, F] that raw scores say, as `Readings.values_BF` and without the probabilities."""
    values_BF = np.empty((len(scores_BC), len(adapter.codings)))
    for index, (factor, coding, block) in enumerate(
        zip(adapter.factor_set.factors, adapter.codings, adapter.score_slices, strict=True)
    ):
        values_BF[:, index] = _values(factor, coding, scores_BC[:, block])
    return values_BF


def read_scores(factor: FactorSpec, coding: Coding, scores_BC: Floats, temperature: float) -> FactorReading:
    """Turn one factor's raw scores into a reading; see `Adapter.temperature_F` for the temperature."""
    values_B = _values(factor, coding, scores_BC)
    if coding.levels:
        probabilities_BK = softmax(scores_BC / temperature)
        levels_B = values_B.astype(np.int64)
        confidence_B = np.take_along_axis(probabilities_BK, levels_B[:, None], axis=1)[:, 0]
        return FactorReading(levels_B, values_B, confidence_B, probabilities_BK)
    if coding.kind == "periodic":
        # a short arrow is an unsure angle: its error grows as one over its length
        length_B = np.clip(np.hypot(scores_BC[:, 0], scores_BC[:, 1]), 1e-3, 1.0)
        confidence_B = _within(2 * np.pi * TOLERANCE * length_B, temperature)
    else:
        low, high = getattr(factor, "range", (0.0, 0.0))
        confidence_B = _within(np.full(len(values_B), TOLERANCE * (high - low)), temperature)
    return FactorReading(None, values_B, confidence_B, np.empty((len(scores_BC), 0)))


def softmax(logits_BK: Floats) -> Floats:
    """Return rows of probabilities."""
    shifted_BK = np.exp(logits_BK - logits_BK.max(axis=1, keepdims=True))
    result: Floats = shifted_BK / shifted_BK.sum(axis=1, keepdims=True)
    return result


def _values(factor: FactorSpec, coding: Coding, scores_BC: Floats) -> Floats:
    if coding.levels:
        return np.asarray(scores_BC.argmax(axis=1), dtype=np.float64)
    if coding.kind == "periodic":
        angle_B = np.arctan2(scores_BC[:, 1], scores_BC[:, 0]) % (2 * np.pi)
        return np.asarray(angle_B * (coding.spread / (2 * np.pi)), dtype=np.float64)
    low, high = getattr(factor, "range", (-np.inf, np.inf))
    return np.asarray(np.clip(scores_BC[:, 0], low, high), dtype=np.float64)


def _within(distance_B: Floats, error: float) -> Floats:
    """Probability that a normal error of this standard deviation is smaller than the distance."""
    result: Floats = erf(distance_B / (max(error, 1e-12) * np.sqrt(2.0)))
    return result


def _spoken(factor: FactorSpec, value: float) -> str | bool | float:
    if isinstance(factor, Binary):
        return bool(round(value))
    if isinstance(factor, LevelledFactor):
        return factor.level_names[round(value)]
    return round(value, 6)


def held_out_reads(
    adapters: Sequence[Adapter], latents_NL: Floats, fold_N: NDArray[np.intp]
) -> tuple[Floats, list[Floats]]:
    """Return values [N, F] read out of fold, and per levelled factor its calibrated logits [N, K]."""
    factors = len(adapters[0].codings)
    read_NF = np.empty((len(latents_NL), factors))
    levels = [len(getattr(factor, "level_names", ())) for factor in adapters[0].factor_set.factors]
    logits = [np.empty((len(latents_NL), size)) for size in levels]
    for fold, adapter in enumerate(adapters):
        held_N = fold_N == fold
        scores_BC = scores_of(adapter, latents_NL[held_N])
        read_NF[held_N] = values_of(adapter, scores_BC)
        for index, size in enumerate(levels):
            if size:
                logits[index][held_N] = scores_BC[:, adapter.score_slices[index]] / adapter.temperature_F[index]
    return read_NF, logits
