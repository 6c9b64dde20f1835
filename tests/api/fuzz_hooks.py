"""What Schemathesis loads before it asks: a POST that may be done carries an Idempotency-Key that nobody used before.

The document's example would be the same for all of them: the first would be done, and all others be refused unread.
"""

import itertools
from typing import Any

import schemathesis

_HEADER = "Idempotency-Key"
_MOST_CHARACTERS = 200
_numbers = itertools.count()


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    """Make a well-formed key new; one that is to be refused stays as it is."""
    key = case.headers.get(_HEADER) if case.headers else None
    if isinstance(key, str) and 0 < len(key) <= _MOST_CHARACTERS and key.isascii() and key.isprintable():
        case.headers[_HEADER] = f"{key}-{next(_numbers)}"
