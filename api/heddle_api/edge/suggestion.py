"""Suggestion: how far an edit leaves what the tenant's own images show, and what to ask for instead.

Two things are outside. Latents beyond the radius that 99 % of the tenant's images lie within: a picture of another
kind, or one at the border with an edit that takes it over. And a number asked for beyond those that were labelled: the
edit is drawn only as far as labels go (`change.design_change`), so its latents are inside, and who asked must be told.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from heddle_adapters.adapter import Adapter
from heddle_adapters.arrays import Floats, Singles
from heddle_adapters.bank import BankEdits
from heddle_adapters.change import target_of
from heddle_adapters.edit import edit_latents, extrapolation
from heddle_adapters.read import values_of
from heddle_platform.edits import EditRequest
from heddle_platform.factors import Continuous, Ordinal

# The end of the usable range, in halves of the range of labels: it is the middle 98 % of them (`fit.usable_range`).
# Latents are suggested as far from their border, so that what is suggested does not fall outside again by rounding.
_INSIDE: Final = 0.98
_LEAST_HALF: Final = 1e-3  # of a declared range, where all labels are one number
_MOST: Final = 999.0  # told of what was asked for, so that a header stays a number one can read
_SHORTER: Final = 0.8


@dataclass(frozen=True)
class _Way:
    """Where a numeric factor is, where it shall go, and the ends of its usable range, in its unit or in levels."""

    was: float
    target: float
    low: float
    high: float
    least: float

    def beyond(self) -> float:
        """Return how far the target lies outside, 1 being the border; 0 where it leads no farther out."""
        middle, half = (self.low + self.high) / 2, max((self.high - self.low) / 2, self.least)
        if abs(self.target - middle) <= abs(self.was - middle):
            return 0.0
        return min(_INSIDE * abs(self.target - middle) / half, _MOST)

    def near(self, strength: float) -> float:
        """Return the target at a share of the way, cut at the end of the range; never turned round."""
        wanted = self.was + strength * (self.target - self.was)
        low, high = min(self.low, self.was), max(self.high, self.was)
        # towards where it was, for four decimals must not carry it over the border
        return self.was + float(np.trunc(1e4 * (min(max(wanted, low), high) - self.was))) / 1e4

    def share(self, strength: float) -> float:
        """Return which share of the way `near` goes."""
        whole = self.target - self.was
        return strength if whole == 0.0 else min((self.near(strength) - self.was) / whole, strength)


def asked_beyond(edits: BankEdits, row: int, request: EditRequest) -> float:
    """Return how far beyond the labels the numbers are that a request asks for; 1 is the border, 0: none is asked for.

    Args:
        edits: what the bank made.
        row: of the edit.
        request: what was asked for.
    """
    return max((way.beyond() for way in _ways(edits, row, request).values()), default=0.0)


def suggest(edits: BankEdits, row: int, request: EditRequest) -> dict[str, Any]:
    """Say what to ask for instead of an edit that is outside; edits that follow it are not.

    Args:
        edits: what the bank made.
        row: of the edit.
        request: what was asked for.

    Returns:
        `reason`: "image_outside" (the picture itself is unlike the tenant's images; no edit of it is inside) or
        "edit_outside"; and for the latter `strength`, the share of the way that stays inside, with `set` and
        `shift` of its numeric factors at that strength, and `leave`, factors with levels to leave as they are: levels
        cannot be set by halves.
    """
    adapter = edits.adapters[row]
    delta_L = edits.delta_BL[row]
    latents_L = edits.latents_BL[row] - delta_L
    if extrapolation(adapter, latents_L[None])[0] > 1.0:
        return {"reason": "image_outside"}
    ways = _ways(edits, row, request)
    strength = _reach(adapter, latents_L, delta_L) if edits.extrapolation_B[row] > 1.0 else 1.0
    leave: list[str] = []
    while not _holds(adapter, latents_L, tried := _instead(request, ways, strength, leave)):
        levelled = [name for name in tried.set if name not in ways]
        if levelled:
            leave.append(min(levelled, key=lambda name: _norm(adapter, latents_L, _without(tried, [name]))))
        elif strength > 0.0:
            strength = _SHORTER * strength if strength > 0.01 else 0.0
        else:
            leave += [name for name in request.shift if name not in ways] + list(ways)
            tried = _without(tried, leave)
            break
    share = min((way.share(strength) for way in ways.values()), default=strength)
    found: dict[str, Any] = {"reason": "edit_outside", "strength": round(share, 3)}
    near = {name: value for name, value in tried.set.items() if name in ways}
    shifts = {name: amount for name, amount in tried.shift.items() if name in ways}
    return (
        found
        | ({"set": near} if near else {})
        | ({"shift": shifts} if shifts else {})
        | ({"leave": leave} if leave else {})
    )


def _ways(edits: BankEdits, row: int, request: EditRequest) -> dict[str, _Way]:
    """Return the ways of the numbers a request sets or shifts; an ordinal factor is set to a level and shifted by so
    many."""
    adapter = edits.adapters[row]
    factors = adapter.factor_set
    numeric = [name for name in request.set if isinstance(factors.factor(name), Continuous)]
    shifted = [name for name in request.shift if isinstance(factors.factor(name), Continuous | Ordinal)]
    if not numeric and not shifted:
        return {}
    values_F = values_of(adapter, edits.scores_BC[row : row + 1, : adapter.read_LC.shape[1]])[0]
    ways = {}
    for name in (*numeric, *shifted):
        factor, index = factors.factor(name), adapter.positions[name]
        was, (low, high) = float(values_F[index]), map(float, adapter.usable_F2[index])
        target = target_of(factor, request.set[name]) if name in request.set else was + request.shift[name]
        least = _LEAST_HALF * (factor.range[1] - factor.range[0]) if isinstance(factor, Continuous) else 0.5
        ways[name] = _Way(was, target, low, high, least)
    return ways


def _instead(request: EditRequest, ways: dict[str, _Way], strength: float, leave: list[str]) -> EditRequest:
    asked = {name: way.near(strength) for name, way in ways.items()}
    return _without(
        request.model_copy(
            update={
                "set": request.set | {name: round(asked[name], 4) for name in request.set if name in ways},
                "shift": request.shift
                | {name: round(asked[name] - ways[name].was, 4) for name in request.shift if name in ways},
            }
        ),
        leave,
    )


def _without(request: EditRequest, names: list[str]) -> EditRequest:
    parts = {
        part: {name: value for name, value in asked.items() if name not in names}
        for part, asked in (("set", request.set), ("shift", request.shift))
    }
    return request.model_copy(update=parts)


def _norm(adapter: Adapter, latents_L: Singles, request: EditRequest) -> float:
    return float(edit_latents(adapter, latents_L[None], [request]).extrapolation_B[0])


def _holds(adapter: Adapter, latents_L: Singles, request: EditRequest) -> bool:
    return _norm(adapter, latents_L, request) <= 1.0


def _reach(adapter: Adapter, latents_L: Singles, delta_L: Singles) -> float:
    """Return the largest share in 0..1 of a change at which latents that begin inside are `_INSIDE` the border."""
    whiten_LL = adapter.whiten_LL.astype(np.float64)
    before_L: Floats = (latents_L.astype(np.float64) - adapter.mean_L) @ whiten_LL
    along_L: Floats = delta_L.astype(np.float64) @ whiten_LL
    square, inner = float(along_L @ along_L), float(before_L @ along_L)
    room = max((_INSIDE * adapter.radius) ** 2 - float(before_L @ before_L), 0.0)
    return float(np.clip((-inner + np.sqrt(inner**2 + square * room)) / max(square, 1e-300), 0.0, 1.0))
