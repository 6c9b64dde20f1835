"""A base's model card: the document, or the page people read."""

import asyncio
from typing import Final

from fastapi import Response

from heddle_api.auth import Principal
from heddle_api.control.context import Control
from heddle_api.control.negotiate import choose
from heddle_infra.database import bases
from heddle_platform import keys
from heddle_platform.base.bundle import CARD_HTML, CARD_JSON
from heddle_platform.errors import NotFound

JSON, HTML = "application/json", "text/html"
# a recipe's notes are somebody's words: even if one slipped through their escaping, nothing would run or load
_PAGE_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"


async def read(control: Control, caller: Principal, reference: str, accept: str | None) -> Response:
    """Return the card of a base by id, alias, digest or name.

    Raises:
        NotFound: codes `unknown_base`, and `unknown_card`: it was published without one.
        InvalidInput: code `not_acceptable`.
    """
    media_type = choose(accept, (JSON, HTML))
    async with control.transaction(caller) as session:
        base = await bases.resolve(session, reference)
    file = CARD_HTML if media_type == HTML else CARD_JSON
    try:
        data = await asyncio.to_thread(control.objects.get, keys.base_file(base.name, base.digest, file))
    except NotFound:
        raise NotFound(
            f"base {base.id} was published without a model card; make one with `heddle base card`",
            code="unknown_card",
        ) from None
    headers = {"Vary": "Accept", "X-Content-Type-Options": "nosniff"}
    if media_type == HTML:
        headers["Content-Security-Policy"] = _PAGE_POLICY
    return Response(data, media_type=media_type, headers=headers)
