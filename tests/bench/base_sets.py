"""What a base is judged on, used by `base_bars` and `base_curve`: labelled sets, what adapters read of them, and which
images of the corpus were moved.

Rows are a fixed shuffle of each set: 1,000 of them are labelled, 4,000 others are held out. Sets with fewer rows
(`cmu_faces`) are cut into five, each fifth held out once, the rest labelled.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.fit import fit_adapter
from heddle_adapters.read import read
from heddle_platform.base.corpus import CorpusConfig, Part
from heddle_platform.base.rendering import rendered_shards
from heddle_platform.base.styles import STYLES, draw, style_spec
from heddle_platform.factors import FactorSet, parse_factor_set
from tests.bench.avatars import SHARED, levels_of

LABELS, HELD_OUT, FOLDS = 1_000, 4_000, 5
HELD_OUT_SEED, SHARD_SEED = 1_000_003, 100_003  # as the corpus draws its held-out images
RENAMED = {"weight": "stroke"}  # a name that labels.csv keeps for itself
Floats = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Bar:
    """What is asked of a base on a set: mean accuracy, of some factors alone, and the error of the round trip."""

    mean: float | None = None
    factors: tuple[tuple[str, float], ...] = ()
    left_out: tuple[str, ...] = ()  # of the mean
    mse: float | None = None


SETS: dict[str, Bar] = {
    "avatars": Bar(0.93, (("eyebrows", 0.80), ("earrings", 0.80), ("eyes", 0.80))),
    "avatars_pixelart": Bar(0.86),
    "glyphs": Bar(0.70, left_out=("pos_x", "pos_y")),
    "lpc_sprites": Bar(0.62, mse=0.04),
    "cmu_faces": Bar(None, (("pose", 0.85),)),
}


@dataclass(frozen=True, eq=False)
class Labelled:
    """A shuffled set: images uint8 [N, 64, 64, 3], level indices [N, F], every level present."""

    name: str
    images: NDArray[np.uint8]
    values_NF: Floats
    factor_set: FactorSet

    @property
    def bar(self) -> Bar:
        return SETS[self.name]

    def mean_of(self, accuracy_F: Floats) -> float:
        """Mean accuracy over the factors that its bar counts."""
        counted = [name not in self.bar.left_out for name in self.factor_set.names]
        return float(accuracy_F[counted].mean())


def load_labelled(name: str) -> Labelled:
    """Load a set of `../shared/data`; grey images get three equal channels."""
    stored = np.load(SHARED / f"{name}.npz")
    values_NF, document = levels_of(stored)
    for factor in document["factors"]:
        factor["name"] = RENAMED.get(factor["name"], factor["name"])
    rows = np.random.default_rng(0).permutation(len(values_NF))[: LABELS + HELD_OUT]
    images = stored["images"][rows]
    if images.shape[-1] == 1:
        images = np.repeat(images, 3, axis=-1)
    return Labelled(name, images, values_NF[rows].astype(np.float64), parse_factor_set(document))


def accuracies(labelled: Labelled, latents_NL: NDArray[np.floating], draws: int) -> Floats:
    """Fit adapters on latents and read held-out rows: accuracy [D, F], draws (or folds) by factors."""
    exact_NL: Floats = latents_NL.astype(np.float64)
    found = []
    for taught, held in splits(len(exact_NL), draws):
        adapter = fit_adapter(exact_NL[taught], labelled.values_NF[taught], labelled.factor_set, base_digest="0" * 64)
        values_BF = read(adapter, exact_NL[held]).values_BF
        found.append((values_BF == labelled.values_NF[held]).mean(axis=0))
    return np.stack(found)


def splits(count: int, draws: int) -> Iterator[tuple[Rows, Rows]]:
    """Rows to label and rows held out, of sets with so many rows."""
    if count < LABELS + HELD_OUT:
        folds = np.array_split(np.arange(count), FOLDS)
        for fold in folds:
            yield np.setdiff1d(np.arange(count), fold), fold
        return
    for seed in range(draws):
        order = np.random.default_rng(seed).permutation(count)
        yield order[:LABELS], order[LABELS:]


def principal_components(images: NDArray[np.uint8], count: int) -> Floats:
    """The first components of images themselves [N, count], standardised: the best linear code of the set's own."""
    flat_NP = images.reshape(len(images), -1).astype(np.float32)
    flat_NP -= flat_NP.mean(axis=0)
    gram_NN = (flat_NP @ flat_NP.T).astype(np.float64)
    values_N, vectors_NN = np.linalg.eigh(gram_NN)
    order = np.argsort(values_N)[::-1][:count]
    codes: Floats = vectors_NN[:, order] * np.sqrt(len(images))
    return codes


def still(part: Part, corpus: CorpusConfig) -> Part:
    """A held-out part without the images that were turned, scaled and shifted: one in five of a style, else none."""
    if part.name not in STYLES:
        return part
    spec, moved = style_spec(part.name), []
    for shard in rendered_shards(part.name, part.count, corpus.seed + HELD_OUT_SEED):
        random = np.random.default_rng([shard.seed * SHARD_SEED + shard.index, STYLES.index(part.name)])
        drawn = [draw(spec, random) for _ in range(shard.count)]
        moved += ["rotate" in each.options for each in drawn]
        labels_NF = part.labels[len(moved) - shard.count : len(moved)]
        _check_drawn(part, labels_NF, np.array([each.labels for each in drawn]))
    return replace(part, images=part.images[~np.array(moved)], labels=part.labels[~np.array(moved)])


def _check_drawn(part: Part, labels_NF: NDArray[np.int16], drawn_NF: NDArray[np.int_]) -> None:
    """The corpus's columns are those of all parts: a style's own are the ones it knows, in the order of its spec."""
    known = np.any(labels_NF >= 0, axis=0)
    known &= np.arange(len(known)) > 0  # the first says which part it is
    if not np.array_equal(np.sort(labels_NF[:, known], axis=1), np.sort(drawn_NF, axis=1)):
        raise ValueError(f"{part.name}: the images drawn anew are not those of the corpus; the seeds have changed")
