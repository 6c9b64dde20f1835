"""The report card of a fit: honest numbers, each from images the fold's own fit never saw.

The labelled set is cut into folds, and each is read and edited by a fit on the others. Fold 0 chooses gains and
drawing modes, the other folds report effect and leakage, all folds report accuracy. Then all labels make the
adapter that is served.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from heddle_adapters.adapter import Adapter, DetailMode
from heddle_adapters.arrays import Floats, Mask, Singles, finite_matrix
from heddle_adapters.associations import associations
from heddle_adapters.crossfit import CrossFit, Progress
from heddle_adapters.curves import Reported
from heddle_adapters.folds import fold_of_rows
from heddle_adapters.intake import check_values
from heddle_adapters.measured import Set, measure_edits, reserve, rows_per_factor
from heddle_adapters.one_thread import one_thread
from heddle_adapters.read import held_out_reads, read_values
from heddle_adapters.report import Card
from heddle_adapters.schedule import reporting_rows, tuning_rows
from heddle_adapters.skill import reading_skills
from heddle_adapters.summary import Evidence, card_of
from heddle_adapters.trial import (
    Outcome,
    PreserveTrip,
    RoundTrip,
    Trial,
    draw_pictures,
    draw_targets,
    draw_trial,
    judge_trial,
)
from heddle_adapters.tuning import Tuned, tune
from heddle_adapters.weights import unequal_weights
from heddle_adapters.whole import set_scores
from heddle_adapters.worth import do_harm, edit_worth, given_up
from heddle_platform.errors import InvalidInput
from heddle_platform.factors import FactorSet

OTHER_MODE_EVERY = 3


def score_adapter(
    latents_NL: Floats,
    values_NF: Floats,
    factor_set: FactorSet,
    *,
    base_digest: str,
    round_trip: RoundTrip,
    preserve_trip: PreserveTrip | None = None,
    pool_ML: Floats | None = None,
    weight_N: Floats | None = None,
    pool_names: Sequence[str] | None = None,
    folds: int = 5,
    seed: int = 0,
    round_trips: int = 3_000,
    forests: bool = True,
    curves: bool = True,
    progress: Progress | None = None,
) -> tuple[Adapter, Card]:
    """Fit an adapter and write its report card.

    Args:
        latents_NL: standardised latents of the N labelled images.
        values_NF: labels, see `LabelTable.values_NF`.
        factor_set: the F factors.
        base_digest: digest of the base the latents come from.
        round_trip: decodes B latents and encodes the pictures again, [B, L] -> [B, L] (standardised, both).
        preserve_trip: draws edited latents in "preserve" mode and encodes the result: given the rows [B] of
            `latents_NL` that were edited and the edited latents [B, L], it makes x + (D(z') - D(z)) from each
            row's own picture x, clipped as when served, and returns its latents [B, L]. None: only "decode".
        pool_ML: latents of the tenant's unlabelled images.
        weight_N: how often each labelled image counts, see `fit_adapter`; in accuracy and its chance and calibration
            too, whose intervals are of the effective number of rows. What is measured on edits, and the scores of
            the set, count every row once.
        pool_names: what those images are called, so that the card can name the ones to label.
        folds: how many parts the labelled set is cut into, at least 2; the first chooses gains and modes, the
            others report.
        seed: of the cut and of the edits drawn.
        round_trips: budget of pictures to draw, shared by all factors and both modes.
        forests: whether DCI is scored, which takes as long as all the fits of a small set.
        curves: whether effect curves, signed leakage, preservation and faithfulness are drawn and judged; the gate asks
            for none of them, and without them the whole budget goes to edits. The card says that they are left out.
        progress: told of each stage ("fit", "tune", "edit", "curves", "score") and the share of it done, 0..1.

    Returns:
        The adapter fitted on all labels, with gains and modes chosen, and its card.

    Raises:
        InvalidInput: see `fit_adapter`; code `too_few_labels` if there are fewer rows than folds.
    """
    tell = progress or (lambda _stage, _share: None)
    latents_NL = finite_matrix(latents_NL, "latents")
    values_NF = check_values(values_NF, factor_set, len(latents_NL))
    if folds < 2:
        raise InvalidInput(f"folds is {folds}, at least 2 are needed to judge a fit", code="invalid_folds")
    weight_N = unequal_weights(weight_N, len(latents_NL))
    fold_N = fold_of_rows(values_NF, folds, seed)
    with one_thread(), ThreadPoolExecutor(1) as beside:
        fits = CrossFit(latents_NL, values_NF, fold_N, factor_set, base_digest, pool_ML, tell, weight_N)
        adapters, adapter, tried, seconds = fits.all(interacting=True)
        read_NF, scores_NC = held_out_reads(adapters, latents_NL, fold_N)
        skills = reading_skills(factor_set, read_NF, values_NF, weight_N)
        studio = _Studio(latents_NL, round_trip, preserve_trip, tell)
        readable_F = np.array([skill.readable for skill in skills])
        # forests leave Python's lock: they grow while pictures are drawn
        whole = beside.submit(set_scores, latents_NL, read_NF, values_NF, factor_set, forests=forests)
        together = beside.submit(associations, values_NF, factor_set, seed=seed)
        if any(one.interactions for one in adapters):
            worth = _worth(studio, adapters[0], fits.one(fold_N != 0, ())[0], fold_N, readable_F, round_trips, seed)
            if do_harm(*worth):
                adapters, adapter, _, seconds = fits.all(interacting=False)
                tried = given_up(tried, *worth)
        kept = reserve(len(skills), round_trips) if curves else 0
        edited = _edit(studio, adapters, fold_N, readable_F, round_trips - kept, seed)
        adapter = adapter.with_gains(edited.tuned.gains).with_detail(edited.tuned.detail)
        pairs = together.result()
        measured = None
        if curves:
            measured = measure_edits(
                adapter,
                adapters,
                Set(latents_NL, values_NF, fold_N),
                edited.reported,
                pairs,
                lambda trials, mode: studio.draw(trials, mode, "curves"),
                rows_per_factor(len(skills), round_trips),
            )
        tell("score", 0.0)
        card = card_of(
            adapter,
            Evidence(
                latents_NL,
                values_NF,
                read_NF,
                scores_NC,
                skills,
                edited.outcomes,
                edited.survives_F,
                studio.drawn,
                pairs,
                measured,
                tried,
                whole.result(),
                weight_N,
            ),
            pool_ML=pool_ML,
            pool_names=pool_names,
            folds=folds,
            seed=seed,
            fit_seconds=seconds,
            forests=forests,
        )
        if not curves:
            told = {name: part for name, part in card.protocol.items() if name != "measured"}
            left_out = ["effect_curves", "signed_leakage", "preservation", *(() if forests else ("dci",))]
            card = card.model_copy(update={"protocol": {**told, "left_out": left_out}})
        tell("score", 1.0)
    return adapter, card


@dataclass(frozen=True, eq=False)
class _Edited:
    """What was chosen, what became of the edits (per mode and factor), what survived, and the edits as served."""

    tuned: Tuned
    outcomes: dict[DetailMode, list[Outcome]]
    survives_F: Floats
    reported: list[Reported]


def _worth(
    studio: "_Studio",
    interacting: Adapter,
    plain: Adapter,
    fold_N: NDArray[np.intp],
    readable_F: Mask,
    round_trips: int,
    seed: int,
) -> tuple[Floats, Floats]:
    """Return what edits of fold 0's tuning rows are worth with interactions and without."""
    rows = tuning_rows(fold_N, len(readable_F), len(studio.modes), round_trips, seed)
    unedited = studio.unedited(rows)
    with_pairs, without = (
        edit_worth(
            adapter,
            studio.latents_NL,
            rows,
            readable_F,
            unedited,
            lambda trials, mode: studio.draw(trials, mode, "tune"),
            seed,
        )
        for adapter in (interacting, plain)
    )
    return with_pairs, without


@dataclass(eq=False)
class _Studio:
    """Where edits are drawn; counts pictures."""

    latents_NL: Floats
    round_trip: RoundTrip
    preserve_trip: PreserveTrip | None
    tell: Progress
    drawn: int = 0

    @property
    def modes(self) -> tuple[DetailMode, ...]:
        return ("decode",) if self.preserve_trip is None else ("decode", "preserve")

    def draw(self, trials: Sequence[Trial], mode: DetailMode, stage: str) -> list[Singles]:
        self.drawn += sum(len(trial.rows_B) for trial in trials)
        return draw_pictures(trials, mode, self.round_trip, self.preserve_trip, lambda share: self.tell(stage, share))

    def unedited(self, rows: NDArray[np.intp]) -> dict[DetailMode, Singles]:
        """Return the latents of pictures drawn without an edit: preserve leaves them as they are."""
        self.drawn += len(rows)
        plain_BL = np.asarray(self.round_trip(self.latents_NL[rows].astype(np.float32)), dtype=np.float32)
        own_BL = self.latents_NL[rows].astype(np.float32)
        return {mode: plain_BL if mode == "decode" else own_BL for mode in self.modes}


def _edit(
    studio: _Studio,
    adapters: Sequence[Adapter],
    fold_N: NDArray[np.intp],
    readable_F: Mask,
    budget: int,
    seed: int,
) -> _Edited:
    """Tune on fold 0, then edit rows of the others."""
    latents_NL, factors, modes = studio.latents_NL, len(readable_F), len(studio.modes)
    tuning = tuning_rows(fold_N, factors, modes, budget, seed)
    tuned = tune(
        adapters[0],
        latents_NL,
        tuning,
        readable_F,
        studio.unedited(tuning),
        lambda trials, mode: studio.draw(trials, mode, "tune"),
        seed,
    )
    reporting = reporting_rows(fold_N, factors, modes, budget - studio.drawn, seed)
    trials, unedited, survived = [], {}, []
    random = np.random.default_rng(seed + 1)
    for fold, rows in reporting.items():
        adapter = adapters[fold].with_gains(tuned.gains)
        unedited[fold] = studio.unedited(rows)
        values_BF = read_values(adapter, latents_NL[rows])
        survived.append(read_values(adapter, unedited[fold]["decode"]) == values_BF)
        for index in range(values_BF.shape[1]):
            targets_B = draw_targets(adapter, index, values_BF[:, index], random)
            trials.append((fold, draw_trial(adapter, latents_NL, rows, index, targets_B)))
    outcomes: dict[DetailMode, list[Outcome]] = {}
    reported = []
    names = adapters[0].factor_set.names
    for mode in studio.modes:
        served = [tuned.detail[names[trial.factor]] == mode for _, trial in trials]
        # the other mode is told for comparison only, from every third edit
        drawn = [
            (fold, *_every(trial, 1 if chosen else OTHER_MODE_EVERY))
            for (fold, trial), chosen in zip(trials, served, strict=True)
        ]
        pictures = studio.draw([trial for _, trial, _ in drawn], mode, "edit")
        parts: list[list[Outcome]] = [[] for _ in readable_F]
        for (fold, trial, places), seen_BL, chosen in zip(drawn, pictures, served, strict=True):
            plain_BL = unedited[fold][mode][places]
            parts[trial.factor].append(judge_trial(trial, latents_NL, seen_BL, plain_BL))
            if chosen:
                reported.append(Reported(fold, trial, seen_BL, plain_BL, unedited[fold]["decode"]))
        outcomes[mode] = [reduce(Outcome.beside, part) for part in parts]
    reported.sort(key=lambda one: (one.trial.factor, one.fold))
    return _Edited(tuned, outcomes, np.concatenate(survived).mean(axis=0), reported)


def _every(trial: Trial, step: int) -> tuple[Trial, NDArray[np.intp]]:
    """Return every `step`-th edit of a trial, and which those are."""
    places = np.arange(0, len(trial.rows_B), step)
    some = replace(
        trial,
        rows_B=trial.rows_B[places],
        targets_B=trial.targets_B[places],
        edited_BL=trial.edited_BL[places],
    )
    return some, places
