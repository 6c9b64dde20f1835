"""The fleet solver: thousands of tenants' closed-form fits in one call, on a CPU or on CUDA.

What it solves for is what `fit.fit_adapter(..., refine=False)` solves for, to 1e-6: ridge by leave-one-out with all
candidates side by side, encoding model, closed-form read, missing labels filled, temperatures out of fold, hybrid
write. The discriminative read is not part of it.

Tenants of one padded shape are solved in chunks of batched products. Numbers are in double precision, each chunk's
sums run on one thread, and the padded shape is the tenant's own, so that neither the number of threads nor the company
a tenant is solved in changes its adapter.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

from heddle_adapters.fleet.chunk import solve_chunk
from heddle_adapters.fleet.intake import Admitted, FleetTenant, admit, chunks_of
from heddle_adapters.fleet.order import settle_orders
from heddle_adapters.fleet.result import FleetFit, Solved
from heddle_platform.errors import InvalidInput


def fit_fleet(
    tenants: Sequence[FleetTenant], *, device: str | None = None, threads: int = 1, ridge: float | None = None
) -> FleetFit:
    """Fit every tenant.

    Args:
        tenants: labelled sets, of any numbers of rows, latents and factors.
        device: "cpu" or "cuda"; None takes CUDA where there is one.
        threads: chunks solved at once; the result does not depend on it.
        ridge: pseudo-counts per level; None chooses them per tenant by leave-one-out.

    Returns:
        The fits; a tenant that cannot be fitted is in `refused` and stops no other.
    """
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    refused: dict[int, InvalidInput] = {}
    admitted: list[Admitted] = []
    with _one_thread(), ThreadPoolExecutor(threads) as workers:
        for index, tenant in enumerate(tenants):
            try:
                admitted.append(admit(index, tenant))
            except InvalidInput as error:
                refused[index] = error
        admitted = settle_orders(admitted, where)
        solved: dict[int, tuple[Solved, int]] = {}
        for part in workers.map(lambda chunk: solve_chunk(chunk, where, ridge), chunks_of(admitted)):
            refused |= part.refused
            solved |= {index: (part, place) for place, index in enumerate(part.indices) if index not in part.refused}
    return FleetFit(tuple(tenants), solved, dict(sorted(refused.items())))


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
