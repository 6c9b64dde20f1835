"""The edit vector: an edit request as the row of numbers that the one-file editor takes.

| column | meaning |
|---|---|
| 2k | mode of factor k: 0 leave, 1 set, 2 shift; anything else leaves it |
| 2k + 1 | its value. set: level index (binary: 0 or 1), or value in the factor's unit. shift: levels, or amount |
| 2F | detail: 0 auto (what the card chose per factor), 1 decode, 2 preserve |

Zeros leave the picture as it is. Targets are clipped to the usable range; a graph cannot refuse, so it leaves
factors alone that are not editable, or shifted though their levels have no order. `edit_vector` refuses both.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from heddle_adapters.adapter import Adapter
from heddle_adapters.arrays import Singles
from heddle_adapters.change import check_request, target_of
from heddle_platform.edits import EditRequest
from heddle_platform.errors import InvalidInput

LEAVE, SET, SHIFT = 0, 1, 2
DETAILS = ("auto", "decode", "preserve")


def edit_vector(adapter: Adapter, requests: Sequence[EditRequest]) -> Singles:
    """Return one row [2F + 1] per request.

    Raises:
        InvalidInput: see `check_request`; code `preserve_not_offered`: the one-file editor holds no factor still.
    """
    rows_BE = np.zeros((len(requests), 2 * len(adapter.codings) + 1), np.float32)
    for row_E, request in zip(rows_BE, requests, strict=True):
        check_request(adapter, request)
        if request.preserve:
            raise InvalidInput(
                f"the one-file editor cannot hold {', '.join(request.preserve)} still; ask the edge, which can",
                code="preserve_not_offered",
                param="/preserve",
            )
        for name, wanted in request.set.items():
            index = adapter.positions[name]
            row_E[2 * index : 2 * index + 2] = SET, target_of(adapter.factor_set.factors[index], wanted)
        for name, amount in request.shift.items():
            row_E[2 * adapter.positions[name] : 2 * adapter.positions[name] + 2] = SHIFT, amount
        row_E[-1] = DETAILS.index(request.detail)
    return rows_BE


def editable_factors(adapter: Adapter) -> tuple[bool, ...]:
    """Say per factor whether it can be edited at all."""
    return tuple(name not in adapter.refused for name in adapter.factor_set.names)


def shiftable_factors(adapter: Adapter) -> tuple[bool, ...]:
    """Say per factor whether it can be shifted: levels in no order cannot."""
    return tuple(
        factor.kind != "categorical" and name not in adapter.refused
        for name, factor in zip(adapter.factor_set.names, adapter.factor_set.factors, strict=True)
    )


def vector_columns(adapter: Adapter) -> list[dict[str, Any]]:
    """Return what every column of the edit vector means, as JSON: the graph carries it in its metadata."""
    columns: list[dict[str, Any]] = []
    facts = zip(
        adapter.factor_set.factors,
        adapter.usable_F2.tolist(),
        editable_factors(adapter),
        shiftable_factors(adapter),
        strict=True,
    )
    for factor, usable, editable, shiftable in facts:
        modes = {"leave": LEAVE} | ({"set": SET} if editable else {}) | ({"shift": SHIFT} if shiftable else {})
        columns.append({"factor": factor.name, "kind": factor.kind, "holds": "mode", "modes": modes})
        value: dict[str, Any] = {"factor": factor.name, "kind": factor.kind, "holds": "value"}
        if levels := getattr(factor, "level_names", ()):
            value |= {"set": "level index", "shift": "levels", "levels": list(levels), "clipped_to": usable}
        elif factor.kind == "periodic":
            value |= {"set": "value", "shift": "amount", "unit": factor.unit, "period": factor.period}
        else:
            value |= {"set": "value", "shift": "amount", "unit": getattr(factor, "unit", None), "clipped_to": usable}
        columns.append(value)
    return [*columns, {"holds": "detail", "modes": {name: index for index, name in enumerate(DETAILS)}}]
