"""From evidence to document: what was read and edited out of fold, summed up as a `Card`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from heddle_adapters.adapter import Adapter, DetailMode
from heddle_adapters.arrays import Floats, Mask, rounded
from heddle_adapters.associations import Association
from heddle_adapters.calibrate import calibration_error
from heddle_adapters.dependence import smallest_detectable
from heddle_adapters.discover import CLEAR_OF_NOISE, LEAST_GAIN, Tried
from heddle_adapters.labelling import association_card, labelling_card
from heddle_adapters.report import Card, FactorCard, InteractionCard, ModeEffect
from heddle_adapters.report_edits import EditsCard
from heddle_adapters.scores.jackknife import wilson
from heddle_adapters.skill import Skill
from heddle_adapters.trial import Outcome
from heddle_adapters.warn import warnings_of
from heddle_adapters.warn_edits import unsteady_warnings
from heddle_adapters.weights import effective_rows
from heddle_adapters.whole import SetScores, set_scores
from heddle_platform.factors import FactorSet, LevelledFactor


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that was measured.

    Attributes:
        latents_NL, values_NF: the labelled set.
        read_NF: values read out of fold.
        logits: per factor its calibrated out-of-fold logits [N, K]; [N, 0] for numbers.
        skills: per factor.
        outcomes: mode -> per factor what became of its edits.
        survives_F: share of unedited pictures whose reading survives the round trip.
        drawn: pictures drawn.
        pairs: associations of the labels.
        measured: effect curves, signed leakage, preservation, faithfulness.
        tried: pairs tried for an interaction, on all labels.
        whole: scores of the whole set.
        weight_N: of the labelled rows, as given; None where all are equal.
    """

    latents_NL: Floats
    values_NF: Floats
    read_NF: Floats
    logits: Sequence[Floats]
    skills: Sequence[Skill]
    outcomes: Mapping[DetailMode, Sequence[Outcome]]
    survives_F: Floats
    drawn: int
    pairs: Sequence[Association]
    measured: EditsCard | None
    tried: Sequence[Tried] = ()
    whole: SetScores | None = None
    weight_N: Floats | None = None


def card_of(
    adapter: Adapter,
    evidence: Evidence,
    *,
    pool_ML: Floats | None,
    pool_names: Sequence[str] | None,
    folds: int,
    seed: int,
    fit_seconds: float,
    forests: bool = True,
) -> Card:
    """Write the card.

    Args:
        adapter: the adapter that is served, gains and modes chosen.
        evidence: what was measured.
        pool_ML, pool_names: latents and names of the unlabelled images.
        folds, seed: of the protocol.
        fit_seconds: time of the final fit.
        forests: whether DCI is scored; see `set_scores`.
    """
    factor_set = adapter.factor_set
    readable_F = np.array([skill.readable for skill in evidence.skills])
    whole = evidence.whole or set_scores(
        evidence.latents_NL, evidence.read_NF, evidence.values_NF, factor_set, forests=forests
    )
    factors = tuple(_factor_card(adapter, evidence, whole, index, readable_F) for index in range(len(readable_F)))
    labelling = labelling_card(adapter, evidence.values_NF, whole, evidence.pairs, pool_ML, pool_names)
    changed = _matrix(adapter, evidence, lambda outcome: outcome.changed_BF.mean(axis=0))
    survives = {card.name: card.survives for card in factors if card.readable}
    weights = np.array([factor.importance for factor in factor_set.factors])
    leaks = [card.leakage for card in factors if card.readable and card.leakage is not None]
    return Card(
        factor_set=factor_set.name,
        base_digest=adapter.base_digest,
        labels=len(evidence.values_NF),
        pool=0 if pool_ML is None else len(pool_ML),
        folds=folds,
        seed=seed,
        factors=factors,
        accuracy=rounded(float(np.average([card.accuracy for card in factors], weights=weights))),
        effect=rounded(float(np.average([card.effect or 0.0 for card in factors], weights=weights))),
        leakage_max=max(leaks) if leaks else None,
        leakage=_matrix(adapter, evidence, lambda outcome: outcome.leak_F),
        changed=changed,
        mig=whole.mig,
        mig_latents=whole.mig_latents,
        dci=whole.dci,
        dci_latents=whole.dci_latents,
        associations=tuple(association_card(pair, factor_set) for pair in evidence.pairs),
        warnings=(
            *warnings_of(adapter, evidence.values_NF, evidence.pairs, labelling, evidence.measured),
            *unsteady_warnings(changed, survives),
        ),
        interactions=tuple(_interaction_card(one, factor_set) for one in evidence.tried),
        latents=adapter.latents,
        active_latents=int(adapter.live_L.sum()),
        write_kind=adapter.write_kind,
        write_condition=round(adapter.write_condition, 3),
        round_trips=evidence.drawn,
        protocol=_protocol(len(evidence.values_NF), folds) | _weights(evidence.weight_N),
        labelling=labelling,
        measured=evidence.measured,
        fit_seconds=fit_seconds,
    )


def _factor_card(adapter: Adapter, evidence: Evidence, whole: SetScores, index: int, readable_F: Mask) -> FactorCard:
    factor, skill = adapter.factor_set.factors[index], evidence.skills[index]
    values_N = evidence.values_NF[:, index]
    known_N = ~np.isnan(values_N)
    counts: dict[str, int] = {}
    error = None
    if isinstance(factor, LevelledFactor):
        per_level = np.bincount(values_N[known_N].astype(int), minlength=len(factor.level_names))
        counts = dict(zip(factor.level_names, per_level.tolist(), strict=True))
        weights = None if evidence.weight_N is None else evidence.weight_N[known_N]
        level_N = values_N[known_N].astype(np.int64)
        error = rounded(calibration_error(evidence.logits[index][known_N], level_N, weight_N=weights))
    effects = {mode: mode_effect(outcomes[index], index, readable_F) for mode, outcomes in evidence.outcomes.items()}
    chosen = effects[adapter.detail[index]]
    leak_F = _leaks(evidence.outcomes[adapter.detail[index]][index], index, readable_F)
    return FactorCard(
        name=factor.name,
        kind=factor.kind,
        coded_as=adapter.codings[index].kind,
        labels=int(known_N.sum()),
        counts=counts,
        measure="accuracy" if isinstance(factor, LevelledFactor) else "r2",
        accuracy=rounded(skill.value),
        accuracy_interval=(rounded(skill.interval.low), rounded(skill.interval.high)),
        chance=rounded(skill.chance),
        calibration_error=error,
        readable=skill.readable,
        survives=rounded(float(evidence.survives_F[index])) if factor.kind not in ("continuous", "periodic") else None,
        effect=chosen.effect,
        leakage=chosen.leakage,
        leakage_mean=chosen.leakage_mean,
        leakage_into=adapter.factor_set.names[int(leak_F.argmax())] if leak_F.max() > 0 else None,
        effect_by_detail={str(mode): effect for mode, effect in effects.items()},
        detail=adapter.detail[index],
        gain=float(adapter.gain_F[index]),
        mig=whole.gaps[index],
        ceiling=whole.ceilings[index],
        mig_share=_share(whole.gaps[index], whole.ceilings[index]),
        read=adapter.read_kinds[index],
    )


def mode_effect(outcome: Outcome, factor: int, readable_F: Mask) -> ModeEffect:
    """Sum up the edits of one factor in one mode."""
    edits = len(outcome.reached_B)
    interval = wilson(int(outcome.reached_B.sum()), edits)
    leak_F = _leaks(outcome, factor, readable_F)
    others_F = readable_F.copy()
    others_F[factor] = False
    error_F = 1.96 * outcome.leak_error_F
    low = float(leak_F.max() - error_F[leak_F.argmax()])
    high = float((outcome.leak_F + error_F)[others_F].max(initial=0.0))
    return ModeEffect(
        effect=rounded(float(outcome.reached_B.mean())),
        effect_interval=(rounded(interval.low), rounded(interval.high)),
        leakage=rounded(float(leak_F.max())),
        damage=rounded(float(outcome.left_BF[:, others_F].mean())) if others_F.any() else 0.0,
        leakage_mean=rounded(float(leak_F[others_F].mean())) if others_F.any() else 0.0,
        edits=edits,
        leakage_interval=(rounded(max(0.0, low)), rounded(min(1.0, high))),
    )


def _leaks(outcome: Outcome, factor: int, readable_F: Mask) -> Floats:
    leak_F: Floats = outcome.leak_F * readable_F
    leak_F[factor] = 0.0
    return leak_F


def _matrix(adapter: Adapter, evidence: Evidence, share_of: Callable[[Outcome], Floats]) -> dict[str, dict[str, float]]:
    names = adapter.factor_set.names
    matrix = {}
    for index, name in enumerate(names):
        share_F = share_of(evidence.outcomes[adapter.detail[index]][index])
        matrix[name] = {other: rounded(float(share_F[place])) for place, other in enumerate(names) if place != index}
    return matrix


def _share(gap: float | None, ceiling: float | None) -> float | None:
    return None if gap is None or not ceiling else rounded(gap / ceiling)


def _interaction_card(tried: Tried, factor_set: FactorSet) -> InteractionCard:
    pair = tried.interaction
    own, other = factor_set.factors[pair.factor], factor_set.factors[pair.on]
    levels = [one.level_names if isinstance(one, LevelledFactor) else () for one in (own, other)]
    return InteractionCard(
        factor=own.name,
        on=other.name,
        gain=pair.gain,
        error=pair.error,
        columns=tried.columns,
        kept=tried.kept,
        reason=tried.reason,
        thin_cells=tuple((levels[0][first], levels[1][second]) for first, second in pair.thin),
        cells=len(levels[0]) * len(levels[1]),
    )


def _weights(weight_N: Floats | None) -> dict[str, object]:
    """Return what a card's protocol says of the weights of labelled rows; nothing where each counts once."""
    if weight_N is None:
        return {}
    told = {
        "rows": int(np.count_nonzero(weight_N != 1.0)),
        "effective_rows": round(effective_rows(weight_N), 1),
        "weighted": ["fit", "accuracy", "chance", "calibration_error"],
        "unweighted": ["effect", "leakage", "mig", "dci", "associations"],
    }
    return {"weights": told}


def _protocol(rows: int, folds: int) -> dict[str, object]:
    return {
        "accuracy": {"metric": "out_of_fold", "version": 1, "folds": folds, "interval": "wilson or jackknife"},
        "effect": {
            "metric": "share_reached",
            "version": 1,
            "judge": "the read of the fold's own fit, on the picture encoded again",
            "target": "a random other level; a random number at least one standard deviation away",
            "reported_by_folds": list(range(1, folds)),
        },
        "leakage": {
            "metric": "share_left_minus_share_lost",
            "version": 1,
            "left": "edits after which the reading is not that of the picture that came in",
            "lost": "the same without an edit, drawn in the same mode: round-trip noise",
            "counted": "readable factors; for numbers half a standard deviation or a twelfth of a turn",
            "changed": "share whose reading differs from the unedited round trip's, noise not subtracted: a factor "
            "that is read unsurely flips under any change",
        },
        "measured": {
            "effect_curve": "mean change of the reading from the unedited round trip's, strengths not clipped",
            "leak": "signed and unsigned, in sd of the other factor per sd of effect; unsigned minus the round trip's",
            "preserved": "1 - change outside the labelled span / distance of random pairs there",
            "faithful": "root mean square of seen - asked latents over that of asked - mean",
            "restored": "the factor set back by the same editor on the edited picture, decoded",
            "seen_at": "the base's own resolution; what is served is scaled to the image's own",
        },
        "gain_and_detail": {"chosen_on_fold": 0},
        "associations": {"smallest_detectable": round(smallest_detectable(rows), 3), "p": "permutation, Holm"},
        "interactions": {
            "metric": "out_of_fold_residual",
            "version": 1,
            "kept_from": f"{CLEAR_OF_NOISE:g} standard errors and a gain of {LEAST_GAIN}",
        },
    }
