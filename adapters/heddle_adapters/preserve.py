"""Preserve: change an edit as little as possible so that named factors keep their readings and it still arrives.

With R the read directions of the preserved and of the edited factors, the change delta gets the correction c of
least Mahalanobis length for which the preserved readings do not move and the edited ones move as they would
have:  c = v (R' Sigma R)^-1 R' Sigma,  v = -delta R for preserved directions, 0 for edited ones.
"""

from collections.abc import Sequence

import numpy as np

from heddle_adapters.adapter import Adapter
from heddle_adapters.arrays import Floats, Singles

# Least share of a factor's logit variance that a direction must carry to be held still, tried in turn. All of
# them is exact; but directions of logits that hardly vary are noise, and where holding them costs more than
# `_DEAREST` times the edit's own length they are let go.
_SHARES = (1e-6, 0.003, 0.03)
_TARGET_SHARE = 0.01
_DEAREST = 1.5
_RANK_TOLERANCE = 1e-9


def preserved(adapter: Adapter, delta_L: Singles, edited: Sequence[str], kept: Sequence[str]) -> Singles:
    """Return the change with its correction.

    Args:
        adapter: the tenant's adapter.
        delta_L: change of one image's latents.
        edited: factors whose readings must move as they would have.
        kept: factors whose readings must not move.
    """
    wanted_L = delta_L.astype(np.float64)
    longest = _DEAREST * float(np.linalg.norm(wanted_L @ adapter.whiten_LL))
    result_L = wanted_L
    for share in _SHARES:
        kept_LR, kept_RL = directions(adapter, kept, share)
        target_LR, target_RL = directions(adapter, edited, max(share, _TARGET_SHARE))
        read_LR, spread_RL = np.hstack([kept_LR, target_LR]), np.vstack([kept_RL, target_RL])
        move_R = np.concatenate([-wanted_L @ kept_LR, np.zeros(target_LR.shape[1])])
        inverse_RR = np.linalg.pinv(spread_RL @ read_LR, rcond=_RANK_TOLERANCE)
        result_L = wanted_L + move_R @ inverse_RR @ spread_RL
        if float(np.linalg.norm(result_L @ adapter.whiten_LL)) <= longest:
            break
    return np.asarray(result_L, dtype=np.float32)


def directions(adapter: Adapter, names: Sequence[str], share: float) -> tuple[Floats, Floats]:
    """Return read directions [L, R] of unit variance and their covariance with latents [R, L].

    Args:
        adapter: the tenant's adapter.
        names: factors, R directions in all.
        share: least share of a factor's largest logit variance that a direction carries.
    """
    parts = [adapter.contrasts[adapter.positions[name]] for name in names]
    held = [part.share_R >= share for part in parts]
    return (
        np.hstack([part.read_LR[:, held_R] for part, held_R in zip(parts, held, strict=True)]),
        np.vstack([part.spread_RL[held_R] for part, held_R in zip(parts, held, strict=True)]),
    )
