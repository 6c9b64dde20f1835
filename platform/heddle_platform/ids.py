"""Identifiers: a short prefix that names the kind of resource, and a time-ordered UUIDv7.

Time order makes an id its own keyset-pagination cursor; the 62 random bits make it unguessable. What has a name that
never changes inside its owner (an image of a labelled set) gets an id derived from that name instead.
"""

import re
import secrets
import time
from typing import Final, Literal, get_args

from heddle_platform.digest import sha256_hex

Prefix = Literal[
    "ten",
    "key",
    "bas",
    "fs",
    "up",
    "ds",
    "job",
    "ada",
    "ev",
    "req",
    "edt",
    "img",
    "era",
    "itm",
    "whe",
    "dlv",
    "bat",
    "rol",
    "rec",
]
PREFIXES: Final[tuple[str, ...]] = get_args(Prefix)

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base 32: no i, l, o, u
_LENGTH: Final = 26  # 128 bits at 5 bits a letter
_PAIRS: Final = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHAPE: Final = re.compile(rf"({'|'.join(PREFIXES)})_[{_ALPHABET}]{{{_LENGTH}}}")


def new_id(prefix: Prefix) -> str:
    """Make an id such as `job_01jd...`: `prefix`, an underscore, and a UUIDv7 in Crockford base 32.

    Args:
        prefix: the kind of resource.

    Returns:
        A string that sorts by creation time (a quarter of a microsecond) within one prefix.
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    # RFC 9562, section 6.2, method 3: the fraction of the millisecond, so that jobs queued within one keep their order
    fraction = nanoseconds * 4096 // 1_000_000
    value = (milliseconds << 80) | (fraction << 64) | secrets.randbits(64)
    value = (value & ~(0xF << 76)) | (0x7 << 76)  # version 7
    value = (value & ~(0x3 << 62)) | (0x2 << 62)  # variant 10
    return f"{prefix}_{''.join([_PAIRS[value >> shift & 1023] for shift in range(5 * (_LENGTH - 2), -1, -10)])}"


def derived_id(prefix: Prefix, name: str) -> str:
    """Return the id of what is called `name` inside its owner: equal names have equal ids, which tell nothing of them.

    Args:
        prefix: the kind of resource.
        name: any text, at most as secret as the id: a short one can be guessed.
    """
    return f"{prefix}_{sha256_hex(name.encode())[:_LENGTH]}"  # hexadecimal digits are of the alphabet


def is_id(text: str, prefix: Prefix) -> bool:
    """Tell whether `text` has the shape of an id with this prefix."""
    match = _SHAPE.fullmatch(text)
    return match is not None and match.group(1) == prefix
