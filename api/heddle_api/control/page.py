"""Pages: `limit` and `after` in, `{data, has_more, next_cursor}` out, the same for every list."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from heddle_platform.errors import InvalidInput
from heddle_platform.ids import Prefix, is_id

Item = TypeVar("Item")
Limit = Annotated[int, Query(ge=1, le=100, description="Most items to return.")]
After = Annotated[str | None, Query(max_length=100, description="`next_cursor` of the page before.")]


class Page(BaseModel, Generic[Item]):
    """One page of a list, newest first unless said otherwise."""

    data: list[Item]
    has_more: bool = Field(description="Whether there is a further page.")
    next_cursor: str | None = Field(description="Send it as `after` to get the next page; null on the last one.")


@dataclass(frozen=True)
class Turn:
    """Which page is asked for."""

    limit: int
    after: str | None

    def after_id(self, prefix: Prefix) -> str | None:
        """Return the cursor as an id.

        Raises:
            InvalidInput: code `invalid_cursor`.
        """
        if self.after is not None and not is_id(self.after, prefix):
            raise _bad_cursor(self.after)
        return self.after

    def after_number(self) -> int | None:
        """Return the cursor as a whole number.

        Raises:
            InvalidInput: code `invalid_cursor`.
        """
        if self.after is None:
            return None
        if not (self.after.isascii() and self.after.isdigit() and len(self.after) <= 18):
            raise _bad_cursor(self.after)
        return int(self.after)


def _bad_cursor(after: str) -> InvalidInput:
    return InvalidInput(
        f"{after[:60]!r} is not a cursor of this list; send the next_cursor of its previous page, or none",
        code="invalid_cursor",
        param="after",
    )


def _turn(limit: Limit = 20, after: After = None) -> Turn:
    return Turn(limit, after)


AskedPage = Annotated[Turn, Depends(_turn)]


def page_of(items: Sequence[Item], more: bool, cursor: Callable[[Item], str]) -> Page[Item]:
    """Make a page of the items, `cursor` naming the last one when there are more."""
    return Page(data=list(items), has_more=more, next_cursor=cursor(items[-1]) if more and items else None)
