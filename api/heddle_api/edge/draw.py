"""Draw: what the batcher's thread does with works that wait together: encode all, edit all, decode all."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter, DetailMode
from heddle_adapters.arrays import Singles
from heddle_adapters.read import Readings, read
from heddle_api.edge.serving import LoadedBase
from heddle_api.edge.suggestion import asked_beyond, suggest
from heddle_platform.edits import EditRequest


@dataclass(frozen=True, eq=False)
class Work:
    """One image and what is to be done with it.

    Attributes:
        base: which base encodes and decodes.
        image_HWC: the image at the base's size, uint8; None if `latents_L` is known.
        latents_L: the image's latents, float32; None if they must be encoded.
        edits: one (adapter digest, checked request) per picture wanted; none where only latents are.
        deadline: `time.monotonic()` after which nobody waits any more.
        reader: adapter whose readings are wanted, or None.
        owner: whose it is: owners take turns, however much one of them sends.
        background: nobody waits for it now, so it gives way to what somebody waits for.
    """

    base: LoadedBase
    image_HWC: NDArray[np.uint8] | None
    latents_L: Singles | None
    edits: tuple[tuple[str, EditRequest], ...]
    deadline: float
    reader: Adapter | None = None
    owner: str = ""
    background: bool = False

    @property
    def rows(self) -> int:
        """How many pictures this draws, at least one unit of work."""
        return max(1, len(self.edits))


@dataclass(frozen=True, eq=False)
class Drawn:
    """One edited picture at the base's size.

    Attributes:
        after_HWC: D(z'), float32 in 0..1.
        before_HWC: D(z), where `detail` is "preserve" and the change is what counts; else None.
        detail: how it is to be composed.
        extrapolation: how far outside it is, 1 being the border: Mahalanobis norm over the 99 % norm of the tenant's
            images, or a number asked for over those that were labelled, the larger (`suggestion`).
        suggestion: of an edit that leaves that range: the nearest one that stays inside, as JSON; else None.
    """

    after_HWC: Singles
    before_HWC: Singles | None
    detail: DetailMode
    extrapolation: float
    suggestion: dict[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class Done:
    """What became of a work: latents, pictures in the order of the edits, readings, and seconds per stage."""

    latents_L: Singles
    drawn: tuple[Drawn, ...]
    readings: Readings | None
    seconds: dict[str, float]


def carry_out(works: Sequence[Work]) -> list[Done]:
    """Encode, edit and decode works of one base together.

    Args:
        works: at least one, all of the same base.

    Returns:
        One result per work, in order.
    """
    base = works[0].base
    started = time.perf_counter()
    latents_WL = _encode(base, works)
    encoded = time.perf_counter()
    edits = [edit for work in works for edit in work.edits]
    owner = np.repeat(np.arange(len(works)), [len(work.edits) for work in works])
    drawn: list[Drawn] = []
    edited = drawn_at = encoded
    if edits:
        bank = base.bank.edit(latents_WL[owner], edits)
        edited = time.perf_counter()
        originals = sorted({int(owner[row]) for row, detail in enumerate(bank.detail) if detail == "preserve"})
        pictures_BHWC = base.runtime.decode(np.concatenate([bank.latents_BL, latents_WL[originals]]))
        before = {work: pictures_BHWC[len(edits) + place] for place, work in enumerate(originals)}
        beyond = [
            max(float(bank.extrapolation_B[row]), asked_beyond(bank, row, request))
            for row, (_, request) in enumerate(edits)
        ]
        drawn = [
            Drawn(
                pictures_BHWC[row],
                before[int(owner[row])] if detail == "preserve" else None,
                detail,
                beyond[row],
                suggest(bank, row, edits[row][1]) if beyond[row] > 1.0 else None,
            )
            for row, detail in enumerate(bank.detail)
        ]
        drawn_at = time.perf_counter()
    seconds = {"encode": encoded - started, "edit": edited - encoded, "decode": drawn_at - edited}
    pictures = iter(drawn)
    return [
        Done(
            latents_L,
            tuple(next(pictures) for _ in work.edits),
            None if work.reader is None else read(work.reader, latents_L[None]),
            dict(seconds),
        )
        for work, latents_L in zip(works, latents_WL, strict=True)
    ]


def _encode(base: LoadedBase, works: Sequence[Work]) -> Singles:
    latents_WL = np.empty((len(works), base.runtime.latents), np.float32)
    images = []
    for index, work in enumerate(works):
        if work.latents_L is not None:
            latents_WL[index] = work.latents_L
        elif work.image_HWC is not None:
            images.append((index, work.image_HWC))
        else:
            raise ValueError("a work needs an image or its latents")
    if images:
        rows = [index for index, _ in images]
        latents_WL[rows] = base.runtime.encode(np.stack([image_HWC for _, image_HWC in images]))
    return latents_WL
