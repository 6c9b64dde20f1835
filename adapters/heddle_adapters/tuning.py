"""Choosing, per factor, how far to push an edit and how to draw it, on rows that report nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter, DetailMode
from heddle_adapters.arrays import Floats, Mask, Singles
from heddle_adapters.read import read_values
from heddle_adapters.schedule import GAINS
from heddle_adapters.trial import Outcome, Trial, draw_targets, draw_trial, judge_trial

ENOUGH_EFFECT = 0.95
LEAK_TOLERANCE = 0.05  # a stronger edit may leak this much more than a plain one
GOOD_LEAK = 0.10

Draw = Callable[[Sequence[Trial], DetailMode], list[Singles]]


@dataclass(frozen=True)
class Tried:
    """What one factor's edits did at one gain in one mode; shares of edits.

    Attributes:
        effect: reached their target.
        leak: most that any other readable factor left its reading, round-trip noise subtracted.
        damage: mean over other readable factors, noise not subtracted: what a person sees, picture in to
            picture out.
    """

    effect: float
    leak: float
    damage: float


@dataclass(frozen=True)
class Tuned:
    """What was chosen for each factor, by name."""

    gains: Mapping[str, float]
    detail: Mapping[str, DetailMode]


def tune(
    adapter: Adapter,
    latents_NL: Floats,
    rows: NDArray[np.intp],
    readable_F: Mask,
    unedited: Mapping[DetailMode, Singles],
    draw: Draw,
    seed: int,
) -> Tuned:
    """Choose gains, then drawing modes.

    The gain is the smallest whose edits reach their target in 95 % of cases without leaking .05 more than gain
    1 does; if none is, the one with the best effect minus leakage. For the mode see `best_mode`.

    Args:
        adapter: fit that never saw the rows.
        latents_NL: latents of the labelled set.
        rows: rows to edit.
        readable_F: factors whose change counts as leakage.
        unedited: mode -> latents [B, L] of the rows' pictures drawn without an edit.
        draw: draws trials in a mode and encodes them again.
        seed: of the targets drawn.
    """
    names = adapter.factor_set.names
    values_BF = read_values(adapter, latents_NL[rows])
    random = np.random.default_rng(seed)
    targets = [draw_targets(adapter, index, values_BF[:, index], random) for index in range(len(names))]

    def judged(chosen: Mapping[int, float], mode: DetailMode) -> dict[int, Tried]:
        trials = [
            draw_trial(adapter.with_gains({names[index]: gain}), latents_NL, rows, index, targets[index])
            for index, gain in chosen.items()
        ]
        pictures = draw(trials, mode)
        return {
            trial.factor: tried_of(judge_trial(trial, latents_NL, seen, unedited[mode]), trial.factor, readable_F)
            for trial, seen in zip(trials, pictures, strict=True)
        }

    tried: dict[int, dict[float, Tried]] = {index: {} for index in range(len(names))}
    for gain in GAINS:
        open_factors = [index for index in tried if not _settled(tried[index])]
        if open_factors:
            for index, result in judged(dict.fromkeys(open_factors, gain), "decode").items():
                tried[index][gain] = result
    gains = {index: best_gain(results) for index, results in tried.items()}
    detail: dict[str, DetailMode] = dict.fromkeys(names, "decode")
    if "preserve" in unedited:
        for index, kept in judged(gains, "preserve").items():
            detail[names[index]] = best_mode(tried[index][gains[index]], kept)
    return Tuned({names[index]: gain for index, gain in gains.items()}, detail)


def best_gain(results: Mapping[float, Tried]) -> float:
    """Choose among gains; see `tune`."""
    plain_leak = results[min(results)].leak
    good = [
        gain
        for gain, result in sorted(results.items())
        if result.effect >= ENOUGH_EFFECT and result.leak <= plain_leak + LEAK_TOLERANCE
    ]
    return good[0] if good else max(results, key=lambda gain: (results[gain].effect - results[gain].leak, -gain))


def best_mode(decoded: Tried, preserved: Tried) -> DetailMode:
    """Choose how to draw: of the modes that do the job, the one that leaves the rest of the picture most alone.

    A mode does the job if its effect is within .05 of the better one and its leakage at most .10. If neither or
    one does, the one with the better effect minus leakage is taken.
    """
    least = max(decoded.effect, preserved.effect) - LEAK_TOLERANCE
    good = [one.effect >= least and one.leak <= GOOD_LEAK for one in (decoded, preserved)]
    if all(good):
        return "preserve" if preserved.damage <= decoded.damage else "decode"
    return "preserve" if preserved.effect - preserved.leak >= decoded.effect - decoded.leak else "decode"


def tried_of(outcome: Outcome, factor: int, readable_F: Mask) -> Tried:
    """Sum up an outcome."""
    others_F = readable_F.copy()
    others_F[factor] = False
    return Tried(
        effect=float(outcome.reached_B.mean()),
        leak=float(outcome.leak_F[others_F].max(initial=0.0)),
        damage=float(outcome.left_BF[:, others_F].mean()) if others_F.any() else 0.0,
    )


def _settled(results: Mapping[float, Tried]) -> bool:
    if not results:
        return False
    last = results[max(results)]
    return last.effect >= ENOUGH_EFFECT or last.leak > results[min(results)].leak + 2 * LEAK_TOLERANCE
