"""Form: what callers send to the edge, read with every doubt refused: the image, the JSON, the type they accept."""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Header, Request

from heddle_api.edge.multipart import Form, split_form
from heddle_platform.errors import InvalidInput
from heddle_platform.image_header import MediaType
from heddle_platform.oversize import MOST_FIELDS, oversize

PRODUCED: Final[tuple[MediaType, ...]] = ("image/png", "image/jpeg", "image/webp")
_MAX_FIELDS: Final = 10


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant)  # json.loads would make one at each call


@dataclass(frozen=True)
class ImageField:
    """The image of a request: the bytes of a file, or the id of one sent before; exactly one is set."""

    data: bytes | None
    image_id: str | None


async def read_form(request: Request, *, most_fields: int = _MAX_FIELDS) -> Form:
    """Read a multipart body.

    Raises:
        InvalidInput: codes `unsupported_media_type` if it is none, `malformed_request` if it cannot be read.
    """
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        raise InvalidInput(
            "the body must be multipart/form-data, with the image as a file field named 'image'",
            code="unsupported_media_type",
            param="Content-Type",
        )
    return split_form(b"".join([chunk async for chunk in request.stream()]), content_type, most_fields)


def image_of(form: Form) -> ImageField:
    """Take the image out of a form.

    Raises:
        InvalidInput: codes `missing_image`, `image_twice`, `image_not_a_file`.
    """
    uploads, ids = form.getlist("image"), form.getlist("image_id")
    if len(uploads) + len(ids) > 1:
        raise InvalidInput(
            f"the request holds {len(uploads)} 'image' and {len(ids)} 'image_id' fields, it must hold one in all",
            code="image_twice",
            param="image",
        )
    if ids:
        return ImageField(None, ids[0] if isinstance(ids[0], str) else "")
    if not uploads:
        raise InvalidInput(
            "there is no image; send a file field 'image', or an 'image_id' that POST /v1/images gave",
            code="missing_image",
            param="image",
        )
    if isinstance(uploads[0], str):
        raise InvalidInput(
            "the field 'image' is text; send it as a file, with a filename in its Content-Disposition",
            code="image_not_a_file",
            param="image",
        )
    return ImageField(uploads[0], None)


def json_of(form: Form, name: str) -> Any:
    """Take a JSON document out of a form's text field (or a file field of that name).

    Raises:
        InvalidInput: codes `missing_field`, `malformed_json`, `too_long`.
    """
    text = text_of(form, name)
    if text is None:
        raise InvalidInput(
            f"there is no field {name!r}; send the document as JSON in it", code="missing_field", param=name
        )
    try:
        document = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"the field {name!r} is not JSON ({str(error)[:80]}); check quotes and commas",
            code="malformed_json",
            param=name,
        ) from None
    # a text of fewer characters cannot hold that much
    if len(text) > MOST_FIELDS and (too_long := oversize(document)):
        raise InvalidInput(f"in the field {name!r}, {too_long}; send less at once", code="too_long", param=name)
    return document


def text_of(form: Form, name: str) -> str | None:
    """Take a text field out of a form; None if it is not there.

    Raises:
        InvalidInput: code `not_text` if it is a file or stands there twice.
    """
    values = form.getlist(name)
    if not values:
        return None
    value = values[0]
    if len(values) > 1 or not isinstance(value, str):
        raise InvalidInput(
            f"the form has {len(values)} fields {name!r}, it must have one, as text and not as a file",
            code="not_text",
            param=name,
        )
    return value


def negotiate(accept: str | None) -> MediaType:
    """Choose the type of the answer by an Accept header: the best-weighted of those we make, PNG among equals.

    Raises:
        InvalidInput: code `not_acceptable` (406).
    """
    if not accept or accept == "*/*":
        return PRODUCED[0]
    weights: dict[str, float] = {}
    for entry in accept.split(",")[:100]:
        name, *parameters = (part.strip().lower() for part in entry.split(";"))
        weights[name] = _quality(parameters)
    ranked = [(_weight(weights, produced), -place, produced) for place, produced in enumerate(PRODUCED)]
    weight, _, best = max(ranked)
    if weight <= 0.0:
        raise InvalidInput(
            f"none of {accept[:100]!r} can be produced; accept one of {', '.join(PRODUCED)}",
            code="not_acceptable",
            param="Accept",
        )
    return best


async def deadline_of(
    x_deadline_ms: Annotated[
        str | None,
        Header(
            description="Milliseconds you wait for the answer; what would be later is not begun. 503 where others were "
            "before it; 422 `deadline_too_short` where nobody was, and it takes longer than that by itself.",
            json_schema_extra={"pattern": "^[1-9][0-9]{0,8}$"},
        ),
    ] = None,
) -> float | None:
    """Read how many seconds the caller waits; None: as long as the platform does.

    Raises:
        InvalidInput: code `malformed_header`.
    """
    if x_deadline_ms is None:
        return None
    text = x_deadline_ms.strip()
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 9 and int(text) > 0):
        raise InvalidInput(
            f"X-Deadline-Ms is {text[:40]!r}; send a whole number of milliseconds, 1 or more",
            code="malformed_header",
            param="X-Deadline-Ms",
        )
    return int(text) / 1000


def _weight(weights: dict[str, float], produced: MediaType) -> float:
    # RFC 9110, 12.5.1: the most specific range decides
    return next((weights[name] for name in (produced, "image/*", "*/*") if name in weights), 0.0)


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                return 0.0
            return weight if 0.0 <= weight <= 1.0 else 0.0
    return 1.0
