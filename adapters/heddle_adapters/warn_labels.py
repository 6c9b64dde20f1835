"""Warnings about labels that go together: machine-readable, with the sentence that says what to label."""

from collections.abc import Sequence

from heddle_adapters.associations import Association
from heddle_adapters.design import THIN_CELL
from heddle_adapters.report import CardWarning
from heddle_adapters.report_labels import LabellingCard
from heddle_platform.factors import FactorSet

STRONG_ASSOCIATION = 0.3
WORST_BETWEEN = 30.0  # condition of two binary factors at a correlation of .935
WEAK_TEST = 0.20  # smallest detectable correlation above which "none found" says little: about 200 labels
LOW_CEILING = 0.5
_SPOKEN = 10


def label_warnings(
    factor_set: FactorSet, pairs: Sequence[Association], labelling: LabellingCard
) -> tuple[CardWarning, ...]:
    """Return warnings about labels, most serious first.

    Codes: `correlated_labels` (one per pair), `collinear_labels`, `empty_cells`, `thin_cells`, `weak_test`,
    `low_ceiling`.
    """
    return (
        *_together(factor_set, pairs),
        *_collinear(labelling),
        *_cells(factor_set, pairs, labelling),
        *_weak(labelling, pairs),
        *_ceiling(labelling),
    )


def _together(factor_set: FactorSet, pairs: Sequence[Association]) -> list[CardWarning]:
    names = factor_set.names
    return [
        CardWarning(
            code="correlated_labels",
            factors=(names[pair.first], names[pair.second]),
            detail=f"labels of {names[pair.first]!r} and {names[pair.second]!r} go together ({pair.measure} "
            f"{pair.value:.2f}, warned from {STRONG_ASSOCIATION}; p {_spoken_p(pair.p_holm)} over all pairs); their "
            "edits are held apart by the joint fit, label images where they disagree to be sure",
            numbers={
                "value": round(pair.value, 6),
                "p_holm": float(f"{pair.p_holm:.3g}"),
                "labels": pair.rows,
                "warned_from": STRONG_ASSOCIATION,
            },
            action=f"label images in which {names[pair.first]!r} and {names[pair.second]!r} disagree",
        )
        for pair in pairs
        if pair.value >= STRONG_ASSOCIATION and pair.claim != "none_found"
    ]


def _collinear(labelling: LabellingCard) -> list[CardWarning]:
    if labelling.condition_between < WORST_BETWEEN:
        return []
    return [
        CardWarning(
            code="collinear_labels",
            factors=(),
            detail=f"the factors' labels nearly tell one another: condition {labelling.condition_between:.0f} between "
            f"them, warned from {WORST_BETWEEN:.0f} (1 is independent); directions of such factors are guesses",
            numbers={"condition_between": labelling.condition_between, "warned_from": WORST_BETWEEN},
            action="label images that break the pattern, or merge the factors that always agree",
        )
    ]


def _cells(factor_set: FactorSet, pairs: Sequence[Association], labelling: LabellingCard) -> list[CardWarning]:
    names = factor_set.names
    warnings = []
    empty = [pair for pair in pairs if pair.empty_cells]
    thin = [pair for pair in pairs if not pair.empty_cells and pair.thin_cells]
    for code, found, sentence in (
        ("empty_cells", empty, "level pairs never occur together, so independence of their edits cannot be claimed"),
        ("thin_cells", thin, f"level pairs have fewer than {THIN_CELL} images, so their edits are guesses"),
    ):
        if not found:
            continue
        spoken = ", ".join(
            f"{names[pair.first]} x {names[pair.second]} ({pair.empty_cells} of {pair.cells} empty, "
            f"least {pair.smallest_cell})"
            for pair in found[:_SPOKEN]
        )
        involved = sorted({index for pair in found for index in (pair.first, pair.second)})
        asked = f"; {labelling.requests[0].detail}" if labelling.requests else ""
        warnings.append(
            CardWarning(
                code=code,
                factors=tuple(names[index] for index in involved),
                detail=f"in {len(found)} of {len(pairs)} factor pairs {sentence}: {spoken}; label such images",
                numbers={
                    "pairs": len(found),
                    "empty_cells": sum(pair.empty_cells for pair in found),
                    "thin_cells": sum(pair.thin_cells for pair in found),
                    "cells": sum(pair.cells for pair in found),
                },
                action=f"work down the list of images to label{asked}",
            )
        )
    return warnings


def _weak(labelling: LabellingCard, pairs: Sequence[Association]) -> list[CardWarning]:
    silent = [pair for pair in pairs if pair.claim == "none_found"]
    if not silent or labelling.smallest_detectable < WEAK_TEST:
        return []
    return [
        CardWarning(
            code="weak_test",
            factors=(),
            detail=f"{len(silent)} of {len(pairs)} factor pairs show no association, but {silent[0].rows} labels find "
            f"only correlations above {labelling.smallest_detectable:.2f}: none found proves little",
            numbers={"smallest_detectable": labelling.smallest_detectable, "warned_from": WEAK_TEST},
            action="label 300 images to find correlations of .16, 1,000 to find .09",
        )
    ]


def _ceiling(labelling: LabellingCard) -> list[CardWarning]:
    if labelling.mig_ceiling is None or labelling.mig_ceiling >= LOW_CEILING:
        return []
    return [
        CardWarning(
            code="low_ceiling",
            factors=(),
            detail=f"these labels allow a MIG of {labelling.mig_ceiling:.2f} at most, because factors tell one "
            "another; read the MIG as a share of that",
            numbers={"mig_ceiling": labelling.mig_ceiling, "warned_below": LOW_CEILING},
            action="label images in which factors vary independently",
        )
    ]


def _spoken_p(value: float) -> str:
    return "under .001" if value < 0.001 else f"{value:.3f}"
