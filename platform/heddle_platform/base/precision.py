"""In which precision a training multiplies matrices: single, or bfloat16 where the chip is fast in it.

Weights, their steps and all sums stay in single precision; only the products of encoder and decoder are computed in
bfloat16. On CPUs with AMX or AVX-512 BF16 and on GPUs they are several times faster; on others many times slower.
"""

import time
from collections.abc import Callable
from functools import cache
from typing import Literal, TypeVar

import torch
from torch import Tensor

Precision = Literal["float32", "bfloat16", "auto"]
Result = TypeVar("Result", Tensor, tuple[Tensor, Tensor])

_SIDE, _PRODUCTS = 768, 4
_CLEARLY_FASTER = 1.5


def settled(precision: Precision) -> Precision:
    """The same, but for "auto": there both are timed, once per process, and the clearly faster one is taken."""
    if precision != "auto":
        return precision
    faster = _seconds(torch.bfloat16) * _CLEARLY_FASTER < _seconds(torch.float32)
    return "bfloat16" if faster else "float32"


@cache
def _seconds(dtype: torch.dtype) -> float:
    """The least of several timings of one square product."""
    matrix = torch.ones(_SIDE, _SIDE, dtype=dtype)
    taken = []
    for _ in range(_PRODUCTS):
        started = time.perf_counter()
        matrix @ matrix
        taken.append(time.perf_counter() - started)
    return min(taken)


def computed_in(precision: Precision, forward: Callable[[Tensor], Result]) -> Callable[[Tensor], Result]:
    """The same function with its products in this (settled) precision; what it returns is in single precision."""
    if precision == "float32":
        return forward

    def narrowed(given: Tensor) -> Result:
        with torch.autocast(given.device.type, dtype=torch.bfloat16):
            found = forward(given)
        if isinstance(found, Tensor):
            return found.float()
        return found[0].float(), found[1].float()

    return narrowed
