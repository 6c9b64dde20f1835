"""Effect curves: what an edit does at other strengths than the one that is served."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.adapter import DetailMode
from heddle_adapters.arrays import Floats, Singles, rounded
from heddle_adapters.change import code_value, interaction_changes, quantised
from heddle_adapters.design import Coding
from heddle_adapters.edit import extrapolation
from heddle_adapters.judges import Judge
from heddle_adapters.read import read
from heddle_adapters.report_edits import STRENGTHS, CurveCard, CurvePoint
from heddle_adapters.trial import Trial, request_of

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
    trials = [[_at(part.trial, latents_NL, strength) for strength in STRENGTHS] for part in parts]
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


def _at(trial: Trial, latents_NL: Floats, strength: float) -> Trial:
    """Return the same edits at another strength, not clipped: where they stop working is the question."""
    adapter, factor = trial.adapter, trial.factor
    coding, block = adapter.codings[factor], adapter.column_slices[factor]
    values_BF = read(adapter, latents_NL[trial.rows_B]).values_BF
    source_B = values_BF[:, factor]
    change_BP = np.zeros((len(source_B), len(adapter.write_PL)))
    for row, (source, target) in enumerate(zip(source_B, trial.targets_B, strict=True)):
        change_BP[row, block] = _step(coding, float(source), float(target), strength) * float(adapter.gain_F[factor])
    delta_BL = (quantised(change_BP).astype(np.float32) @ adapter.write_PL).astype(np.float32)
    if adapter.interactions and coding.levels:
        spec = adapter.factor_set.factors[factor]
        requests = [request_of(spec, float(target)) for target in trial.targets_B]
        change_BQ = strength * interaction_changes(adapter, requests, values_BF)
        delta_BL += (quantised(change_BQ).astype(np.float32) @ adapter.interact_QL).astype(np.float32)
    edited_BL = latents_NL[trial.rows_B].astype(np.float32) + delta_BL
    return Trial(adapter, factor, trial.rows_B, trial.targets_B, edited_BL)


def _step(coding: Coding, source: float, target: float, strength: float) -> Floats:
    if coding.levels:
        return strength * (code_value(coding, target) - code_value(coding, source))
    if coding.kind == "periodic":
        return code_value(coding, source + strength * coding.spread / 6) - code_value(coding, source)
    return np.array([strength])


def _judged(
    part: Reported, trials: Sequence[Trial], seen: Sequence[Singles], judge: Judge, latents_NL: Floats
) -> Curve:
    trial = part.trial
    source_B = read(trial.adapter, latents_NL[trial.rows_B]).values_BF[:, trial.factor]
    change, flipped, outside = [], [], []
    for one, seen_BL in zip(trials, seen, strict=True):
        change.append(judge.change(trial.factor, seen_BL, part.unedited_BL, source_B, trial.targets_B))
        flipped.append(judge.values(seen_BL)[:, trial.factor] == trial.targets_B)
        outside.append(extrapolation(trial.adapter, one.edited_BL) > 1.0)
    return Curve(*(np.stack(columns, axis=1).astype(np.float64) for columns in (change, flipped, outside)))
