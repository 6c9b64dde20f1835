"""A bank of many tenants' adapters, so that a batch of mixed tenants is one gather and a few products.

The bank holds each adapter once, pressed (`pressed`), and the few in use unpacked as well; a batch pads the small
matrices of its rows to one size. (Padded copies of all adapters in shared arrays took as much memory again and saved
a batch some microseconds.) What it edits by is the pressed form, on every replica and however often it is opened.
Product columns of interactions are gathered only for rows that have any. Results equal `edit_latents` row by row.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter, DetailMode
from heddle_adapters.arrays import Floats, Singles
from heddle_adapters.change import check_request, design_change, edited_factors, interaction_change
from heddle_adapters.edit import detail_of
from heddle_adapters.preserve import preserved
from heddle_adapters.pressed import Pressed, press
from heddle_adapters.read import Readings, interpret, values_of
from heddle_platform.edits import EditRequest
from heddle_platform.errors import InvalidInput, NotFound

OPEN: Final = 256  # adapters kept unpacked: 12 MB, so that who edits now pays for unpacking once
_HEADS_TO_SPARE: Final = 64


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


class AdapterBank:
    """Adapters of any tenants on bases with the same number of latents, by digest. Safe for threads."""

    def __init__(self, latents: int) -> None:
        self._latents = latents
        self._lock = threading.Lock()
        self._held: dict[str, Pressed | Adapter] = {}
        self._heads: dict[bytes, bytes] = {}
        self._open: OrderedDict[str, Adapter] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, digest: str) -> bool:
        return digest in self._held

    @property
    def digests(self) -> tuple[str, ...]:
        """Digests of all adapters held, in the order they came."""
        return tuple(self._held)

    def add(self, digest: str, adapter: Adapter) -> None:
        """Hold an adapter; nothing happens if its digest is held already. Takes a millisecond or two.

        Raises:
            InvalidInput: code `latent_mismatch` if it was fitted on another number of latents.
        """
        adapter.check_latents(self._latents)
        if digest in self._held:
            return
        held = press(adapter, self._heads)
        with self._lock:
            self._held.setdefault(digest, held)

    def remove(self, digest: str) -> None:
        """Forget an adapter; not an error if it is not held."""
        with self._lock:
            self._held.pop(digest, None)
            self._open.pop(digest, None)
            if len(self._heads) > 2 * len(self._held) + _HEADS_TO_SPARE:
                named = {held.head for held in self._held.values() if isinstance(held, Pressed)}
                self._heads = {head: head for head in named}

    def get(self, digest: str) -> Adapter:
        """Return an adapter.

        Raises:
            NotFound: code `adapter_not_loaded`.
        """
        with self._lock:
            adapter = self._open.get(digest)
            if adapter is not None:
                self._open.move_to_end(digest)
                return adapter
            held = self._held.get(digest)
        if held is None:
            raise NotFound(f"no adapter with digest {digest[:12]} is loaded; load it first", code="adapter_not_loaded")
        adapter = held.adapter() if isinstance(held, Pressed) else held
        with self._lock:
            if self._held.get(digest) is held:
                self._open[digest] = adapter
                if len(self._open) > OPEN:
                    self._open.popitem(last=False)
        return adapter

    def edit(self, latents_BL: NDArray[Any], edits: Sequence[tuple[str, EditRequest]]) -> BankEdits:
        """Apply one (digest, request) to each of B latents.

        Raises:
            NotFound: code `adapter_not_loaded`.
            InvalidInput: as `edit_latents`.
        """
        latents_BL = latents_BL.astype(np.float32, copy=False)
        if latents_BL.shape != (len(edits), self._latents):
            raise InvalidInput(
                f"latents have shape {latents_BL.shape}, {len(edits)} edits need ({len(edits)}, {self._latents})",
                code="row_count_mismatch",
            )
        adapters = [self.get(digest) for digest, _ in edits]
        for adapter, (_, request) in zip(adapters, edits, strict=True):
            check_request(adapter, request)
        return _edit_rows(
            latents_BL,
            adapters,
            [request for _, request in edits],
            _products(adapters, self._latents),
            *_rows(adapters, self._latents),
        )


def _rows(adapters: Sequence[Adapter], latents: int) -> tuple[Singles, Singles, Singles, Singles, Singles, Floats]:
    """Return read, bias, write, mean, whitening and radius of each row, padded to the widest."""
    rows = len(adapters)
    scores = max((adapter.read_LC.shape[1] for adapter in adapters), default=0)
    columns = max((len(adapter.write_PL) for adapter in adapters), default=0)
    read_BLC = np.zeros((rows, latents, scores), np.float32)
    bias_BC = np.zeros((rows, scores), np.float32)
    write_BPL = np.zeros((rows, columns, latents), np.float32)
    mean_BL = np.empty((rows, latents), np.float32)
    whiten_BLL = np.empty((rows, latents, latents), np.float32)
    for row, adapter in enumerate(adapters):
        read_BLC[row, :, : adapter.read_LC.shape[1]] = adapter.read_LC
        bias_BC[row, : len(adapter.read_bias_C)] = adapter.read_bias_C
        write_BPL[row, : len(adapter.write_PL)] = adapter.write_PL
        mean_BL[row] = adapter.mean_L
        whiten_BLL[row] = adapter.whiten_LL
    return read_BLC, bias_BC, write_BPL, mean_BL, whiten_BLL, np.array([adapter.radius for adapter in adapters])


def _products(adapters: Sequence[Adapter], latents: int) -> tuple[NDArray[np.intp], Singles]:
    """Return which rows of a batch have product columns, and those columns."""
    rows_R = np.array([row for row, adapter in enumerate(adapters) if adapter.interactions], dtype=np.intp)
    widest = max((len(adapters[row].interact_QL) for row in rows_R), default=0)
    products_RQL = np.zeros((len(rows_R), widest, latents), np.float32)
    for place, row in enumerate(rows_R):
        products_RQL[place, : len(adapters[row].interact_QL)] = adapters[row].interact_QL
    return rows_R, products_RQL


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
