"""Effect curves: what an edit does at other strengths than the one that is served."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.adapter import DetailMode
from heddle_adapters.arrays import Floats, Singles, rounded
from heddle_adapters.change import code_values, interaction_changes, quantised
from heddle_adapters.design import Coding
from heddle_adapters.edit import extrapolation
from heddle_adapters.judges import Judge
from heddle_adapters.read import read_values
from heddle_adapters.report_edits import STRENGTHS, CurveCard, CurvePoint
from heddle_adapters.trial import Trial, requests_of

RISING = 0.25  # of the slope about 0, under which a curve no longer rises
_Z = 1.96

Draw = Callable[[Sequence[Trial], DetailMode], list[Singles]]


@dataclass(frozen=True, eq=False)
class Reported:
    """Edits of one factor in one fold, drawn as served.

    Attributes:
        fold: that the rows belong to.
        trial: the edits.
        seen_BL, unedited_BL: latents of the pictures with and without the edit, drawn in the factor's own mode.
        plain_BL: latents of the pictures decoded without an edit.
    """

    fold: int
    trial: Trial
    seen_BL: Singles
    unedited_BL: Singles
    plain_BL: Singles

    def part(self, places: NDArray[np.intp]) -> "Reported":
        """Return some of the edits."""
        trial = self.trial
        some = Trial(
            trial.adapter, trial.factor, trial.rows_B[places], trial.targets_B[places], trial.edited_BL[places]
        )
        return Reported(self.fold, some, self.seen_BL[places], self.unedited_BL[places], self.plain_BL[places])


@dataclass(frozen=True, eq=False)
class Curve:
    """Edits of one factor at all strengths.

    Attributes:
        change_BS: how far each reading moved, per strength; see `CurvePoint.effect`.
        flipped_BS: whether it reads as the target.
        outside_BS: whether the edited latents lie outside the tenant's range.
    """

    change_BS: Floats
    flipped_BS: Floats
    outside_BS: Floats


def draw_curves(
    parts: Sequence[Reported],
    modes: Sequence[DetailMode],
    judges: Mapping[int, Judge],
    latents_NL: Floats,
    draw: Draw,
) -> dict[int, Curve]:
    """Draw and judge edits at every strength; return factor -> curve.

    Args:
        parts: the edits as served; strength 1 of levelled factors is taken from them, not drawn again.
        modes: per factor, how it is drawn.
        judges: fold -> judge.
        latents_NL: latents of the labelled set.
        draw: draws trials in a mode and encodes them again.
    """
    trials = [_at_strengths(part.trial, latents_NL) for part in parts]
    wanted: dict[DetailMode, list[tuple[int, int]]] = {"decode": [], "preserve": []}
    pictures: dict[tuple[int, int], Singles] = {}
    for place, part in enumerate(parts):
        factor = part.trial.factor
        for step, strength in enumerate(STRENGTHS):
            if strength == 1.0 and part.trial.adapter.codings[factor].levels:
                pictures[place, step] = part.seen_BL
            else:
                wanted[modes[factor]].append((place, step))
    for mode, places in wanted.items():
        if places:
            drawn = draw([trials[place][step] for place, step in places], mode)
            pictures |= dict(zip(places, drawn, strict=True))
    found: dict[int, list[Curve]] = {}
    for place, part in enumerate(parts):
        seen = [pictures[place, step] for step in range(len(STRENGTHS))]
        curve = _judged(part, trials[place], seen, judges[part.fold], latents_NL)
        found.setdefault(part.trial.factor, []).append(curve)
    return {
        factor: Curve(*(np.concatenate([getattr(curve, name) for curve in some]) for name in _FIELDS))
        for factor, some in found.items()
    }


_FIELDS = ("change_BS", "flipped_BS", "outside_BS")


def curve_card(name: str, coding: Coding, curve: Curve) -> CurveCard:
    """Sum up one factor's curve."""
    pictures = len(curve.change_BS)
    mean_S = curve.change_BS.mean(axis=0)
    error_S = curve.change_BS.std(axis=0, ddof=1) / np.sqrt(pictures) if pictures > 1 else np.zeros_like(mean_S)
    points = tuple(
        CurvePoint(
            strength=strength,
            effect=rounded(mean_S[step]),
            interval=(rounded(mean_S[step] - _Z * error_S[step]), rounded(mean_S[step] + _Z * error_S[step])),
            flips=rounded(curve.flipped_BS[:, step].mean()) if coding.levels else None,
            outside=rounded(curve.outside_BS[:, step].mean()),
        )
        for step, strength in enumerate(STRENGTHS)
    )
    return CurveCard(
        factor=name,
        unit="level" if coding.levels else "sd",
        points=points,
        unit_effect=rounded(mean_S[STRENGTHS.index(1.0)]),
        monotone=rounded(monotone_share(curve.change_BS)),
        usable=usable_range(mean_S),
        pictures=pictures,
    )


def monotone_share(change_BS: Floats) -> float:
    """Return the share of steps from one strength to the next, 0 among them, in which a reading rises."""
    return float((np.diff(_with_zero(change_BS), axis=1) > 0).mean())


def usable_range(mean_S: Floats) -> tuple[float, float]:
    """Return the strengths about 0 between which the mean effect rises by a quarter of its slope at 0, or more."""
    strengths = _with_zero(np.array([STRENGTHS]), zero=0.0)[0]
    slope_T = np.diff(_with_zero(mean_S[None])[0]) / np.diff(strengths)
    middle = int(np.flatnonzero(strengths == 0.0)[0])
    least = RISING * float(slope_T[middle - 1 : middle + 1].mean())
    low = high = middle
    if least <= 0:
        return (0.0, 0.0)
    while high < len(slope_T) and slope_T[high] >= least:
        high += 1
    while low > 0 and slope_T[low - 1] >= least:
        low -= 1
    return (float(strengths[low]), float(strengths[high]))


def _with_zero(values_BS: Floats, zero: float = 0.0) -> Floats:
    place = int(np.searchsorted(STRENGTHS, 0.0))
    return np.insert(values_BS, place, zero, axis=1)


def _at_strengths(trial: Trial, latents_NL: Floats) -> list[Trial]:
    """Return the same edits at every strength, not clipped: where they stop working is the question."""
    adapter, factor = trial.adapter, trial.factor
    coding, block = adapter.codings[factor], adapter.column_slices[factor]
    latents_BL = latents_NL[trial.rows_B].astype(np.float32)
    values_BF = read_values(adapter, latents_BL)
    change_BQ = np.zeros((len(values_BF), 0))
    if adapter.interactions and coding.levels:
        requests = requests_of(adapter.factor_set.factors[factor], trial.targets_B)
        change_BQ = interaction_changes(adapter, requests, values_BF)
    trials = []
    for strength in STRENGTHS:
        change_BP = np.zeros((len(values_BF), len(adapter.write_PL)))
        step_BP = _steps(coding, values_BF[:, factor], trial.targets_B, strength)
        change_BP[:, block] = step_BP * float(adapter.gain_F[factor])
        delta_BL = (quantised(change_BP).astype(np.float32) @ adapter.write_PL).astype(np.float32)
        if change_BQ.shape[1]:
            delta_BL += (quantised(strength * change_BQ).astype(np.float32) @ adapter.interact_QL).astype(np.float32)
        trials.append(Trial(adapter, factor, trial.rows_B, trial.targets_B, latents_BL + delta_BL))
    return trials


def _steps(coding: Coding, source_B: Floats, target_B: Floats, strength: float) -> Floats:
    if coding.levels:
        return strength * (code_values(coding, target_B) - code_values(coding, source_B))
    if coding.kind == "periodic":
        return code_values(coding, source_B + strength * coding.spread / 6) - code_values(coding, source_B)
    return np.full((len(source_B), 1), strength)


def _judged(
    part: Reported, trials: Sequence[Trial], seen: Sequence[Singles], judge: Judge, latents_NL: Floats
) -> Curve:
    trial = part.trial
    source_B = read_values(trial.adapter, latents_NL[trial.rows_B])[:, trial.factor]
    change, flipped, outside = [], [], []
    for one, seen_BL in zip(trials, seen, strict=True):
        change.append(judge.change(trial.factor, seen_BL, part.unedited_BL, source_B, trial.targets_B))
        flipped.append(judge.values(seen_BL)[:, trial.factor] == trial.targets_B)
        outside.append(extrapolation(trial.adapter, one.edited_BL) > 1.0)
    return Curve(*(np.stack(columns, axis=1).astype(np.float64) for columns in (change, flipped, outside)))
