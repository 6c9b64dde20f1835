"""Edit: latents and requests in, edited latents out, for one adapter."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter, DetailMode
from heddle_adapters.arrays import Floats, Singles
from heddle_adapters.change import check_request, design_changes, edited_factors, interaction_changes
from heddle_adapters.preserve import preserved
from heddle_adapters.read import Readings, interpret, scores_of, values_of
from heddle_platform.edits import EditRequest
from heddle_platform.errors import InvalidInput

__all__ = ["EditedLatents", "check_request", "detail_of", "detail_reason", "edit_latents"]


@dataclass(frozen=True, eq=False)
class EditedLatents:
    """B edited latents and what a response says about them.

    Attributes:
        latents_BL: edited latents, float32, standardised.
        delta_BL: what was added.
        extrapolation_B: Mahalanobis norm of the edited latents over the 99 % norm of the tenant's images;
            above 1 the picture lies outside what the tenant has shown.
        detail: per row, how to draw it: "decode" or "preserve".
        adapter: the adapter that edited.
        scores_BC: its raw scores of the latents before the edit.
    """

    latents_BL: Singles
    delta_BL: Singles
    extrapolation_B: Floats
    detail: tuple[DetailMode, ...]
    adapter: Adapter
    scores_BC: Floats

    @cached_property
    def readings_before(self) -> Readings:
        """Readings of the latents before the edit, B rows; made when asked for, not every reply shows them."""
        return interpret(self.adapter, self.scores_BC)


def edit_latents(adapter: Adapter, latents_BL: NDArray[Any], requests: Sequence[EditRequest]) -> EditedLatents:
    """Apply one request to each of B latents.

    Args:
        adapter: the tenant's adapter.
        latents_BL: standardised latents.
        requests: B requests, one per row.

    Raises:
        InvalidInput: see `check_request`; code `row_count_mismatch` if there is not one request per row;
            code `latent_mismatch` if the latents are another base's; `wrong_shape`, `not_finite`.
    """
    if len(requests) != len(latents_BL):
        raise InvalidInput(
            f"there are {len(requests)} edits for {len(latents_BL)} latents; send one edit per image",
            code="row_count_mismatch",
        )
    for request in {id(request): request for request in requests}.values():
        check_request(adapter, request)
    latents_BL = latents_BL.astype(np.float32, copy=False)
    scores_BC = scores_of(adapter, latents_BL)
    values_BF = values_of(adapter, scores_BC)
    change_BP = design_changes(adapter, requests, values_BF)
    delta_BL = (change_BP.astype(np.float32) @ adapter.write_PL).astype(np.float32)
    if adapter.interactions:
        change_BQ = interaction_changes(adapter, requests, values_BF)
        delta_BL += change_BQ.astype(np.float32) @ adapter.interact_QL
    for row, request in enumerate(requests):
        if request.preserve:
            delta_BL[row] = preserved(adapter, delta_BL[row], edited_factors(request), request.preserve)
    edited_BL = latents_BL + delta_BL
    return EditedLatents(
        edited_BL,
        delta_BL,
        extrapolation(adapter, edited_BL),
        tuple(detail_of(adapter, request) for request in requests),
        adapter,
        scores_BC,
    )


def extrapolation(adapter: Adapter, latents_BL: Singles) -> Floats:
    """Return the Mahalanobis norm of latents over the 99 % norm of the tenant's own images, [B]."""
    whitened_BL = (latents_BL - adapter.mean_L) @ adapter.whiten_LL
    result: Floats = np.sqrt(np.square(whitened_BL, dtype=np.float64).sum(axis=1)) / adapter.radius
    return result


def detail_of(adapter: Adapter, request: EditRequest) -> DetailMode:
    """Say how an edit is drawn: as asked, or ("auto") by preserve only if all its factors measured better so."""
    if request.detail != "auto":
        return request.detail
    edited = [adapter.positions[name] for name in edited_factors(request)]
    return "preserve" if all(adapter.detail[index] == "preserve" for index in edited) else "decode"


def detail_reason(adapter: Adapter, request: EditRequest) -> str:
    """Say why an edit is drawn as `detail_of` says.

    Returns:
        "requested"; "card: preserve measured better for all factors edited", or "card: decode measured better for"
        and the factors that decided, url-quoted so that the text fits a header.
    """
    if request.detail != "auto":
        return "requested"
    names = [name for name in edited_factors(request) if adapter.detail[adapter.positions[name]] == "decode"]
    if names:
        return f"card: decode measured better for {', '.join(quote(name) for name in names[:8])}"
    return "card: preserve measured better for all factors edited"
