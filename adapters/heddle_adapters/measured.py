"""The four measurements of edits: effect curves, leakage with its sign, preservation, faithfulness (`report_edits`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter, DetailMode
from heddle_adapters.arrays import Floats, Singles
from heddle_adapters.associations import Association
from heddle_adapters.curves import Draw, Reported, curve_card, draw_curves
from heddle_adapters.fidelity import fidelity_card, yardstick
from heddle_adapters.judges import Judge, judges_of
from heddle_adapters.leaks import leak_cards
from heddle_adapters.read import read_values
from heddle_adapters.report_edits import STRENGTHS, EditsCard, JudgeCard
from heddle_adapters.trial import Trial, draw_trial

SHARE = 0.35  # of the budget of pictures
MOST_ROWS, FEWEST_ROWS = 24, 6


@dataclass(frozen=True, eq=False)
class Set:
    """The labelled set: latents, labels, and how it was cut into folds."""

    latents_NL: Floats
    values_NF: Floats
    fold_N: NDArray[np.intp]


def rows_per_factor(factors: int, round_trips: int) -> int:
    """Return how many pictures each factor's curve may edit, within its share of the budget."""
    return int(np.clip(SHARE * round_trips / (factors * (len(STRENGTHS) + 1)), FEWEST_ROWS, MOST_ROWS))


def reserve(factors: int, round_trips: int) -> int:
    """Return how many pictures `measure_edits` may draw."""
    return rows_per_factor(factors, round_trips) * factors * (len(STRENGTHS) + 1)


def measure_edits(
    adapter: Adapter,
    editors: Sequence[Adapter],
    labelled: Set,
    reported: Sequence[Reported],
    pairs: Sequence[Association],
    draw: Draw,
    rows: int,
) -> EditsCard:
    """Measure.

    Args:
        adapter: fitted on all labels, gains and modes chosen.
        editors: per fold, the fit that never saw its rows.
        labelled: the labelled set.
        reported: edits as served, in each factor's own mode, all folds and factors.
        pairs: associations of the labels.
        draw: draws trials in a mode and encodes them again.
        rows: how many pictures each factor's curve edits.
    """
    names = adapter.factor_set.names
    judges = judges_of(
        editors,
        labelled.latents_NL,
        labelled.values_NF,
        labelled.fold_N,
        {one.fold: one.trial.rows_B for one in reported},
    )
    parts = _some(reported, rows)
    modes: Sequence[DetailMode] = adapter.detail
    curves = draw_curves(parts, modes, judges, labelled.latents_NL, draw)
    back = _gone_back(parts, labelled.latents_NL, draw)
    measure = yardstick(adapter, labelled.latents_NL, labelled.values_NF)
    fidelity = tuple(
        fidelity_card(
            name,
            [one for one in reported if one.trial.factor == index],
            [(part, seen) for part, seen in zip(parts, back, strict=True) if part.trial.factor == index],
            judges,
            measure,
        )
        for index, name in enumerate(names)
    )
    kept = [one.preserved for one in fidelity if one.preserved is not None]
    first = [one for one in reported if one.trial.factor == 0]
    plain_BL = np.concatenate([one.plain_BL for one in first])
    before_BL = np.concatenate([labelled.latents_NL[one.trial.rows_B] for one in first])
    drawn = sum(
        len(part.trial.rows_B) * (len(STRENGTHS) + (0 if adapter.codings[part.trial.factor].levels else 1))
        for part in parts
    )
    return EditsCard(
        judge=_judge_card(judges, reported, labelled),
        curves=tuple(curve_card(names[index], adapter.codings[index], curve) for index, curve in curves.items()),
        leaks=leak_cards(reported, judges, labelled.latents_NL, labelled.values_NF, names, _both_ways(pairs, names)),
        fidelity=fidelity,
        preserved=round(float(np.mean(kept)), 6) if kept else None,
        round_trip_error=round(measure.error(plain_BL, before_BL), 6),
        nuisance_latents=measure.dimensions,
        pictures=drawn,
    )


def _some(reported: Sequence[Reported], rows: int) -> list[Reported]:
    """Take `rows` edits of each factor, spread over the folds and within them."""
    folds = sorted({one.fold for one in reported})
    parts = []
    for one in reported:
        place = folds.index(one.fold)
        share = min(rows // len(folds) + (place < rows % len(folds)), len(one.trial.rows_B))
        if share:
            parts.append(one.part(np.linspace(0, len(one.trial.rows_B) - 1, share).round().astype(np.intp)))
    return parts


def _gone_back(parts: Sequence[Reported], latents_NL: Floats, draw: Draw) -> list[Singles]:
    """Set each edited picture's factor back to what it read as, by its editor, and decode."""
    trials: list[Trial] = []
    for part in parts:
        trial = part.trial
        source_B = read_values(trial.adapter, latents_NL[trial.rows_B])[:, trial.factor]
        seen_BL = part.seen_BL.astype(np.float64)
        trials.append(draw_trial(trial.adapter, seen_BL, np.arange(len(seen_BL)), trial.factor, source_B))
    return draw(trials, "decode")


def _judge_card(judges: Mapping[int, Judge], reported: Sequence[Reported], labelled: Set) -> JudgeCard:
    rows = round(float(np.mean([judge.taught for judge in judges.values()])))
    right: list[bool] = []
    for one in reported:
        if one.trial.factor or not any(coding.levels for coding in one.trial.adapter.codings):
            continue
        told_BF = judges[one.fold].values(labelled.latents_NL[one.trial.rows_B])
        truth_BF = labelled.values_NF[one.trial.rows_B]
        for index, coding in enumerate(one.trial.adapter.codings):
            known_B = ~np.isnan(truth_BF[:, index])
            if coding.levels:
                right.extend((told_BF[known_B, index] == truth_BF[known_B, index]).tolist())
    independent = next(iter(judges.values())).independent
    detail = (
        f"a closed-form read fitted on {rows} held-out images per fold, which neither made the direction nor are edited"
        if independent
        else f"the read of each fold's own fit ({rows} images), which never saw the edited pictures but shares its "
        "labels with the direction, which flatters it; with so few labels a second judge would be nearly blind"
    )
    return JudgeCard(
        kind="independent" if independent else "fold",
        rows=rows,
        accuracy=round(float(np.mean(right)), 6) if right else None,
        detail=detail,
    )


def _both_ways(pairs: Sequence[Association], names: Sequence[str]) -> dict[tuple[str, str], float]:
    one_way = {(names[pair.first], names[pair.second]): pair.value for pair in pairs}
    return one_way | {(second, first): value for (first, second), value in one_way.items()}
