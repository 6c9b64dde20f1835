"""Suggestion: what to ask for instead of an edit that leaves the range the tenant's own images cover."""

from typing import Any, Final

import numpy as np

from heddle_adapters.arrays import Floats
from heddle_adapters.bank import BankEdits
from heddle_adapters.change import target_of
from heddle_adapters.read import values_of
from heddle_platform.edits import EditRequest
from heddle_platform.factors import Continuous, Ordinal

_INSIDE: Final = 0.98  # of the border, so that what is suggested does not fall outside again by rounding


def suggest(edits: BankEdits, row: int, request: EditRequest) -> dict[str, Any]:
    """Say how far along its own direction an edit stays inside the trusted range.

    Args:
        edits: what the bank made.
        row: of the edit.
        request: what was asked for.

    Returns:
        `reason`: "image_outside" (the picture itself is unlike the tenant's images; no edit of it is inside) or
        "edit_outside"; and for the latter `strength`, the share of the way that stays inside, with `set` and
        `shift` of its numeric factors at that strength. Levels cannot be set by halves: where only such are edited,
        fewer of them at once is what is left.
    """
    adapter = edits.adapters[row]
    delta_L = edits.delta_BL[row].astype(np.float64)
    before_L = (edits.latents_BL[row] - delta_L - adapter.mean_L) @ adapter.whiten_LL
    along_L = delta_L @ adapter.whiten_LL
    strength = _reach(before_L, along_L, _INSIDE * adapter.radius)
    if strength is None:
        return {"reason": "image_outside"}
    found: dict[str, Any] = {"reason": "edit_outside", "strength": round(strength, 3)}
    values_F = values_of(adapter, edits.scores_BC[row : row + 1, : adapter.read_LC.shape[1]])[0]
    near: dict[str, float] = {}
    for name, wanted in request.set.items():
        factor = adapter.factor_set.factor(name)
        if isinstance(factor, Continuous):
            was = float(values_F[adapter.positions[name]])
            near[name] = round(was + strength * (target_of(factor, wanted) - was), 4)
    if near:
        found["set"] = near
    shifts = {
        name: round(strength * amount, 4)
        for name, amount in request.shift.items()
        if isinstance(adapter.factor_set.factor(name), Continuous | Ordinal)
    }
    if shifts:
        found["shift"] = shifts
    return found


def _reach(before_L: Floats, along_L: Floats, radius: float) -> float | None:
    """Return the largest share in 0..1 at which |before + share * along| = radius; None if it begins outside."""
    square = float(along_L @ along_L)
    inner = float(before_L @ along_L)
    room = radius**2 - float(before_L @ before_L)
    if room < 0.0:
        return None
    if square == 0.0:
        return 1.0
    return float(np.clip((-inner + np.sqrt(inner**2 + square * room)) / square, 0.0, 1.0))
