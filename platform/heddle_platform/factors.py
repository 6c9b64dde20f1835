"""Factors: what a tenant wants to edit, declared once and then immutable.

A factor has a kind, and the kind decides its columns in the design matrix and what an edit of it means
(science: binary, categorical, ordinal, continuous, periodic).
"""

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from heddle_platform.errors import Detail, InvalidInput
from heddle_platform.oversize import oversize

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Level = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
# of a thousand wrong levels the first is named: 200 factors with all of theirs would be no list for people
Levels = Annotated[tuple[Level, ...], Field(fail_fast=True)]
Kind = Literal["binary", "categorical", "ordinal", "continuous", "periodic"]

RESERVED_NAMES = frozenset({"file", "image", "weight"})
TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})


def _plain(value: Any) -> Any:
    if isinstance(value, bool | str):  # pydantic would read false as 0
        raise ValueError(f"{str(value)[:60]!r} is no number; write one, without quotes")
    return value


Number = Annotated[float, BeforeValidator(_plain)]


class FactorAccept(BaseModel):
    """What the tenant calls good enough for one factor; every bound is a share in 0..1.

    Attributes:
        accuracy: least out-of-fold accuracy (classes).
        r2: least out-of-fold R squared (continuous and periodic).
        effect: least share of edits after which the factor reads as set.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    accuracy: Number | None = Field(None, ge=0, le=1)
    r2: Number | None = Field(None, ge=0, le=1)
    effect: Number | None = Field(None, ge=0, le=1)


class SetAccept(BaseModel):
    """What the tenant calls good enough for the whole set.

    Attributes:
        mig: least mutual information gap of the sliders, 0..1.
        leakage_max: most that any other factor may change per edit, 0..1.
        labels_min: least number of labelled images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    mig: Number | None = Field(None, ge=0, le=1)
    leakage_max: Number | None = Field(None, ge=0, le=1)
    labels_min: Annotated[int, BeforeValidator(_plain)] | None = Field(None, ge=1)


class _Factor(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Name
    importance: Number = Field(1.0, gt=0, le=100, description="weight of this factor in whole-set means")
    accept: FactorAccept = FactorAccept()
    description: str | None = Field(None, max_length=500)

    @model_validator(mode="after")
    def _not_reserved(self) -> "_Factor":
        if self.name in RESERVED_NAMES:
            raise ValueError(f"the name {self.name!r} is reserved for a column of labels.csv; choose another")
        return self

    def parse(self, text: str) -> float:
        """Turn a label cell into a number: a level's index, or a value in the factor's unit.

        Raises:
            ValueError: with a sentence that says what would be right.
        """
        raise NotImplementedError


class _Levelled(_Factor):
    """A factor with a finite list of levels; a label is the level's index."""

    @property
    def level_names(self) -> tuple[str, ...]:
        """Names of the levels in order, K of them."""
        raise NotImplementedError

    def parse(self, text: str) -> float:
        try:
            return float(self.level_names.index(text.strip()))
        except ValueError:
            known = ", ".join(self.level_names[:20])
            raise ValueError(f"unknown level {text[:60]!r}; the levels of {self.name!r} are: {known}") from None


class Binary(_Levelled):
    """A factor that is off or on; labels may be written 0/1, false/true, no/yes, off/on."""

    kind: Literal["binary"]
    LEVELS: ClassVar[tuple[str, str]] = ("off", "on")

    @property
    def level_names(self) -> tuple[str, ...]:
        return self.LEVELS

    def parse(self, text: str) -> float:
        word = text.strip().lower()
        if word in TRUE_WORDS:
            return 1.0
        if word in FALSE_WORDS:
            return 0.0
        raise ValueError(f"unknown level {text[:60]!r}; {self.name!r} is binary: write 0 or 1")


class Categorical(_Levelled):
    """A factor with named levels in no order."""

    kind: Literal["categorical"]
    levels: Levels = Field(min_length=2, max_length=1000)

    @property
    def level_names(self) -> tuple[str, ...]:
        return self.levels

    @model_validator(mode="after")
    def _distinct(self) -> "Categorical":
        _check_distinct(self.levels, self.name)
        return self


class Ordinal(_Levelled):
    """A factor with named levels in order, lowest first."""

    kind: Literal["ordinal"]
    levels: Levels = Field(min_length=2, max_length=1000)

    @property
    def level_names(self) -> tuple[str, ...]:
        return self.levels

    @model_validator(mode="after")
    def _distinct(self) -> "Ordinal":
        _check_distinct(self.levels, self.name)
        return self


class Continuous(_Factor):
    """A number in a declared range and unit."""

    kind: Literal["continuous"]
    range: tuple[Number, Number]
    unit: str | None = Field(None, max_length=40)

    @model_validator(mode="after")
    def _ordered(self) -> "Continuous":
        low, high = self.range
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"range must be two finite numbers, the lower first; got {low} and {high}")
        return self

    def parse(self, text: str) -> float:
        value = _number(text)
        low, high = self.range
        if not low <= value <= high:
            raise ValueError(f"{value} lies outside the declared range {low} to {high} of {self.name!r}")
        return value


class Periodic(_Factor):
    """A number on a circle, such as a hue in degrees."""

    kind: Literal["periodic"]
    period: Number = Field(gt=0, allow_inf_nan=False)
    unit: str | None = Field(None, max_length=40)

    def parse(self, text: str) -> float:
        return _number(text) % self.period


FactorSpec = Annotated[
    Binary | Categorical | Ordinal | Continuous | Periodic,
    Field(discriminator="kind"),
]
LevelledFactor = Binary | Categorical | Ordinal


class FactorSet(BaseModel):
    """A tenant's named factors and what it calls good enough; a version of it never changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Name
    factors: tuple[FactorSpec, ...] = Field(min_length=1, max_length=200)
    accept: SetAccept = SetAccept()

    @model_validator(mode="after")
    def _distinct_names(self) -> "FactorSet":
        seen: dict[str, int] = {}
        for index, factor in enumerate(self.factors):
            if factor.name in seen:
                raise PydanticCustomError(
                    "duplicate_name",
                    "factors {first} and {second} are both named '{name}'; names must differ",
                    {"first": seen[factor.name], "second": index, "name": factor.name},
                )
            seen[factor.name] = index
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the F factors in order."""
        return tuple(factor.name for factor in self.factors)

    def factor(self, name: str) -> FactorSpec:
        """Return the factor of that name.

        Raises:
            InvalidInput: code `unknown_factor`.
        """
        for factor in self.factors:
            if factor.name == name:
                return factor
        raise InvalidInput(
            f"there is no factor {name[:60]!r}; the factors are: {', '.join(self.names)}",
            code="unknown_factor",
            param=name[:60],
        )

    def document(self) -> dict[str, Any]:
        """Return the set as the JSON document a tenant would register."""
        return self.model_dump(mode="json", exclude_none=True)


def parse_factor_set(document: Any) -> FactorSet:
    """Check a factor-set document.

    Args:
        document: decoded JSON or YAML.

    Raises:
        InvalidInput: code `invalid_factor_set`, one detail per fault with its JSON pointer.
    """
    if too_long := oversize(document):
        detail = Detail(pointer="", code="too_long", detail=too_long)
        raise InvalidInput(f"the factor set is too large: {too_long}", code="invalid_factor_set", details=[detail])
    try:
        return FactorSet.model_validate(document)
    except ValidationError as error:
        details = [_detail_of(fault) for fault in error.errors(include_url=False)]
        first = details[0]
        raise InvalidInput(
            f"the factor set has {len(details)} fault(s); the first, at {first.pointer or '/'}: {first.detail}",
            code="invalid_factor_set",
            param=first.pointer,
            details=details,
        ) from None


_KINDS = frozenset({"binary", "categorical", "ordinal", "continuous", "periodic"})


def _detail_of(fault: Any) -> Detail:
    # pydantic puts the chosen union member into the location; a tenant's document has no such step
    steps = [str(step) for index, step in enumerate(fault["loc"]) if not (index == 2 and step in _KINDS)]
    if fault["type"] == "duplicate_name":  # raised by the whole set; its place is the second of the two
        steps = ["factors", str(fault["ctx"]["second"]), "name"]
    message = str(fault["msg"]).removeprefix("Value error, ")
    return Detail(pointer="".join(f"/{step}" for step in steps), code=str(fault["type"]), detail=message)


def _check_distinct(levels: tuple[str, ...], name: str) -> None:
    seen: set[str] = set()
    for level in levels:
        if level in seen:
            raise ValueError(f"level {level!r} of {name!r} is listed twice; levels must differ")
        seen.add(level)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text[:60]!r} is not a number") from None
    if not math.isfinite(value):
        raise ValueError(f"{text[:60]!r} is not a finite number")
    return value
