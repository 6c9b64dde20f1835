"""A bank of many tenants' adapters, so that a batch of mixed tenants is one gather and a few products.

Per adapter the bank keeps padded copies of the small matrices in one slot of shared arrays; a batch gathers
the slots of its rows. Product columns of interactions stand in a second, narrower stack that holds only the adapters
that have any, and is gathered only for their rows. Results equal `edit_latents` row by row.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter, DetailMode
from heddle_adapters.arrays import Floats, Singles
from heddle_adapters.change import check_request, design_change, edited_factors, interaction_change
from heddle_adapters.edit import detail_of
from heddle_adapters.preserve import preserved
from heddle_adapters.read import Readings, interpret, values_of
from heddle_platform.edits import EditRequest
from heddle_platform.errors import InvalidInput, NotFound


@dataclass(frozen=True, eq=False)
class BankEdits:
    """B edited latents of any tenants; fields as in `EditedLatents`, adapters and scores one per row."""

    latents_BL: Singles
    delta_BL: Singles
    extrapolation_B: Floats
    detail: tuple[DetailMode, ...]
    adapters: tuple[Adapter, ...]
    scores_BC: Floats

    def readings_before(self, row: int) -> Readings:
        """Return the readings of one row before its edit (a single row, 0)."""
        adapter = self.adapters[row]
        return interpret(adapter, self.scores_BC[row : row + 1, : adapter.read_LC.shape[1]])


@dataclass(eq=False)
class _Stack:
    """Padded matrices of S slots."""

    read_SLC: Singles
    bias_SC: Singles
    write_SPL: Singles
    mean_SL: Singles
    whiten_SLL: Singles
    radius_S: Floats

    @classmethod
    def empty(cls, slots: int, latents: int, scores: int, columns: int) -> "_Stack":
        return cls(
            np.zeros((slots, latents, scores), np.float32),
            np.zeros((slots, scores), np.float32),
            np.zeros((slots, columns, latents), np.float32),
            np.zeros((slots, latents), np.float32),
            np.zeros((slots, latents, latents), np.float32),
            np.ones(slots),
        )

    def grown(self, slots: int, scores: int, columns: int) -> "_Stack":
        wider = _Stack.empty(slots, self.mean_SL.shape[1], scores, columns)
        for mine, theirs in zip(vars(self).values(), vars(wider).values(), strict=True):
            theirs[tuple(slice(0, size) for size in mine.shape)] = mine
        return wider


@dataclass(eq=False)
class _Products:
    """Padded product rows of the adapters that have interactions, by digest."""

    rows_SQL: Singles
    slots: dict[str, int]
    free: list[int]

    def add(self, digest: str, adapter: Adapter) -> None:
        columns, latents = adapter.interact_QL.shape
        slot = self.free.pop() if self.free else len(self.slots)
        held, width, _ = self.rows_SQL.shape
        if slot >= held or columns > width:
            wider = np.zeros(
                (held if slot < held else max(slot + 1, 2 * held), max(width, columns), latents), np.float32
            )
            wider[:held, :width] = self.rows_SQL
            self.rows_SQL = wider
        self.rows_SQL[slot] = 0
        self.rows_SQL[slot, :columns] = adapter.interact_QL
        self.slots[digest] = slot

    def remove(self, digest: str) -> None:
        if digest in self.slots:
            self.free.append(self.slots.pop(digest))

    def gather(self, digests: Sequence[str]) -> tuple[NDArray[np.intp], Singles]:
        """Return which rows of a batch have product columns, and those columns."""
        found = [(row, self.slots[digest]) for row, digest in enumerate(digests) if digest in self.slots]
        rows_R, slots_R = np.array(found, dtype=np.intp).reshape(-1, 2).T
        return rows_R, self.rows_SQL[slots_R]


class AdapterBank:
    """Adapters of any tenants on bases with the same number of latents, by digest. Safe for threads."""

    def __init__(self, latents: int) -> None:
        self._lock = threading.Lock()
        self._slots: dict[str, int] = {}
        self._adapters: dict[str, Adapter] = {}
        self._free: list[int] = []
        self._stack = _Stack.empty(0, latents, 0, 0)
        self._products = _Products(np.zeros((0, 0, latents), np.float32), {}, [])

    def __len__(self) -> int:
        return len(self._adapters)

    def __contains__(self, digest: str) -> bool:
        return digest in self._adapters

    @property
    def digests(self) -> tuple[str, ...]:
        """Digests of all adapters held, in the order they came."""
        return tuple(self._adapters)

    def add(self, digest: str, adapter: Adapter) -> None:
        """Hold an adapter; nothing happens if its digest is held already.

        Raises:
            InvalidInput: code `latent_mismatch` if it was fitted on another number of latents.
        """
        with self._lock:
            if digest in self._adapters:
                return
            adapter.check_latents(self._stack.mean_SL.shape[1])
            slot = self._free.pop() if self._free else len(self._slots)
            self._make_room(slot + 1, adapter.read_LC.shape[1], len(adapter.write_PL))
            self._fill(slot, adapter)
            if adapter.interactions:
                self._products.add(digest, adapter)
            self._slots[digest] = slot
            self._adapters[digest] = adapter

    def remove(self, digest: str) -> None:
        """Forget an adapter; not an error if it is not held."""
        with self._lock:
            if self._adapters.pop(digest, None) is not None:
                self._free.append(self._slots.pop(digest))
                self._products.remove(digest)

    def get(self, digest: str) -> Adapter:
        """Return an adapter.

        Raises:
            NotFound: code `adapter_not_loaded`.
        """
        adapter = self._adapters.get(digest)
        if adapter is None:
            raise NotFound(f"no adapter with digest {digest[:12]} is loaded; load it first", code="adapter_not_loaded")
        return adapter

    def edit(self, latents_BL: NDArray[Any], edits: Sequence[tuple[str, EditRequest]]) -> BankEdits:
        """Apply one (digest, request) to each of B latents.

        Raises:
            NotFound: code `adapter_not_loaded`.
            InvalidInput: as `edit_latents`.
        """
        latents_BL = latents_BL.astype(np.float32, copy=False)
        if latents_BL.shape != (len(edits), self._stack.mean_SL.shape[1]):
            raise InvalidInput(
                f"latents have shape {latents_BL.shape}, {len(edits)} edits need "
                f"({len(edits)}, {self._stack.mean_SL.shape[1]})",
                code="row_count_mismatch",
            )
        adapters = [self.get(digest) for digest, _ in edits]
        for adapter, (_, request) in zip(adapters, edits, strict=True):
            check_request(adapter, request)
        with self._lock:
            # an adapter removed meanwhile may have lost its slot to another one
            stack, slot_B = self._stack, np.array([self._slots.get(digest, -1) for digest, _ in edits], dtype=np.intp)
            if (slot_B < 0).any():
                self.get(edits[int(slot_B.argmin())][0])
            gathered = [array[slot_B] for array in vars(stack).values()]
            products = self._products.gather([digest for digest, _ in edits])
        return _edit_rows(latents_BL, adapters, [request for _, request in edits], products, *gathered)

    def _make_room(self, slots: int, scores: int, columns: int) -> None:
        held, _, held_scores = self._stack.read_SLC.shape
        held_columns = self._stack.write_SPL.shape[1]
        if slots > held or scores > held_scores or columns > held_columns:
            size = held if slots <= held else max(slots, 2 * held, 8)
            self._stack = self._stack.grown(size, max(scores, held_scores), max(columns, held_columns))

    def _fill(self, slot: int, adapter: Adapter) -> None:
        stack = self._stack
        for array in vars(stack).values():
            array[slot] = 0
        stack.read_SLC[slot, :, : adapter.read_LC.shape[1]] = adapter.read_LC
        stack.bias_SC[slot, : len(adapter.read_bias_C)] = adapter.read_bias_C
        stack.write_SPL[slot, : len(adapter.write_PL)] = adapter.write_PL
        stack.mean_SL[slot] = adapter.mean_L
        stack.whiten_SLL[slot] = adapter.whiten_LL
        stack.radius_S[slot] = adapter.radius


def _edit_rows(
    latents_BL: Singles,
    adapters: Sequence[Adapter],
    requests: Sequence[EditRequest],
    products: tuple[NDArray[np.intp], Singles],
    read_BLC: Singles,
    bias_BC: Singles,
    write_BPL: Singles,
    mean_BL: Singles,
    whiten_BLL: Singles,
    radius_B: Floats,
) -> BankEdits:
    scores_BC = (np.matmul(latents_BL[:, None], read_BLC)[:, 0] + bias_BC).astype(np.float64)
    change_BP = np.zeros(write_BPL.shape[:2], np.float32)
    values = [values_of(adapter, scores_BC[row : row + 1])[0] for row, adapter in enumerate(adapters)]
    for row, (adapter, request) in enumerate(zip(adapters, requests, strict=True)):
        change_BP[row, : len(adapter.write_PL)] = design_change(adapter, request, values[row])
    delta_BL = np.matmul(change_BP[:, None], write_BPL)[:, 0]
    rows_R, products_RQL = products
    if len(rows_R):
        change_RQ = np.zeros(products_RQL.shape[:2], np.float32)
        for place, row in enumerate(rows_R):
            adapter = adapters[row]
            change_RQ[place, : adapter.products] = interaction_change(adapter, requests[row], values[row])
        delta_BL[rows_R] += np.matmul(change_RQ[:, None], products_RQL)[:, 0]
    for row, (adapter, request) in enumerate(zip(adapters, requests, strict=True)):
        if request.preserve:
            delta_BL[row] = preserved(adapter, delta_BL[row], edited_factors(request), request.preserve)
    edited_BL = latents_BL + delta_BL
    whitened_BL = np.matmul((edited_BL - mean_BL)[:, None], whiten_BLL)[:, 0]
    return BankEdits(
        edited_BL,
        delta_BL,
        np.sqrt(np.square(whitened_BL, dtype=np.float64).sum(axis=1)) / radius_B,
        tuple(detail_of(adapter, request) for adapter, request in zip(adapters, requests, strict=True)),
        tuple(adapters),
        scores_BC,
    )
