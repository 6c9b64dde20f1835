"""What disentanglement_lib's own files return for the golden arrays (the data's README) is returned here too."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heddle_adapters.scores import beta_vae, dci, factor_vae, irs, mig, modularity_explicitness, sap

GOLDEN: dict[str, dict[str, float]] = {
    "codes_good": {"mig": 0.7391277, "sap": 0.2288629, "mod": 0.8400640, "exp": 0.9718807, "irs": 0.7681093},
    "codes_rotated": {"mig": 0.0488449, "sap": 0.0156616, "mod": 0.8997921, "exp": 0.9747610, "irs": 0.4981434},
    "codes_random": {"mig": 0.0002429, "sap": 0.0038404, "mod": 0.6809379, "exp": 0.5290914, "irs": 0.3518447},
}


@pytest.fixture(scope="module")
def golden(shared_data: Path) -> dict[str, Any]:
    return dict(np.load(shared_data / "metric_golden.npz"))


@pytest.mark.parametrize("codes", GOLDEN)
def test_exact_scores_to_a_millionth(golden: dict[str, Any], codes: str) -> None:
    want = GOLDEN[codes]
    assert mig(golden[codes], golden["factors"]).value == pytest.approx(want["mig"], abs=1e-6)
    assert irs(golden[codes], golden["factors"]).value == pytest.approx(want["irs"], abs=1e-6)


@pytest.mark.parametrize("codes", GOLDEN)
def test_modularity_to_a_millionth_and_explicitness_to_five_thousandths(golden: dict[str, Any], codes: str) -> None:
    want = GOLDEN[codes]
    result = modularity_explicitness(golden[codes], golden["factors"])
    assert result.modularity == pytest.approx(want["mod"], abs=1e-6)
    assert result.explicitness == pytest.approx(want["exp"], abs=5e-3)


@pytest.mark.parametrize("codes", GOLDEN)
def test_sap_to_five_thousandths_and_on_raw_codes_to_a_ten_thousandth(golden: dict[str, Any], codes: str) -> None:
    want = GOLDEN[codes]["sap"]
    assert sap(golden[codes], golden["factors"]).value == pytest.approx(want, abs=5e-3)
    assert sap(golden[codes], golden["factors"], standardise=False).value == pytest.approx(want, abs=1e-4)


@pytest.mark.parametrize(
    ("codes", "robust", "farthest", "gap"),
    [
        ("codes_good", 0.7712772, 0.7002572, 0.9897138),
        ("codes_rotated", 0.5004730, 0.3976376, 0.1037561),
        ("codes_random", 0.3698773, 0.1953669, 0.0000781),
    ],
)
def test_every_row_once_and_numbers_are_as_another_implementation_has_them(
    golden: dict[str, Any], codes: str, robust: float, farthest: float, gap: float
) -> None:
    # ubisoft-laforge-disentanglement-metrics: irs (20 bins, quantile .99 and 1) and sap by regression
    one, factors = golden[codes], golden["factors"]
    assert irs(one, factors, rows="each").value == pytest.approx(robust, abs=1e-6)
    assert irs(one, factors, rows="each", quantile=1.0).value == pytest.approx(farthest, abs=1e-6)
    assert sap(one, factors, ["continuous"] * 5).value == pytest.approx(gap, abs=1e-6)


@pytest.mark.parametrize(
    ("codes", "stillest", "nearest", "weights"),
    [
        ("codes_good", 1.0, 1.0, 1.0),
        ("codes_rotated", 0.9386, 0.9918, 0.3951),
        ("codes_random", 0.2014, 0.2034, 0.8087),
    ],
)
def test_drawn_and_taught_scores_are_near_another_implementations(
    golden: dict[str, Any], codes: str, stillest: float, nearest: float, weights: float
) -> None:
    # the same repository's z_min_var and z_diff, and the Lasso of the DCI authors' qedr
    one, factors = golden[codes], golden["factors"]
    assert factor_vae(one, factors).value == pytest.approx(stillest, abs=0.02)
    assert beta_vae(one, factors).value == pytest.approx(nearest, abs=0.02)
    assert dci(one, factors, estimator="lasso").disentanglement == pytest.approx(weights, abs=5e-3)


def test_boosted_dci_is_the_published_loop(golden: dict[str, Any]) -> None:
    # the full arrays take minutes; tests/bench has them. Here: two small factors, few rows, the published arithmetic
    from scipy.stats import entropy
    from sklearn.ensemble import GradientBoostingClassifier

    codes, factors = golden["codes_good"][:600, :4], golden["factors"][:600, :2]
    order = np.random.RandomState(0).permutation(600)
    judged, taught = order[:150], order[150:]
    models = [GradientBoostingClassifier(random_state=0).fit(codes[taught], factor[taught]) for factor in factors.T]
    importance = np.stack([model.feature_importances_ for model in models], axis=1)
    right = [
        (model.predict(codes[judged]) == factor[judged]).mean() for model, factor in zip(models, factors.T, strict=True)
    ]
    row = 1 - entropy(importance.T + 1e-11, base=2)
    column = 1 - entropy(importance + 1e-11, base=4)
    result = dci(codes, factors, estimator="boosted")
    assert result.disentanglement == pytest.approx((row * importance.sum(axis=1)).sum() / importance.sum(), abs=5e-3)
    assert result.completeness == pytest.approx((column * importance.sum(axis=0)).sum() / importance.sum(), abs=5e-3)
    assert result.informativeness == pytest.approx(np.mean(right), abs=0.01)
