"""The one-file editor held against the platform's own arithmetic: the same edits of the same pictures by both.

Strengths are rounded to 1/64 of a standard deviation and levels read are the likeliest: where a picture lies on the
edge of such a choice, the last bit of a sum decides, and either side is right. Such pictures are found by moving
latents a hair and are left out; how many is told.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter
from heddle_adapters.edit import edit_latents
from heddle_adapters.edit_vector import edit_vector, editable_factors, shiftable_factors
from heddle_adapters.export import Arrays
from heddle_platform.edits import EditRequest
from heddle_platform.errors import DataCorrupt
from heddle_platform.factors import Continuous
from heddle_platform.pixels import add_change

BATCHES: Final = (1, 2, 7, 64)
PIXEL_STEPS: Final = 1  # of 255: what rounding to bytes may cost
_READINGS: Final = ("values", "confidence", "extrapolation")
_HAIR: Final = 1e-5  # standard deviations; float32 sums of latents differ by less
_HAIRS: Final = 4
_DETAILS: Final = ("auto", "decode", "preserve")
_MOST_ON_EDGE: Final = 0.5


class Drawing(Protocol):
    """What a base does for an editor; a `BaseRuntime`."""

    image_size: int

    def encode(self, images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pictures -> standardised latents."""

    def decode(self, latents_NL: NDArray[np.floating]) -> NDArray[np.float32]:
        """Standardised latents -> pictures in 0..1."""


@dataclass(frozen=True)
class EditorParity:
    """How far an editor is from the platform.

    Attributes:
        pixel: largest difference of a picture's value, of 255.
        readings: largest difference of what is read, as a share of the largest value read (of 1 where that is smaller).
        pictures: how many were edited by both.
        on_edge: how many of them were left out of `pixel` and `readings`.
    """

    pixel: int
    readings: float
    pictures: int
    on_edge: int


def check_editor(
    adapter: Adapter, base: Drawing, run: Callable[[Arrays], Mapping[str, NDArray[Any]]], tolerance: float = 1e-5
) -> EditorParity:
    """Run an editor on pictures of the adapter's own kind at batch 1, 2, 7 and 64, and compare it with the platform.

    Args:
        adapter: what the editor was made of.
        base: the adapter's base.
        run: runs the editor in some runtime: inputs by name -> outputs by name.
        tolerance: most that readings may differ, in the terms of `EditorParity`.

    Raises:
        DataCorrupt: code `onnx_parity`: it differs by more, or an output has the wrong name or shape.
    """
    pixel, readings, pictures, on_edge = 0, 0.0, 0, 0
    for batch in BATCHES:
        images = _pictures(adapter, base, batch)
        requests = [_asked(adapter, row + batch) for row in range(batch)]
        found = run({"image": images, "edit": edit_vector(adapter, requests)})
        latents = base.encode(images)
        wanted = _edited(adapter, base, images, latents, requests)
        firm_B = np.ones(batch, dtype=bool)
        for hair_BL in _hairs(latents.shape):
            other = _edited(adapter, base, images, latents + hair_BL, requests)
            firm_B &= (np.abs(other["edited"].astype(int) - wanted["edited"]) <= PIXEL_STEPS).all(axis=(1, 2, 3))
            firm_B &= (np.round(other["values"]) == np.round(wanted["values"])).all(axis=1)
        pictures, on_edge = pictures + batch, on_edge + int(batch - firm_B.sum())
        for name, values in wanted.items():
            if name not in found or found[name].shape != values.shape:
                raise _unlike(f"returns no {name!r} of shape {values.shape}", batch)
            if firm_B.any():
                difference = float(np.abs(found[name][firm_B].astype(np.float64) - values[firm_B]).max())
                if name == "edited":
                    pixel = max(pixel, int(difference))
                else:
                    scale = max(1.0, float(np.abs(values).max()))
                    readings = float(np.maximum(readings, difference / scale))  # which keeps NaN
        if not (pixel <= PIXEL_STEPS and readings <= tolerance):  # also true for NaN
            raise _unlike(f"differs by {pixel} of 255 in a picture and {readings:.2e} in what it reads", batch)
    if on_edge > _MOST_ON_EDGE * pictures:
        raise _unlike(f"was compared on {pictures - on_edge} of {pictures} pictures only", BATCHES[-1])
    return EditorParity(pixel, readings, pictures, on_edge)


def _hairs(shape: tuple[int, ...]) -> list[NDArray[np.float32]]:
    random = np.random.default_rng(0)
    return [random.choice([-_HAIR, _HAIR], size=shape).astype(np.float32) for _ in range(_HAIRS)]


def _unlike(what: str, batch: int) -> DataCorrupt:
    return DataCorrupt(
        f"the one-file editor {what} at batch {batch}; at most {PIXEL_STEPS} of 255 and 1e-05 are allowed; nothing "
        "was exported",
        code="onnx_parity",
    )


def _pictures(adapter: Adapter, base: Drawing, count: int) -> NDArray[np.uint8]:
    """Draw pictures about the tenant's own images, the same every time."""
    random = np.random.default_rng(count)
    latents_BL = adapter.mean_L + random.normal(size=(count, adapter.latents)).astype(np.float32)
    return np.asarray(np.clip(np.rint(base.decode(latents_BL) * 255), 0, 255).astype(np.uint8))


def _asked(adapter: Adapter, row: int) -> EditRequest:
    """Return one of many edits: every editable factor set and shifted, in every drawing mode."""
    names = adapter.factor_set.names
    editable = [index for index, is_so in enumerate(editable_factors(adapter)) if is_so]
    detail: Any = _DETAILS[row % len(_DETAILS)]
    if not editable:
        return EditRequest(adapter="a", detail=detail)
    index = editable[row % len(editable)]
    factor, (low, high) = adapter.factor_set.factors[index], adapter.usable_F2[index].tolist()
    turn = row // len(editable)
    if shiftable_factors(adapter)[index] and turn % 3 == 2:
        amount = 1.0 if getattr(factor, "level_names", ()) else 0.3 * (high - low or 1.0)
        return EditRequest(adapter="a", shift={names[index]: amount if turn % 2 else -amount}, detail=detail)
    levels = getattr(factor, "level_names", ())
    value: Any = levels[turn % len(levels)] if levels else low + (turn % 5) / 4 * (high - low)
    if isinstance(factor, Continuous):
        value = min(max(value, factor.range[0]), factor.range[1])  # single precision may lie beside it
    return EditRequest(adapter="a", set={names[index]: value}, detail=detail)


def _edited(
    adapter: Adapter,
    base: Drawing,
    images: NDArray[np.uint8],
    latents_BL: NDArray[np.float32],
    requests: Sequence[EditRequest],
) -> Arrays:
    """Return what the platform makes of the pictures, by the editor's names of outputs."""
    edited = edit_latents(adapter, latents_BL, requests)
    after, before = base.decode(edited.latents_BL), base.decode(latents_BL)
    pictures = [
        add_change(image, one - other) if detail == "preserve" else np.clip(np.rint(one * 255), 0, 255).astype(np.uint8)
        for image, one, other, detail in zip(images, after, before, edited.detail, strict=True)
    ]
    read = edited.readings_before
    confidence = np.stack([read[name].confidence for name in adapter.factor_set.names], axis=1)
    made = (read.values_BF, confidence, edited.extrapolation_B)
    return {"edited": np.stack(pictures), **dict(zip(_READINGS, made, strict=True))}
