"""A sweep over recipes: which fields take which values, with which seeds, and by what the best is chosen."""

import copy
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from heddle_platform.errors import InvalidInput


class Between(BaseModel):
    """A number to be searched: from `low` to `high`, evenly or by its logarithm."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    high: float
    log: bool = False


class Choice(BaseModel):
    """What decides.

    Attributes:
        score: a score of the labelled slice (mig, dci, probe, ...), or mse, kl, active_units.
        labels: labelled held-out images it is measured on, 100 to 1,000.
        best: whether the most or the least of it is best.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    score: str = "mig"
    labels: int = Field(default=1000, ge=100, le=1000)
    best: Literal["most", "least"] = "most"


class SweepSpec(BaseModel):
    """The document.

    Attributes:
        name: of the sweep.
        space: dotted path of a recipe's field ("terms.1.schedule.weight", "network.latents") -> its values, or a range.
        seeds: every setting is trained with each of them.
        trials: settings to try where a range is searched; None: every combination of values.
        stop: stop bad runs early: by successive halving (asha), below the median, or none.
        choose: by what the best setting is chosen: the median over its seeds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    space: dict[str, tuple[bool | int | float | str, ...] | Between] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(default=(0, 1, 2, 3, 4), min_length=1)
    trials: int | None = Field(default=None, ge=1)
    stop: Literal["none", "asha", "median"] = "none"
    choose: Choice = Choice()

    def settings(self) -> Iterator[dict[str, Any]]:
        """Every combination of the listed values, the last field fastest.

        Raises:
            InvalidInput: code `range_needs_trials`: a range has no last value.
        """
        lists: list[tuple[Any, ...]] = []
        for path, values in self.space.items():
            if isinstance(values, Between):
                raise InvalidInput(
                    f"{path} is a range, which has no end of combinations; say how many `trials`",
                    code="range_needs_trials",
                )
            lists.append(values)
        for combination in itertools.product(*lists):
            yield dict(zip(self.space, combination, strict=True))


def load_sweep(path: Path) -> SweepSpec:
    """Read a sweep from YAML.

    Raises:
        InvalidInput: code `invalid_sweep`: the file is not YAML, or not a sweep.
    """
    try:
        return SweepSpec.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        raise InvalidInput(f"{path.name} is not a sweep: {error}", code="invalid_sweep") from error


def changed(recipe: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's document with fields changed by dotted path; numbers in a path are places in a list.

    Raises:
        InvalidInput: code `unknown_field`: the path leads nowhere; a recipe written whole has every field.
    """
    document: dict[str, Any] = copy.deepcopy(dict(recipe))
    for path, value in settings.items():
        *steps, last = path.split(".")
        place: Any = document
        for step in steps:
            place = _into(place, step, path)
        key = _key(place, last, path)
        place[key] = value
    return document


def _into(place: Any, step: str, path: str) -> Any:
    return place[_key(place, step, path)]


def _key(place: Any, step: str, path: str) -> Any:
    if isinstance(place, list) and step.isdigit() and int(step) < len(place):
        return int(step)
    if isinstance(place, dict) and step in place:
        return step
    known = ", ".join(map(str, _names(place))) or "nothing"
    raise InvalidInput(f"{path} leads nowhere: there is no {step!r} among {known}", code="unknown_field", param=path)


def _names(place: Any) -> list[Any]:
    if isinstance(place, dict):
        return list(place)
    return list(range(len(place))) if isinstance(place, list) else []
