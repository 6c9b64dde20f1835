"""Content addresses: SHA-256 over bytes, and over JSON in one canonical spelling."""

import hashlib
import json
from typing import Any, Final

# json.dumps would make an encoder at each call
_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: Any) -> bytes:
    """Spell a JSON value in one way only: sorted keys, no spaces, UTF-8, no NaN.

    Raises:
        ValueError: a number is not finite.
        TypeError: a value is not JSON.
    """
    return _CANONICAL.encode(value).encode()


def json_digest(value: Any) -> str:
    """Return the SHA-256 of `value` in its canonical spelling."""
    return sha256_hex(canonical_json(value))
