"""Words that requests of several resources share, bounded so that nothing odd reaches the database."""

from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from heddle_platform.oversize import oversize

_PLAIN = r"^[^\x00-\x1f\x7f]+$"

DisplayName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=_PLAIN)]
Reference = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=_PLAIN)]
# no "@": that separates a name from its alias or version; starts with a letter, so never looks like a version
Handle = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]


class Asked(BaseModel):
    """What a caller sends: of known fields, and small enough that all its faults can be told."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _bounded(cls, document: Any) -> Any:
        if too_long := oversize(document):
            raise ValueError(f"{too_long}; send less at once")
        return document


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
