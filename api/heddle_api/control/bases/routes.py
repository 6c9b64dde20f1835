"""Routes of bases: `/v1/bases`; everybody with a key may read, operators publish."""

from typing import Annotated, Final

from fastapi import APIRouter, Header, Response

from heddle_api.auth import Caller
from heddle_api.control.bases import card, service
from heddle_api.control.bases.service import BaseAliasView, BaseDetail, BaseTarget, BaseView, NewBase
from heddle_api.control.context import CurrentControl, Operator
from heddle_api.control.once import OncePost, answer, note
from heddle_api.control.page import AskedPage, Page
from heddle_api.control.precondition import AskedMatch, etag
from heddle_api.control.trail import AskedTrail
from heddle_api.control.wire import AliasName
from heddle_infra.database import bases

router = APIRouter(prefix="/v1/bases", tags=["bases"])
_CARD: Final[dict[int | str, dict[str, object]]] = {200: {"content": {card.JSON: {}, card.HTML: {}}}}


@router.get("", summary="List bases")
async def list_bases(caller: Caller, control: CurrentControl, turn: AskedPage) -> Page[BaseView]:
    """List published bases with their aliases, newest first."""
    async with control.transaction(caller) as session:
        return await service.list_all(session, turn)


@router.get("/{base}", summary="Read a base")
async def get_base(base: str, caller: Caller, control: CurrentControl) -> BaseDetail:
    """Read a base and its manifest, by id, alias (`default`), digest or name."""
    async with control.transaction(caller) as session:
        return await service.read(session, base)


@router.get("/{base}/card", response_class=Response, responses=_CARD, summary="Read a base's model card")
async def get_base_card(
    base: str, caller: Caller, control: CurrentControl, accept: Annotated[str | None, Header()] = None
) -> Response:
    """Read what a base is, what it scored and where it fails: as JSON, or as a page by `Accept: text/html`."""
    return await card.read(control, caller, base, accept)


@router.post("", status_code=201, response_model=BaseDetail, summary="Publish a base")
async def publish_base(body: NewBase, operator: Operator, post: OncePost) -> Response:
    """Publish an uploaded bundle: verified, stored under its digest, aliased; the same bundle twice is one base."""
    reply = await post.once(operator, lambda session: service.publish(session, post.control, body))
    await service.forget_upload(post.control, body.upload)
    return reply


@router.get("/{name}/aliases/{alias}", summary="Read a base's alias")
async def get_base_alias(
    name: str, alias: AliasName, caller: Caller, control: CurrentControl, response: Response
) -> BaseAliasView:
    """Read where an alias points; its ETag is what If-Match needs to move it."""
    async with control.transaction(caller) as session:
        base, revision = await bases.get_alias(session, name, alias)
    response.headers["ETag"] = etag(revision)
    return service.alias_view(alias, base)


@router.put("/{name}/aliases/{alias}", response_model=BaseAliasView, summary="Move a base's alias")
async def move_base_alias(
    name: str,
    alias: AliasName,
    body: BaseTarget,
    operator: Operator,
    control: CurrentControl,
    match: AskedMatch,
    trail: AskedTrail,
) -> Response:
    """Point an alias at a base of this name: new fits use it, adapters stay on the base they were fitted on."""
    async with control.transaction(operator) as session:
        reply = await service.move_alias(session, name, alias, body.base, match)
        await note(trail, session, operator, reply)
    await control.announce(reply.announce or "base_alias_moved")
    return answer(reply)
