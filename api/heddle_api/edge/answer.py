"""Answers: what the service hands to the routes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from heddle_api.edge.remembered import EditedImage

CacheState = Literal["hit", "latent", "miss"]


@dataclass(frozen=True)
class EditAnswer:
    """A finished edit and what its headers say."""

    image: EditedImage
    cache: CacheState
    edit_id: str
    adapter: str
    detail_reason: str
    timing: str


@dataclass(frozen=True)
class TakenAnswer:
    """An image taken ahead of its edits: its id and size, what it reads as, how long it is kept, whether its latents
    were known."""

    image_id: str
    width: int
    height: int
    readings: dict[str, dict[str, Any]] | None
    adapter: str | None
    expires_at: datetime
    cache: CacheState
    timing: str


@dataclass(frozen=True)
class GridAnswer:
    """A strip of one factor's edits, the values it shows from left to right, and how far outside the farthest is."""

    data: bytes
    values: tuple[str | bool | float, ...]
    extrapolation: float
    cache: CacheState
    adapter: str
    timing: str
