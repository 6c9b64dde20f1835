"""A second base that really is another one: trained from its own recipe, once per machine, and kept by its digest.

It is small and has seen little, so most adapters read and draw less with it: what a rollout must notice and refuse.
`tests.turned_base` is its counterpart, a base in other words that knows exactly as much.
"""

import os
import tempfile
from pathlib import Path
from typing import Any, Final

from heddle_platform.base.bundle import BaseBundle, load_bundle
from heddle_platform.base.config import Recipe
from heddle_platform.base.train import train
from heddle_platform.digest import json_digest

RECIPE: Final[dict[str, Any]] = {
    "name": "second",
    "seed": 5,
    "corpus": {"images": {"micah": 3000}, "seed": 3, "held_out": 64, "processes": 1},
    "network": {
        "latents": 40, "width": 64, "token_hidden": 32, "squeeze": 16, "hidden": 128,
        "encoder_blocks": 1, "decoder_blocks": 1,
    },
    "terms": [
        {"kind": "reconstruction", "sigma": "fitted", "edge": 1.0},
        {"kind": "kl", "schedule": {"weight": 1.0, "warmup": 0.1}},
        {"kind": "anchor", "schedule": {"weight": 600.0, "final": 30.0, "hold": 0.25}},
    ],
    "optimiser": {"kind": "muon", "batch": 64, "learning_rate": 0.005},
    "steps": 300,
    "threads": 1,
}  # fmt: skip


def second_base() -> BaseBundle:
    """Return the base; the first call on a machine trains it, in about half a minute on one core."""
    recipe = Recipe.model_validate(RECIPE)
    folder = Path(tempfile.gettempdir()) / f"heddle-second-base-{os.getuid()}-{json_digest(RECIPE)[:16]}"
    folder.mkdir(mode=0o700, exist_ok=True)
    bundles = sorted(folder.glob("*/manifest.json"))
    return load_bundle(bundles[0].parent if bundles else train(recipe, folder, cache_dir=folder / "corpus"))
