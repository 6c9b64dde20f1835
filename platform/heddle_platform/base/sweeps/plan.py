"""A sweep's plan: the file that says what is tried, on which seeds, for how long, and by what it is judged."""

import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from heddle_platform.base.faults import faults_of
from heddle_platform.base.readings import Measurement
from heddle_platform.base.sweeps.space import Dimension, Value, varied
from heddle_platform.errors import InvalidInput

if TYPE_CHECKING:
    from heddle_platform.base.config import Recipe

Goal = Literal["highest", "lowest"]
Setting = dict[str, Value]
"""Dotted field -> what it was set to."""
Reader = Callable[[dict[str, Any], str], dict[str, Any]]
"""Takes a recipe's document and its name in messages; returns it with its defaults, or raises `InvalidInput`."""

_OWN: Final = {"seed": "seeds", "steps": "steps", "minutes": "steps", "name": "name"}
_NEVER_SECONDS: Final = 1e9
_MEASURED: Final = 4
# What may change between two legs of a sweep; all else is what its trainings have in common.
_CHANGEABLE: Final = {"trials", "concurrent", "seeds", "notes"}


class Criterion(BaseModel):
    """What settings are judged by.

    Attributes:
        score: a score on labelled held-out images (probe: mean accuracy of a linear reader), or the MSE there.
        labels: labelled images it is measured with, over all parts that are scored (three at most).
        goal: None: highest, but of LPS and distortion lowest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    score: Literal["mig", "mig_20_bins", "dci", "probe", "lps", "distortion"] = "mig"
    labels: int = Field(ge=100, le=1000)
    goal: Goal | None = None

    @property
    def wanted(self) -> Goal:
        """Which way is better."""
        return self.goal or ("lowest" if self.score in ("lps", "distortion") else "highest")

    def read(self, measurement: Measurement) -> float | None:
        """The criterion at one measurement, or None where it was not defined."""
        return measurement.distortion if self.score == "distortion" else measurement.score(self.score)


class Stopping(BaseModel):
    """Early stopping by asynchronous successive halving (ASHA, Li 2020).

    At `grace` steps, and at each `reduction` times as many, a training goes on only if it is among the best
    1 / `reduction` of those that have come so far.

    Attributes:
        by: the criterion, or the loss: nats per image of likelihood plus KL, at beta 1 whatever the recipe's beta.
        grace: steps before anything is stopped.
        reduction: at least 2.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: Literal["criterion", "loss"] = "criterion"
    grace: int = Field(ge=1)
    reduction: int = Field(default=3, ge=2)

    def rungs(self, steps: int) -> tuple[int, ...]:
        """The steps at which trainings of `steps` steps may be stopped."""
        powers = itertools.takewhile(lambda rung: rung < steps, (self.grace * self.reduction**k for k in range(64)))
        return tuple(powers)


class SweepPlan(BaseModel):
    """The plan.

    Attributes:
        name: of the sweep, and of the recipe that comes out of it.
        notes: for people; the report shows them.
        recipe: what is varied, as a whole recipe; in a file also the path of one, from the file's folder.
        space: dotted field -> its values.
        seeds: every setting is trained once with each.
        steps: of each training.
        trials: settings to try, by Optuna's TPE; None: all combinations, where every field has a list.
        criterion: what settings are judged by.
        stop: early stopping; None: every training goes to its end.
        concurrent: trainings at once; None: as many as the machine has cores for.
        sampler_seed: of TPE's choices.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    notes: str = ""
    recipe: dict[str, Any]
    space: dict[str, Dimension] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    steps: int = Field(ge=1)
    trials: int | None = Field(default=None, ge=1)
    criterion: Criterion
    stop: Stopping | None = None
    concurrent: int | None = Field(default=None, ge=1)
    sampler_seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _seeds_differ(self) -> "SweepPlan":
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"a seed stands twice in seeds: {', '.join(map(str, self.seeds))}")
        if self.trials is None and any(each.options is None for each in self.space.values()):
            raise ValueError("say how many settings to try (trials): a field has a range, which has no end of them")
        if self.stop and self.stop.grace >= self.steps:
            raise ValueError(f"stop.grace is {self.stop.grace} of {self.steps} steps: nothing would ever be stopped")
        return self

    @property
    def combinations(self) -> list[Setting]:
        """All settings, where they are all tried: the first field changes slowest."""
        labels = [list(each.options or ()) for each in self.space.values()]
        return [dict(zip(self.space, chosen, strict=True)) for chosen in itertools.product(*labels)]

    @property
    def settings_wanted(self) -> int:
        """How many settings are tried, at most."""
        every = math.prod(len(each.options or ()) for each in self.space.values())
        return every if self.trials is None else self.trials

    @property
    def measured_steps(self) -> frozenset[int]:
        """Steps at which a training is measured: each quarter of it, and wherever it may be stopped."""
        quarters = {self.steps * part // _MEASURED for part in range(1, _MEASURED)} - {0}
        return frozenset(quarters | set(self.stop.rungs(self.steps) if self.stop else ()))

    def document_of(self, setting: Setting, seed: int, read: Reader) -> dict[str, Any]:
        """The recipe of one training as a document with all its fields.

        Raises:
            InvalidInput: code `invalid_sweep`, or as `read` raises: the setting makes no recipe.
        """
        base = read({**self.recipe, "name": self.name, "steps": self.steps, "minutes": None}, "the recipe")
        values = {field: self.space[field].value(chosen) for field, chosen in setting.items()}
        told = ", ".join(f"{field} = {chosen}" for field, chosen in setting.items())
        return read({**varied(base, values), "seed": seed}, f"the recipe with {told}")

    def recipe_of(self, setting: Setting, seed: int) -> "Recipe":
        """The recipe of one training; raises as `document_of`, code `invalid_recipe`."""
        from heddle_platform.base.config import read_recipe  # which imports torch

        return read_recipe(self.document_of(setting, seed, _read_whole))

    def trained_recipe(self, setting: Setting, seed: int) -> "Recipe":
        """The same, measured by steps alone, so that no clock decides what is seen."""
        return self.recipe_of(setting, seed).model_copy(update={"evaluate_seconds": _NEVER_SECONDS})

    def identity(self) -> dict[str, Any]:
        """What must not change while a sweep's folder is in use."""
        return self.model_dump(mode="json", exclude=_CHANGEABLE)


def read_plan(document: Any, name: str, folder: Path) -> SweepPlan:
    """Read a plan from plain values, and try every field that it varies.

    Args:
        document: the values.
        name: of the file, for messages.
        folder: where a recipe named by its path is looked for.
    Raises:
        InvalidInput: codes `invalid_sweep` and `invalid_recipe`; the sentence names the field.
    """
    plan = plan_of(with_recipe(document, name, folder), name)
    try_settings(plan, _read_whole)
    return plan


def with_recipe(document: Any, name: str, folder: Path) -> Any:
    """The values with the recipe in place of its path; see `read_plan`."""
    if isinstance(document, dict) and isinstance(document.get("recipe"), str):
        return {**document, "recipe": plain_document(folder / document["recipe"], f"{name}: recipe")}
    return document


def plan_of(document: Any, name: str) -> SweepPlan:
    """Read a plan and leave the recipe and what is varied of it unread; see `read_plan`."""
    try:
        plan = SweepPlan.model_validate(document)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise InvalidInput(
            f"{name} is not a sweep: {faults_of(error, 'sweep')}", code="invalid_sweep", param=where or "sweep"
        ) from error
    for field in plan.space:
        if field.partition(".")[0] in _OWN:
            raise InvalidInput(
                f"space.{field}: a sweep says that itself, by its {_OWN[field.partition('.')[0]]}",
                code="invalid_sweep",
                param=f"space.{field}",
            )
    return plan


def try_settings(plan: SweepPlan, read: Reader) -> None:
    """Make the recipes that show whether a plan's fields take what they are given; raises as `read_plan`."""
    for setting in _tried(plan):
        _check_labels(plan, plan.document_of(setting, plan.seeds[0], read)["corpus"])


def load_plan(path: Path) -> SweepPlan:
    """Read a plan from YAML.

    Raises:
        InvalidInput: see `read_plan`; the file cannot be read or is not YAML.
    """
    return read_plan(plain_document(path, path.name), path.name, path.parent)


def plain_document(path: Path, name: str) -> Any:
    """Read YAML, whatever it holds.

    Raises:
        InvalidInput: code `invalid_sweep`.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"{name}: {path} cannot be read: {error.strerror}", code="invalid_sweep") from error
    except yaml.YAMLError as error:
        raise InvalidInput(f"{name} is not YAML: {error}", code="invalid_sweep") from error


def _tried(plan: SweepPlan) -> Iterator[Setting]:
    """Settings that show whether recipes take what they are given: all combinations, or each field's extremes."""
    if plan.trials is None:
        yield from plan.combinations
        return
    first = {field: dimension.extremes()[0] for field, dimension in plan.space.items()}
    for field, dimension in plan.space.items():
        for value in dimension.extremes():
            yield {**first, field: value}


def _read_whole(document: dict[str, Any], name: str) -> dict[str, Any]:
    from heddle_platform.base.config import read_recipe  # which imports torch

    return read_recipe(document, name).model_dump(mode="json")


def _check_labels(plan: SweepPlan, corpus: dict[str, Any]) -> None:
    from heddle_platform.base.slices import SLICE_PARTS  # which imports the corpus

    there = corpus["held_out"] * min(SLICE_PARTS, len(corpus["images"]) + len(corpus["sources"]))
    if there < plan.criterion.labels:
        raise InvalidInput(
            f"criterion.labels is {plan.criterion.labels}, but at most {there} held-out images are scored; "
            f"raise the recipe's corpus.held_out from {corpus['held_out']}",
            code="invalid_sweep",
            param="criterion.labels",
        )
