"""Strips of pictures for the card page: images the drawing adapter never saw, each factor set to its levels."""

import base64
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter
from heddle_adapters.edit import detail_of, edit_latents
from heddle_adapters.fit import fit_adapter
from heddle_adapters.playbook import Picture, Strip
from heddle_platform import pixels
from heddle_platform.base.runtime import to_uint8
from heddle_platform.edits import EditRequest
from heddle_platform.factors import Binary, FactorSpec, LevelledFactor
from heddle_platform.labels import LabelTable
from heddle_workers.trips import RoundTrips

PICTURES: Final = 3  # images per strip
_MOST_LEVELS: Final = 6
_STEPS: Final = 5  # of a number over its usable range
_HEIGHT: Final = 96  # pixels of a picture on the page
_WIDEST: Final = 2.0  # width over height


def draw_strips(adapter: Adapter, table: LabelTable, trips: RoundTrips) -> tuple[Strip, ...]:
    """Draw a few images with each factor set to its levels in turn.

    The images come from the unlabelled pool; where that is too small, labelled ones are held out and the edits made
    by an adapter fitted without them, with the gains and modes of the real one.

    Args:
        adapter: the fitted adapter; refused factors are drawn as well, so that the page can show why.
        table: labels of the first rows of the set.
        trips: the set, its latents and the base.
    """
    labelled = len(table.files)
    pool = range(labelled, len(trips.images))
    if len(pool) >= PICTURES:
        rows, editor = _spread(pool), adapter
    else:
        rows = _spread(range(labelled))
        editor = _without(adapter, table, trips, rows)
    editor = editor.with_refused(())
    wanted = [_targets(editor, factor) for factor in adapter.factor_set.factors]
    asked = [
        [EditRequest(adapter="card", set={factor.name: value}) for _, value in values]
        for factor, values in zip(adapter.factor_set.factors, wanted, strict=True)
    ]
    edits = [(row, request) for row in rows for requests in asked for request in requests]
    plain_BL = trips.latents_NL[[row for row, _ in edits]]
    edited_BL = edit_latents(editor, plain_BL, [request for _, request in edits]).latents_BL
    with ThreadPoolExecutor(trips.threads) as threads:
        originals = threads.map(lambda row: _original(row, trips), rows)
        drawn = _drawn(np.vstack([edited_BL, trips.latents_NL[list(rows)]]), trips, threads)
        shown = dict(zip(rows, originals, strict=True))
        before = dict(zip(rows, drawn[len(edits) :], strict=True))

        def picture(edit: tuple[int, EditRequest], after: NDArray[np.float32]) -> str:
            row, request = edit
            return _webp(_served(shown[row][0], after, before[row], detail_of(editor, request)))

        pictures = threads.map(picture, edits, drawn)
        of_row = {
            row: [[Picture(caption, next(pictures)) for caption, _ in values] for values in wanted] for row in rows
        }
    return tuple(
        Strip(factor.name, shown[row][1], tuple(of_row[row][index]))
        for index, factor in enumerate(adapter.factor_set.factors)
        for row in rows
    )


def _original(row: int, trips: RoundTrips) -> tuple[NDArray[np.uint8], Picture]:
    original = _page_size(trips.images.original(row))
    return original, Picture("original", _webp(original))


def _drawn(latents_BL: NDArray[np.float32], trips: RoundTrips, threads: ThreadPoolExecutor) -> NDArray[np.float32]:
    size = min(trips.runtime.batch, max(1, -(-len(latents_BL) // trips.threads)))
    parts = [latents_BL[start : start + size] for start in range(0, len(latents_BL), size)]
    return np.concatenate(list(threads.map(trips.runtime.decode, parts)))


def _spread(rows: range) -> list[int]:
    return [rows[len(rows) * (2 * index + 1) // (2 * PICTURES)] for index in range(min(PICTURES, len(rows)))]


def _without(adapter: Adapter, table: LabelTable, trips: RoundTrips, rows: Sequence[int]) -> Adapter:
    labelled = len(table.files)
    kept = np.setdiff1d(np.arange(labelled), rows)
    pool_ML = trips.latents_NL[labelled:].astype(np.float64)
    fitted = fit_adapter(
        trips.latents_NL[kept].astype(np.float64),
        table.values_NF[kept],
        adapter.factor_set,
        base_digest=adapter.base_digest,
        pool_ML=pool_ML if len(pool_ML) else None,
        weight_N=None if table.weight_N is None else table.weight_N[kept],
    )
    names = adapter.factor_set.names
    gains = {name: float(gain) for name, gain in zip(names, adapter.gain_F, strict=True)}
    return fitted.with_gains(gains).with_detail(dict(zip(names, adapter.detail, strict=True)))


def _targets(editor: Adapter, factor: FactorSpec) -> list[tuple[str, str | bool | float]]:
    if isinstance(factor, Binary):
        return [(name, value) for name, value in zip(factor.level_names, (False, True), strict=True)]
    if isinstance(factor, LevelledFactor):
        names = factor.level_names
        shown = min(_MOST_LEVELS, len(names))
        return [(names[len(names) * index // shown], names[len(names) * index // shown]) for index in range(shown)]
    low, high = (float(bound) for bound in editor.usable_F2[editor.positions[factor.name]])
    steps = np.linspace(low, high, _STEPS) if factor.kind == "continuous" else _angles(factor.period)
    unit = f" {factor.unit}" if factor.unit else ""
    return [(f"{value:.4g}{unit}", float(value)) for value in steps]


def _angles(period: float) -> NDArray[np.floating]:
    return np.arange(_STEPS, dtype=np.float64) * (period / _STEPS)


def _page_size(image_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width, _ = image_HWC.shape
    share = min(_WIDEST, max(1 / _WIDEST, width / height))
    return pixels.scale(image_HWC, _HEIGHT, round(_HEIGHT * share))


def _served(
    original: NDArray[np.uint8], after: NDArray[np.float32], before: NDArray[np.float32], detail: str
) -> NDArray[np.uint8]:
    if detail == "preserve":
        return pixels.add_change(original, after - before)
    height, width, _ = original.shape
    return pixels.scale(to_uint8(after), height, width)


def _webp(image_HWC: NDArray[np.uint8]) -> str:
    return base64.b64encode(pixels.encode(image_HWC, "image/webp")).decode("ascii")
