"""Whether interactions do harm: what explains latents better need not edit pictures better.

Product columns are found by what they explain of held-out latents (`discover`). What a base cannot draw they spoil, so
edits may veto them, on the rows that tune and report nothing. Only a clear loss counts: the additive read that judges
does not see most of what they improve; pixels do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter, DetailMode
from heddle_adapters.arrays import Floats, Mask, Singles
from heddle_adapters.discover import Tried
from heddle_adapters.read import read_values
from heddle_adapters.trial import draw_targets, draw_trial, judge_trial
from heddle_adapters.tuning import Draw

WORST_LOSS = 0.02  # of effect minus damage, and two standard errors: less is noise


def edit_worth(
    adapter: Adapter,
    latents_NL: Floats,
    rows: NDArray[np.intp],
    readable_F: Mask,
    unedited: Mapping[DetailMode, Singles],
    draw: Draw,
    seed: int,
) -> Floats:
    """Return effect minus damage of each edit, -1..1, factor after factor, drawn by "decode" at gain 1.

    Damage is the share of the other readable factors that read otherwise than in the picture that came in. Arguments as
    `tuning.tune`; equal arguments edit the same rows to the same targets.
    """
    values_BF = read_values(adapter, latents_NL[rows])
    random = np.random.default_rng(seed)
    factors = range(values_BF.shape[1])
    targets = [draw_targets(adapter, index, values_BF[:, index], random) for index in factors]
    trials = [draw_trial(adapter, latents_NL, rows, index, targets[index]) for index in factors]
    worth = []
    for trial, seen_BL in zip(trials, draw(trials, "decode"), strict=True):
        outcome = judge_trial(trial, latents_NL, seen_BL, unedited["decode"])
        others_F = readable_F.copy()
        others_F[trial.factor] = False
        damage_B = outcome.left_BF[:, others_F].mean(axis=1) if others_F.any() else 0.0
        worth.append(outcome.reached_B - damage_B)
    return np.concatenate(worth)


def do_harm(with_pairs_E: Floats, without_E: Floats) -> bool:
    """Say whether edits with pairs are clearly worse than the same edits without; see `edit_worth`."""
    loss_E = without_E - with_pairs_E
    error = float(loss_E.std() / np.sqrt(len(loss_E)))
    return float(loss_E.mean()) > max(WORST_LOSS, 2 * error)


def given_up(tried: Sequence[Tried], with_pairs_E: Floats, without_E: Floats) -> tuple[Tried, ...]:
    """Return the pairs as not kept, with the sentence that says why.

    Args:
        tried: pairs judged out of fold.
        with_pairs_E, without_E: what `edit_worth` said of the fit with and without them.
    """
    reason = (
        "it explains held-out latents, but edits do worse with such pairs: effect minus damage "
        f"{with_pairs_E.mean():.3f} with them, {without_E.mean():.3f} without"
    )
    return tuple(replace(one, kept=False, reason=reason) if one.kept else one for one in tried)
