"""What an edit request asks of one factor, checked, and turned into a change of design columns."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

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


def design_changes(adapter: Adapter, requests: Sequence[EditRequest], values_BF: Floats) -> Floats:
    """Return `design_change` of B images, [B, P], all at once.

    Args:
        adapter: the tenant's adapter.
        requests: edits that passed `check_request`, one per image.
        values_BF: values read from the images.
    """
    targets_BF, edited_BF = _all_targets(adapter, requests, values_BF)
    change_BP = np.zeros((len(requests), len(adapter.write_PL)))
    for index in np.flatnonzero(edited_BF.any(axis=0)).tolist():
        coding, rows_R = adapter.codings[index], np.flatnonzero(edited_BF[:, index])
        step_RP = code_values(coding, targets_BF[rows_R, index]) - code_values(coding, values_BF[rows_R, index])
        change_BP[rows_R, adapter.column_slices[index]] = step_RP * float(adapter.gain_F[index])
    return quantised(change_BP)


def interaction_change(adapter: Adapter, request: EditRequest, values_F: Floats) -> Floats:
    """Return `interaction_changes` of one image, [Q], in a third of the time that many at once take for one."""
    if not adapter.interactions:
        return np.zeros(len(adapter.interact_QL))
    targets = _targets(adapter, request, values_F)
    changes = []
    for pair in adapter.interactions:
        own, other = float(values_F[pair.factor]), float(values_F[pair.on])
        move = (own, other, targets.get(pair.factor, own), targets.get(pair.on, other))
        touched = pair.factor in targets or pair.on in targets
        changes.append(_product(adapter, pair, move, touched=touched))
    return quantised(np.concatenate(changes))


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
    targets_BF, edited_BF = _all_targets(adapter, requests, values_BF)
    return quantised(
        np.hstack([_products(adapter, pair, values_BF, targets_BF, edited_BF) for pair in adapter.interactions])
    )


def edited_factors(request: EditRequest) -> tuple[str, ...]:
    """Return the names of the factors an edit changes."""
    return (*request.set, *request.shift)


def quantised(change: Floats) -> Floats:
    """Round to whole 1/64."""
    return np.asarray(np.round(change * STRENGTH_STEPS) / STRENGTH_STEPS, dtype=np.float64)


def code_value(coding: Coding, value: float) -> Floats:
    """Return the design row [P] of one value; fractional levels lie between their neighbours' rows."""
    if coding.levels:
        # min and max: of single numbers np.clip takes ten times as long, and the edge asks for every edit
        below = min(max(math.floor(value), 0), coding.levels - 1)
        above = min(below + 1, coding.levels - 1)
        share = min(max(value - below, 0.0), 1.0)
        return np.asarray((1.0 - share) * coding.table_KP[below] + share * coding.table_KP[above], dtype=np.float64)
    return np.asarray(coding.encode(np.array([value]))[0], dtype=np.float64)


def code_values(coding: Coding, values_B: Floats) -> Floats:
    """Return `code_value` of B values, [B, P]."""
    if coding.levels:
        below_B = np.clip(np.floor(values_B), 0, coding.levels - 1).astype(np.intp)
        above_B = np.minimum(below_B + 1, coding.levels - 1)
        share_B1 = np.clip(values_B - below_B, 0.0, 1.0)[:, None]
        return np.asarray((1.0 - share_B1) * coding.table_KP[below_B] + share_B1 * coding.table_KP[above_B])
    return coding.encode(values_B)


def _all_targets(
    adapter: Adapter, requests: Sequence[EditRequest], values_BF: Floats
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return where each factor goes, [B, F], an untouched one staying where it reads, and which are edited."""
    targets_BF = np.array(values_BF, dtype=np.float64)
    edited_BF = np.zeros(targets_BF.shape, dtype=np.bool_)
    known: dict[int, dict[int, float]] = {}  # a card asks thousands of images for the same few edits
    for row, request in enumerate(requests):
        targets = known.get(id(request))
        if targets is None:
            targets = _targets(adapter, request, values_BF[row])
            if not request.shift:
                known[id(request)] = targets
        for index, target in targets.items():
            targets_BF[row, index] = target
            edited_BF[row, index] = True
    return targets_BF, edited_BF


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


def _products(
    adapter: Adapter, pair: Interaction, values_BF: Floats, targets_BF: Floats, edited_BF: NDArray[np.bool_]
) -> Floats:
    """Return a pair's change for B images, [B, its product columns]."""
    own, other = adapter.codings[pair.factor], adapter.codings[pair.on]
    own_was_B, other_was_B = values_BF[:, pair.factor], values_BF[:, pair.on]
    own_is_B, other_is_B = targets_BF[:, pair.factor], targets_BF[:, pair.on]
    moves_B = edited_BF[:, pair.factor] | edited_BF[:, pair.on]
    moves_B &= ~(pair.are_thin(own_was_B, other_was_B) | pair.are_thin(own_is_B, other_is_B))
    change_BQ = np.zeros((len(values_BF), pair_columns(adapter.codings, pair)))
    rows_R = np.flatnonzero(moves_B)
    if len(rows_R):
        own_RP, before_RP = code_values(own, own_was_B[rows_R]), code_values(other, other_was_B[rows_R])
        after_RP = code_values(other, other_is_B[rows_R])
        other_step_RP, own_step_RP = after_RP - before_RP, code_values(own, own_is_B[rows_R]) - own_RP
        other_step_RPP = own_RP[:, :, None] * other_step_RP[:, None, :] * float(adapter.gain_F[pair.on])
        own_step_RPP = own_step_RP[:, :, None] * after_RP[:, None, :] * float(adapter.gain_F[pair.factor])
        change_BQ[rows_R] = (other_step_RPP + own_step_RPP).reshape(len(rows_R), -1)
    return change_BQ


def _product(adapter: Adapter, pair: Interaction, move: tuple[float, float, float, float], *, touched: bool) -> Floats:
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
