"""Which settings collapsed, and which settings that differ from them in as little as possible did not."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from heddle_platform.base.alarms import Alarm
from heddle_platform.base.sweeps.space import Value
from heddle_platform.base.sweeps.verdict import SettingResult, short_names


@dataclass(frozen=True)
class Cure:
    """A setting without collapse beside one with it.

    Attributes:
        setting: the one without.
        changes: (field's short name, value that collapsed, value that did not).
    """

    setting: SettingResult
    changes: tuple[tuple[str, Value, Value], ...]

    @property
    def words(self) -> str:
        """What was changed."""
        return ", ".join(f"{name}: {before} → {after}" for name, before, after in self.changes)


@dataclass(frozen=True)
class Collapse:
    """A setting of which a training warned of collapse at its end.

    Attributes:
        setting: which.
        count: of its trainings that warned.
        alarm: the first one's warning, with its numbers.
        cures: settings of which none warned, of those nearest by number of fields changed.
    """

    setting: SettingResult
    count: int
    alarm: Alarm
    cures: tuple[Cure, ...]


def find_collapses(settings: Sequence[SettingResult]) -> list[Collapse]:
    """Look through a sweep's settings, in order."""
    healthy = [each for each in settings if each.finished and not any(trial.collapsed for trial in each.trials)]
    found = []
    for setting in settings:
        alarms = [
            alarm
            for trial in setting.trials
            if trial.measurement is not None
            for alarm in trial.measurement.warnings
            if alarm.name == "posterior_collapse"
        ]
        if alarms:
            found.append(Collapse(setting, len(alarms), alarms[0], _cures(setting, healthy)))
    return found


def middle_figures(setting: SettingResult) -> tuple[float, float] | None:
    """Median KL (nats per image) and median active units of a setting's trainings, or None where none was measured."""
    measured = [trial.measurement for trial in setting.trials if trial.measurement is not None]
    if not measured:
        return None
    return statistics.median(m.kl for m in measured), statistics.median(m.active_units for m in measured)


def _cures(setting: SettingResult, healthy: Sequence[SettingResult]) -> tuple[Cure, ...]:
    cures = [Cure(other, _changes(setting, other)) for other in healthy]
    least = min((len(cure.changes) for cure in cures), default=0)
    return tuple(cure for cure in cures if len(cure.changes) == least)


def _changes(setting: SettingResult, other: SettingResult) -> tuple[tuple[str, Value, Value], ...]:
    names = short_names(setting.setting)
    return tuple(
        (name, value, other.setting[field])
        for name, (field, value) in zip(names, setting.setting.items(), strict=True)
        if other.setting[field] != value
    )
