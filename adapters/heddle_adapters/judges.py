"""Judges of edits that had no part in making them.

Where labels allow it, each fold's edits are judged by a closed-form read fitted on that fold's own rows that are not
edited: it saw neither the rows that made the direction nor the pictures. With few labels such a judge is nearly blind
(100 labels: 16 rows), and the read of the fold's own fit, which never saw the pictures either, judges instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter
from heddle_adapters.arrays import Floats
from heddle_adapters.calibrate import angle_error
from heddle_adapters.read import read_values, scores_of, softmax
from heddle_adapters.solution import solve

FEWEST_ROWS = 100  # that teach an independent judge
FEWEST_LABELS = 50  # of each factor among them
_LEAST_SLOPE = 0.05
_LEAST_APART = 0.5  # logits between pictures of two levels: a judge that sees them less apart does not tell them apart


@dataclass(frozen=True, eq=False)
class Judge:
    """One fold's judge.

    Attributes:
        adapter: its read; the rest of it is the editor's and not used.
        taught: labelled rows that taught it.
        independent: whether those rows are others than the editor's.
        steps: per factor, how far it sees real pictures apart: mean scores of each level [K, K], or the change of a
            reading per unit of the truth [1, 1].
    """

    adapter: Adapter
    taught: int
    independent: bool
    steps: tuple[Floats, ...]

    def values(self, latents_BL: NDArray[Any]) -> Floats:
        """Return what it reads, [B, F]."""
        return read_values(self.adapter, latents_BL)

    def change(
        self, factor: int, after_BL: NDArray[Any], before_BL: NDArray[Any], source_B: Floats, target_B: Floats
    ) -> Floats:
        """Return how far one factor's reading moved from `before` to `after`, [B]; see `CurvePoint.effect`.

        Args:
            factor: index of the factor.
            after_BL, before_BL: latents.
            source_B, target_B: levels between which the edit moves; for numbers not used.
        """
        coding, block = self.adapter.codings[factor], self.adapter.score_slices[factor]
        after_BC, before_BC = (scores_of(self.adapter, latents)[:, block] for latents in (after_BL, before_BL))
        if coding.levels:
            source, target, row = source_B.astype(int), target_B.astype(int), np.arange(len(after_BC))
            moved_BC = after_BC - before_BC
            apart_BC = self.steps[factor][target] - self.steps[factor][source]
            typical = float((apart_BC[row, target] - apart_BC[row, source]).mean())
            return np.asarray((moved_BC[row, target] - moved_BC[row, source]) / max(typical, _LEAST_APART))
        if coding.kind == "periodic":
            after_B, before_B = (np.arctan2(scores[:, 1], scores[:, 0]) for scores in (after_BC, before_BC))
            return angle_error(after_B, before_B, 2 * np.pi) / (2 * np.pi / 6)
        slope = float(self.steps[factor][0, 0])
        return np.asarray((after_BC[:, 0] - before_BC[:, 0]) / (slope * coding.spread))

    def coordinates(self, factor: int, latents_BL: NDArray[Any], spread: float) -> Floats:
        """Return what it reads of one factor as coordinates [B, D] in which the labels' own sd is 1."""
        coding, block = self.adapter.codings[factor], self.adapter.score_slices[factor]
        scores_BC = scores_of(self.adapter, latents_BL)[:, block]
        if coding.levels:
            return softmax(scores_BC / float(self.adapter.temperature_F[factor])) / spread
        if coding.kind == "periodic":
            length_B1 = np.maximum(np.hypot(scores_BC[:, :1], scores_BC[:, 1:2]), 1e-9)
            return np.asarray(scores_BC / length_B1 / spread)
        return scores_BC / spread


def judges_of(
    editors: Sequence[Adapter],
    latents_NL: Floats,
    values_NF: Floats,
    fold_N: NDArray[np.intp],
    edited: Mapping[int, NDArray[np.intp]],
) -> dict[int, Judge]:
    """Return fold -> judge, all of one kind.

    Args:
        editors: per fold, the fit that never saw its rows.
        latents_NL, values_NF: the labelled set.
        fold_N: fold of each row.
        edited: fold -> rows whose edits are judged.
    """
    free = {fold: np.setdiff1d(np.flatnonzero(fold_N == fold), rows) for fold, rows in edited.items()}
    columns = len(editors[0].write_PL)
    enough = all(_can_teach(values_NF[rows], max(FEWEST_ROWS, 2 * columns)) for rows in free.values())
    judges = {}
    for fold, rows in free.items():
        editor = editors[fold]
        if enough:
            taught_N = np.zeros(len(fold_N), dtype=bool)
            taught_N[rows] = True
            teacher, taught = _independent(editor, latents_NL[rows], values_NF[rows]), len(rows)
        else:
            taught_N = fold_N != fold
            teacher, taught = editor, int(taught_N.sum())
        steps = _steps(teacher, latents_NL, values_NF, ~taught_N)
        judges[fold] = Judge(teacher, taught, enough, steps)
    return judges


def _can_teach(values_RF: Floats, least: int) -> bool:
    if len(values_RF) < least:
        return False
    known_RF = ~np.isnan(values_RF)
    if int(known_RF.sum(axis=0).min()) < FEWEST_LABELS:
        return False
    return all(
        len(np.unique(values_RF[known_R, index])) > 1
        for index, known_R in ((index, known_RF[:, index]) for index in range(values_RF.shape[1]))
    )


def _independent(editor: Adapter, latents_RL: Floats, values_RF: Floats) -> Adapter:
    live_L = editor.live_L
    direction_LC, offset_C = solve(
        latents_RL[:, live_L], values_RF, editor.codings, ridge=editor.ridge, share=editor.residual_share
    ).read
    read_LC = np.zeros((editor.latents, direction_LC.shape[1]), np.float32)
    read_LC[live_L] = direction_LC
    return replace(
        editor,
        read_LC=read_LC,
        read_bias_C=offset_C.astype(np.float32),
        temperature_F=np.ones(len(editor.codings), np.float32),
    )


def _steps(judge: Adapter, latents_NL: Floats, values_NF: Floats, fresh_N: NDArray[np.bool_]) -> tuple[Floats, ...]:
    """How far the judge sees real pictures apart, on rows it never saw; a level without such rows is taken on all."""
    scores_NC = scores_of(judge, latents_NL)
    steps: list[Floats] = []
    for index, (coding, block) in enumerate(zip(judge.codings, judge.score_slices, strict=True)):
        values_N = values_NF[:, index]
        known_N = ~np.isnan(values_N)
        if coding.levels:
            means_KC = np.zeros((coding.levels, coding.levels))
            for level in range(coding.levels):
                own_N = known_N & (values_N == level)
                own_N = own_N & fresh_N if (own_N & fresh_N).any() else own_N
                if own_N.any():
                    means_KC[level] = scores_NC[own_N, block].mean(axis=0)
            steps.append(means_KC)
            continue
        used_N = known_N & fresh_N if (known_N & fresh_N).sum() > 2 else known_N
        truth_N, told_N = values_N[used_N], scores_NC[used_N, block][:, 0]
        centered_N = truth_N - truth_N.mean()
        slope = float(centered_N @ told_N) / max(float(centered_N @ centered_N), 1e-12)
        steps.append(np.array([[max(slope, _LEAST_SLOPE)]]))
    return tuple(steps)
