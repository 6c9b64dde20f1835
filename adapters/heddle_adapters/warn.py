"""Warnings: what the labels cannot support, as data with the sentence that would help."""

from collections.abc import Sequence

import numpy as np

from heddle_adapters.adapter import Adapter
from heddle_adapters.arrays import Floats
from heddle_adapters.associations import Association
from heddle_adapters.design import THIN_CELL
from heddle_adapters.linear import WORST_CONDITION
from heddle_adapters.report import CardWarning
from heddle_platform.factors import LevelledFactor

STRONG_ASSOCIATION = 0.3
FEW_LABELS = 10  # images of one level under which its offset is mostly the ridge


def warnings_of(adapter: Adapter, values_NF: Floats, pairs: Sequence[Association]) -> tuple[CardWarning, ...]:
    """Return all warnings of one fit, most serious first."""
    return (
        *_together(adapter, pairs),
        *_cells(adapter, pairs),
        *_few(adapter, values_NF),
        *_codings(adapter),
        *_write(adapter),
        *_thin_interactions(adapter),
    )


def _together(adapter: Adapter, pairs: Sequence[Association]) -> list[CardWarning]:
    names = adapter.factor_set.names
    return [
        CardWarning(
            code="correlated_labels",
            factors=(names[pair.first], names[pair.second]),
            detail=f"labels of {names[pair.first]!r} and {names[pair.second]!r} go together ({pair.measure} "
            f"{pair.value:.2f}, warned from {STRONG_ASSOCIATION}); their edits are held apart by the joint fit, "
            "label images where they disagree to be sure",
        )
        for pair in pairs
        if pair.value >= STRONG_ASSOCIATION
    ]


def _cells(adapter: Adapter, pairs: Sequence[Association]) -> list[CardWarning]:
    names = adapter.factor_set.names
    warnings = []
    empty = [pair for pair in pairs if pair.empty_cells]
    thin = [pair for pair in pairs if not pair.empty_cells and (pair.smallest_cell or THIN_CELL) < THIN_CELL]
    for code, found, sentence in (
        ("empty_cells", empty, "level pairs never occur together, so independence of their edits cannot be claimed"),
        ("thin_cells", thin, f"level pairs have fewer than {THIN_CELL} images, so their edits are guesses"),
    ):
        if found:
            spoken = ", ".join(
                f"{names[pair.first]} x {names[pair.second]} ({pair.empty_cells} of {pair.cells} empty, "
                f"least {pair.smallest_cell})"
                for pair in found[:10]
            )
            involved = sorted({index for pair in found for index in (pair.first, pair.second)})
            warnings.append(
                CardWarning(
                    code=code,
                    factors=tuple(names[index] for index in involved),
                    detail=f"in {len(found)} of {len(pairs)} factor pairs {sentence}: {spoken}; label such images",
                )
            )
    return warnings


def _few(adapter: Adapter, values_NF: Floats) -> list[CardWarning]:
    warnings = []
    for index, factor in enumerate(adapter.factor_set.factors):
        if not isinstance(factor, LevelledFactor):
            continue
        known_N = values_NF[~np.isnan(values_NF[:, index]), index].astype(int)
        counts = np.bincount(known_N, minlength=len(factor.level_names))
        few = [
            f"{name} ({count})" for name, count in zip(factor.level_names, counts, strict=True) if count < FEW_LABELS
        ]
        if few:
            warnings.append(
                CardWarning(
                    code="few_labels",
                    factors=(factor.name,),
                    detail=f"{len(few)} level(s) of {factor.name!r} have fewer than {FEW_LABELS} images: "
                    f"{', '.join(few[:10])}; label more of them",
                )
            )
    return warnings


def _codings(adapter: Adapter) -> list[CardWarning]:
    return [
        CardWarning(
            code="not_monotone",
            factors=(factor.name,),
            detail=f"images of {factor.name!r} do not follow its declared order of {coding.levels} levels; it is "
            "edited as a categorical factor and cannot be trusted to shift smoothly",
        )
        for factor, coding in zip(adapter.factor_set.factors, adapter.codings, strict=True)
        if factor.kind == "ordinal" and coding.kind == "categorical"
    ]


def _write(adapter: Adapter) -> list[CardWarning]:
    if adapter.write_kind == "hybrid":
        return []
    return [
        CardWarning(
            code="additive_write",
            factors=(),
            detail=f"the probes' covariance has condition {adapter.write_condition:.0f}, above {WORST_CONDITION:.0f}: "
            "edits follow the joint effects alone; more labels or fewer levels would help",
        )
    ]


def _thin_interactions(adapter: Adapter) -> list[CardWarning]:
    warnings = []
    for pair in adapter.interactions:
        if not pair.thin:
            continue
        own, other = adapter.factor_set.factors[pair.factor], adapter.factor_set.factors[pair.on]
        cells = adapter.codings[pair.factor].levels * adapter.codings[pair.on].levels
        spoken = [
            f"{own.level_names[first]} with {other.level_names[second]}"
            for first, second in pair.thin[:10]
            if isinstance(own, LevelledFactor) and isinstance(other, LevelledFactor)
        ]
        warnings.append(
            CardWarning(
                code="thin_interaction",
                factors=(own.name, other.name),
                detail=f"the look of {own.name!r} depends on {other.name!r}, but {len(pair.thin)} of {cells} pairs of "
                f"levels have fewer than {THIN_CELL} images: {', '.join(spoken)}; edits from or to them are additive, "
                "label such images",
            )
        )
    return warnings
