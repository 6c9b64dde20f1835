"""Cache keys: the only place that builds them, and the one spelling of an edit that they are built of.

A key is a content address of all that decides the bytes behind it, so an entry never goes stale: a moved alias
changes the adapter's digest, erasure raises the tenant's epoch and deletes what begins with its prefix, changed
arithmetic raises `ARITHMETIC`.
"""

import math
from typing import Final

from heddle_adapters.adapter import Adapter
from heddle_adapters.change import STRENGTH_STEPS, target_of
from heddle_adapters.edit import detail_of
from heddle_platform.digest import canonical_json, json_digest
from heddle_platform.edits import EditRequest
from heddle_platform.factors import Binary, Continuous, FactorSpec, LevelledFactor, Periodic
from heddle_platform.image_header import MediaType
from heddle_platform.keys import cache_prefix

ARITHMETIC: Final = 3  # raise it when the same edit of the same image gives other pixels


def canonical_edit(adapter: Adapter, request: EditRequest) -> EditRequest:
    """Spell an edit in the one way that is computed and cached.

    Level names are trimmed and binary words become booleans; numbers are rounded to 1/64 standard deviation
    (ordinal: 1/64 level, periodic: 1/64 radian), which no eye can see, so that a slider dragged over the same
    place twice asks for the same thing; `preserve` is sorted; "auto" becomes the mode it means.

    Args:
        adapter: the adapter that will carry it out.
        request: an edit that passed `check_request`.

    Returns:
        An edit whose result is the one cached and sent, bit for bit.
    """
    factors = adapter.factor_set.factors
    codings = adapter.codings
    wanted: dict[str, str | bool | float] = {}
    for name, value in sorted(request.set.items()):
        index = adapter.positions[name]
        wanted[name] = _canonical_target(factors[index], value, codings[index].spread)
    shift: dict[str, float] = {}
    for name, amount in sorted(request.shift.items()):
        index = adapter.positions[name]
        shift[name] = _rounded(amount, _step(factors[index], codings[index].spread))
    return EditRequest(
        adapter=request.adapter,
        set=wanted,
        shift=shift,
        preserve=tuple(sorted(set(request.preserve))),
        detail=detail_of(adapter, request),
    )


def edit_text(edit: EditRequest) -> str:
    """Return what a finished edit's key says of the edit, which must come from `canonical_edit`."""
    return canonical_json(edit.model_dump(mode="json", exclude={"adapter"})).decode()


def latent_key(tenant_id: str, epoch: int, base_digest: str, image_digest: str) -> str:
    """Return the key of an image's latent under one base."""
    return _key(tenant_id, epoch, "latent", base_digest, image_digest)


def upload_key(tenant_id: str, epoch: int, image_id: str) -> str:
    """Return the key of an image that was sent ahead of its edits."""
    return _key(tenant_id, epoch, "upload", image_id)


def edited_key(
    tenant_id: str,
    epoch: int,
    *,
    base_digest: str,
    adapter_digest: str,
    image_digest: str,
    edit: str,
    media_type: MediaType,
) -> str:
    """Return the key of a finished, encoded edit; `edit` must come from `edit_text`."""
    return _key(tenant_id, epoch, "edited", base_digest, adapter_digest, image_digest, edit, media_type)


def claim_key(edited: str) -> str:
    """Return the key under which a replica says that it is making the edit of another key."""
    start, _, digest = edited.rpartition(":")
    return f"{start}-claim:{digest}"


def _key(tenant_id: str, epoch: int, what: str, *parts: object) -> str:
    # the tenant stays readable: an operator may ask what one tenant occupies; all else is one digest
    return f"{cache_prefix(tenant_id)}{what}:{json_digest([ARITHMETIC, tenant_id, epoch, what, *parts])}"


def _canonical_target(factor: FactorSpec, value: str | bool | float, spread: float) -> str | bool | float:
    target = target_of(factor, value)
    if isinstance(factor, Binary):
        return bool(target)
    if isinstance(factor, LevelledFactor):
        return factor.level_names[int(target)]
    if isinstance(factor, Periodic):
        target %= factor.period
    rounded = _rounded(target, _step(factor, spread))
    if isinstance(factor, Continuous):
        low, high = factor.range  # the nearest step may lie just outside
        return min(max(rounded, low), high)
    return rounded


def _step(factor: FactorSpec, spread: float) -> float:
    if isinstance(factor, Periodic):
        return factor.period / (2 * math.pi * STRENGTH_STEPS)
    if isinstance(factor, LevelledFactor):
        return 1.0 / STRENGTH_STEPS
    return spread / STRENGTH_STEPS


def _rounded(value: float, step: float) -> float:
    return round(value / step) * step + 0.0  # + 0.0 turns -0.0 into 0.0, which JSON would spell differently
