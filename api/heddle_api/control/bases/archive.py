"""Reading an uploaded base: a zip of exactly a bundle's four files, unpacked within bounds, every digest verified.

Its model card may lie beside them: both of its files or none.
"""

import io
import struct
import zipfile
import zlib
from typing import Final

from heddle_platform.base.bundle import CARD_FILES, FILES, MANIFEST, BaseBundle, parse_bundle
from heddle_platform.errors import DataCorrupt, InvalidInput, NotFound, TooLarge

MAX_BYTES: Final = 256 * 1024**2  # a base is a few megabytes; this bounds the plane's memory
_EXPECTED: Final = frozenset({MANIFEST, *FILES})
_ENCRYPTED: Final = 0x1
# what the parser raises on hostile bytes; RuntimeError covers what is not implemented
_DAMAGES: Final = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError),
    *(RuntimeError, ValueError, OverflowError),
)
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


def check_size(size: int, max_bytes: int = MAX_BYTES) -> None:
    """Refuse an archive too large to be read into memory.

    Raises:
        TooLarge: code `base_too_large`.
    """
    if size > max_bytes:
        raise TooLarge(
            f"the base has {size} bytes, at most {max_bytes} are read", code="base_too_large", param="upload"
        )


def read_bundle(data: bytes, *, max_bytes: int = MAX_BYTES) -> tuple[BaseBundle, dict[str, bytes]]:
    """Unpack and verify a zipped bundle.

    Args:
        data: the zip's bytes.
        max_bytes: most that is unpacked of it.

    Returns:
        The bundle, and the files of its model card, if it has one.

    Raises:
        InvalidInput: codes `not_a_zip`, `unexpected_file`, `missing_file`, `encrypted_file`, `invalid_base`.
        TooLarge: code `base_too_large`, by declared or by real size.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            contents = _unpack(archive, max_bytes)
    except _DAMAGES as error:
        raise InvalidInput(f"the upload cannot be read as a zip: {error}", code="not_a_zip", param="upload") from None
    return _verify(contents), {name: contents[name] for name in CARD_FILES if name in contents}


def _unpack(archive: zipfile.ZipFile, max_bytes: int) -> dict[str, bytes]:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    # exact names only: nothing is ever joined to a path, so nothing can escape from one
    odd = sorted(set(names) - _EXPECTED - set(CARD_FILES)) + sorted(
        name for name in set(names) if names.count(name) > 1
    )
    if odd:
        raise _refused("unexpected_file", f"the zip holds {odd[0][:80]!r}; it must hold {_listed()}, each once")
    card = set(CARD_FILES) if set(CARD_FILES) & set(names) else set()
    missing = sorted((_EXPECTED | card) - set(names))
    if missing:
        raise _refused("missing_file", f"the zip lacks {missing[0]!r}; it must hold {_listed()}, at its root")
    if any(entry.compress_type not in _METHODS for entry in entries):
        raise _refused("not_a_zip", "the zip is packed in a way that is not read; store or deflate its files")
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise _refused("encrypted_file", "the zip is encrypted; send it without a password")
    check_size(sum(entry.file_size for entry in entries), max_bytes)
    contents: dict[str, bytes] = {}
    left = max_bytes
    for entry in entries:
        with archive.open(entry) as file:
            contents[entry.filename] = file.read(left + 1)  # the declared size may lie
        left -= len(contents[entry.filename])
        check_size(max_bytes - left, max_bytes)
    return contents


def _verify(contents: dict[str, bytes]) -> BaseBundle:
    try:
        return parse_bundle(contents)
    except (DataCorrupt, NotFound) as error:
        raise _refused("invalid_base", error.message) from None


def _refused(code: str, message: str) -> InvalidInput:
    return InvalidInput(message, code=code, param="upload")


def _listed() -> str:
    return ", ".join(sorted(_EXPECTED))
