from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from heddle_adapters.design import coding_of
from heddle_adapters.intake import check_values, codings_of, live_latents, monotone_share
from heddle_adapters.read import read
from heddle_platform.errors import InvalidInput
from heddle_platform.factors import parse_factor_set

SIZES: dict[str, Any] = {"name": "s", "factors": [{"name": "size", "kind": "ordinal", "levels": ["s", "m", "l", "xl"]}]}


@pytest.mark.parametrize(
    ("values", "code", "words"),
    [
        (np.zeros((4, 2)), "factor_count_mismatch", "1 factors"),
        (np.zeros((3, 1)), "row_count_mismatch", "3 rows, images 4"),
        (np.array([[0.0], [1.0], [np.inf], [1.0]]), "not_finite", "1 infinite"),
        (np.array([[0.0], [0.0], [np.nan], [0.0]]), "constant_factor", "1 distinct label"),
        (np.array([[0.0], [4.0], [1.0], [2.0]]), "unknown_level", "a label 4, its 4 levels"),
        (np.array([[0.0], [0.5], [1.0], [2.0]]), "unknown_level", "0.5"),
        (np.array([[0.0], [-1.0], [1.0], [2.0]]), "unknown_level", "a label -1"),
        (np.array([["s"], ["m"], ["l"], ["s"]]), "not_numbers", "number the levels"),
        (np.array([["0"], [1], [2], [3]], dtype=object), "not_numbers", "number the levels"),
        (np.zeros((4, 1), complex), "not_numbers", "complex"),
        (np.zeros((4, 1), "datetime64[D]"), "not_numbers", "datetime"),
        ([[0.0], [1.0, 2.0], [1.0], [0.0]], "wrong_shape", "unequal"),
        (None, "wrong_shape", "table"),
    ],
)
def test_bad_labels_are_named(values: Any, code: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as error:
        check_values(values, parse_factor_set(SIZES), 4)
    assert error.value.code == code


def test_a_wrong_label_is_told_before_a_constant_factor() -> None:
    document = {"name": "two", "factors": [{"name": "lit", "kind": "binary"}, *SIZES["factors"]]}
    with pytest.raises(InvalidInput) as error:
        check_values(np.array([[0.0, 0.0], [np.nan, 9.0]]), parse_factor_set(document), 2)
    assert (error.value.code, error.value.param) == ("unknown_level", "size")


def test_what_is_masked_is_missing_and_not_what_stands_under_the_mask() -> None:
    given = np.ma.masked_equal(np.array([[0.0], [1.0], [3.0], [2.0]]), 3.0)
    assert np.array_equal(
        check_values(given, parse_factor_set(SIZES), 4), np.array([[0.0], [1.0], [np.nan], [2.0]]), equal_nan=True
    )
    nothing = np.array([[0], [1], [None], [2]], dtype=object)
    assert np.isnan(check_values(nothing, parse_factor_set(SIZES), 4)[2, 0])


@pytest.mark.parametrize(
    ("factor", "numbers", "words"),
    [
        ({"kind": "continuous", "range": [0, 90]}, [0.0, 91.0, 5.0], "91 outside its declared range 0 to 90"),
        ({"kind": "continuous", "range": [0, 90]}, [-0.5, 91.0, 5.0], "-0.5 outside"),
        ({"kind": "continuous", "range": [0, 1e300]}, [0.0, 1e150, 2e150], "another unit"),
        ({"kind": "continuous", "range": [0, 90]}, [1e-200, 2e-200, 3e-200], "another unit"),
        ({"kind": "continuous", "range": [0, 2e9]}, [1e9, 1e9 + 1, 1e9 + 90], "less an offset"),
        ({"kind": "periodic", "period": 360}, [0.0, 1e150, 3.0], "another unit"),
        ({"kind": "periodic", "period": 1e-40}, [0.0, 1e-41, 2e-41], "another unit"),
    ],
)
def test_numbers_that_readings_could_not_hold_are_refused(
    factor: dict[str, Any], numbers: list[float], words: str
) -> None:
    factor_set = parse_factor_set({"name": "n", "factors": [{"name": "age", **factor}]})
    with pytest.raises(InvalidInput, match=words) as error:
        check_values(np.array(numbers)[:, None], factor_set, 3)
    assert (error.value.code, error.value.param) == ("invalid_value", "age")


@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_numbers_that_are_taken_are_read_to_the_unit(offset: float, draw_tenant: Callable[..., Any]) -> None:
    age = {"name": "age", "kind": "continuous", "range": [offset, offset + 90]}
    tenant = draw_tenant(document={"name": "n", "factors": [age]}, noise=0.01)
    read_N = read(tenant.fit(), tenant.latents_NL)["age"].values
    assert np.abs(read_N - tenant.values_NF[:, 0]).max() < 1.0


def test_dead_latents_are_found_over_labelled_and_pool() -> None:
    labelled = np.zeros((10, 3))
    labelled[:, 0] = np.arange(10)
    pool = labelled.copy()
    pool[:, 2] = np.arange(10)
    assert live_latents(labelled, None).tolist() == [True, False, False]
    assert live_latents(labelled, pool).tolist() == [True, False, True]
    with pytest.raises(InvalidInput) as error:
        live_latents(np.zeros((10, 3)), None)
    assert error.value.code == "no_live_latent"
    with pytest.raises(InvalidInput) as error:
        live_latents(labelled, np.zeros((10, 4)))
    assert error.value.code == "latent_mismatch"


@pytest.mark.parametrize(("places", "kind"), [([0, 1, 2, 3], "ordinal"), ([0, 3, -3, 1], "categorical")])
def test_declared_orders_are_put_to_the_test(places: list[float], kind: str) -> None:
    factor_set = parse_factor_set(SIZES)
    random = np.random.default_rng(0)
    level_N = random.integers(4, size=300)
    latents_NL = 0.2 * random.normal(size=(300, 4))
    latents_NL[:, 0] += np.array(places)[level_N]
    values_NF = level_N[:, None].astype(float)
    codings = [coding_of(factor_set.factors[0], values_NF[:, 0])]
    assert (monotone_share(latents_NL, values_NF, codings, 0, 3.0) >= 0.8) == (kind == "ordinal")
    assert codings_of(latents_NL, values_NF, factor_set, 3.0)[0].kind == kind


def test_orders_hold_in_the_made_up_tenant(draw_tenant: Callable[..., Any]) -> None:
    tenant = draw_tenant()
    codings = codings_of(tenant.latents_NL, tenant.values_NF, tenant.factor_set, 3.0)
    assert [coding.kind for coding in codings] == ["binary", "categorical", "ordinal", "continuous", "periodic"]
