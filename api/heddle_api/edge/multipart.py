"""Multipart: a whole form body taken apart by its boundary (RFC 2046, 5.1.1; RFC 7578).

A body is in memory once and bounded before it is read, so finding the boundary in it is all there is to do: streaming
parsers look at every part piece by piece and put files on disk, which took longer than a cached edit.
"""

import re
from dataclasses import dataclass
from typing import Final

from python_multipart.multipart import parse_options_header

from heddle_platform.errors import InvalidInput

_MOST_TEXT_BYTES: Final = 1024**2
_MOST_HEADER_BYTES: Final = 8 * 1024
_MOST_BOUNDARY_CHARACTERS: Final = 200  # RFC 2046 allows 70
# what every client sends; anything else is read by the library that knows all spellings
_PLAIN_TYPE: Final = re.compile(r"multipart/form-data; ?boundary=([\w'()+,./:=?-]+)", re.IGNORECASE | re.ASCII)
_PLAIN: Final = re.compile(rb'form-data; name="([^"\\%]*)"(; filename="[^"\\]*")?', re.IGNORECASE)


@dataclass(frozen=True)
class Form:
    """The fields of a form in their order: name, and a file's bytes or a text."""

    fields: tuple[tuple[str, bytes | str], ...]

    def getlist(self, name: str) -> list[bytes | str]:
        """Return all values of a field."""
        return [value for field, value in self.fields if field == name]


def split_form(body: bytes, content_type: str, most_fields: int) -> Form:
    """Take a body apart.

    Args:
        body: the whole body.
        content_type: the header; it names the boundary.
        most_fields: most files, and most texts, that are taken.

    Raises:
        InvalidInput: code `malformed_request`.
    """
    plain = _PLAIN_TYPE.fullmatch(content_type)
    boundary = plain[1].encode() if plain else parse_options_header(content_type)[1].get(b"boundary", b"")
    if not 0 < len(boundary) <= _MOST_BOUNDARY_CHARACTERS:
        raise _malformed("Content-Type names no boundary")
    line = b"--" + boundary
    at = _begin(body, line)
    fields: list[tuple[str, bytes | str]] = []
    files = 0
    while not body.startswith(b"--", at):
        head_ends = body.find(b"\r\n\r\n", at, at + _MOST_HEADER_BYTES)
        if head_ends < 0:
            raise _malformed("the headers of a part do not end")
        name, is_file = _disposition(body[at:head_ends])
        start = head_ends + 4
        end, at = _next(body, line, start)
        value = body[start:end]
        fields.append((name, value if is_file else _text(name, value)))
        files += is_file
        if max(files, len(fields) - files) > most_fields:
            raise _malformed(f"it has more than {most_fields} fields")
    return Form(tuple(fields))


def _begin(body: bytes, line: bytes) -> int:
    """Return where the first line of the boundary ends; what stands before it is no part of the form."""
    if body.startswith(line) and (ends := _line_ends(body, len(line))):
        return ends
    return _next(body, line, 0)[1]


def _next(body: bytes, line: bytes, start: int) -> tuple[int, int]:
    """Return where the part that begins at `start` ends, and what follows the boundary's line begins."""
    search = start
    while (end := body.find(b"\r\n" + line, search)) >= 0:
        if ends := _line_ends(body, end + 2 + len(line)):
            return end, ends
        search = end + 2
    raise _malformed("it ends before its last boundary")


def _line_ends(body: bytes, at: int) -> int:
    """Return what follows a boundary: the next line, or the two dashes of the last one; 0: it was not the boundary."""
    if body.startswith(b"--", at):
        return at
    while body[at : at + 1] in {b" ", b"\t"}:  # RFC 2046: padding that a gateway may add
        at += 1
    return at + 2 if body.startswith(b"\r\n", at) else 0


def _disposition(head: bytes) -> tuple[str, bool]:
    """Return a part's name, and whether it is a file."""
    for header in head.split(b"\r\n"):
        field, _, value = header.partition(b":")
        if field.strip().lower() != b"content-disposition":
            continue
        if plain := _PLAIN.fullmatch(value.strip()):
            return _decoded(plain[1]), plain[2] is not None
        options = parse_options_header(value.strip())[1]
        if b"name" in options:
            return _decoded(options[b"name"]), b"filename" in options
        break
    raise _malformed("a part has no name in its Content-Disposition")


def _text(name: str, value: bytes) -> str:
    if len(value) > _MOST_TEXT_BYTES:
        raise _malformed(f"the text {name[:40]!r} has {len(value)} bytes, at most {_MOST_TEXT_BYTES} are taken")
    return _decoded(value)


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _malformed(reason: str) -> InvalidInput:
    return InvalidInput(f"the form cannot be read: {reason}; send multipart/form-data", code="malformed_request")
