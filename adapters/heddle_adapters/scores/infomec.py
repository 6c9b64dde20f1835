"""InfoMEC (Hsu et al. 2023): modularity, explicitness and compactness in shares of information.

What implementations return for `metric_golden.npz` (InfoM / InfoE / InfoC):

| implementation | good | rotated | random |
|---|---|---|---|
| the authors' (latent_quantization) | .7879 / .7718 / .9915 | .5924 / .7701 / .2788 | .5847 / .0033 / .2607 |
| this one | .7879 / .7718 / .9915 | .5924 / .7701 / .2788 | .5847 / .0033 / .2607 |

The authors' file (metrics/infomec.py, k = 10) was run on scikit-learn 1.9, which has no `multi_class` to pass. It reads
explicitness on the rows it was taught with; `explicitness_held_out` does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.arrays import Floats, Integers, Mask
from heddle_adapters.scores.bounds import seed_of, whole
from heddle_adapters.scores.columns import alive, standardised
from heddle_adapters.scores.information import checked, entropy, knn_information
from heddle_adapters.scores.kinds import factor_levels, filled
from heddle_adapters.scores.logistic import fit_logistic
from heddle_adapters.scores.result import Score, protocol_of
from heddle_adapters.scores.rows import Cut, held_out


@dataclass(frozen=True, eq=False)
class InfoMecResult(Score):
    """The three numbers; `value` is InfoM, and the text of a result shows the others beside it.

    Attributes:
        modularity: InfoM, does each active code hold one factor only; 0 = evenly all, 1 = one.
        explicitness: InfoE, share of each factor's entropy that a linear reader removes, on the rows taught.
        explicitness_held_out: the same on rows that taught nothing; noise reads 0 or less.
        compactness: InfoC, is each factor held by one active code only.
        information_LF: I(code; factor) / H(factor).
        active_L: codes that count, [L].
    """

    modularity: float
    explicitness: float
    explicitness_held_out: float
    compactness: float
    information_LF: Floats
    active_L: Mask

    def __str__(self) -> str:
        return (
            f"InfoM {self.modularity:.4f} with InfoE {self.explicitness:.4f} "
            f"({self.explicitness_held_out:.4f} held out) and InfoC {self.compactness:.4f}"
        )


def infomec(
    codes: NDArray[Any],
    factors: NDArray[Any],
    kinds: Sequence[str] | None = None,
    k: int = 10,
    prune: float = 0.05,
    seed: int = 0,
) -> InfoMecResult:
    """Return InfoM, InfoE, InfoC.

    InfoM = (mean over active codes of largest share of information - 1/F) / (1 - 1/F), InfoC likewise over factors,
    InfoE = mean over factors of 1 - cross-entropy of a linear reader / cross-entropy without codes. A code without any
    information prefers nothing and is left out of InfoM; one factor, or one active code, gives 1.

    Args:
        codes: [N, L].
        factors: [N, F].
        kinds: kind of each factor; continuous and periodic ones are binned into 20.
        k: nearest neighbours of the information estimate (Ross 2014).
        prune: a code whose range is at most this share of the widest one's is inactive, as published; 0 drops
            dead ones only, and then no code's own scale matters.
        seed: of the held-out third.

    Raises:
        InvalidInput: codes `constant_factor`, `not_finite`, `unique_labels`, `too_few_rows`, `wrong_shape`,
            `row_count_mismatch`, `kind_count_mismatch`, `unknown_kind`.
    """
    seed_of(seed)
    codes_NL, factors_NF = checked(codes, factors)
    whole("k", k, 1, 1_000)
    columns = factor_levels(factors_NF, kinds, 20)
    range_L = codes_NL.max(axis=0) - codes_NL.min(axis=0)
    live_L = alive(codes_NL)
    active_L = live_L & (range_L > prune * range_L.max())
    information_LF = knn_information(codes_NL, columns, k) / np.array([entropy(column_N) for column_N in columns])
    scaled_NM = standardised(codes_NL[:, live_L])
    every = Cut(np.arange(len(codes_NL)), np.arange(len(codes_NL)))
    modularity = _preference(information_LF[active_L])
    return InfoMecResult(
        value=modularity,
        protocol=protocol_of(
            "infomec",
            model="logistic regression, no penalty, balanced",
            k=k,
            prune=prune,
            n=len(codes_NL),
            held_out=0.333,
            seed=seed,
        ),
        modularity=modularity,
        explicitness=_explicitness(scaled_NM, columns, every),
        explicitness_held_out=_explicitness(scaled_NM, columns, held_out(len(codes_NL), 3, seed)),
        compactness=_preference(information_LF[active_L].T),
        information_LF=information_LF,
        active_L=active_L,
    )


def _preference(information: Floats) -> float:
    """Mean over rows of the largest share, 0 where it is no more than an even one; rows of zeros are left out."""
    total = information.sum(axis=1)
    spoken = information[total > 0]
    if len(spoken) == 0:
        return 0.0
    even = 1.0 / information.shape[1]
    if even == 1.0:
        return 1.0
    share = float((spoken.max(axis=1) / spoken.sum(axis=1)).mean())
    return float((share - even) / (1.0 - even))


def _explicitness(scaled_NM: Floats, columns: Sequence[Integers], cut: Cut) -> float:
    shares = []
    for column_N in columns:
        levels_N = filled(column_N)
        reading = fit_logistic(scaled_NM[cut.taught], levels_N[cut.taught], penalty=0.0, balanced=True)
        known_N = np.isin(levels_N[cut.judged], reading.levels_K)
        truth_N = np.searchsorted(reading.levels_K, levels_N[cut.judged][known_N])
        if len(reading.levels_K) < 2 or len(truth_N) == 0:
            continue
        shares_NK = reading.shares(scaled_NM[cut.judged][known_N])
        cross = -np.log(np.maximum(shares_NK[np.arange(len(truth_N)), truth_N], 1e-15)).mean()
        # a balanced reader without codes gives every level the same share
        shares.append(1.0 - cross / np.log(len(reading.levels_K)))
    return float(np.mean(shares)) if shares else 0.0
