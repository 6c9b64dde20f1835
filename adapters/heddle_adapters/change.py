"""What an edit request asks of one factor, checked, and turned into a change of design columns."""

import math
from collections.abc import Sequence

import numpy as np

from heddle_adapters.adapter import Adapter
from heddle_adapters.arrays import Floats
from heddle_adapters.design import Coding
from heddle_adapters.interaction import Interaction, pair_columns
from heddle_platform.edits import EditRequest
from heddle_platform.errors import Detail, InvalidInput
from heddle_platform.factors import Binary, Continuous, FactorSpec, LevelledFactor

STRENGTH_STEPS = 64  # strengths are computed in 1/64 standard deviations, so equal edits have equal cache keys


def check_request(adapter: Adapter, request: EditRequest) -> None:
    """Check an edit against the adapter's factors without touching a latent.

    Raises:
        InvalidInput: codes `unknown_factor`, `factor_refused`, `unknown_level`, `invalid_value`,
            `not_shiftable`; `param` is the JSON pointer of the field, the sentence lists what is known.
    """
    for name, wanted in request.set.items():
        target_of(_editable(adapter, name, f"/set/{name}"), wanted)
    for name, amount in request.shift.items():
        factor = _editable(adapter, name, f"/shift/{name}")
        if factor.kind == "categorical":
            raise _fault(
                f"/shift/{name}",
                "not_shiftable",
                f"{name!r} has levels in no order and cannot be shifted; use set with one of: "
                f"{', '.join(factor.level_names[:20])}",
            )
        if not np.isfinite(amount):
            raise _fault(f"/shift/{name}", "invalid_value", f"shift of {name!r} is {amount}, not a finite number")
    for index, name in enumerate(request.preserve):
        _known(adapter, name, f"/preserve/{index}")


def target_of(factor: FactorSpec, wanted: str | bool | float) -> float:
    """Turn what `set` asks for into a level index or a value in the factor's unit.

    Raises:
        InvalidInput: codes `unknown_level`, `invalid_value`.
    """
    pointer = f"/set/{factor.name}"
    if isinstance(factor, Binary):
        try:
            return factor.parse(wanted if isinstance(wanted, str) else str(int(wanted)))
        except (ValueError, OverflowError):
            raise _fault(
                pointer, "unknown_level", f"{factor.name!r} is binary, got {wanted!r:.60}; write true or false"
            ) from None
    if isinstance(factor, LevelledFactor):
        if isinstance(wanted, str) and wanted.strip() in factor.level_names:
            return float(factor.level_names.index(wanted.strip()))
        known = ", ".join(factor.level_names[:20])
        raise _fault(pointer, "unknown_level", f"unknown level {wanted!r:.60} of {factor.name!r}; known are: {known}")
    if isinstance(wanted, bool | str) or not np.isfinite(wanted):
        raise _fault(pointer, "invalid_value", f"{factor.name!r} takes a finite number, got {wanted!r:.60}")
    if isinstance(factor, Continuous) and not factor.range[0] <= wanted <= factor.range[1]:
        low, high = factor.range
        raise _fault(
            pointer, "invalid_value", f"{wanted} lies outside the declared range {low} to {high} of {factor.name!r}"
        )
    return float(wanted)


def design_change(adapter: Adapter, request: EditRequest, values_F: Floats) -> Floats:
    """Return the change of all design columns [P] that a checked request asks of one image.

    Absolute and relative edits agree: both go from the value read to a target, shifts clipped to the usable
    range. Gains are included; the result is a whole number of 1/64 standard deviations.

    Args:
        adapter: the tenant's adapter.
        request: an edit that passed `check_request`.
        values_F: values read from the image, level index or value in the factor's unit.
    """
    change_P = np.zeros(len(adapter.write_PL))
    for index, target in _targets(adapter, request, values_F).items():
        coding = adapter.codings[index]
        step_P = code_value(coding, target) - code_value(coding, float(values_F[index]))
        change_P[adapter.column_slices[index]] = step_P * float(adapter.gain_F[index])
    return quantised(change_P)


def interaction_change(adapter: Adapter, request: EditRequest, values_F: Floats) -> Floats:
    """Return `interaction_changes` of one image, [Q]."""
    changes: Floats = interaction_changes(adapter, [request], values_F[None])[0]
    return changes


def interaction_changes(adapter: Adapter, requests: Sequence[EditRequest], values_BF: Floats) -> Floats:
    """Return the change of all product columns that checked requests ask of B images, [B, Q]; Q may be 0.

    A pair's products go from those of the values read to those of the targets, the untouched factor staying as it
    reads: first the other factor moves with the dependent one as read, then the dependent one with the other at its
    target, each step times its own factor's gain. A pair that leaves or enters a cell of few labels is edited
    without its interaction, by the additive direction.

    Args:
        adapter: the tenant's adapter.
        requests: edits that passed `check_request`, one per image.
        values_BF: values read from the images.
    """
    if not (adapter.interactions and requests):
        return np.zeros((len(requests), len(adapter.interact_QL)))
    known: dict[tuple[float, ...], Floats] = {}  # levels move in few ways, and a card asks for thousands of edits
    rows = []
    for request, values_F in zip(requests, values_BF, strict=True):
        targets, row = _targets(adapter, request, values_F), []
        for place, pair in enumerate(adapter.interactions):
            own, other = float(values_F[pair.factor]), float(values_F[pair.on])
            move = (own, other, targets.get(pair.factor, own), targets.get(pair.on, other))
            touched = pair.factor in targets or pair.on in targets
            products = known.get((place, touched, *move))
            if products is None:
                products = known[place, touched, *move] = _products(adapter, pair, move, touched=touched)
            row.append(products)
        rows.append(np.concatenate(row))
    return quantised(np.stack(rows))


def edited_factors(request: EditRequest) -> tuple[str, ...]:
    """Return the names of the factors an edit changes."""
    return (*request.set, *request.shift)


def quantised(change: Floats) -> Floats:
    """Round to whole 1/64."""
    return np.asarray(np.round(change * STRENGTH_STEPS) / STRENGTH_STEPS, dtype=np.float64)


def code_value(coding: Coding, value: float) -> Floats:
    """Return the design row [P] of one value; fractional levels lie between their neighbours' rows."""
    if coding.levels:
        # min and max: of single numbers np.clip takes ten times as long, and a card asks ten thousand times
        below = min(max(math.floor(value), 0), coding.levels - 1)
        above = min(below + 1, coding.levels - 1)
        share = min(max(value - below, 0.0), 1.0)
        return np.asarray((1.0 - share) * coding.table_KP[below] + share * coding.table_KP[above], dtype=np.float64)
    return np.asarray(coding.encode(np.array([value]))[0], dtype=np.float64)


def _targets(adapter: Adapter, request: EditRequest, values_F: Floats) -> dict[int, float]:
    """Return where each edited factor goes, clipped to its usable range."""
    targets: dict[int, float] = {}
    for name, wanted in request.set.items():
        index = adapter.positions[name]
        targets[index] = target_of(adapter.factor_set.factors[index], wanted)
    for name, amount in request.shift.items():
        index = adapter.positions[name]
        targets[index] = float(values_F[index]) + amount
    return {
        index: target
        if adapter.codings[index].kind == "periodic"
        else min(max(target, float(adapter.usable_F2[index, 0])), float(adapter.usable_F2[index, 1]))
        for index, target in targets.items()
    }


def _products(adapter: Adapter, pair: Interaction, move: tuple[float, float, float, float], *, touched: bool) -> Floats:
    """Return a pair's change: `move` is where both factors were and where they go, (own, other, own, other)."""
    own, other = adapter.codings[pair.factor], adapter.codings[pair.on]
    own_was, other_was, own_is, other_is = move
    if not touched or pair.is_thin(own_was, other_was) or pair.is_thin(own_is, other_is):
        return np.zeros(pair_columns(adapter.codings, pair))
    own_P, before_P, after_P = code_value(own, own_was), code_value(other, other_was), code_value(other, other_is)
    other_step_PP = np.outer(own_P, after_P - before_P) * float(adapter.gain_F[pair.on])
    own_step_PP = np.outer(code_value(own, own_is) - own_P, after_P) * float(adapter.gain_F[pair.factor])
    return (other_step_PP + own_step_PP).ravel()


def _known(adapter: Adapter, name: str, pointer: str) -> FactorSpec:
    index = adapter.positions.get(name)
    if index is None:
        known = ", ".join(adapter.factor_set.names)
        raise _fault(pointer, "unknown_factor", f"there is no factor {name[:60]!r}; the factors are: {known}")
    return adapter.factor_set.factors[index]


def _editable(adapter: Adapter, name: str, pointer: str) -> FactorSpec:
    factor = _known(adapter, name, pointer)
    if name in adapter.refused:
        editable = [other for other in adapter.factor_set.names if other not in adapter.refused]
        raise _fault(
            pointer,
            "factor_refused",
            f"{name!r} did not pass the quality gate and cannot be edited (its card says why); "
            f"editable are: {', '.join(editable) or 'none'}",
        )
    return factor


def _fault(pointer: str, code: str, sentence: str) -> InvalidInput:
    return InvalidInput(sentence, code=code, param=pointer, details=[Detail(pointer, code, sentence)])
