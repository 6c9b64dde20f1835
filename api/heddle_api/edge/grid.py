"""Grid: one factor of one image at all its levels, or at even steps through its range."""

from typing import Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from heddle_adapters.adapter import Adapter
from heddle_adapters.edit import check_request
from heddle_api.edge.cache_key import canonical_edit
from heddle_platform.edits import Detailing, EditRequest
from heddle_platform.errors import Detail, InvalidInput, TooLarge
from heddle_platform.factors import Binary, Continuous, FactorSpec, Periodic

MAX_PICTURES: Final = 60  # of 256 pixels and a gap each: what fits an image's longest side


class GridRequest(BaseModel):
    """What a traversal shows.

    Attributes:
        adapter: as in an edit.
        factor: the factor that varies.
        steps: number of pictures for a continuous or periodic factor; levels come as they are.
        preserve, detail: as in an edit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    adapter: str = Field(min_length=1, max_length=200)
    factor: str = Field(min_length=1, max_length=200)
    steps: int = Field(7, ge=2, le=MAX_PICTURES)
    preserve: tuple[str, ...] = Field((), max_length=200, fail_fast=True)
    detail: Detailing = "auto"


def parse_grid(document: Any) -> GridRequest:
    """Check a grid document.

    Raises:
        InvalidInput: code `invalid_grid`, one detail per fault with its JSON pointer.
    """
    try:
        return GridRequest.model_validate(document)
    except ValidationError as error:
        details = [
            Detail("".join(f"/{step}" for step in fault["loc"]), str(fault["type"]), str(fault["msg"]))
            for fault in error.errors(include_url=False)
        ]
        raise InvalidInput(
            f"the grid has {len(details)} fault(s); the first, at {details[0].pointer or '/'}: {details[0].detail}",
            code="invalid_grid",
            param=details[0].pointer or "grid",
            details=details,
        ) from None


def grid_edits(adapter: Adapter, request: GridRequest) -> list[EditRequest]:
    """Return one checked, canonical edit per picture, from left to right.

    Raises:
        InvalidInput: as `check_request`.
        TooLarge: code `grid_too_large`: the factor has more levels than a strip holds.
    """
    factor = adapter.factor_set.factor(request.factor)
    low, high = adapter.usable_F2[adapter.positions[request.factor]]
    values = _values(factor, float(low), float(high), request.steps)
    if len(values) > MAX_PICTURES:
        raise TooLarge(
            f"{factor.name!r} has {len(values)} levels, at most {MAX_PICTURES} are drawn side by side; "
            "edit the levels you want one by one",
            code="grid_too_large",
            param="/factor",
        )
    edits = []
    for value in values:
        edit = EditRequest(
            adapter=request.adapter, set={factor.name: value}, preserve=request.preserve, detail=request.detail
        )
        check_request(adapter, edit)
        edits.append(canonical_edit(adapter, edit))
    return edits


def _values(factor: FactorSpec, low: float, high: float, steps: int) -> list[str | bool | float]:
    if isinstance(factor, Binary):
        return [False, True]
    if isinstance(factor, Continuous):
        least, most = max(low, factor.range[0]), min(high, factor.range[1])
        return [float(value) for value in np.linspace(least, most, steps)]
    if isinstance(factor, Periodic):
        return [float(value) for value in np.linspace(0.0, factor.period, steps, endpoint=False)]
    return list(factor.level_names)
