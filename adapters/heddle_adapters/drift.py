"""Drift: do the images a version edits still look like those it was fitted on?

Three measures, each with its chance: how many images lie outside the trusted range, how far the mean of the whitened
latents has moved, and whether levels are read as often as they were labelled. A verdict asks for both: that chance
does not explain a measure, and that it is large enough to matter. With few images there is none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy.special import betaincc, betaln, chdtrc, chndtrinc

from heddle_adapters.arrays import Floats
from heddle_adapters.chance import holm, wilson_ends
from heddle_platform.drift import DriftSums

Verdict = Literal["stable", "watch", "drifted", "too_few"]

LEAST_IMAGES: Final = 50
EXPECTED_OUTSIDE: Final = 0.01  # the trusted range holds 99 % of the tenant's images
# what a measure must reach for "watch" and for "drifted", and how unlikely by chance it must be
OUTSIDE: Final = (0.03, 0.10)  # lower end of the share's interval
SHIFT: Final = (0.5, 1.0)  # whitened norm: standard deviations
INDEX: Final = (0.10, 0.25)  # as credit scoring has it since Siddiqi 2006
CHANCE: Final = (0.01, 0.001)
_TAIL: Final = 0.025
_MANY: Final = 10_000


@dataclass(frozen=True)
class FactorReference:
    """A levelled factor: its levels in order, how many labelled images show each, whether it can be compared."""

    name: str
    levels: tuple[str, ...]
    labelled: tuple[int, ...]
    comparable: bool


@dataclass(frozen=True)
class OutsideShare:
    """Share of images outside the trusted range, its 95 % Wilson interval, and the chance `p` of so many there."""

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class MeanShift:
    """How far the mean has moved, in standard deviations (whitened norm, its bias taken off), with its 95 % interval.

    `p`: chance of a mean at least so far off if nothing had moved.
    """

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class LevelShift:
    """One factor: how often its levels are read and were labelled.

    `index` is the population stability index, `p` of the G test, `p_holm` corrected over the factors.
    """

    factor: str
    index: float
    p: float
    p_holm: float
    read: Mapping[str, int]
    labelled: Mapping[str, int]


@dataclass(frozen=True)
class Drift:
    """What was found; measures are None where there is no image.

    `reasons` are sentences with the numbers, `advice` says what to do.
    """

    images: int
    reference_images: int
    verdict: Verdict
    reasons: tuple[str, ...]
    advice: str
    outside: OutsideShare | None
    shift: MeanShift | None
    levels: tuple[LevelShift, ...]


def measure(sums: DriftSums | None, reference_images: int, factors: Sequence[FactorReference]) -> Drift:
    """Judge the images of a time against those a version was fitted on.

    Args:
        sums: of the images; None: there were none.
        reference_images: how many images, labelled or not, the version's mean and covariance are of.
        factors: its levelled factors in the factor set's order.
    """
    if sums is None:
        return Drift(0, reference_images, "too_few", (_too_few(0),), _ADVICE["too_few"], None, None, ())
    outside = outside_share(sums.outside, sums.images, reference_images)
    shift = mean_shift(sums, reference_images)
    levels = level_shifts(sums, factors)
    found = [_outside_grade(outside), _shift_grade(shift), *map(_level_grade, levels)]
    grade = max(found)
    verdict: Verdict = "too_few" if sums.images < LEAST_IMAGES else _VERDICTS[grade]
    said = (_outside_said(outside), _shift_said(shift), *map(_level_said, levels))
    reasons = tuple(sentence for sentence, own in zip(said, found, strict=True) if own == grade and grade > 0)
    if verdict == "too_few":
        reasons = (_too_few(sums.images),)
    elif verdict == "stable":
        reasons = (f"{sums.images} images look like the {reference_images} that the version was fitted on",)
    return Drift(sums.images, reference_images, verdict, reasons, _ADVICE[verdict], outside, shift, levels)


def outside_share(outside: int, images: int, reference_images: int) -> OutsideShare:
    """Return the share of images outside the trusted range.

    The range ends at a quantile of few images, so the share of their like that is outside is a draw itself: beyond the
    k-th largest of N lies a Beta(k, N + 1 - k) share of all (Wilks 1941), and so many of n are beta-binomial.
    """
    share = outside / images
    rank = 1 + EXPECTED_OUTSIDE * (max(reference_images, 1) - 1)
    rest = max(reference_images, 1) + 1 - rank
    if outside == 0:
        p = 1.0
    elif images > _MANY:  # the binomial part of the spread is gone
        p = float(betaincc(rank, rest, share))
    else:
        more_K = np.arange(outside, images + 1)
        ways_K = -np.log(images + 1) - betaln(more_K + 1, images - more_K + 1)
        p = float(np.exp(ways_K + betaln(more_K + rank, images - more_K + rest) - betaln(rank, rest)).sum())
    return OutsideShare(share, *wilson_ends(share, images), min(p, 1.0))


def mean_shift(sums: DriftSums, reference_images: int) -> MeanShift:
    """Return how far the whitened mean has moved.

    |mean|^2 over (1 / n + 1 / n_reference) is a sum of chi-squares weighed by the eigenvalues of the images' covariance
    S; it is matched by one of tr(S)^2 / tr(S S) degrees, scaled by tr(S S) / tr(S) (Zhang, Guo, Zhou and Cheng 2020,
    "A simple two-sample test in high dimensions based on L2-norm"). Unlike Hotelling's T^2, which asks for the
    stored covariance to be exact, this holds where that one was shrunk. The interval inverts the non-central one.
    """
    mean_L: Floats = np.asarray(sums.total) / sums.images
    square = float(mean_L @ mean_L)
    error = 1.0 / sums.images + 1.0 / max(reference_images, 1)
    freedom = max(sums.images - 1, 1)
    trace = max(sums.square - sums.images * square, 1e-12) / freedom
    within = max(sums.trace / max(sums.freedom, 1), 1e-12)
    degrees = within**2 / max(sums.square_trace / max(sums.freedom, 1), within**2 / len(mean_L))
    degrees = min(max(degrees, 1.0), float(len(mean_L)))
    scale = trace / degrees * error
    statistic = square / scale
    low, high = (_noncentrality(statistic, degrees, tail) for tail in (1 - _TAIL, _TAIL))
    return MeanShift(
        float(np.sqrt(max(square - trace * error, 0.0))),
        float(np.sqrt(scale * low)),
        float(np.sqrt(scale * high)),
        float(chdtrc(degrees, statistic)),
    )


def level_shifts(sums: DriftSums, factors: Sequence[FactorReference]) -> tuple[LevelShift, ...]:
    """Compare how often levels are read with how often they were labelled, for each comparable factor.

    Population stability index: sum of (a - b) ln(a / b) over levels, half an image added to each count (Siddiqi 2006,
    "Credit risk scorecards"). G test of independence on the table of both (Sokal and Rohlf 1995, ch. 17), Holm 1979.
    """
    place, found = 0, list[tuple[FactorReference, tuple[int, ...], float, float]]()
    for factor in factors:
        read = sums.levels[place : place + len(factor.levels)]
        place += len(factor.levels)
        if factor.comparable and any(factor.labelled):
            read_K, labelled_K = np.array(read, np.float64), np.array(factor.labelled, np.float64)
            found.append((factor, read, stability_index(read_K, labelled_K), independence(read_K, labelled_K)))
    corrected = holm(np.array([p for *_, p in found])) if found else ()
    return tuple(
        LevelShift(
            factor.name,
            index,
            p,
            float(p_holm),
            dict(zip(factor.levels, read, strict=True)),
            dict(zip(factor.levels, factor.labelled, strict=True)),
        )
        for (factor, read, index, p), p_holm in zip(found, corrected, strict=True)
    )


def stability_index(read_K: Floats, labelled_K: Floats) -> float:
    """Return the population stability index of two sets of counts."""
    one_K, two_K = (read_K + 0.5) / (read_K + 0.5).sum(), (labelled_K + 0.5) / (labelled_K + 0.5).sum()
    return float(((one_K - two_K) * np.log(one_K / two_K)).sum())


def independence(read_K: Floats, labelled_K: Floats) -> float:
    """Return the p value of the G test that two sets of counts are of one distribution."""
    counts_2K = np.stack([read_K, labelled_K])
    counts_2K = counts_2K[:, counts_2K.sum(axis=0) > 0]
    if counts_2K.shape[1] < 2:
        return 1.0
    expected_2K = counts_2K.sum(axis=1, keepdims=True) * counts_2K.sum(axis=0) / counts_2K.sum()
    ratio_2K = np.where(counts_2K > 0, counts_2K / expected_2K, 1.0)
    return float(chdtrc(counts_2K.shape[1] - 1, max(2 * float((counts_2K * np.log(ratio_2K)).sum()), 0.0)))


def _noncentrality(statistic: float, degrees: float, tail: float) -> float:
    """Return the non-centrality at which a share `tail` of draws is below the statistic; 0 if there is none."""
    if 1.0 - float(chdtrc(degrees, statistic)) <= tail:
        return 0.0
    found = float(chndtrinc(statistic, degrees, tail))
    if np.isfinite(found):
        return found
    # far out, where the inversion fails, the statistic is nearly normal
    reach = {_TAIL: 1.96, 1 - _TAIL: -1.96}[tail] * 2 * np.sqrt(statistic)
    return float(max(statistic - degrees + reach, 0.0))


_VERDICTS: Final[tuple[Verdict, ...]] = ("stable", "watch", "drifted")
_ADVICE: Final[Mapping[Verdict, str]] = {
    "too_few": "Nothing to do yet; ask again when more images have been edited, or look back over more hours.",
    "stable": "Nothing to do.",
    "watch": "Nothing to do yet; look at some of the images that come in, and ask again in a few days.",
    "drifted": "Label images like those that come in now, add them to the labelled set and refit: "
    "POST /v1/jobs of type refit. If the new images are none of yours to edit, keep them from the edge instead.",
}


def _grade(size: float, bounds: tuple[float, float], p: float) -> int:
    return sum(size >= bound and p < chance for bound, chance in zip(bounds, CHANCE, strict=True))


def _outside_grade(outside: OutsideShare) -> int:
    return _grade(outside.low, OUTSIDE, outside.p)


def _shift_grade(shift: MeanShift) -> int:
    return _grade(shift.value, SHIFT, shift.p)


def _level_grade(level: LevelShift) -> int:
    return _grade(level.index, INDEX, level.p_holm)


def _too_few(images: int) -> str:
    return f"{images} images were counted, a verdict needs {LEAST_IMAGES}"


def _outside_said(outside: OutsideShare) -> str:
    return (
        f"{outside.value:.1%} of the images (95 % interval {outside.low:.1%} to {outside.high:.1%}) lie outside the "
        f"trusted range, where {EXPECTED_OUTSIDE:.0%} is expected (p = {outside.p:.2g})"
    )


def _shift_said(shift: MeanShift) -> str:
    return (
        f"the mean image has moved by {shift.value:.2f} standard deviations (95 % interval {shift.low:.2f} to "
        f"{shift.high:.2f}, p = {shift.p:.2g})"
    )


def _level_said(level: LevelShift) -> str:
    read, labelled = sum(level.read.values()), sum(level.labelled.values())
    moved = max(level.read, key=lambda name: abs(level.read[name] / read - level.labelled[name] / labelled))
    return (
        f"{level.factor} reads {moved} in {level.read[moved] / read:.0%} of the images, "
        f"{level.labelled[moved] / labelled:.0%} were labelled so (stability index {level.index:.2f}, "
        f"p = {level.p_holm:.2g} corrected)"
    )
