"""What the client returns of drift."""

from typing import Literal

from heddle_api.client.results import Result


class OutsideInfo(Result):
    """Share of images outside a version's trusted range, its 95 % interval, what is expected, and its chance."""

    share: float
    interval: tuple[float, float]
    expected: float
    p: float


class ShiftInfo(Result):
    """How far the mean of the latents has moved, in standard deviations, its 95 % interval and its chance."""

    value: float
    interval: tuple[float, float]
    p: float


class LevelsInfo(Result):
    """How often a factor's levels are read at the edge and were labelled, and the population stability index."""

    factor: str
    index: float
    p: float
    read: dict[str, int]
    labelled: dict[str, int]


class DriftInfo(Result):
    """Whether what a version edits still looks like what it was fitted on; measures are None where `images` is 0."""

    adapter: str
    adapter_id: str
    version: int
    window_hours: int
    images: int
    reference_images: int
    verdict: Literal["stable", "watch", "drifted", "too_few"]
    reasons: tuple[str, ...]
    advice: str
    outside: OutsideInfo | None
    shift: ShiftInfo | None
    levels: tuple[LevelsInfo, ...]
    first_hour: str | None
    last_hour: str | None
