"""Leakage at matched effect: what an edit does to the other factors, in sd of theirs per sd of its own.

Signed: along the way in which the labels of the two go together, so that "it learnt the correlation" reads as a
positive number beside that correlation. Unsigned: of any direction. The round trip's own changes are subtracted.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from heddle_adapters.arrays import Floats, rounded
from heddle_adapters.curves import Reported
from heddle_adapters.design import Coding
from heddle_adapters.judges import Judge
from heddle_adapters.report_edits import LeakCard

_LEAST_EFFECT = 0.1  # sd; a weaker effect is not divided by


def leak_cards(
    reported: Sequence[Reported],
    judges: Mapping[int, Judge],
    latents_NL: Floats,
    values_NF: Floats,
    names: Sequence[str],
    association: Mapping[tuple[str, str], float],
) -> tuple[LeakCard, ...]:
    """Measure every ordered pair of factors.

    Args:
        reported: edits as served, all folds and factors.
        judges: fold -> judge.
        latents_NL, values_NF: the labelled set.
        names: of the F factors.
        association: of labels, both orders of a pair.
    """
    codings = reported[0].trial.adapter.codings
    truths = [label_coordinates(values_NF[:, index], coding) for index, coding in enumerate(codings)]
    spreads = [spread for _, spread in truths]
    moves: dict[int, list[list[tuple[Floats, Floats, Floats]]]] = {}
    for one in reported:
        moves.setdefault(one.trial.factor, []).append(_moves(one, judges[one.fold], latents_NL, spreads))
    cards = []
    for edited in sorted(moves):
        folds = moves[edited]
        own_BD = np.concatenate([fold[edited][0] for fold in folds])
        effect = max(float(np.linalg.norm(own_BD, axis=1).mean()), _LEAST_EFFECT)
        for other in range(len(names)):
            if other == edited:
                continue
            change_BD, left_BD, lost_BD = (np.concatenate([fold[other][kind] for fold in folds]) for kind in range(3))
            map_DD = association_map(truths[edited][0], truths[other][0])
            size = float(np.linalg.norm(left_BD, axis=1).mean() - np.linalg.norm(lost_BD, axis=1).mean())
            cards.append(
                LeakCard(
                    edited=names[edited],
                    other=names[other],
                    signed=rounded(signed_leak(own_BD, change_BD, map_DD) / effect),
                    unsigned=rounded(max(0.0, size) / effect),
                    association=rounded(association[names[edited], names[other]]),
                )
            )
    return tuple(cards)


def label_coordinates(values_N: Floats, coding: Coding) -> tuple[Floats, float]:
    """Return labels as coordinates [N, D] whose total variance is 1 (NaN stays), and what they were divided by."""
    known_N = ~np.isnan(values_N)
    if coding.levels:
        raw_ND = np.full((len(values_N), coding.levels), np.nan)
        raw_ND[known_N] = np.eye(coding.levels)[values_N[known_N].astype(int)]
    elif coding.kind == "periodic":
        raw_ND = coding.encode(values_N)
    else:
        raw_ND = values_N[:, None].copy()
    spread = float(np.sqrt(raw_ND[known_N].var(axis=0).sum()))
    spread = spread if spread > 0 else 1.0
    return raw_ND / spread, spread


def association_map(edited_ND: Floats, other_ND: Floats) -> Floats:
    """Return how labels of one factor make one expect those of another: least squares, [D_edited, D_other]."""
    both_N = ~(np.isnan(edited_ND).any(axis=1) | np.isnan(other_ND).any(axis=1))
    if not both_N.any():
        return np.zeros((edited_ND.shape[1], other_ND.shape[1]))
    left, right = edited_ND[both_N], other_ND[both_N]
    result: Floats = np.linalg.pinv(left - left.mean(axis=0), rcond=1e-9) @ (right - right.mean(axis=0))
    return result


def signed_leak(own_BD: Floats, change_BE: Floats, map_DE: Floats) -> float:
    """Return the mean change of another factor along the way its labels follow the edited factor's."""
    expected_BE = own_BD @ map_DE
    length_B = np.linalg.norm(expected_BE, axis=1)
    along_B = (change_BE * expected_BE).sum(axis=1) / np.maximum(length_B, 1e-12)
    return float(along_B.mean())


def _moves(
    one: Reported, judge: Judge, latents_NL: Floats, spreads: Sequence[float]
) -> list[tuple[Floats, Floats, Floats]]:
    """Per factor: change by the edit, all that differs from the picture that came in, and that without an edit."""
    before_BL = latents_NL[one.trial.rows_B]
    result = []
    for factor, spread in enumerate(spreads):
        before, after, plain = (
            judge.coordinates(factor, latents, spread) for latents in (before_BL, one.seen_BL, one.unedited_BL)
        )
        result.append((after - plain, after - before, plain - before))
    return result
