"""Strong ETags of mutable things: a revision number in quotes, read from If-Match and written to ETag."""

import re
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Header

from heddle_platform.errors import InvalidInput, PreconditionFailed

_STRONG: Final = re.compile(r'"([0-9]{1,9})"')
# a list of tags, which may be empty: RFC 9110, 5.6.1
_TAGS: Final = re.compile(r'((W/)?"[\x21\x23-\x7e]*"(\s*,\s*(W/)?"[\x21\x23-\x7e]*")*)?')


@dataclass(frozen=True)
class IfMatch:
    """The condition of a write: none, any present state (`*`), or one revision."""

    any_state: bool = False
    revision: int | None = None

    @property
    def absent(self) -> bool:
        """Whether no condition was sent."""
        return not self.any_state and self.revision is None


def etag(revision: int) -> str:
    """Spell a revision as a strong ETag."""
    return f'"{revision}"'


def _if_match(
    if_match: Annotated[
        str | None,
        Header(
            description="The ETag you read; needed to change what exists. `*` stands for whatever is there.",
            json_schema_extra={"pattern": rf"^(\*|{_TAGS.pattern})$"},
        ),
    ] = None,
) -> IfMatch:
    if if_match is None:
        return IfMatch()
    text = if_match.strip()
    if text == "*":
        return IfMatch(any_state=True)
    if found := _STRONG.fullmatch(text):
        return IfMatch(revision=int(found.group(1)))
    if _TAGS.fullmatch(text):  # well-formed, and never one of ours: RFC 9110, 13.1.1 makes that a failed condition
        said = text[:60] or "nothing"
        raise PreconditionFailed(f"If-Match says {said}, which is not the present ETag; read it again")
    raise InvalidInput(
        'If-Match is not an ETag; send it as you got it, in its quotes: If-Match: "3"',
        code="malformed_header",
        param="If-Match",
    )


AskedMatch = Annotated[IfMatch, Depends(_if_match)]
