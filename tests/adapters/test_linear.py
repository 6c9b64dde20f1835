from typing import Any

import numpy as np
import pytest

from heddle_adapters.design import Coding, code_all, column_slices, pseudo_counts
from heddle_adapters.linear import closed_form_read, closed_form_reads, hybrid_write, noise_without, whitening
from heddle_adapters.solution import FILL_ROUNDS, expected_design, level_counts, solve
from heddle_adapters.solve import Encoding, encode_jointly, solve_symmetric

CODINGS = [Coding("categorical", 3), Coding("continuous", 0, 40.0, 20.0)]


def exact_encoding(noise_LL: Any) -> Encoding:
    """An encoding model as infinitely many rows would give it: equally likely levels, a standard number."""
    effects_PL = np.array([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.5]])
    design_PP = np.array([[2 / 3, 1 / 3, 0.0], [1 / 3, 2 / 3, 0.0], [0.0, 0.0, 1.0]])
    covariance_LL = noise_LL + effects_PL.T @ design_PP @ effects_PL
    return Encoding(
        np.array([1.0, -1.0, 0.5]),
        np.zeros(3),
        effects_PL,
        noise_LL,
        1_000_000.0,
        noise_LL,
        design_PP,
        covariance_LL,
        design_PP @ effects_PL,
        1_000_000,
    )


def test_class_scores_are_the_gaussian_posterior() -> None:
    encoding = exact_encoding(np.diag([1.0, 0.5, 2.0]))
    direction_LC, offset_C = closed_form_read(encoding, CODINGS, [np.full(3, 1e9), np.empty(0)])
    latents_BL = np.random.default_rng(0).normal(size=(5, 3))
    means_KL = encoding.mean_L + CODINGS[0].table_KP @ encoding.effects_PL[:2]
    noise_LL = noise_without(encoding, slice(0, 2))
    away = latents_BL[:, None] - means_KL
    density_BK = -0.5 * np.einsum("bkl,lm,bkm->bk", away, np.linalg.inv(noise_LL), away)
    scores_BK = (latents_BL @ direction_LC + offset_C)[:, :3]
    # equal up to a constant per row
    assert scores_BK - scores_BK[:, :1] == pytest.approx(density_BK - density_BK[:, :1], abs=1e-6)


def test_numbers_are_read_as_their_posterior_mean_in_their_unit() -> None:
    encoding = exact_encoding(np.diag([1.0, 1.0, 0.75]))
    direction_LC, offset_C = closed_form_read(encoding, CODINGS, [np.ones(3), np.empty(0)])
    latent = encoding.mean_L + np.array([0.0, 0.0, 1.5])  # one standard deviation's worth of the number
    # posterior mean 1.5^2 / (1.5^2 + .75) of a standard deviation of 20 about 40
    assert (latent @ direction_LC + offset_C)[3] == pytest.approx(40 + 20 * 2.25 / 3.0, rel=1e-6)


def test_some_factors_are_read_as_they_are_among_all() -> None:
    encoding = exact_encoding(np.diag([1.0, 0.5, 2.0]))
    counts = [np.array([5.0, 3.0, 2.0]), np.empty(0)]
    direction_LC, offset_C = closed_form_read(encoding, CODINGS, counts)
    for only, block in ((0, slice(0, 3)), (1, slice(3, 4))):
        some_LC, some_C = closed_form_read(encoding, CODINGS, counts, [only])
        assert some_LC == pytest.approx(direction_LC[:, block], abs=1e-12)
        assert some_C == pytest.approx(offset_C[block], abs=1e-12)


def test_missing_labels_are_filled_as_a_read_of_all_rows_and_factors_would() -> None:
    random = np.random.default_rng(0)
    codings = [*CODINGS, Coding("periodic", 0, 0.0, 6.0), Coding("binary", 2)]
    values_NF = np.stack(
        [random.integers(3, size=90), random.normal(40, 20, 90), random.uniform(0, 6, 90), random.integers(2, size=90)],
        axis=1,
    )
    latents_NL = code_all(values_NF, codings) @ random.normal(size=(6, 8)) + 0.5 * random.normal(size=(90, 8))
    values_NF[::4, 0], values_NF[::3, 2], values_NF[5, 3] = np.nan, np.nan, np.nan
    counts = [level_counts(values_NF[:, place], coding) for place, coding in enumerate(codings)]
    coded_NP = code_all(values_NF, codings)
    design_NP = np.where(np.isnan(coded_NP), np.nanmean(coded_NP, axis=0), coded_NP)
    for _ in range(FILL_ROUNDS):
        encoding = encode_jointly(latents_NL, design_NP, pseudo_counts(codings, 3.0), None)
        direction_LC, offset_C = closed_form_read(encoding, codings, counts)
        expected_NP = expected_design(latents_NL @ direction_LC + offset_C, codings)
        design_NP = np.where(np.isnan(coded_NP), expected_NP, coded_NP)
    found = solve(latents_NL, values_NF, codings, ridge=3.0)
    assert found.design_NP == pytest.approx(design_NP, abs=1e-10)
    effects_PL = encode_jointly(latents_NL, design_NP, pseudo_counts(codings, 3.0), None).effects_PL
    assert found.encoding.effects_PL == pytest.approx(effects_PL, abs=1e-10)


def test_reads_side_by_side_are_those_of_each_alone() -> None:
    encodings = [exact_encoding(np.diag(noise)) for noise in ([1.0, 0.5, 2.0], [0.2, 3.0, 1.0])]
    counts = [[np.array([5.0, 1.0, 9.0]), np.empty(0)], [np.full(3, 4.0), np.empty(0)]]
    directions_RLC, offsets_RC = closed_form_reads(encodings, CODINGS, counts)
    for encoding, count, direction_LC, offset_C in zip(encodings, counts, directions_RLC, offsets_RC, strict=True):
        alone_LC, alone_C = closed_form_read(encoding, CODINGS, count)
        assert np.abs(direction_LC - alone_LC).max() < 1e-12
        assert np.abs(offset_C - alone_C).max() < 1e-12
    assert np.abs(directions_RLC[0] - directions_RLC[1]).max() > 0.1


def test_noise_about_a_factor_holds_what_the_others_explain() -> None:
    encoding = exact_encoding(np.eye(3))
    assert noise_without(encoding, slice(0, 2)) == pytest.approx(np.diag([1.0, 1.0, 1.0 + 2.25]))


def test_hybrid_write_is_seen_by_its_probes_as_the_joint_effect() -> None:
    random = np.random.default_rng(0)
    values_NF = np.stack([random.integers(3, size=500).astype(float), random.normal(40, 20, size=500)], axis=1)
    design_NP = code_all(values_NF, CODINGS)
    latents_NL = design_NP @ random.normal(size=(3, 8)) + random.normal(size=(500, 8))
    encoding = encode_jointly(latents_NL, design_NP, pseudo_counts(CODINGS, 3.0), None)
    write_PL, condition = hybrid_write(encoding, 50.0)
    probes_PL = solve_symmetric(encoding.covariance_LL + 50.0 / 500 * np.eye(8), encoding.cross_PL.T).T
    assert condition < 1e3
    assert write_PL @ probes_PL.T == pytest.approx(encoding.effects_PL @ probes_PL.T, abs=1e-6)
    precision_LL = np.linalg.inv(encoding.covariance_LL)
    for hybrid_L, joint_L in zip(write_PL, encoding.effects_PL, strict=True):
        assert hybrid_L @ precision_LL @ hybrid_L <= joint_L @ precision_LL @ joint_L + 1e-9


def test_hybrid_write_falls_back_to_the_joint_effect_where_probes_coincide() -> None:
    encoding = exact_encoding(np.eye(3))
    same_PL = np.vstack([encoding.cross_PL[:2], encoding.cross_PL[:1]])
    twin = Encoding(**{**vars(encoding), "cross_PL": same_PL})
    write_PL, condition = hybrid_write(twin, 10.0)
    assert condition > 1e3
    assert write_PL is twin.effects_PL


def test_whitening_gives_unit_covariance() -> None:
    matrix = np.random.default_rng(1).normal(size=(5, 5))
    covariance_LL = matrix @ matrix.T + np.eye(5)
    whiten_LL = whitening(covariance_LL)
    assert whiten_LL.T @ covariance_LL @ whiten_LL == pytest.approx(np.eye(5), abs=1e-6)


def test_design_columns_are_as_many_as_effects() -> None:
    assert column_slices(CODINGS)[-1].stop == len(exact_encoding(np.eye(3)).effects_PL)
