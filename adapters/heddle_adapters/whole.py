"""Whole-set scores of a card: gap and disentanglement of the sliders and of the raw latents."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from heddle_adapters.arrays import Floats, rounded
from heddle_adapters.report import ScoreCard
from heddle_adapters.scores.dci import dci
from heddle_adapters.scores.jackknife import jackknife
from heddle_adapters.scores.kinds import factor_levels
from heddle_adapters.scores.mig import ceilings, mig
from heddle_platform.errors import InvalidInput
from heddle_platform.factors import FactorSet

_BINS = 20
_FEW = 100  # complete rows under which DCI is not computed


@dataclass(frozen=True, eq=False)
class SetScores:
    """Scores of the whole set, and per factor its gap among the sliders and the ceiling of that gap."""

    mig: ScoreCard
    mig_latents: ScoreCard
    dci: ScoreCard
    dci_latents: ScoreCard
    gaps: tuple[float | None, ...]
    ceilings: tuple[float | None, ...]


_LEFT_OUT = ScoreCard(
    value=None,
    protocol={
        "metric": "dci",
        "not_defined": "it was left out, to be quick; a fit of its own has it",
        "code": "left_out",
    },
)


def set_scores(
    latents_NL: Floats, read_NF: Floats, values_NF: Floats, factor_set: FactorSet, *, forests: bool = True
) -> SetScores:
    """Score sliders (readings out of fold, one code per factor) and latents.

    Each factor is scored on the rows that have its label; DCI on rows that have all, and only with `forests`: they
    take as long as all fits of a small set together.
    """
    kinds = [factor.kind for factor in factor_set.factors]
    bins = max(_BINS, *(len(getattr(factor, "level_names", ())) for factor in factor_set.factors))
    sliders = _gap(read_NF, values_NF, factor_set, bins)
    complete_N = ~np.isnan(values_NF).any(axis=1)
    return SetScores(
        mig=sliders,
        mig_latents=_gap(latents_NL, values_NF, factor_set, _BINS, interval=False),
        dci=_dci(read_NF[complete_N], values_NF[complete_N], kinds) if forests else _LEFT_OUT,
        dci_latents=_dci(latents_NL[complete_N], values_NF[complete_N], kinds) if forests else _LEFT_OUT,
        gaps=tuple(sliders.parts.get(name) for name in factor_set.names),
        ceilings=_ceilings(values_NF[complete_N], kinds),
    )


def _gap(codes_NL: Floats, values_NF: Floats, factor_set: FactorSet, bins: int, *, interval: bool = True) -> ScoreCard:
    kinds = [factor.kind for factor in factor_set.factors]

    def gap(codes: Any, labels: Any, index: int) -> float:
        known_N = ~np.isnan(labels[:, index])
        return mig(codes[known_N], labels[known_N, index : index + 1], bins=bins, kinds=[kinds[index]]).value

    def mean_gap(codes: Any, labels: Any) -> float:
        return float(np.mean([gap(codes, labels, index) for index in range(len(kinds))]))

    def measured() -> ScoreCard:
        parts = [gap(codes_NL, values_NF, index) for index in range(len(kinds))]
        reach = jackknife(mean_gap, codes_NL, values_NF).as_pair() if interval and len(codes_NL) >= 100 else None
        return ScoreCard(
            value=rounded(float(np.mean(parts))),
            interval=None if reach is None else (rounded(reach[0]), rounded(reach[1])),
            parts={name: rounded(part) for name, part in zip(factor_set.names, parts, strict=True)},
            protocol={"metric": "mig", "version": 1, "estimator": "histogram", "bins": bins, "n": len(codes_NL)},
        )

    return _or_none("mig", measured)


def _dci(codes_NL: Floats, values_NF: Floats, kinds: list[Any]) -> ScoreCard:
    def measured() -> ScoreCard:
        if len(codes_NL) < _FEW:
            raise InvalidInput(
                f"{len(codes_NL)} images have all labels, at least {_FEW} are needed", code="too_few_rows"
            )
        result = dci(codes_NL, values_NF, kinds)
        return ScoreCard(
            value=rounded(result.value),
            parts={
                "disentanglement": rounded(result.disentanglement),
                "completeness": rounded(result.completeness),
                "informativeness": rounded(result.informativeness),
            },
            protocol=dict(result.protocol),
        )

    return _or_none("dci", measured)


def _ceilings(values_NF: Floats, kinds: list[Any]) -> tuple[float | None, ...]:
    """Return each factor's highest gap on the rows with all labels; None for one that says the same on all of them."""
    try:
        columns = factor_levels(values_NF, kinds, _BINS)
        varied = [column_N.min() < column_N.max() for column_N in columns]
    except (InvalidInput, ValueError):
        return (None,) * len(kinds)
    found = iter(ceilings([column_N for column_N, varies in zip(columns, varied, strict=True) if varies]))
    return tuple(rounded(next(found)) if varies else None for varies in varied)


def _or_none(metric: str, measured: Callable[[], ScoreCard]) -> ScoreCard:
    """A score that these labels do not define is None on the card, with the reason in its protocol."""
    try:
        return measured()
    except InvalidInput as error:
        return ScoreCard(value=None, protocol={"metric": metric, "not_defined": error.message, "code": error.code})
