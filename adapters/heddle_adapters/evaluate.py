"""Evaluation: a version that exists, scored on labels that it was not fitted on, and held against its own card.

Nothing is fitted and nothing is drawn: the readings are those that are served. What the card measured out of fold is
measured here on other images by the same functions, so that the two may be compared.
"""

import math

import numpy as np

from heddle_adapters.adapter import Adapter
from heddle_adapters.arrays import Floats, Mask, finite_matrix, rounded
from heddle_adapters.calibrate import calibration_error
from heddle_adapters.evaluation import Evaluation, EvaluationWarning, FactorEvaluation, Held, Outcome
from heddle_adapters.one_thread import one_thread
from heddle_adapters.read import held_out_reads
from heddle_adapters.report import Card, FactorCard
from heddle_adapters.skill import Skill, reading_skills
from heddle_adapters.weights import effective_rows, unequal_weights
from heddle_adapters.whole import SetScores, set_scores
from heddle_platform.errors import InvalidInput
from heddle_platform.factors import FactorSet, LevelledFactor

LEAST_LABELS = 2  # of a factor, below which nothing is said of it
FEW_IMAGES = 100  # below which intervals are wide, and said to be


def evaluate(
    adapter: Adapter,
    latents_NL: Floats,
    values_NF: Floats,
    card: Card | None,
    seen_N: Mask | None = None,
    *,
    weight_N: Floats | None = None,
    forests: bool = True,
) -> Evaluation:
    """Score the readings of an adapter on labels, and hold them against its card.

    Args:
        adapter: as it is served.
        latents_NL: standardised latents of the N labelled images, of the adapter's base.
        values_NF: labels, see `LabelTable.values_NF`; columns as in the adapter's factor set.
        card: of the adapter; None: there is nothing to hold against.
        seen_N: which of the images the adapter was fitted on. They are left out, unless there are no others. None: not
            known.
        weight_N: how often each image counts, see `fit_adapter`: in accuracy and its chance and calibration, as on a
            card. None: each once.
        forests: whether DCI is scored.

    Raises:
        InvalidInput: codes `too_few_labels` (no factor can be scored), `factor_count_mismatch`.
    """
    latents_NL = finite_matrix(latents_NL, "latents")
    if values_NF.shape != (len(latents_NL), len(adapter.codings)):
        raise InvalidInput(
            f"labels have shape {values_NF.shape}; there are {len(latents_NL)} images, {len(adapter.codings)} factors",
            code="factor_count_mismatch",
            param="labels",
        )
    all_seen = seen_N is not None and bool(seen_N.all())
    scored_N = np.ones(len(values_NF), dtype=bool) if seen_N is None or all_seen else ~seen_N
    not_scored = _not_scored(adapter.factor_set, values_NF[scored_N])
    kept_F = np.array([name not in not_scored for name in adapter.factor_set.names])
    if not kept_F.any():
        raise InvalidInput(
            f"{int(scored_N.sum())} images can be scored, and no factor on them: {next(iter(not_scored.values()))}; "
            "label more images that the version was not fitted on",
            code="too_few_labels",
            param="dataset",
        )
    with one_thread():
        read_NF, logits = held_out_reads([adapter], latents_NL[scored_N], np.zeros(scored_N.sum(), dtype=np.intp))
        kept = adapter.factor_set.model_copy(
            update={"factors": tuple(f for f, has in zip(adapter.factor_set.factors, kept_F, strict=True) if has)}
        )
        read_NF, values_NF, latents_NL = read_NF[:, kept_F], values_NF[scored_N][:, kept_F], latents_NL[scored_N]
        weight_N = None if weight_N is None else unequal_weights(weight_N[scored_N], len(latents_NL))
        skills = reading_skills(kept, read_NF, values_NF, weight_N)
        whole = set_scores(latents_NL, read_NF, values_NF, kept, forests=forests)
    of = [index for index, has in enumerate(kept_F) if has]
    factors = tuple(
        _factor(kept, place, logits[index], read_NF, values_NF, weight_N, skills[place], whole, card)
        for place, index in enumerate(of)
    )
    weights = np.array([factor.importance for factor in kept.factors])
    accuracy = float(np.average([factor.accuracy for factor in factors], weights=weights))
    outcomes = {factor.name: factor.compared.outcome for factor in factors if factor.compared is not None}
    seen = None if seen_N is None else int(seen_N.sum())
    return Evaluation(
        factor_set=adapter.factor_set.name,
        base_digest=adapter.base_digest,
        labels=len(scored_N),
        seen=seen,
        scored=int(scored_N.sum()),
        factors=factors,
        not_scored=not_scored,
        accuracy=rounded(accuracy),
        compared=_whole_held(factors, weights),
        better=tuple(name for name, outcome in outcomes.items() if outcome == "better"),
        equal=tuple(name for name, outcome in outcomes.items() if outcome == "equal"),
        worse=tuple(name for name, outcome in outcomes.items() if outcome == "worse"),
        mig=whole.mig,
        mig_latents=whole.mig_latents,
        dci=whole.dci,
        dci_latents=whole.dci_latents,
        warnings=_warnings(int(scored_N.sum()), seen, all_seen=all_seen),
        protocol={
            "accuracy": {"metric": "as_served", "version": 1, "interval": "wilson or jackknife"},
            "compared": {
                "with": "the card's out-of-fold figures, of the images the version was fitted on",
                "noise": "root of the sum of squares of half of both 95 % intervals",
            },
            **_weights(weight_N),
        },
    )


def _not_scored(factor_set: FactorSet, values_NF: Floats) -> dict[str, str]:
    """Return why factors cannot be scored on these labels, by name."""
    reasons = {}
    for factor, values_N in zip(factor_set.factors, values_NF.T, strict=True):
        known = values_N[~np.isnan(values_N)]
        if len(known) < LEAST_LABELS:
            reasons[factor.name] = (
                f"{len(known)} of the images have a label of {factor.name!r}, {LEAST_LABELS} are needed"
            )
        elif not isinstance(factor, LevelledFactor) and np.ptp(known) == 0:
            reasons[factor.name] = f"all labels of {factor.name!r} are {known[0]:g}: R squared is not defined"
    return reasons


def _factor(
    factor_set: FactorSet,
    index: int,
    logits_NK: Floats,
    read_NF: Floats,
    values_NF: Floats,
    weight_N: Floats | None,
    skill: Skill,
    whole: SetScores,
    card: Card | None,
) -> FactorEvaluation:
    factor = factor_set.factors[index]
    known_N = ~np.isnan(values_NF[:, index])
    counts: dict[str, int] = {}
    confusion: dict[str, dict[str, int]] = {}
    error = None
    if isinstance(factor, LevelledFactor):
        truth_N, said_N = values_NF[known_N, index].astype(np.int64), read_NF[known_N, index].astype(np.int64)
        names = factor.level_names
        counts = dict(zip(names, np.bincount(truth_N, minlength=len(names)).tolist(), strict=True))
        error = rounded(
            calibration_error(logits_NK[known_N], truth_N, weight_N=None if weight_N is None else weight_N[known_N])
        )
        for truth, said in sorted(zip(truth_N.tolist(), said_N.tolist(), strict=True)):
            row = confusion.setdefault(names[truth], {})
            row[names[said]] = row.get(names[said], 0) + 1
    found = FactorEvaluation(
        name=factor.name,
        kind=factor.kind,
        labels=int(known_N.sum()),
        counts=counts,
        measure="accuracy" if isinstance(factor, LevelledFactor) else "r2",
        accuracy=rounded(skill.value),
        accuracy_interval=(rounded(skill.interval.low), rounded(skill.interval.high)),
        chance=rounded(skill.chance),
        calibration_error=error,
        readable=skill.readable,
        mig=whole.gaps[index],
        ceiling=whole.ceilings[index],
        confusion=confusion,
        compared=None,
    )
    before = None if card is None else {one.name: one for one in card.factors}.get(factor.name)
    return found if before is None else found.model_copy(update={"compared": _held_factor(before, found)})


def _held_factor(before: FactorCard, after: FactorEvaluation) -> Held:
    noise = math.hypot(_reach(before.accuracy_interval), _reach(after.accuracy_interval))
    return _held(before.accuracy, after.accuracy, noise)


def _whole_held(factors: tuple[FactorEvaluation, ...], weights_F: Floats) -> Held | None:
    """Hold the weighted mean over the factors that can be compared; errors of factors are taken as independent."""
    pairs = [(one.compared, weight) for one, weight in zip(factors, weights_F, strict=True) if one.compared is not None]
    total = float(sum(weight for _, weight in pairs))
    if not total:
        return None
    return _held(
        sum(held.before * weight for held, weight in pairs) / total,
        sum(held.after * weight for held, weight in pairs) / total,
        math.sqrt(sum((held.noise * weight) ** 2 for held, weight in pairs)) / total,
    )


def _held(before: float, after: float, noise: float) -> Held:
    outcome: Outcome = "equal"
    if abs(after - before) > noise:
        outcome = "better" if after > before else "worse"
    return Held(before=rounded(before), after=rounded(after), noise=rounded(noise), outcome=outcome)


def _weights(weight_N: Floats | None) -> dict[str, object]:
    if weight_N is None:
        return {}
    told = {"effective_rows": round(effective_rows(weight_N), 1)}
    return {"weights": {**told, "weighted": ["accuracy", "chance", "calibration_error"], "unweighted": ["mig", "dci"]}}


def _reach(interval: tuple[float, float]) -> float:
    return (interval[1] - interval[0]) / 2


def _warnings(scored: int, seen: int | None, *, all_seen: bool) -> tuple[EvaluationWarning, ...]:
    found = []
    if all_seen:
        sentence = (
            f"the version was fitted on all {scored} images: these scores flatter it, and its card says more; evaluate "
            "it on images it has not seen"
        )
        found.append(EvaluationWarning(code="all_seen", detail=sentence, numbers={"seen": scored}))
    elif seen:
        sentence = f"the version was fitted on {seen} of the images; they are left out of every score"
        found.append(EvaluationWarning(code="some_seen", detail=sentence, numbers={"seen": seen}))
    elif seen is None:
        sentence = "which images the version was fitted on is not known any more; any among these flatter the scores"
        found.append(EvaluationWarning(code="seen_unknown", detail=sentence, numbers={}))
    if scored < FEW_IMAGES:
        sentence = f"{scored} images are few: only large differences stand out of the noise; label {FEW_IMAGES} or more"
        found.append(EvaluationWarning(code="few_images", detail=sentence, numbers={"scored": scored}))
    return tuple(found)
