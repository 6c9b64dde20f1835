"""From trainings to a choice: each setting's seeds together, the best setting, and a sentence that says why.

Seeds differ as much as settings do (Locatello 2019), so a setting is judged by the median of its seeds. A seed that was
stopped early or failed counts as worse than any that was not: half of them, and the setting cannot be chosen.
"""

import math
import statistics
from collections.abc import Collection, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from heddle_platform.base.config import beta_of
from heddle_platform.base.readings import Measurement, Reading
from heddle_platform.base.sweeps.folder import SweepFolder
from heddle_platform.base.sweeps.plan import Criterion, Goal, Setting, SweepPlan

SCORE_WORDS = {
    "mig": "MIG",
    "mig_20_bins": "MIG in 20 bins",
    "dci": "DCI disentanglement",
    "probe": "mean accuracy of a linear reader",
    "lps": "LPS",
    "distortion": "held-out MSE",
}


class Trial(BaseModel):
    """One training of a sweep.

    Attributes:
        seed: its seed.
        status: see `Outcome`; "open": not begun, or not at its end.
        step: steps taken.
        why: what stopped it or what it failed of.
        criterion: its value at the end; None unless it finished and the value is defined.
        measurement: of its last step; None where nothing was measured.
        most_active: most active units at any measurement.
        processor_seconds: of the leg that ended it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int
    status: Literal["finished", "stopped", "failed", "open"]
    step: int = 0
    why: str = ""
    criterion: float | None = None
    measurement: Measurement | None = None
    most_active: int = 0
    processor_seconds: float = 0.0

    @property
    def finished(self) -> bool:
        """Whether it took all its steps."""
        return self.status == "finished"

    @property
    def collapsed(self) -> bool:
        """Whether its last measurement warned of posterior collapse."""
        return self.measurement is not None and any(
            alarm.name == "posterior_collapse" for alarm in self.measurement.warnings
        )

    def reading(self, criterion: Criterion) -> Reading | None:
        """The criterion with its interval, where it was a score of one part."""
        found = [each[criterion.score] for each in _scores(self.measurement) if criterion.score in each]
        return found[0] if len(found) == 1 else None


def _scores(measurement: Measurement | None) -> list[dict[str, Reading]]:
    return list(measurement.scores.values()) if measurement else []


class SettingResult(BaseModel):
    """One setting over its seeds.

    Attributes:
        number: place in which it was tried.
        setting: dotted field -> what it was set to.
        beta: weight of its KL term; None where it has none.
        trials: one a seed.
        criterion: median over seeds; None: it cannot be chosen.
        low, high: least and most of the seeds that finished.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    setting: Setting
    beta: float | None
    trials: tuple[Trial, ...]
    criterion: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def words(self) -> str:
        """The setting as people say it."""
        return words_of(self.setting)

    @property
    def finished(self) -> tuple[Trial, ...]:
        """The trainings that took all their steps."""
        return tuple(trial for trial in self.trials if trial.finished)

    @property
    def middle(self) -> Trial | None:
        """The finished training whose criterion is nearest the median, or None."""
        known = [trial for trial in self.finished if trial.criterion is not None]
        if not known:
            return self.finished[0] if self.finished else None
        centre = statistics.median(trial.criterion for trial in known if trial.criterion is not None)
        return min(known, key=lambda trial: abs((trial.criterion or 0.0) - centre))


class SweepResult(BaseModel):
    """The document `sweep.json`.

    Attributes:
        name, notes: of the plan.
        made_at: UTC, ISO 8601.
        code_version: of heddle.
        complete: every training that was wanted has ended.
        plan: the plan.
        settings: what each setting gave, in the order they were tried.
        chosen: number of the chosen setting; None where none can be.
        why: a sentence for the choice, or for there being none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    notes: str
    made_at: str
    code_version: str
    complete: bool
    plan: dict[str, Any]
    settings: tuple[SettingResult, ...]
    chosen: int | None
    why: str

    @property
    def best(self) -> SettingResult | None:
        """The chosen setting."""
        return next((each for each in self.settings if each.number == self.chosen), None)


def short_names(fields: Collection[str]) -> list[str]:
    """Last segments of dotted names, longer ones where two are alike; a weight of the KL term is called beta."""
    names = []
    for field in fields:
        parts = field.split(".")
        if parts[-3:] == ["kl", "schedule", "weight"]:
            names.append("beta")
            continue
        size = next(
            (size for size in range(1, len(parts)) if sum(o.split(".")[-size:] == parts[-size:] for o in fields) == 1),
            len(parts),
        )
        names.append(".".join(parts[-size:]))
    return names


def words_of(setting: Setting) -> str:
    """A setting as people say it: short names and values."""
    told = [value if isinstance(value, str) else f"{value:.4g}" for value in setting.values()]
    return ", ".join(f"{name} {value}" for name, value in zip(short_names(setting), told, strict=True))


def median_of_seeds(values: Sequence[float], lost: int, goal: Goal) -> float | None:
    """The median where `lost` further seeds count as worse than any value; None: they make it undefined."""
    worst = -math.inf if goal == "highest" else math.inf
    found = statistics.median([*values, *[worst] * lost]) if values or lost else worst
    return found if math.isfinite(found) else None


def read_trial(folder: SweepFolder, number: int, seed: int) -> Trial:
    """What the sweep's folder says of one training."""
    kept = folder.trial(number, seed)
    outcome, measured = kept.outcome, kept.measurements
    most = max((each.active_units for each in measured), default=0)
    last = measured[-1] if measured else None
    if outcome is None:
        return Trial(seed=seed, status="open", step=last.step if last else 0, measurement=last, most_active=most)
    measurement = outcome.measurement or last
    value = folder.plan.criterion.read(measurement) if measurement and outcome.status == "finished" else None
    return Trial(
        seed=seed,
        status=outcome.status,
        step=outcome.step,
        why=outcome.why,
        criterion=value,
        measurement=measurement,
        most_active=most,
        processor_seconds=outcome.processor_seconds,
    )


def summarise(plan: SweepPlan, number: int, setting: Setting, trials: Sequence[Trial]) -> SettingResult:
    """A setting's seeds together; those still open count as lost until they have ended."""
    values = [trial.criterion for trial in trials if trial.criterion is not None]
    recipe = plan.recipe_of(setting, plan.seeds[0])
    return SettingResult(
        number=number,
        setting=setting,
        beta=beta_of(recipe.model_dump(mode="json")),
        trials=tuple(trials),
        criterion=median_of_seeds(values, len(plan.seeds) - len(values), plan.criterion.wanted),
        low=min(values, default=None),
        high=max(values, default=None),
    )


def choose(plan: SweepPlan, settings: Sequence[SettingResult]) -> tuple[int | None, str]:
    """Choose the setting with the best median.

    Returns:
        Its number and a sentence; None and a sentence where no setting can be chosen.
    """
    goal, score = plan.criterion.wanted, SCORE_WORDS[plan.criterion.score]
    ranked = sorted(
        (each for each in settings if each.criterion is not None),
        key=lambda each: (each.criterion or 0.0) * (-1 if goal == "highest" else 1),
    )
    if not ranked:
        return None, (
            f"No setting can be chosen: of none did more than half of the {len(plan.seeds)} seeds finish with a "
            f"{score} that is defined."
        )
    best = ranked[0]
    seeds = f"{len(plan.seeds)} seeds" if len(plan.seeds) > 1 else "1 seed"
    told = (
        f"{best.words} was chosen of {len(settings)} settings for the {goal} median {score} over {seeds}, "
        f"{_range(best)}, measured with {plan.criterion.labels} labels."
    )
    if len(ranked) == 1:
        return best.number, told + " No other setting could be compared."
    return best.number, f"{told} {_against(best, ranked[1], goal)}"


def _range(result: SettingResult) -> str:
    middle, low, high = (f"{value or 0.0:.3g}" for value in (result.criterion, result.low, result.high))
    return middle if len(result.finished) == 1 else f"{middle} ({low} to {high})"


def _against(best: SettingResult, next_best: SettingResult, goal: Goal) -> str:
    theirs = {trial.seed: trial.criterion for trial in next_best.trials if trial.criterion is not None}
    pairs = [
        (trial.criterion, theirs[trial.seed])
        for trial in best.trials
        if trial.criterion is not None and trial.seed in theirs
    ]
    won = sum((mine > other) == (goal == "highest") and mine != other for mine, other in pairs)
    low, high = (best.low, next_best.high) if goal == "highest" else (next_best.low, best.high)
    apart = low is not None and high is not None and low > high
    return (
        f"The next, {next_best.words}, has {_range(next_best)}; with the same seed the chosen one is better "
        f"in {won} of {len(pairs)}. "
        + (
            "Their seeds do not overlap."
            if apart
            else "Their seeds overlap: the difference is not larger than what another seed makes."
        )
    )
