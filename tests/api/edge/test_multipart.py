"""Multipart bodies: what clients send is read, whatever its spelling; what is broken is refused and says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle_api.edge.multipart import split_form
from heddle_platform.errors import InvalidInput

TYPE = "multipart/form-data; boundary=b"


def part(head: bytes, value: bytes) -> bytes:
    return b"--b\r\nContent-Disposition: " + head + b"\r\n\r\n" + value + b"\r\n"


def split(*parts: bytes, content_type: str = TYPE) -> tuple[tuple[str, bytes | str], ...]:
    return split_form(b"".join(parts) + b"--b--\r\n", content_type, 10).fields


def test_files_are_bytes_and_texts_are_text() -> None:
    found = split(
        part(b'form-data; name="edit"', b'{"a": 1}'),
        part(b'form-data; name="image"; filename="a.png"\r\nContent-Type: image/png', b"\x89PNG\r\n--b\xff"),
        part(b'form-data; name="empty"', b""),
    )
    assert found == (("edit", '{"a": 1}'), ("image", b"\x89PNG\r\n--b\xff"), ("empty", ""))


@pytest.mark.parametrize(
    ("head", "name", "is_file"),
    [
        (b"form-data; name=edit", "edit", False),
        (b'FORM-DATA; NAME="edit"; FILENAME=""', "edit", True),
        (b'form-data; filename="a;b.png"; name="im\xc3\xa4ge"', "imäge", True),
        (b'form-data; name="a\\"b"', 'a"b', False),
    ],
)
def test_spellings(head: bytes, name: str, is_file: bool) -> None:
    ((found, value),) = split(part(head, b"x"))
    assert (found, value) == (name, b"x" if is_file else "x")


def test_what_stands_around_the_form_is_no_part_of_it() -> None:
    assert split(b"preamble\r\n", part(b'form-data; name="a"', b"x")) == (("a", "x"),)
    body = part(b'form-data; name="a"', b"x").replace(b"--b\r\n", b"--b \t\r\n")
    assert split(body, content_type='multipart/form-data; charset=utf-8; boundary="b"') == (("a", "x"),)


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (b"", TYPE, "last boundary"),
        (b"--b\r\n", TYPE, "headers of a part"),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--", TYPE, "no name"),
        (b"--b\r\nX: y\r\n\r\nx\r\n--b--", TYPE, "no name"),
        (part(b'form-data; name="a"', b"x"), TYPE, "last boundary"),
        (part(b'form-data; name="a"', b"x") * 11 + b"--b--", TYPE, "more than 10"),
        (part(b'form-data; name="a"', b"x" * (1024**2 + 1)) + b"--b--", TYPE, "bytes, at most"),
        (b"--b--", "multipart/form-data", "no boundary"),
        (b"--b--", "multipart/form-data; boundary=" + "b" * 201, "no boundary"),
    ],
)
def test_what_is_broken_is_refused(body: bytes, content_type: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        split_form(body, content_type, 10)
    assert refused.value.code == "malformed_request"


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_any_bytes_come_back(values: list[bytes]) -> None:
    parts = [part(b'form-data; name="f"; filename="x"', value) for value in values if b"\r\n--b" not in b"\r\n" + value]
    expected = tuple(("f", value) for value in values if b"\r\n--b" not in b"\r\n" + value)
    assert split(*parts) == expected
