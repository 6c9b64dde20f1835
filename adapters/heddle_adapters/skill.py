"""How well readings made out of fold tell every factor, against its labels."""

from dataclasses import dataclass

import numpy as np

from heddle_adapters.arrays import Floats
from heddle_adapters.scores.probe import judged_levels, judged_numbers, r_squared_on_circle
from heddle_adapters.scores.result import Interval
from heddle_adapters.weights import total_of
from heddle_platform.factors import FactorSet, LevelledFactor, Periodic

READABLE_LIFT = 0.5  # share of the way from chance to 1 from which a reading's change means something


@dataclass(frozen=True)
class Skill:
    """How well one factor is read out of fold; see `report.FactorCard`."""

    value: float
    interval: Interval
    chance: float
    readable: bool


def reading_skills(
    factor_set: FactorSet, read_NF: Floats, values_NF: Floats, weight_N: Floats | None = None
) -> tuple[Skill, ...]:
    """Judge out-of-fold readings of every factor against its labels."""
    skills = []
    for index, factor in enumerate(factor_set.factors):
        known_N = ~np.isnan(values_NF[:, index])
        read_N, truth_N = read_NF[known_N, index], values_NF[known_N, index]
        weights = None if weight_N is None else weight_N[known_N]
        chance = 0.0
        if isinstance(factor, LevelledFactor):
            value, interval = judged_levels(read_N, truth_N, weights)
            chance = float(np.bincount(truth_N.astype(int), weights).max() / total_of(len(truth_N), weights))
        elif isinstance(factor, Periodic):
            value, interval = _judged_angles(read_N, truth_N, factor.period, weights)
        else:
            value, interval = judged_numbers(read_N, truth_N, weights)
        readable = value >= chance + READABLE_LIFT * (1.0 - chance) and interval.low > chance
        skills.append(Skill(value, interval, chance, readable))
    return tuple(skills)


def _judged_angles(read_N: Floats, truth_N: Floats, period: float, weight_N: Floats | None) -> tuple[float, Interval]:
    turn = 2 * np.pi / period
    value = r_squared_on_circle(read_N, truth_N, period, weight_N)
    # the interval comes from the chord errors, which are a number like any other
    cosine, sine = (
        judged_numbers(turned(read_N * turn), turned(truth_N * turn), weight_N)[1] for turned in (np.cos, np.sin)
    )
    reach = max(cosine.high - cosine.low, sine.high - sine.low) / 2
    return value, Interval(value, value - reach, value + reach, cosine.protocol)
