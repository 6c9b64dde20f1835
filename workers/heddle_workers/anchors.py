"""Anchors: public pictures that any two bases can be asked about, and the dictionary between two bases made of them.

Drawn from seeds with what is installed, so that every worker draws the same ones and nothing is downloaded or stored:
avatars of several styles, letters, and dSprites. The maps are as good as the anchors are like the tenant's pictures,
which is why the loss is measured and stands on the card.
"""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.transport import Dictionary, dictionary
from heddle_platform import pixels
from heddle_platform.base import glyphs
from heddle_platform.base.dsprites import render_batch as dsprites
from heddle_platform.base.rendered import render_batch as avatars
from heddle_workers.base_source import BaseSource, load_base

STYLES: Final = ("micah", "notionists", "open-peeps")
PER_STYLE: Final = 360
LETTERS: Final = 200
SPRITES: Final = 120
SEED: Final = 20_261
_BASES_PAIRED: Final = 2


@lru_cache(maxsize=1)
def anchor_pictures() -> NDArray[np.uint8]:
    """Return the anchors in an order that mixes their kinds, uint8 [N, 64, 64, 3]."""
    parts = [avatars(style, PER_STYLE, SEED)[0] for style in STYLES]
    parts += [glyphs.render_batch(LETTERS, SEED)[0], dsprites(SPRITES, SEED)[0]]
    pictures = np.concatenate(parts)
    return pictures[np.random.default_rng(SEED).permutation(len(pictures))]


@lru_cache(maxsize=_BASES_PAIRED)
def between(old: BaseSource, new: BaseSource) -> Dictionary:
    """Return the dictionary between two bases.

    Raises:
        DataCorrupt, Unavailable: see `load_base`.
        InvalidInput: code `too_few_anchors`: a base has more latents than the anchors can speak for.
    """
    pictures = anchor_pictures()
    latents = []
    for source in (old, new):
        runtime = load_base(source)
        size = runtime.image_size
        sized = pictures if size == pictures.shape[1] else np.stack([pixels.resize(one, size) for one in pictures])
        latents.append(runtime.encode(sized).astype(np.float64))
    return dictionary(*latents)
