"""What an edit request asks of one factor, checked, and turned into a change of design columns."""

import numpy as np

from heddle_adapters.adapter import Adapter
from heddle_adapters.arrays import Floats
from heddle_adapters.design import Coding
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
    for name, wanted in request.set.items():
        index = adapter.positions[name]
        target = target_of(adapter.factor_set.factors[index], wanted)
        _put(change_P, adapter, index, values_F[index], target)
    for name, amount in request.shift.items():
        index = adapter.positions[name]
        _put(change_P, adapter, index, values_F[index], values_F[index] + amount)
    return quantised(change_P)


def edited_factors(request: EditRequest) -> tuple[str, ...]:
    """Return the names of the factors an edit changes."""
    return (*request.set, *request.shift)


def quantised(change: Floats) -> Floats:
    """Round to whole 1/64."""
    return np.asarray(np.round(change * STRENGTH_STEPS) / STRENGTH_STEPS, dtype=np.float64)


def code_value(coding: Coding, value: float) -> Floats:
    """Return the design row [P] of one value; fractional levels lie between their neighbours' rows."""
    if coding.levels:
        below = int(np.clip(np.floor(value), 0, coding.levels - 1))
        above = min(below + 1, coding.levels - 1)
        share = float(np.clip(value - below, 0.0, 1.0))
        return np.asarray((1.0 - share) * coding.table_KP[below] + share * coding.table_KP[above], dtype=np.float64)
    return np.asarray(coding.encode(np.array([value]))[0], dtype=np.float64)


def _put(change_P: Floats, adapter: Adapter, index: int, value: float, target: float) -> None:
    coding = adapter.codings[index]
    if coding.kind != "periodic":
        low, high = adapter.usable_F2[index]
        target = float(np.clip(target, low, high))
    step_P = code_value(coding, target) - code_value(coding, float(value))
    change_P[adapter.column_slices[index]] = step_P * float(adapter.gain_F[index])


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
