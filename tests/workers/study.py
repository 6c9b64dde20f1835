"""A real fit to look at: avatars through the shipped base, under names that try to break out of a page."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from heddle_platform.base.runtime import BaseRuntime
from heddle_platform.factors import FactorSet, parse_factor_set
from heddle_platform.labels import LabelTable
from heddle_platform.settings import LimitSettings
from heddle_workers.encode import encode_rows
from heddle_workers.fit import fit_set
from heddle_workers.fitted import Fitted
from heddle_workers.image_set import ImageSet, open_image_set
from heddle_workers.progress import silent
from heddle_workers.trips import RoundTrips

from .conftest import packed, upload_of
from .world import default_bundle, rendered

HOSTILE = "<script>document.title='owned'</script>"
HOSTILE_UNIT = '"><img src=x onerror=alert(1)>'
LABELLED = 110  # of 120: ten are left for the pool


@dataclass(frozen=True)
class Study:
    """A set, its round trips, and what a fit of it found."""

    factor_set: FactorSet
    table: LabelTable
    images: ImageSet
    trips: RoundTrips
    fitted: Fitted
    stages: tuple[tuple[str, float], ...]


@contextmanager
def open_study() -> Iterator[Study]:
    """Encode and fit the set."""
    found = rendered()
    levels = dict(zip(found.factors, found.levels, strict=True))
    colors = (HOSTILE, *levels["background"][1:])
    factor_set = parse_factor_set(
        {
            "name": "avatars",
            "factors": [
                {"name": "background", "kind": "categorical", "levels": list(colors)},
                {"name": "wears_glasses", "kind": "binary"},
                {"name": "tone", "kind": "continuous", "range": [0, 10], "unit": HOSTILE_UNIT},
            ],
        }
    )
    columns = {name: found.labels[:LABELLED, found.factors.index(name)] for name in found.factors}
    tone = columns["skin"] * 2.0 + np.random.default_rng(0).normal(0, 0.1, LABELLED)
    values_NF = np.stack(
        [columns["background"].astype(float), (columns["glasses"] > 0).astype(float), tone.clip(0, 10)], axis=1
    )
    values_NF[5, 1] = np.nan
    files = tuple(f"{index}.png" for index in range(len(found.images)))
    archive = packed({"labels.csv": b"file\n", **dict(zip(files, found.images, strict=True))})
    runtime = BaseRuntime.from_bundle(default_bundle())
    with upload_of(archive).file as source, open_image_set(source, files, LimitSettings()) as images:
        latents_NL = encode_rows(images, range(len(images)), runtime, silent)
        trips = RoundTrips(runtime, images, latents_NL, threads=2)
        table = LabelTable(files[:LABELLED], values_NF)
        stages: list[tuple[str, float]] = []
        fitted = fit_set(table, factor_set, trips, lambda stage, share: stages.append((stage, share)))
        yield Study(factor_set, table, images, trips, fitted, tuple(stages))
