"""Warnings: what the labels cannot support, as data with the sentence that would help."""

from collections.abc import Sequence

import numpy as np

from heddle_adapters.adapter import Adapter
from heddle_adapters.arrays import Floats
from heddle_adapters.associations import Association
from heddle_adapters.design import THIN_CELL
from heddle_adapters.linear import WORST_CONDITION
from heddle_adapters.report import CardWarning
from heddle_adapters.report_edits import EditsCard
from heddle_adapters.report_labels import LabellingCard
from heddle_adapters.warn_edits import edit_warnings
from heddle_adapters.warn_labels import label_warnings
from heddle_platform.factors import LevelledFactor

FEW_LABELS = 10  # images of one level under which its offset is mostly the ridge


def warnings_of(
    adapter: Adapter,
    values_NF: Floats,
    pairs: Sequence[Association],
    labelling: LabellingCard,
    measured: EditsCard | None,
) -> tuple[CardWarning, ...]:
    """Return all warnings of one fit, most serious first."""
    return (
        *label_warnings(adapter.factor_set, pairs, labelling),
        *(() if measured is None else edit_warnings(measured)),
        *_few(adapter, values_NF),
        *_codings(adapter),
        *_write(adapter),
        *_thin_interactions(adapter),
    )


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
                    numbers={"levels": len(few), "least": int(counts.min()), "warned_below": FEW_LABELS},
                    action=f"label more images of {', '.join(name.rpartition(' ')[0] for name in few[:10])}",
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
            numbers={"levels": coding.levels},
            action=f"declare {factor.name!r} categorical, or check the order of its levels",
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
            detail=f"the probes' covariance has condition {adapter.write_condition:.3g}, above {WORST_CONDITION:.0f}: "
            "edits follow the joint effects alone; more labels or fewer levels would help",
            numbers={"condition": round(adapter.write_condition, 3), "warned_above": WORST_CONDITION},
            action="label more images, or merge levels that look alike",
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
                f"levels have fewer than {THIN_CELL} images: {', '.join(spoken)}; edits from or to them are additive",
                numbers={"thin_cells": len(pair.thin), "cells": cells, "warned_below": THIN_CELL},
                action="label such images",
            )
        )
    return warnings
