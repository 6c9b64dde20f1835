"""The brief card: what a gate must know of a fit and no more, for fleets of small fits.

Two halves of the labelled set judge each other: accuracy is read out of fold on all rows, as on a full card, and a
few edits per factor are drawn, encoded again and judged by the half that saw neither picture nor labels. Gains stay 1,
edits are decoded, no interactions are looked for; curves, gap and disentanglement are left out, and the card says so.
Its intervals are as wide as the evidence is thin, and the gate goes by their bounds.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Final

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter
from heddle_adapters.arrays import Floats, Singles, finite_matrix
from heddle_adapters.associations import associations
from heddle_adapters.crossfit import Progress
from heddle_adapters.discriminate import DISCRIMINATIVE_ROWS
from heddle_adapters.fit import fit_adapter
from heddle_adapters.folds import fold_of_rows
from heddle_adapters.intake import check_values
from heddle_adapters.read import held_out_reads, scores_of, values_of
from heddle_adapters.report import Card, ScoreCard
from heddle_adapters.skill import reading_skills
from heddle_adapters.steps import Steps, driven
from heddle_adapters.summary import Evidence, card_of
from heddle_adapters.trial import Outcome, RoundTrip, draw_targets, draw_trial, judge_trial
from heddle_adapters.weights import unequal_weights
from heddle_adapters.whole import SetScores
from heddle_platform.factors import FactorSet

HALVES: Final = 2
# Of each factor. If all arrive and none leaks, the bounds are .65 and .198: the fewest edits that pass at the gate's
# own thresholds, .6 and .2.
EDITS: Final = 7
MORE_EDITS: Final = 24  # of a factor that the first leave open
PERMUTATIONS: Final = 99  # of the labels, for the associations' p
_SAME = ("accuracy", "effect", "leakage", "associations", "weights")  # told as on a full card


def score_brief(
    latents_NL: Floats,
    values_NF: Floats,
    factor_set: FactorSet,
    *,
    base_digest: str,
    round_trip: RoundTrip,
    pool_ML: Floats | None = None,
    weight_N: Floats | None = None,
    pool_names: Sequence[str] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Adapter, Card]:
    """Fit an adapter and write its brief card; arguments and errors as `card.score_adapter`."""
    steps = brief_steps(
        latents_NL,
        values_NF,
        factor_set,
        base_digest=base_digest,
        pool_ML=pool_ML,
        weight_N=weight_N,
        pool_names=pool_names,
        seed=seed,
        progress=progress,
    )
    return driven(steps, round_trip)


def brief_steps(
    latents_NL: Floats,
    values_NF: Floats,
    factor_set: FactorSet,
    *,
    base_digest: str,
    pool_ML: Floats | None = None,
    weight_N: Floats | None = None,
    pool_names: Sequence[str] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Steps[tuple[Adapter, Card]]:
    """Do what `score_brief` does in steps, which wait for pictures; see `steps`."""
    tell = progress or (lambda _stage, _share: None)
    latents_NL = finite_matrix(latents_NL, "latents")
    values_NF = check_values(values_NF, factor_set, len(latents_NL))
    weight_N = unequal_weights(weight_N, len(latents_NL))
    fold_N = fold_of_rows(values_NF, HALVES, seed)
    started = time.perf_counter()
    fit = partial(fit_adapter, factor_set=factor_set, base_digest=base_digest, pool_ML=pool_ML)
    adapter = fit(latents_NL, values_NF, weight_N=weight_N)
    seconds = time.perf_counter() - started
    same = partial(
        fit,
        ridge=adapter.ridge,
        residual_share=adapter.residual_share,
        temperature_F=_temperature_for_halves(adapter, fold_N),
    )
    halves = []
    for fold in range(HALVES):
        half_N = fold_N != fold
        weights = None if weight_N is None else weight_N[half_N]
        halves.append(same(latents_NL[half_N], values_NF[half_N], weight_N=weights))
    tell("fit", 1.0)
    read_NF, scores_NC = held_out_reads(halves, latents_NL, fold_N)
    skills = reading_skills(factor_set, read_NF, values_NF, weight_N)
    outcomes, survives_F, drawn = yield from _edits(halves, latents_NL, fold_N, seed)
    tell("edit", 1.0)
    pairs = associations(values_NF, factor_set, seed=seed, permutations=PERMUTATIONS)
    evidence = Evidence(
        latents_NL,
        values_NF,
        read_NF,
        scores_NC,
        skills,
        {"decode": outcomes},
        survives_F,
        drawn,
        pairs,
        None,
        (),
        _left_out(len(factor_set.factors)),
        weight_N,
    )
    card = card_of(
        adapter,
        evidence,
        pool_ML=pool_ML,
        pool_names=pool_names,
        folds=HALVES,
        seed=seed,
        fit_seconds=seconds,
    )
    tell("score", 1.0)
    return adapter, card.model_copy(update={"protocol": {**_kept(card), "brief": _PROTOCOL}})


def _temperature_for_halves(adapter: Adapter, fold_N: NDArray[np.intp]) -> Floats | None:
    """Return the temperatures of all rows, where neither they nor a half have the labels to read discriminatively.

    None: a half holds out rows of its own, which takes five solves more.
    """
    fewest = int(np.bincount(fold_N, minlength=HALVES).min())
    closed = all(kind == "closed_form" for kind in adapter.read_kinds)
    return adapter.temperature_F.astype(np.float64) if closed and len(fold_N) - fewest < DISCRIMINATIVE_ROWS else None


@dataclass(frozen=True, eq=False)
class _Judged:
    """What became of edits.

    Attributes:
        outcomes: by factor.
        survives_F: share of pictures that keep each factor's reading without an edit; 1 where none were drawn so.
        drawn: pictures drawn.
        unedited: of them without an edit.
    """

    outcomes: dict[int, Outcome]
    survives_F: Floats
    drawn: int
    unedited: int


def _edits(
    halves: Sequence[Adapter],
    latents_NL: Floats,
    fold_N: NDArray[np.intp],
    seed: int,
) -> Steps[tuple[list[Outcome], Floats, int]]:
    """Return what became of edits per factor, which factors survive without any, and how many pictures were drawn.

    A factor one of whose few edits went wrong is judged anew by more of them, of other pictures, and by these alone.
    """
    random = np.random.default_rng(seed + 1)
    rows = [random.permutation(np.flatnonzero(fold_N == fold)) for fold in range(HALVES)]
    few, more = [len(part) for part in np.array_split(np.arange(EDITS), HALVES)], MORE_EDITS // HALVES
    factors = range(len(halves[0].codings))
    begun = [part[:count] for part, count in zip(rows, few, strict=True)]
    first = yield from _judged(halves, latents_NL, begun, factors, random)
    unsettled = [factor for factor, outcome in first.outcomes.items() if not _all_well(outcome, factor)]
    fresh = [part[count : count + more] for part, count in zip(rows, few, strict=True)]
    if not unsettled or not all(len(part) for part in fresh):
        return list(first.outcomes.values()), first.survives_F, first.drawn
    second = yield from _judged(halves, latents_NL, fresh, unsettled, random)
    outcomes = first.outcomes | second.outcomes
    survives_F = first.survives_F if second.unedited == 0 else second.survives_F
    return list(outcomes.values()), survives_F, first.drawn + second.drawn


def _all_well(outcome: Outcome, factor: int) -> bool:
    others_F = np.arange(outcome.left_BF.shape[1]) != factor
    return bool(outcome.reached_B.all() and (outcome.leak_F[others_F] == 0).all())


def _judged(
    halves: Sequence[Adapter],
    latents_NL: Floats,
    rows: Sequence[NDArray[np.intp]],
    factors: Sequence[int],
    random: np.random.Generator,
) -> Steps[_Judged]:
    """Edit each half's rows by the other's fit, draw them all in one batch, and judge.

    The rows' pictures are drawn without an edit, for what the round trip loses by itself, only if an edit changed
    another factor: there is no leak to subtract it from otherwise.
    """
    trials, values = [], []
    for fold, (adapter, some) in enumerate(zip(halves, rows, strict=True)):
        values.append(values_of(adapter, scores_of(adapter, latents_NL[some])))
        for factor in factors:
            targets_B = draw_targets(adapter, factor, values[-1][:, factor], random)
            trials.append((fold, draw_trial(adapter, latents_NL, some, factor, targets_B)))
    own = [latents_NL[some].astype(np.float32) for some in rows]
    seen = yield from _seen([trial.edited_BL for _, trial in trials])

    def judged(unedited: Sequence[Singles]) -> dict[int, Outcome]:
        parts: dict[int, list[Outcome]] = {factor: [] for factor in factors}
        for (fold, trial), pictures in zip(trials, seen, strict=True):
            parts[trial.factor].append(judge_trial(trial, latents_NL, pictures, unedited[fold]))
        return {factor: reduce(Outcome.beside, part) for factor, part in parts.items()}

    outcomes, drawn, size = judged(own), sum(len(part) for part in seen), values[0].shape[1]
    if size > 1 and all(outcome.left_BF.sum() == outcome.left_BF[:, one].sum() for one, outcome in outcomes.items()):
        return _Judged(outcomes, np.ones(size), drawn, 0)
    unedited = yield from _seen(own)
    survived = [
        values_of(adapter, scores_of(adapter, plain_BL)) == before
        for adapter, plain_BL, before in zip(halves, unedited, values, strict=True)
    ]
    more = sum(len(part) for part in own)
    return _Judged(judged(unedited), np.concatenate(survived).mean(axis=0), drawn + more, more)


def _seen(asked: Sequence[Singles]) -> Steps[list[Singles]]:
    seen_BL = yield np.concatenate(asked)
    return np.split(seen_BL, np.cumsum([len(part) for part in asked])[:-1])


_PROTOCOL: Final = {
    "folds": HALVES,
    "ridge_and_shrinkage": "chosen on all rows, for the halves as well",
    "temperature": f"as well, with under {DISCRIMINATIVE_ROWS} labels a half",
    "edits_per_factor": EDITS,
    "edits_of_an_unsettled_factor": f"{MORE_EDITS} others, where any of the first missed or leaked",
    "drawn": "decode",
    "drawn_unedited": "where an edit changed another factor; without one, survives and changed are of the edits",
    "gain": 1.0,
    "left_out": ["curves", "mig", "dci", "preserve", "interactions", "strips"],
}


def _kept(card: Card) -> dict[str, object]:
    return {name: told for name, told in card.protocol.items() if name in _SAME}


def _left_out(factors: int) -> SetScores:
    def none(metric: str) -> ScoreCard:
        reason = 'a brief card leaves it out; fit with card "full" for it'
        return ScoreCard(value=None, protocol={"metric": metric, "not_defined": reason, "code": "brief"})

    nothing = (None,) * factors
    return SetScores(none("mig"), none("mig"), none("dci"), none("dci"), nothing, nothing)
