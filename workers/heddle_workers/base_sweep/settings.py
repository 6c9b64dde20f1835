"""Where settings come from: all combinations in order, or Optuna's TPE, which learns from those that have ended."""

from typing import Protocol

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import Trial, TrialState

from heddle_platform.base.sweeps.plan import Setting, SweepPlan
from heddle_platform.base.sweeps.space import Dimension

_TRIES = 100


class Settings(Protocol):
    """Asked for settings, told what they were worth."""

    def ask(self) -> Setting | None:
        """A setting that was not tried yet, or None if there is none."""

    def tell(self, setting: Setting, worth: float | None) -> None:
        """The median over seeds of a setting, asked for or not; None: too many of its seeds were stopped."""


def open_settings(plan: SweepPlan, tried: list[Setting]) -> Settings:
    """Return the plan's source of settings, going on behind those that were tried."""
    return Combinations(plan, tried) if plan.trials is None else Suggested(plan, tried)


class Combinations:
    """All combinations, in order."""

    def __init__(self, plan: SweepPlan, tried: list[Setting]) -> None:
        self._left = [setting for setting in plan.combinations if setting not in tried]

    def ask(self) -> Setting | None:
        """The next one."""
        return self._left.pop(0) if self._left else None

    def tell(self, setting: Setting, worth: float | None) -> None:
        """Nothing is learnt."""


class Suggested:
    """TPE's choices (Bergstra 2011, by Optuna), from a seed.

    The study is made anew from what was tried, so there is no second place where a sweep's state could differ.
    """

    def __init__(self, plan: SweepPlan, tried: list[Setting]) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # Another seed for each leg: the same one would suggest again what it suggested before.
        sampler = optuna.samplers.TPESampler(seed=plan.sampler_seed + len(tried), constant_liar=True)
        highest = plan.criterion.wanted == "highest"
        direction = StudyDirection.MAXIMIZE if highest else StudyDirection.MINIMIZE
        self._study = optuna.create_study(sampler=sampler, direction=direction)
        self._space = {field: _distribution(dimension) for field, dimension in plan.space.items()}
        self._limit = plan.trials or 0
        self._tried = list(tried)
        self._open: list[tuple[Setting, Trial]] = []
        for setting in tried:
            self._study.enqueue_trial(setting)
            self._open.append((setting, self._study.ask(self._space)))

    def ask(self) -> Setting | None:
        """A new one; None once the plan's number is reached, or if nothing new was suggested in a hundred tries."""
        if len(self._tried) >= self._limit:
            return None
        for _ in range(_TRIES):
            trial = self._study.ask(self._space)
            setting: Setting = {field: trial.params[field] for field in self._space}
            if setting not in self._tried:
                self._tried.append(setting)
                self._open.append((setting, trial))
                return setting
            self._study.tell(trial, state=TrialState.FAIL)
        return None

    def tell(self, setting: Setting, worth: float | None) -> None:
        """Teach TPE."""
        place = next(index for index, (asked, _) in enumerate(self._open) if asked == setting)
        _, trial = self._open.pop(place)
        if worth is None:
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, worth)


def _distribution(dimension: Dimension) -> BaseDistribution:
    match dimension:
        case Dimension(uniform=(low, high)):
            return FloatDistribution(low, high)
        case Dimension(loguniform=(low, high)):
            return FloatDistribution(low, high, log=True)
        case Dimension(integer=(low, high)):
            return IntDistribution(low, high - (high - low) % dimension.step, step=dimension.step)
    return CategoricalDistribution(list(dimension.options or ()))
