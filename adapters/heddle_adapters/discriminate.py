"""Per levelled factor, how far to walk from the closed form towards the discriminative read: out-of-fold rows decide.

The closed form stays where it is not clearly beaten. Elsewhere what is served is the closed form of all rows plus the
mean of what the walks of the folds added to theirs: reads are linear, so the mean of several is one. It reads as well
as a walk of its own on all rows would (within .0004 on five pairs of a base and a drawn set, 300 to 4,000 labels), and
that walk is saved.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heddle_adapters.arrays import Floats, Integers, Mask
from heddle_adapters.calibrate import temperature_of
from heddle_adapters.design import Coding, score_slices
from heddle_adapters.held_out import Fold, HeldOut
from heddle_adapters.refine import PATH, descend
from heddle_adapters.weights import mean_of, total_of, weighed

DISCRIMINATIVE_ROWS = 200  # labels of a factor from which the discriminative read is tried

Path = dict[int, tuple[Floats, Floats]]


@dataclass(frozen=True, eq=False)
class Walked:
    """What becomes of the closed form.

    Attributes:
        walked_F: factors that are read discriminatively.
        temperature_F: see `Adapter.temperature_F`.
        move_LC, move_C: what is added to the closed form's directions and offsets; zero in all other factors.
    """

    walked_F: Mask
    temperature_F: Floats
    move_LC: Floats
    move_C: Floats


def unmoved(temperature_F: Floats, latents: int, scores: int) -> Walked:
    """Return no walk at all: the closed form as it is."""
    return Walked(
        np.zeros(len(temperature_F), dtype=np.bool_),
        np.array(temperature_F, dtype=np.float64),
        np.zeros((latents, scores)),
        np.zeros(scores),
    )


def stay(held: HeldOut, latents: int) -> Walked:
    """Return no walk, as sure as held-out rows allow."""
    return unmoved(held.temperature_F, latents, held.scores_NC.shape[1])


def walk(held: HeldOut, latents_NL: Floats, values_NF: Floats, codings: Sequence[Coding]) -> Walked:
    """Walk all factors that may gain, in every fold, and keep of each what reads its held-out rows best.

    Args:
        held: the closed form on rows it never saw.
        latents_NL: labelled latents, every column alive.
        values_NF: labels, NaN where missing.
        codings: per factor.
    """
    found = stay(held, latents_NL.shape[1])
    blocks = score_slices(codings)
    levels_NF = np.where(np.isnan(values_NF), -1, values_NF).astype(np.int64)
    walkers = [
        index
        for index, block in enumerate(blocks)
        if codings[index].levels and _may_gain(held, levels_NF, index, block)
    ]
    if not walkers:
        return found
    paths = [_walk(fold, latents_NL, levels_NF, codings, walkers, held.weight_N) for fold in held.folds]
    start = 0
    for index in walkers:
        own = slice(start, start + codings[index].levels)
        start = own.stop
        step, temperature = _best_step(held, paths, latents_NL, levels_NF, index, own)
        if step:
            found.walked_F[index], found.temperature_F[index] = True, temperature
            for path in paths:
                for total, begun, moved in zip((found.move_LC, found.move_C), path[0], path[step], strict=True):
                    total[..., blocks[index]] += (moved - begun)[..., own] / len(paths)
    return found


def _may_gain(held: HeldOut, levels_NF: Integers, index: int, block: slice) -> bool:
    """Return whether a factor has the labels for it, and the closed form errs often enough to be clearly beaten."""
    scores_NK, level_N = held.scores_NC[:, block], levels_NF[:, index]
    wrong_N = (scores_NK.argmax(axis=1) != level_N) & (level_N >= 0) & np.isfinite(scores_NK[:, 0])
    wrong = total_of(int(np.count_nonzero(wrong_N)), None if held.weight_N is None else held.weight_N[wrong_N])
    return bool(held.rows_F[index] >= DISCRIMINATIVE_ROWS and wrong > 1)


def _walk(
    fold: Fold,
    latents_NL: Floats,
    levels_NF: Integers,
    codings: Sequence[Coding],
    walkers: Sequence[int],
    weight_N: Floats | None,
) -> Path:
    taught_N, blocks = ~fold.held_N, score_slices(codings)
    columns = np.concatenate([np.arange(blocks[index].start, blocks[index].stop) for index in walkers])
    direction_LC, offset_C = fold.solution.read
    return descend(
        latents_NL[taught_N],
        levels_NF[taught_N][:, walkers],
        [codings[index].levels for index in walkers],
        direction_LC[:, columns],
        offset_C[columns],
        PATH,
        weight_N=None if weight_N is None else weight_N[taught_N],
    )


def _best_step(
    held: HeldOut,
    paths: Sequence[Path],
    latents_NL: Floats,
    levels_NF: Integers,
    index: int,
    own: slice,
) -> tuple[int, float]:
    """Return the step of one factor that reads held-out rows best, and its temperature.

    A step must read more rows right than the closed form by over one standard error, of a difference of paired shares;
    of those that do, best is the share read right less the loss in nats. (The share alone is decided by two or three
    rows, the loss alone by how sure the sure ones are.) On a tie the closed form is the better read: it knows what an
    edited picture looks like, not only where classes part.
    """
    rows = [fold.held_N & (levels_NF[:, index] >= 0) for fold in held.folds]
    level_N = np.concatenate([levels_NF[rows_N, index] for rows_N in rows])
    weight_M = None if held.weight_N is None else np.concatenate([held.weight_N[rows_N] for rows_N in rows])

    def told(step: int) -> Floats:
        reads = [path[step] for path in paths]
        return np.concatenate(
            [
                latents_NL[rows_N] @ direction_LC[:, own] + offset_C[own]
                for rows_N, (direction_LC, offset_C) in zip(rows, reads, strict=True)
            ]
        )

    closed_N = told(0).argmax(axis=1) == level_N
    best = (-np.inf, 0, float(held.temperature_F[index]))
    for step in PATH[1:]:
        logits_NK = told(step)
        right_N = logits_NK.argmax(axis=1) == level_N
        changed_N = weighed(right_N.astype(np.float64) - closed_N, weight_M)
        gained = float(changed_N.sum())
        if gained <= 0 or gained**2 <= float(changed_N @ changed_N):
            continue
        temperature, loss = temperature_of(logits_NK, level_N, first=best[2], weight_N=weight_M)
        worth = float(mean_of(right_N, weight_M)) - loss
        if worth > best[0]:
            best = (worth, step, temperature)
    return best[1], best[2]
