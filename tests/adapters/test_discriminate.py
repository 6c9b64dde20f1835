import numpy as np
import pytest

from heddle_adapters.design import Coding
from heddle_adapters.discriminate import DISCRIMINATIVE_ROWS, stay, walk
from heddle_adapters.held_out import read_held_out
from heddle_adapters.refine import PATH, descend

CODINGS = [Coding("continuous", 0, 0.0, 1.0), Coding("binary", 2), Coding("binary", 2)]
RANDOM = np.random.default_rng(0)
# the second factor is a half space with a heavy tail on one side: class means lean on the outliers, the border does
# not; the third is told by a latent of its own without a doubt
LATENTS_NL = RANDOM.normal(size=(900, 5))
OUTLIER_N = RANDOM.random(900) < 0.05
LATENTS_NL[OUTLIER_N, 1] += 40 * (LATENTS_NL[OUTLIER_N, 0] > 0)
CLEAR_N = RANDOM.integers(2, size=900)
LATENTS_NL[:, 4] = 20.0 * CLEAR_N + RANDOM.normal(size=900)
VALUES_NF = np.stack([LATENTS_NL[:, 2], LATENTS_NL[:, 0] > 0, CLEAR_N], axis=1).astype(float)


def test_only_what_errs_walks_and_it_then_reads_better() -> None:
    held = read_held_out(LATENTS_NL, VALUES_NF, CODINGS, 3.0)
    found = walk(held, LATENTS_NL, VALUES_NF, CODINGS)
    assert found.walked_F.tolist() == [False, True, False]
    assert found.move_LC[:, 1:3].any()
    assert not found.move_LC[:, [0, 3, 4]].any()
    assert not found.move_C[[0, 3, 4]].any()
    fold = held.folds[0]
    direction_LC, offset_C = fold.solution.read[0] + found.move_LC, fold.solution.read[1] + found.move_C
    scores_NC = LATENTS_NL[fold.held_N] @ direction_LC + offset_C
    truth_N = VALUES_NF[fold.held_N, 1]
    before = (held.scores_NC[fold.held_N, 1:3].argmax(axis=1) == truth_N).mean()
    assert (scores_NC[:, 1:3].argmax(axis=1) == truth_N).mean() > before


def test_the_move_is_the_mean_of_what_the_folds_added() -> None:
    held = read_held_out(LATENTS_NL, VALUES_NF, CODINGS, 3.0)
    found = walk(held, LATENTS_NL, VALUES_NF, CODINGS)
    level_N1 = VALUES_NF[:, 1:2].astype(np.int64)
    by_step = {}
    for step in PATH[1:]:
        moves = []
        for fold in held.folds:
            begun_LC, begun_C = (part[..., 1:3] for part in fold.solution.read)
            path = descend(LATENTS_NL[~fold.held_N], level_N1[~fold.held_N], [2], begun_LC, begun_C, path=(0, step))
            moves.append(path[step][0] - begun_LC)
        by_step[step] = np.mean(moves, axis=0)
    assert any(found.move_LC[:, 1:3] == pytest.approx(move, rel=1e-3, abs=1e-5) for move in by_step.values())


def test_few_labels_do_not_walk() -> None:
    rows = DISCRIMINATIVE_ROWS - 1
    held = read_held_out(LATENTS_NL[:rows], VALUES_NF[:rows], CODINGS, 3.0)
    found, stayed = walk(held, LATENTS_NL[:rows], VALUES_NF[:rows], CODINGS), stay(held, 5)
    assert not found.walked_F.any()
    assert np.array_equal(found.move_LC, stayed.move_LC)
    assert np.array_equal(found.temperature_F, held.temperature_F)
