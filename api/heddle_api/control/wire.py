"""Words that requests of several resources share, bounded so that nothing odd reaches the database."""

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Final

from fastapi import Path
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails

from heddle_platform.oversize import oversize

_PLAIN = r"^[^\x00-\x1f\x7f]+$"

DisplayName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=_PLAIN)]
Reference = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=_PLAIN)]
# no "@": that separates a name from its alias or version; starts with a letter, so never looks like a version
Handle = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]


def _as_text(value: Any) -> Any:
    # pydantic would read a number as seconds since 1970
    if isinstance(value, int | float) or (isinstance(value, str) and "-" not in value[1:]):
        raise ValueError(f"{str(value)[:60]!r} is no moment; write one as 2027-01-31T12:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_as_text)]

# what pydantic calls a wrong value of a kind, and what it would take for one
_KINDS: Final[Mapping[Any, tuple[str, UnionType | type]]] = {
    **dict.fromkeys((int, int | None), ("int_type", bool | str)),
    **dict.fromkeys((float, float | None), ("float_type", bool | str)),
    **dict.fromkeys((bool, bool | None), ("bool_type", int | float | str)),
}


class Asked(BaseModel):
    """What a caller sends: known fields of the JSON type that the document says, and few enough to tell all faults."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, document: Any) -> Any:
        if too_long := oversize(document):
            raise ValueError(f"{too_long}; send less at once")
        if isinstance(document, dict) and (wrong := [*cls._misspelt(document)]):
            raise ValidationError.from_exception_data(cls.__name__, wrong)
        return document

    @classmethod
    def _misspelt(cls, document: Mapping[str, Any]) -> Iterator[InitErrorDetails]:
        # pydantic would read false as 0 and "no" as false: a rotation's overlap would end at once
        for name, field in cls.model_fields.items():
            fault, others = _KINDS.get(field.annotation, ("", ()))
            value = document.get(name)
            if fault and isinstance(value, others) and not (fault == "bool_type" and isinstance(value, bool)):
                yield InitErrorDetails(type=fault, loc=(name,), input=value)


def each_once(value: Any) -> Any:
    """Refuse a list that says something twice, before it becomes a set.

    Raises:
        ValueError: it does; the sentence names it.
    """
    seen: set[str] = set()
    for item in value if isinstance(value, list) else ():
        spelt = repr(item)  # what JSON can hold and a set cannot is spelt, too
        if spelt in seen:
            raise ValueError(f"{str(item)[:60]!r} is listed twice; list each once")
        seen.add(spelt)
    return value


VersionNumber = Annotated[int, Path(ge=1, le=2**31 - 1)]
AliasName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
