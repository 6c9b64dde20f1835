"""The scores as their callers call them: every name and argument, every form an array comes in, every bad setting."""

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, fields
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from heddle_adapters import scores
from heddle_adapters.scores import Interval, Score
from heddle_platform.errors import InvalidInput

Table = NDArray[Any]
ROWS = 120
RANDOM = np.random.default_rng(3)
FACTORS = np.stack([RANDOM.integers(levels, size=ROWS) for levels in (3, 4, 2)], axis=1)
CODES = np.hstack([FACTORS + 0.3 * RANDOM.normal(size=FACTORS.shape), RANDOM.normal(size=(ROWS, 1))])
CALLED: dict[str, Callable[..., Score | Interval]] = {
    "mig": partial(scores.mig, estimator="histogram", bins=20),
    "mig_knn": partial(scores.mig, estimator="knn", bins=20),
    "dci": partial(scores.dci, kinds=None, estimator="forest"),
    "dci_boosted": partial(scores.dci, kinds=None, estimator="boosted"),
    "dci_lasso": partial(scores.dci, kinds=None, estimator="lasso"),
    "sap": scores.sap,
    "factor_vae": partial(scores.factor_vae, taught=200, judged=100),
    "beta_vae": partial(scores.beta_vae, taught=200, judged=100),
    "modularity_explicitness": scores.modularity_explicitness,
    "irs": scores.irs,
    "infomec": scores.infomec,
    "lps": scores.lps,
    "active_units": scores.active_units,
    "total_correlation": scores.total_correlation,
    "probe": scores.probe,
    "jackknife": partial(scores.jackknife, scores.mig, groups=10),
}
FAST = sorted(set(CALLED) - {"dci_boosted"})
PARTS = {
    "mig": ("per_factor", "ceiling"),
    "dci": ("disentanglement", "completeness", "informativeness", "importance"),
    "modularity_explicitness": ("modularity", "explicitness"),
    "jackknife": ("low", "high"),
}


class NoArray:
    """As a tensor that a gradient is kept of: it has rows, and will not be an array."""

    def __array__(self, *_: Any, **__: Any) -> Table:
        raise RuntimeError("use detach() first")


def with_one(number: float) -> Table:
    table = CODES.copy()
    table[5, 2] = number
    return table


def strided(table: Table) -> Table:
    wide = np.full((2 * len(table), 2 * table.shape[1]), np.nan)
    wide[::2, ::2] = table
    return wide[::2, ::2]


def read_only(table: Table) -> Table:
    copy = table.copy()
    copy.setflags(write=False)
    return copy


@pytest.mark.parametrize("name", CALLED)
def test_a_result_has_its_parts_and_is_frozen_to_the_last_number(name: str) -> None:
    result = CALLED[name](CODES, FACTORS)
    assert type(result.value) is float
    assert result.protocol["n"] == ROWS
    for part in PARTS.get(name, ()):
        assert hasattr(result, part)
    for field in fields(result):
        with pytest.raises(FrozenInstanceError):
            setattr(result, field.name, 0.0)
        array = getattr(result, field.name)
        assert not (isinstance(array, np.ndarray) and array.flags.writeable), field.name
    if isinstance(result, Score):
        json.dumps(result.as_json(), allow_nan=False)


@pytest.mark.parametrize("form", [np.ndarray.tolist, np.asfortranarray, strided, read_only, np.float64])
@pytest.mark.parametrize("name", FAST)
def test_the_form_of_a_table_changes_nothing(name: str, form: Callable[[Table], Any]) -> None:
    codes, factors = form(CODES), form(FACTORS)
    assert CALLED[name](codes, factors).value == CALLED[name](CODES, FACTORS).value
    assert np.array_equal(codes, CODES)


@pytest.mark.parametrize("name", FAST)
def test_short_numbers_are_numbers(name: str) -> None:
    short, factors = CODES.astype(np.float32), FACTORS.astype(np.uint8)
    assert CALLED[name](short, factors).value == CALLED[name](short.astype(float), FACTORS).value
    whole = np.round(100 * CODES).astype(np.int16)
    assert np.isfinite(CALLED[name](whole, FACTORS[:, 2:] == 1).value)


@pytest.mark.parametrize("name", sorted(set(FAST) - {"active_units"}))
def test_very_small_codes_are_no_dead_ones(name: str) -> None:
    assert CALLED[name](CODES * 2.0**-900, FACTORS).value == CALLED[name](CODES, FACTORS).value


@pytest.mark.parametrize("name", CALLED)
@pytest.mark.parametrize(
    ("codes", "factors", "code"),
    [
        (CODES, np.array(["low", "high"])[FACTORS % 2], "not_numbers"),
        (CODES, FACTORS.astype(str), "not_numbers"),
        (CODES + 1j, FACTORS, "not_numbers"),
        (CODES, FACTORS.astype("datetime64[D]"), "not_numbers"),
        ([[1.0, 2.0], [3.0]], FACTORS, "wrong_shape"),
        (CODES[:, None], FACTORS, "wrong_shape"),
        (None, FACTORS, "wrong_shape"),
        (CODES, FACTORS[:, 0], "wrong_shape"),
        (np.ma.masked_greater(CODES, 1.0), FACTORS, "not_finite"),
        (CODES * 1e200, FACTORS, "not_finite"),
        (CODES.astype(np.longdouble) * np.longdouble("1e2000"), FACTORS, "not_finite"),
        (CODES, np.ma.masked_equal(FACTORS, 1), "not_finite"),
        (CODES, np.where(FACTORS == 1, np.array(None, dtype=object), FACTORS), "not_finite"),
        (CODES, FACTORS.astype(str).astype(object), "not_numbers"),
        (NoArray(), FACTORS, "not_numbers"),
        (dict.fromkeys(range(10_000)), FACTORS, "wrong_shape"),
        (CODES[:1], FACTORS[:1] * 0, "too_few_rows"),
    ],
)
def test_what_is_no_table_of_numbers_is_an_error_with_a_code(name: str, codes: Any, factors: Any, code: str) -> None:
    with pytest.raises(InvalidInput) as error:
        CALLED[name](codes, factors)
    assert len(error.value.message) < 250
    # a single row is too few for what asks for rows first, and a constant factor for what asks for factors first
    assert error.value.code in ((code, "constant_factor") if code == "too_few_rows" else (code,))


@pytest.mark.parametrize("name", sorted(set(CALLED) - {"jackknife"}))
def test_a_table_without_rows_or_columns_is_none(name: str) -> None:
    for codes, factors in ((CODES[:0], FACTORS[:0]), (CODES[:, :0], FACTORS)):
        with pytest.raises(InvalidInput, match="none of them 0"):
            CALLED[name](codes, factors)


@pytest.mark.parametrize(
    ("score", "settings", "code"),
    [
        *((name, {"bins": bins}, "bad_setting") for name in ("mig", "irs") for bins in (1, -3, 2.5, "x", 10**9, True)),
        ("modularity_explicitness", {"bins": 0}, "bad_setting"),
        *((name, {"seed": seed}, "bad_setting") for name in ("sap", "beta_vae", "probe", "lps") for seed in (-1, None)),
        *(("factor_vae", {part: value}, "bad_setting") for part in ("batch", "taught", "judged") for value in (0, 1.5)),
        *((name, {"folds": folds}, "bad_setting") for name in ("probe", "lps") for folds in (-1, 1, 2.5)),
        *((name, {"folds": ROWS}, "too_few_rows") for name in ("probe", "lps")),
        ("infomec", {"k": 0}, "bad_setting"),
        *(("irs", {"quantile": quantile}, "bad_setting") for quantile in (2.0, 0, None, "x", [0.5], float("nan"))),
        *(("irs", {"rows": rows}, "unknown_rows") for rows in ("some", None, np.array([1, 2]))),
        *(
            ("active_units", {"threshold": threshold}, "bad_setting")
            for threshold in (float("nan"), float("inf"), -1, None, "x", True, np.array([1.0, 2.0]))
        ),
        *(("mig", {"estimator": estimator}, "unknown_estimator") for estimator in (None, ["knn"], np.array([1, 2]))),
        *(("dci", {"estimator": estimator}, "unknown_estimator") for estimator in (None, ["forest"], 7)),
        ("lps", {"estimator": np.array([1, 2])}, "unknown_estimator"),
        *(
            (name, {"kinds": kinds}, "kind_count_mismatch")
            for name in ("mig", "dci", "irs")
            for kinds in ({"binary", "ordinal", "categorical"}, dict.fromkeys("abc"), iter("abc"), [""] * 2)
        ),
        *((name, {"kinds": ["binary"] * 3}, "unknown_level") for name in ("mig", "dci", "sap", "irs", "probe")),
        ("probe", {"kinds": [["binary"], "ordinal", "ordinal"]}, "unknown_kind"),
        ("probe", {"kinds": "categorical"}, "kind_count_mismatch"),
        ("probe", {"kinds": 3}, "kind_count_mismatch"),
        ("dci", {"estimator": "bagged"}, "unknown_estimator"),
    ],
)
def test_a_setting_that_means_nothing_is_refused_by_name(score: str, settings: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidInput) as error:
        getattr(scores, score)(CODES, FACTORS, **settings)
    assert error.value.code == code
    told = "binary" if code == "unknown_level" else "kind" if code == "unknown_kind" else next(iter(settings))
    assert told in error.value.message


@pytest.mark.parametrize(("groups", "code"), [(1, "bad_setting"), (2.5, "bad_setting"), (61, "too_few_rows")])
def test_groups_of_a_jackknife(groups: Any, code: str) -> None:
    with pytest.raises(InvalidInput) as error:
        scores.jackknife(scores.mig, CODES, FACTORS, groups=groups)
    assert error.value.code == code


@pytest.mark.parametrize("score", [None, "mig", lambda codes, factors: "x", lambda codes, factors: float("nan")])
def test_a_jackknife_of_no_score_is_refused(score: Any) -> None:
    with pytest.raises(InvalidInput, match="score must") as error:
        scores.jackknife(score, CODES, FACTORS)
    assert (error.value.code, error.value.param) == ("bad_setting", "score")


def test_what_a_jackknife_leaves_is_told_from_what_there_is() -> None:
    factors = FACTORS.copy()
    factors[:, 2] = np.arange(ROWS) == 7  # the group of row 7 takes the only level with it
    assert np.isfinite(scores.mig(CODES, factors).value)
    with pytest.raises(InvalidInput, match=r"without group \d+ of 10: factor 2 has 1 distinct value over 108") as error:
        scores.jackknife(scores.mig, CODES, factors)
    assert error.value.code == "constant_factor"


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (with_one(np.nan), "row 5, column 2, that are not finite numbers; remove"),
        (with_one(1e150), r"row 5, column 2, that are larger than 1e\+100; scale"),
    ],
)
def test_a_wrong_number_is_named_by_row_and_column(codes: Table, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as error:
        scores.dci(codes, FACTORS)
    assert (error.value.code, error.value.param) == ("not_finite", "codes")


@pytest.mark.parametrize("name", FAST)
def test_a_result_goes_to_other_processes_and_stays_frozen(name: str) -> None:
    result = CALLED[name](CODES, FACTORS)
    for again in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        assert again.value == result.value
        assert dict(again.protocol) == dict(result.protocol)
        assert again.protocol == result.protocol
        with pytest.raises(TypeError):
            again.protocol["n"] = 1  # type: ignore[index]
        arrays = [each for each in vars(again).values() if isinstance(each, np.ndarray)]
        assert not any(array.flags.writeable for array in arrays)
    assert asdict(result)["value"] == result.value


def test_one_row_less_than_two_each_is_too_few_wherever_rows_are_held_out() -> None:
    for name in ("dci", "sap", "modularity_explicitness", "infomec", "lps", "probe"):
        with pytest.raises(InvalidInput) as error:
            CALLED[name](CODES[:4], FACTORS[:4])
        assert error.value.code == "too_few_rows", name


def test_a_score_without_factors_takes_them_all_the_same() -> None:
    for name in ("lps", "active_units", "total_correlation"):
        alone = getattr(scores, name)(CODES)
        assert alone.value == getattr(scores, name)(CODES, FACTORS).value
        assert scores.jackknife(getattr(scores, name), CODES, FACTORS).value == alone.value
        with pytest.raises(InvalidInput):
            getattr(scores, name)(CODES, "boosted")


def test_a_fresh_process_needs_the_one_import() -> None:
    program = (
        "from heddle_adapters import scores; import numpy as np; "
        "f = np.arange(40).reshape(-1, 1) % 4; c = np.hstack([f, 1.0 * (np.arange(40).reshape(-1, 1) % 7)]); "
        "print(scores.mig(c, f).value, scores.jackknife(scores.mig, c, f).low)"
    )
    ran = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert float(ran.stdout.split()[0]) > 0.5
