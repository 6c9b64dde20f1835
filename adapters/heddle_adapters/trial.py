"""Edits on trial: draw them, decode, encode again, and see what the reading says.

The judge of an edit is the read of the same fold's fit, which saw neither the picture nor its labels. What the
round trip itself loses is not blamed on the edit: a base that cannot draw mouths changes their reading whether or
not anything is edited, so leakage is how much *oftener* another factor leaves its reading with the edit than without.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter, DetailMode
from heddle_adapters.arrays import Floats, Mask, Singles
from heddle_adapters.calibrate import angle_error
from heddle_adapters.edit import edit_latents
from heddle_adapters.read import scores_of, values_of
from heddle_platform.edits import EditRequest
from heddle_platform.factors import Binary, Continuous, FactorSpec, LevelledFactor, Periodic

RoundTrip = Callable[[NDArray[Any]], NDArray[Any]]
PreserveTrip = Callable[[NDArray[np.intp], NDArray[Any]], NDArray[Any]]

NOTICEABLE = 0.5  # of a number's standard deviation (or 1/12 turn): a smaller change of a reading is none
_CHUNK = 256  # pictures decoded between two reports of progress


@dataclass(frozen=True, eq=False)
class Trial:
    """Edits of one factor, drawn and not yet judged.

    Attributes:
        adapter: fit of the fold that never saw these rows.
        factor: index of the edited factor.
        rows_B: rows of the labelled set that are edited.
        targets_B: level index, or value in the factor's unit.
        edited_BL: edited latents.
    """

    adapter: Adapter
    factor: int
    rows_B: NDArray[np.intp]
    targets_B: Floats
    edited_BL: Singles


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of B edits of one factor.

    Attributes:
        reached_B: the factor reads as set (levels), or nearer the target than where it was (numbers).
        changed_BF: the reading of each factor differs from that of the picture drawn in the same mode unedited.
        left_BF: it differs from the reading of the picture that came in.
        lost_BF: it does so without any edit: noise of the round trip.
    """

    reached_B: Mask
    changed_BF: Mask
    left_BF: Mask
    lost_BF: Mask

    @property
    def leak_F(self) -> Floats:  # noqa: N802  shape suffix
        """Share of edits in which each factor left its reading, round-trip noise subtracted, 0..1."""
        return np.asarray(np.clip(self.left_BF.mean(axis=0) - self.lost_BF.mean(axis=0), 0.0, 1.0), dtype=np.float64)

    @property
    def leak_error_F(self) -> Floats:  # noqa: N802  shape suffix
        """Standard error of `leak_F`: of a difference of paired shares, half an edit added so that it is never 0."""
        edits = len(self.left_BF)
        either_F = (self.left_BF != self.lost_BF).mean(axis=0) + 0.5 / edits
        return np.asarray(np.sqrt(np.maximum(either_F - self.leak_F**2, 0.0) / edits), dtype=np.float64)

    def beside(self, other: "Outcome") -> "Outcome":
        """Return both outcomes' edits as one."""
        mine, theirs = vars(self), vars(other)
        return Outcome(**{name: np.concatenate([mine[name], theirs[name]]) for name in mine})


def draw_targets(adapter: Adapter, factor: int, values_B: Floats, random: np.random.Generator) -> Floats:
    """Draw what each of B pictures is to become: another level, or a clearly different number.

    Args:
        adapter: the fit that edits.
        factor: index of the factor.
        values_B: what the pictures read as now.
        random: source of chance.
    """
    coding, (low, high) = adapter.codings[factor], adapter.usable_F2[factor].tolist()
    if coding.levels:
        step_B = random.integers(1, coding.levels, size=len(values_B))
        return (values_B + step_B) % coding.levels
    if coding.kind == "periodic":
        return (values_B + random.uniform(1 / 6, 5 / 6, size=len(values_B)) * coding.spread) % coding.spread
    target_B = random.uniform(low, high, size=len(values_B))
    near_B = np.abs(target_B - values_B) < coding.spread
    farther_B = np.where(values_B > (low + high) / 2, low, high)
    return np.where(near_B, farther_B, target_B)


def draw_trial(adapter: Adapter, latents_NL: Floats, rows_B: NDArray[np.intp], factor: int, targets_B: Floats) -> Trial:
    """Edit the rows with the same code that serves edits."""
    spec = adapter.factor_set.factors[factor]
    requests = requests_of(spec, targets_B)
    edited = edit_latents(adapter, latents_NL[rows_B].astype(np.float32), requests)
    return Trial(adapter, factor, rows_B, targets_B, edited.latents_BL)


def draw_pictures(
    trials: Sequence[Trial],
    mode: DetailMode,
    round_trip: RoundTrip,
    preserve_trip: PreserveTrip | None,
    progress: Callable[[float], None],
) -> list[Singles]:
    """Decode and encode again all edits, a chunk at a time; one array [B, L] per trial."""
    rows_B = np.concatenate([trial.rows_B for trial in trials])
    edited_BL = np.concatenate([trial.edited_BL for trial in trials])
    seen = []
    for start in range(0, len(rows_B), _CHUNK):
        piece = slice(start, start + _CHUNK)
        if mode == "preserve" and preserve_trip is not None:
            seen.append(preserve_trip(rows_B[piece], edited_BL[piece]))
        else:
            seen.append(round_trip(edited_BL[piece]))
        progress(min(1.0, (start + _CHUNK) / len(rows_B)))
    ends = np.cumsum([len(trial.rows_B) for trial in trials])[:-1]
    return np.split(np.concatenate(seen).astype(np.float32), ends)


def judge_trial(trial: Trial, latents_NL: Floats, seen_BL: Singles, unedited_BL: Singles) -> Outcome:
    """Judge one trial by its own fold's read.

    Args:
        trial: the edits.
        latents_NL: latents of the labelled set.
        seen_BL: latents of the pictures drawn.
        unedited_BL: latents of the pictures drawn in the same mode without the edit.
    """
    adapter = trial.adapter
    before_BF = values_of(adapter, scores_of(adapter, latents_NL[trial.rows_B]))
    after_BF = values_of(adapter, scores_of(adapter, seen_BL))
    unedited_BF = values_of(adapter, scores_of(adapter, unedited_BL))
    return Outcome(
        _reached(trial, before_BF[:, trial.factor], after_BF[:, trial.factor]),
        _differ(adapter, after_BF, unedited_BF),
        _differ(adapter, after_BF, before_BF),
        _differ(adapter, unedited_BF, before_BF),
    )


def requests_of(spec: FactorSpec, targets_B: Floats) -> list[EditRequest]:
    """Return the edits that set one factor to B level indices or values; equal ones are one object."""
    known = {target: request_of(spec, target) for target in set(targets_B.tolist())}
    return [known[target] for target in targets_B.tolist()]


def request_of(spec: Any, target: float) -> EditRequest:
    """Return the edit that sets one factor to a level index or value."""
    wanted: str | bool | float = target
    if isinstance(spec, Binary):
        wanted = bool(target)
    elif isinstance(spec, LevelledFactor):
        wanted = spec.level_names[int(target)]
    elif isinstance(spec, Continuous):
        wanted = float(np.clip(target, *spec.range))
    return EditRequest(adapter="card", set={spec.name: wanted})


def _reached(trial: Trial, before_B: Floats, after_B: Floats) -> Mask:
    coding = trial.adapter.codings[trial.factor]
    if coding.levels:
        return np.asarray(after_B == trial.targets_B)
    spec = trial.adapter.factor_set.factors[trial.factor]
    if isinstance(spec, Periodic):
        left_B = np.abs(angle_error(after_B, trial.targets_B, spec.period))
        gone_B = np.abs(angle_error(after_B, before_B, spec.period))
        return np.asarray(left_B < gone_B)
    return np.asarray(np.abs(after_B - trial.targets_B) < np.abs(after_B - before_B))


def _differ(adapter: Adapter, one_BF: Floats, other_BF: Floats) -> Mask:
    columns = [_differs(adapter, index, one_BF[:, index], other_BF[:, index]) for index in range(one_BF.shape[1])]
    return np.stack(columns, axis=1)


def _differs(adapter: Adapter, index: int, one_B: Floats, other_B: Floats) -> Mask:
    coding = adapter.codings[index]
    if coding.levels:
        return np.asarray(one_B != other_B)
    if coding.kind == "periodic":
        return np.asarray(np.abs(angle_error(one_B, other_B, coding.spread)) > 2 * np.pi / 12)
    return np.asarray(np.abs(one_B - other_B) > NOTICEABLE * coding.spread)
