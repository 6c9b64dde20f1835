"""Unlearning: take rows out of an adapter as if it had never seen them, from sufficient statistics alone.

What is a function of the statistics becomes what a fit without the rows would find (1e-8 in float64): codings, the
joint effects with both shrinkages, the closed-form read, the write, the usable ranges. What is none (temperatures, the
discriminative read, interactions, the radius of extrapolation) is replaced by what needs no row; who has the rows that
stay fits on them instead. `Unlearned.parts` says which is which, part by part.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from heddle_adapters.adapter import Adapter, ReadKind
from heddle_adapters.arrays import Floats, Mask, finite_matrix
from heddle_adapters.design import Coding, code_all, coding_of, column_slices, pseudo_counts
from heddle_adapters.fit import PROBE_RIDGE, among_all
from heddle_adapters.forgotten import without
from heddle_adapters.ground import design_of_ground
from heddle_adapters.intake import DEAD_BELOW, labels_of
from heddle_adapters.linear import WORST_CONDITION, closed_form_read, hybrid_write, noise_without, whitening
from heddle_adapters.one_thread import one_thread
from heddle_adapters.solution import FILL_ROUNDS, expected_design
from heddle_adapters.solve import RESIDUAL_SHARE, Encoding, Moments, encoding_of, solve_symmetric
from heddle_adapters.statistics import Statistics
from heddle_adapters.sums import covariance_of, image_spread
from heddle_adapters.weights import quantile_of, weighed
from heddle_platform.errors import InvalidInput
from heddle_platform.factors import Continuous, LevelledFactor

Part = Literal["exact", "replaced", "kept", "refitted"]
REFITTED: Final[dict[str, Part]] = {"everything": "refitted"}


@dataclass(frozen=True, eq=False)
class ClosedForm:
    """The part of an adapter that is a function of statistics, in float64, over the live latents only.

    Attributes:
        codings: per factor.
        live_L: latents that vary.
        encoding: the encoding model.
        read_LC, read_bias_C: closed-form read.
        write_PL: the write, and `condition`, which chose its kind.
        mean_L: mean latents of all images.
    """

    codings: tuple[Coding, ...]
    live_L: Mask
    encoding: Encoding
    read_LC: Floats
    read_bias_C: Floats
    write_PL: Floats
    condition: float
    mean_L: Floats


@dataclass(frozen=True, eq=False)
class Unlearned:
    """What is left once rows have gone.

    Attributes:
        adapter: without the rows.
        statistics: without the rows, for the next that go.
        parts: part of the adapter -> "exact" (what a fit without the rows finds), "replaced" (by what needs no
            row), or "kept" (chosen when the rows were still there: a switch or a strength, no direction); `REFITTED`
            where the rows that stay were at hand and made an adapter of their own.
    """

    adapter: Adapter
    statistics: Statistics
    parts: dict[str, Part]


def unlearn(
    adapter: Adapter,
    statistics: Statistics,
    latents_NL: NDArray[Any],
    values_NF: NDArray[Any],
    pool_ML: NDArray[Any] | None = None,
    weight_N: NDArray[Any] | None = None,
) -> Unlearned:
    """Take rows out of an adapter.

    Args:
        adapter: the adapter, fitted on the rows of `statistics`.
        statistics: what was kept of them.
        latents_NL, values_NF: the labelled rows that go, as they were fitted.
        pool_ML: the unlabelled rows that go.
        weight_N: weights of the labelled rows that go, as they were fitted.

    Raises:
        InvalidInput: codes `statistics_mismatch` (of another adapter), `unknown_row` (a row was never in it, or not
            with that weight), `last_of_level`, `constant_factor`, `too_few_labels`, `no_live_latent`, and those of
            `fit_adapter` for malformed rows.
    """
    if (statistics.factor_set, statistics.base_digest) != (adapter.factor_set, adapter.base_digest):
        raise InvalidInput(
            "the statistics belong to another factor set or base than the adapter; give the file stored beside it",
            code="statistics_mismatch",
        )
    latents_NL = np.asarray(latents_NL, dtype=np.float64).reshape(-1, adapter.latents)
    pool = None if pool_ML is None or not len(pool_ML) else finite_matrix(pool_ML, "pool latents")
    with one_thread():
        left = without(statistics, latents_NL, labels_of(values_NF), pool, weight_N)
        form = closed_form(left, adapter.residual_share)
    return Unlearned(_rebuilt(adapter, left, form), left, _parts(adapter))


def closed_form(statistics: Statistics, residual_share: float = RESIDUAL_SHARE) -> ClosedForm:
    """Solve from statistics what `fit_adapter` solves from rows, with the residual share that it chose.

    Raises:
        InvalidInput: code `no_live_latent`.
    """
    statistics = statistics.relative()
    images = (statistics.labelled, statistics.pool)
    mean_L, spread_L = image_spread(images)
    live_L: Mask = spread_L >= DEAD_BELOW
    if not live_L.any():
        raise InvalidInput(
            f"none of {live_L.size} latents varies by {DEAD_BELOW} over the images that stay", code="no_live_latent"
        )
    counts = statistics.counts()
    codings = _codings(statistics, counts)
    covariance_LL = covariance_of(images, live_L)
    penalty_PP = pseudo_counts(codings, statistics.ridge)
    sparse_KP = code_all(statistics.sparse_values_KF, codings)
    missing_KP = np.isnan(sparse_KP)
    latents_KL = statistics.sparse_latents_KL[:, live_L]
    filled_KP = np.where(missing_KP, _known_mean(statistics, codings, sparse_KP), sparse_KP)
    for left in range(FILL_ROUNDS if missing_KP.any() else 0, -1, -1):
        moments = _moments(statistics, codings, filled_KP, live_L, covariance_LL)
        encoding = encoding_of(moments, penalty_PP).shrunk(RESIDUAL_SHARE if left else residual_share)
        read_LC, read_bias_C = closed_form_read(encoding, codings, counts)
        if left:
            expected_KP = expected_design(latents_KL @ read_LC + read_bias_C, codings)
            filled_KP = np.where(missing_KP, expected_KP, filled_KP)
    write_PL, condition = hybrid_write(encoding, PROBE_RIDGE)
    return ClosedForm(codings, live_L, encoding, read_LC, read_bias_C, write_PL, condition, mean_L[live_L])


def _codings(statistics: Statistics, counts: Sequence[Floats]) -> tuple[Coding, ...]:
    found, weights = [], statistics.weights
    for index, (factor, kind, count_K, number_N) in enumerate(
        zip(statistics.factor_set.factors, statistics.kinds, counts, statistics.numbers, strict=True)
    ):
        known_N, weight_N = np.arange(len(count_K), dtype=np.float64), None if weights is None else count_K
        if weights is None:
            known_N = np.repeat(known_N, np.rint(count_K).astype(np.intp))
        if isinstance(factor, Continuous):
            known_N, weight_N = number_N, None if weights is None else weights.numbers[index]
        found.append(coding_of(factor, known_N, monotone=kind == "ordinal", weight_N=weight_N))
    return tuple(found)


def _known_mean(statistics: Statistics, codings: Sequence[Coding], sparse_KP: Floats) -> Floats:
    """Return the mean [P] of known design columns: what a missing label is filled with at first."""
    map_GP, offset_P = design_of_ground(statistics.factor_set, codings)
    complete, weight_K = statistics.complete_weight, statistics.sparse_weight_K
    known_P = complete + weighed(~np.isnan(sparse_KP), weight_K).sum(axis=0)
    total_P = statistics.ground_G @ map_GP + complete * offset_P + np.nansum(weighed(sparse_KP, weight_K), axis=0)
    return np.asarray(total_P / known_P, dtype=np.float64)


def _moments(
    statistics: Statistics, codings: Sequence[Coding], filled_KP: Floats, live_L: Mask, covariance_LL: Floats
) -> Moments:
    map_GP, offset_P = design_of_ground(statistics.factor_set, codings)
    rows, complete = statistics.labelled.count, statistics.complete_weight
    mapped_P = statistics.ground_G @ map_GP
    latents_KL = statistics.sparse_latents_KL[:, live_L]
    total_L = statistics.labelled.total_L[live_L]
    told_KP = weighed(filled_KP, statistics.sparse_weight_K)
    total_P = mapped_P + complete * offset_P + told_KP.sum(axis=0)
    gram_PP = map_GP.T @ statistics.ground_GG @ map_GP + told_KP.T @ filled_KP
    gram_PP += np.outer(mapped_P, offset_P) + np.outer(offset_P, mapped_P) + complete * np.outer(offset_P, offset_P)
    cross_PL = map_GP.T @ statistics.cross_GL[:, live_L] + told_KP.T @ latents_KL
    cross_PL += np.outer(offset_P, total_L - weighed(latents_KL, statistics.sparse_weight_K).sum(axis=0))
    mean_L, center_P = total_L / rows, total_P / rows
    return Moments(
        rows,
        mean_L,
        center_P,
        gram_PP - rows * np.outer(center_P, center_P),
        cross_PL - rows * np.outer(center_P, mean_L),
        statistics.labelled.scatter_LL()[np.ix_(live_L, live_L)],
        covariance_LL,
    )


def _rebuilt(adapter: Adapter, statistics: Statistics, form: ClosedForm) -> Adapter:
    live_L = form.live_L
    whiten_LL = whitening(form.encoding.covariance_LL)
    read_kinds: tuple[ReadKind, ...] = tuple("closed_form" for _ in form.codings)
    return replace(
        adapter,
        codings=form.codings,
        read_LC=among_all(form.read_LC, live_L, axis=0),
        read_bias_C=form.read_bias_C.astype(np.float32),
        temperature_F=np.array([_expected_error(form, index) for index in range(len(form.codings))], np.float32),
        write_PL=among_all(form.write_PL, live_L, axis=1),
        live_L=live_L,
        usable_F2=_usable(adapter, statistics),
        spread_CL=among_all(form.read_LC.T @ form.encoding.covariance_LL, live_L, axis=1),
        mean_L=among_all(form.mean_L, live_L, axis=0),
        whiten_LL=among_all(among_all(whiten_LL, live_L, axis=0), live_L, axis=1),
        radius=float(np.sqrt(chi2.ppf(0.99, int(live_L.sum())))),
        write_kind="additive" if form.condition > WORST_CONDITION else "hybrid",
        write_condition=form.condition,
        read_kinds=read_kinds,
        interactions=(),
        interact_QL=np.zeros((0, adapter.latents), np.float32),
    )


def _expected_error(form: ClosedForm, index: int) -> float:
    """Return the temperature the model itself expects: 1 for logits, the posterior standard deviation for numbers."""
    coding, block = form.codings[index], column_slices(form.codings)[index]
    if coding.levels:
        return 1.0
    effects_PL = form.encoding.effects_PL[block]
    size = coding.columns
    prior_PP = np.linalg.inv(form.encoding.design_PP[block, block] + 1e-9 * np.eye(size))
    seen_PP = effects_PL @ solve_symmetric(noise_without(form.encoding, block), effects_PL.T)
    deviation = float(np.sqrt(np.trace(np.linalg.inv(seen_PP + prior_PP)) / size))
    return max(deviation * (coding.spread if coding.kind == "continuous" else 1.0), 1e-6)


def _usable(adapter: Adapter, statistics: Statistics) -> NDArray[np.float32]:
    usable_F2 = adapter.usable_F2.copy()
    for index, (factor, number_N) in enumerate(zip(adapter.factor_set.factors, statistics.numbers, strict=True)):
        if isinstance(factor, Continuous):
            weight_N = None if statistics.weights is None else statistics.weights.numbers[index]
            usable_F2[index] = [quantile_of(number_N, share, weight_N) for share in (0.01, 0.99)]
    return usable_F2


def _parts(adapter: Adapter) -> dict[str, Part]:
    parts: dict[str, Part] = dict.fromkeys(
        ("codings", "effects", "covariance", "closed_form_read", "write", "usable_ranges", "live_latents"), "exact"
    )
    parts |= {"temperatures": "replaced", "radius": "replaced"}
    if "discriminative" in adapter.read_kinds:
        parts["discriminative_read"] = "replaced"
    if adapter.interactions:
        parts["interactions"] = "replaced"
    if any(isinstance(factor, LevelledFactor) and factor.kind == "ordinal" for factor in adapter.factor_set.factors):
        parts["order_of_ordinal_levels"] = "kept"
    return parts | {
        "ridge": "kept",
        "residual_share": "kept",
        "gains": "kept",
        "drawing_modes": "kept",
        "refused_factors": "kept",
    }
