"""What a sweep varies: any field of a recipe, by its dotted name, over a list or a range.

A segment of a name is a key; in a list it is an entry's `kind` or its place: `terms.kl.schedule.weight`.
"""

import copy
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from heddle_platform.errors import InvalidInput

Value = str | int | float
"""What a dimension was set to: a number of a range, or the label of an option."""


class Dimension(BaseModel):
    """The values of one field; exactly one of `options`, `uniform`, `loguniform`, `integer`.

    In a sweep's file a plain list stands for options that are labelled by what they are.

    Attributes:
        options: label -> value. A mapping is laid over what the recipe says there, key by key.
        uniform, loguniform: lowest and highest of a range of real numbers.
        integer: lowest and highest of a range of whole numbers, `step` apart.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    options: dict[str, Any] | None = Field(default=None, min_length=1)
    uniform: tuple[float, float] | None = None
    loguniform: tuple[float, float] | None = None
    integer: tuple[int, int] | None = None
    step: int = Field(default=1, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _of_list(cls, document: Any) -> Any:
        if not isinstance(document, list):
            return document
        labels = [_label(value) for value in document]
        if len(set(labels)) < len(labels):
            raise ValueError(f"a value stands in the list twice: {', '.join(labels)}")
        return {"options": dict(zip(labels, document, strict=True))}

    @model_validator(mode="after")
    def _one_kind(self) -> "Dimension":
        ranges = [each for each in (self.uniform, self.loguniform, self.integer) if each is not None]
        if len(ranges) + (self.options is not None) != 1:
            raise ValueError("give a list, or exactly one of options, uniform, loguniform, integer")
        for low, high in ranges:
            if not low < high:
                raise ValueError(f"a range goes from the lower to the higher number, not from {low:g} to {high:g}")
        if self.loguniform and self.loguniform[0] <= 0:
            raise ValueError(f"loguniform starts above 0, not at {self.loguniform[0]:g}")
        return self

    def value(self, chosen: Value) -> Any:
        """What the recipe's field becomes."""
        return chosen if self.options is None else self.options[str(chosen)]

    def extremes(self) -> tuple[Value, ...]:
        """The values that show whether a recipe takes all of them: each option, both ends of a range."""
        return tuple(self.options or self.uniform or self.loguniform or self.integer or ())


def _label(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def varied(document: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe's document with some fields set.

    Args:
        document: the recipe with all its fields, defaults too; it stays as it is.
        values: dotted name -> value. Names of fewer segments are set first.
    Raises:
        InvalidInput: code `invalid_sweep`: no such field; the sentence names those that there are.
    """
    made = copy.deepcopy(document)
    for field in sorted(values, key=lambda name: name.count(".")):
        parent, key = _placed(made, field)
        parent[key] = _laid_over(parent[key], values[field])
    return made


def _placed(document: dict[str, Any], field: str) -> tuple[Any, Any]:
    """The mapping or list that holds a field, and its key there."""
    found: Any = document
    holder: tuple[Any, Any] = (document, None)
    walked: list[str] = []
    for segment in field.split("."):
        key = _key(found, segment, field, ".".join(walked) or "the recipe")
        holder, found = (found, key), found[key]
        walked.append(segment)
    return holder


def _key(found: Any, segment: str, field: str, where: str) -> Any:
    match found:
        case dict():
            if segment in found:
                return segment
            there = list(found)
        case list():
            kinds = [entry.get("kind") if isinstance(entry, dict) else None for entry in found]
            if kinds.count(segment) == 1:
                return kinds.index(segment)
            if segment.isdecimal() and int(segment) < len(found):
                return int(segment)
            there = [kind or str(place) for place, kind in enumerate(kinds)]
        case None:
            raise InvalidInput(
                f"space.{field}: {where} is empty in the recipe; set it there, or vary {where} as a whole",
                code="invalid_sweep",
                param=f"space.{field}",
            )
        case _:
            there = []
    having = f"it has {', '.join(there)}" if there else "it has no fields"
    raise InvalidInput(
        f"space.{field}: {where} has no field {segment!r}; {having}", code="invalid_sweep", param=f"space.{field}"
    )


def _laid_over(old: Any, new: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return copy.deepcopy(new)
    return {**old, **{key: _laid_over(old.get(key), value) for key, value in new.items()}}
