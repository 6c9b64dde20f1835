"""Directions from correlated labels: does an edit of one factor change the other? Judged from pixels.

    python -m tests.bench.directions [--labels 1000] [--draws 5] [--edits 300]

Labelled sets of `avatars.npz` are drawn so that the shirt's colour follows the hair's in a share of images (0, .8,
.95). Each method then sets hair colour, and shirt colour, of held-out images to a random other level, from the level
the adapter reads. A classifier of pixels taught on other images says whether the target was reached (flip) and whether
the *other* colour changed against the unedited drawing. Methods:

    hybrid           the adapter's write
    joint A          effects of the joint fit alone
    mean difference  mean latents of the target level less those of the level read
    svm              InterFaceGAN (Shen et al. 2020): normals of one linear SVM per level, target less read
    svm, conditional the same, projected off all normals of the other factor (their section 3.3)

SVM steps are as long as takes the read level's mean to the target's along the direction, times the gain in 1, 1.5, 2, 3
that does best on the very images judged: that flatters them. The adapter's gain is 1. Means over draws, +- half of the
95 % interval (Student's t).
"""

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.svm import LinearSVC

from heddle_adapters.adapter import Adapter
from heddle_adapters.associations import associations
from heddle_adapters.design import code_all, pseudo_counts
from heddle_adapters.fit import fit_adapter
from heddle_adapters.labelling import labelling_card
from heddle_adapters.read import read
from heddle_adapters.solve import encode_jointly
from heddle_adapters.warn_labels import label_warnings
from heddle_adapters.whole import set_scores
from heddle_platform.base.runtime import to_uint8
from tests.bench.avatars import Avatars, load_avatars
from tests.bench.few_labels import spoken
from tests.bench.pixel_judge import PixelJudge, trained_judge

PAIR = ("hair_color", "shirt_color")
CORRELATIONS = (0.0, 0.8, 0.95)
TENANTS, LABELLED = 12_000, 10_000  # rows that the judge does not see; of them those that may be labelled
GAINS = (1.0, 1.5, 2.0, 3.0)
Floats = NDArray[np.float64]
# (factor 0 or 1 of the pair, levels read, levels wanted) -> changes of latents [B, L]
Method = Callable[[int, NDArray[np.int64], NDArray[np.int64]], Floats]


@dataclass(frozen=True, eq=False)
class Labelled:
    """One drawn set: latents and labels, the pair's columns, the adapter fitted on it."""

    latents_NL: Floats
    values_NF: Floats
    pair: tuple[int, int]
    adapter: Adapter


def drawn(avatars: Avatars, pair: tuple[int, int], labels: int, share: float, seed: int) -> NDArray[np.intp]:
    """Return rows in which the second factor's level follows the first's in this share, the rest by chance."""
    random = np.random.default_rng(seed)
    own_N, other_N = (avatars.values_NF[:LABELLED, index] for index in pair)
    follows_N = own_N % (other_N.max() + 1) == other_N
    counts = random.binomial(labels, share)
    tied = random.choice(np.flatnonzero(follows_N), counts, replace=False)
    free = random.choice(np.setdiff1d(np.arange(LABELLED), tied), labels - counts, replace=False)
    return np.sort(np.concatenate([tied, free]))


def adapter_method(known: Labelled, write_PL: Floats) -> Method:
    """Edit along rows of a write matrix."""

    def change(factor: int, was_B: NDArray[np.int64], wanted_B: NDArray[np.int64]) -> Floats:
        index = known.pair[factor]
        block = known.adapter.column_slices[index]
        table_KP = known.adapter.codings[index].table_KP
        return np.asarray((table_KP[wanted_B] - table_KP[was_B]) @ write_PL[block])

    return change


def joint_effects(known: Labelled) -> Floats:
    """Return A of the joint fit, [P, L]."""
    codings = known.adapter.codings
    design_NP = code_all(known.values_NF, codings)
    return encode_jointly(known.latents_NL, design_NP, pseudo_counts(codings, known.adapter.ridge), None).effects_PL


def level_means(known: Labelled) -> list[Floats]:
    """Return mean latents [K, L] of each factor of the pair."""
    means = []
    for index in known.pair:
        level_N = known.values_NF[:, index].astype(np.intp)
        means.append(np.stack([known.latents_NL[level_N == level].mean(axis=0) for level in range(level_N.max() + 1)]))
    return means


def mean_method(known: Labelled) -> Method:
    """Edit along differences of means."""
    means = level_means(known)
    return lambda factor, was_B, wanted_B: means[factor][wanted_B] - means[factor][was_B]


def svm_method(known: Labelled, gain: float, normals: list[Floats], *, conditional: bool) -> Method:
    """Edit along normals of linear SVMs."""
    means = level_means(known)

    def change(factor: int, was_B: NDArray[np.int64], wanted_B: NDArray[np.int64]) -> Floats:
        direction_BL = normals[factor][wanted_B] - normals[factor][was_B]
        if conditional:
            basis_LR = np.linalg.qr(normals[1 - factor].T)[0]
            direction_BL = direction_BL - direction_BL @ basis_LR @ basis_LR.T
        direction_BL = direction_BL / np.linalg.norm(direction_BL, axis=1, keepdims=True)
        apart_BL = means[factor][wanted_B] - means[factor][was_B]
        length_B1 = (apart_BL * direction_BL).sum(axis=1, keepdims=True)
        return np.asarray(gain * length_B1 * direction_BL)

    return change


def svm_normals(known: Labelled) -> list[Floats]:
    """Return unit normals [K, L], one SVM per level against the rest, of both factors of the pair."""
    found = []
    for index in known.pair:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # not all converge in the steps given; InterFaceGAN's do not either
            machine = LinearSVC(C=0.1, max_iter=3_000).fit(known.latents_NL, known.values_NF[:, index])
        found.append(machine.coef_ / np.linalg.norm(machine.coef_, axis=1, keepdims=True))
    return found


def judged(
    avatars: Avatars, judge: PixelJudge, known: Labelled, method: Method, edits: int, seed: int
) -> tuple[float, float]:
    """Return flip rate, and share of edits in which the other factor changed."""
    random = np.random.default_rng(seed)
    rows = LABELLED + random.choice(TENANTS - LABELLED, edits, replace=False)
    latents_BL = avatars.latents_NL[rows]
    read_BF = read(known.adapter, latents_BL).values_BF.astype(np.int64)
    plain_BF = judge.levels(to_uint8(avatars.base.decode(latents_BL)))
    flips, others = [], []
    for factor in (0, 1):
        own, other = known.pair[factor], known.pair[1 - factor]
        levels = known.adapter.codings[own].levels
        wanted_B = (read_BF[:, own] + random.integers(1, levels, edits)) % levels
        edited_BL = latents_BL + method(factor, read_BF[:, own], wanted_B).astype(np.float32)
        seen_BF = judge.levels(to_uint8(avatars.base.decode(edited_BL)))
        flips.append(float((seen_BF[:, own] == wanted_B).mean()))
        others.append(float((seen_BF[:, other] != plain_BF[:, other]).mean()))
    return float(np.mean(flips)), float(np.mean(others))


def all_methods(
    avatars: Avatars, judge: PixelJudge, known: Labelled, edits: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Judge every method on the same images and targets."""

    def one(method: Method) -> tuple[float, float]:
        return judged(avatars, judge, known, method, edits, seed)

    normals = svm_normals(known)
    found = {
        "hybrid": one(adapter_method(known, known.adapter.write_PL.astype(np.float64))),
        "joint A": one(adapter_method(known, joint_effects(known))),
        "mean difference": one(mean_method(known)),
    }
    for name, conditional in (("svm", False), ("svm, conditional", True)):
        tried = [one(svm_method(known, gain, normals, conditional=conditional)) for gain in GAINS]
        found[name] = max(tried, key=lambda result: result[0] - result[1])
    return found


def warnings_about(known: Labelled, avatars: Avatars) -> set[str]:
    """Return codes of the card's warnings that name both factors of the pair."""
    pairs = associations(known.values_NF, avatars.factor_set)
    read_NF = read(known.adapter, known.latents_NL).values_BF
    whole = set_scores(known.latents_NL, read_NF, known.values_NF, avatars.factor_set)
    labelling = labelling_card(known.adapter, known.values_NF, whole, pairs, None, None)
    found = label_warnings(avatars.factor_set, pairs, labelling)
    return {one.code for one in found if set(PAIR) <= set(one.factors)}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=1_000)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--edits", type=int, default=300)
    asked = parser.parse_args()
    avatars = load_avatars()
    judge = trained_judge(avatars.images[TENANTS:], avatars.values_NF[TENANTS:])
    names = avatars.factor_set.names
    pair = names.index(PAIR[0]), names.index(PAIR[1])
    print(f"base {avatars.base.digest[:12]}, {asked.labels} labels, {asked.draws} draws, {asked.edits} images")
    print(f"{'follows':>7}  {'method':<18}{'flip':>16}  {'other changed':>16}")
    for share in CORRELATIONS:
        results: dict[str, list[tuple[float, float]]] = {}
        warned: set[str] = set()
        for draw in range(asked.draws):
            rows = drawn(avatars, pair, asked.labels, share, draw)
            latents, values = avatars.latents_NL[rows].astype(np.float64), avatars.values_NF[rows].astype(np.float64)
            adapter = fit_adapter(latents, values, avatars.factor_set, base_digest=avatars.base.digest)
            known = Labelled(latents, values, pair, adapter)
            warned |= warnings_about(known, avatars)
            for name, result in all_methods(avatars, judge, known, asked.edits, draw).items():
                results.setdefault(name, []).append(result)
        for name, found in results.items():
            flips, others = zip(*found, strict=True)
            print(f"{share:>7}  {name:<18}{spoken(flips):>16}  {spoken(others):>16}", flush=True)
        print(f"{'':>7}  the card warns: {', '.join(sorted(warned)) or 'nothing'}", flush=True)


if __name__ == "__main__":
    main()
