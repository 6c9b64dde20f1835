"""What Schemathesis loads before it asks: fresh idempotency keys, and no end of the key that asks.

The document's example of an Idempotency-Key would be the same for all POSTs: the first would be done, and all others be
refused unread. The key that asks is found in answers like any other; revoked, every later request would be a 401.
"""

import itertools
import os
from typing import Any

import schemathesis

_HEADER = "Idempotency-Key"
_MOST_CHARACTERS = 200
_numbers = itertools.count()

OWN_KEY = "HEDDLE_FUZZ_OWN_KEY"
_NOBODYS_KEY = "key_00000000000000000000000000"


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    """Make a well-formed idempotency key new, one that is to be refused stays; ask nothing of the key that asks."""
    if case.path_parameters and case.path_parameters.get("key_id") == os.environ.get(OWN_KEY):
        case.path_parameters["key_id"] = _NOBODYS_KEY
    key = case.headers.get(_HEADER) if case.headers else None
    if isinstance(key, str) and 0 < len(key) <= _MOST_CHARACTERS and key.isascii() and key.isprintable():
        case.headers[_HEADER] = f"{key}-{next(_numbers)}"
