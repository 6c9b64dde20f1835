"""Routes of adapters: `/v1/adapters`. An adapter is named by its id or its name everywhere."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from heddle_api.auth import Principal
from heddle_api.control.adapters import aliases, service
from heddle_api.control.adapters.aliases import AliasMoveView, AliasTarget, AliasView, RollBack
from heddle_api.control.adapters.service import AdapterView, Decision, DecisionView, VersionView
from heddle_api.control.context import CurrentControl, tenant_with
from heddle_api.control.once import OncePost, answer, note
from heddle_api.control.page import AskedPage, Page
from heddle_api.control.precondition import AskedMatch, etag
from heddle_api.control.trail import AskedTrail
from heddle_api.control.wire import AliasName, VersionNumber
from heddle_infra.database import adapters

router = APIRouter(prefix="/v1/adapters", tags=["adapters"])
ReaderKey = Annotated[Principal, Depends(tenant_with("adapters", "approve"))]  # who approves must see the card
AdaptersKey = Annotated[Principal, Depends(tenant_with("adapters"))]
OfAlias = Annotated[
    str | None, Query(pattern=r"^[a-z][a-z0-9_-]{0,62}$", description="Only of this alias, such as `production`.")
]
ApproveKey = Annotated[Principal, Depends(tenant_with("approve"))]


@router.get("", summary="List adapters")
async def list_adapters(tenant: ReaderKey, control: CurrentControl, turn: AskedPage) -> Page[AdapterView]:
    """List adapters with their aliases, newest first."""
    async with control.transaction(tenant) as session:
        return await service.list_own(session, tenant.tenant, turn)


@router.get("/{adapter}", summary="Read an adapter")
async def get_adapter(adapter: str, tenant: ReaderKey, control: CurrentControl) -> AdapterView:
    """Read one adapter with its aliases."""
    async with control.transaction(tenant) as session:
        return await service.view(session, await adapters.resolve(session, tenant.tenant, adapter))


@router.get("/{adapter}/versions", summary="List versions")
async def list_versions(adapter: str, tenant: ReaderKey, control: CurrentControl, turn: AskedPage) -> Page[VersionView]:
    """List an adapter's versions, newest first."""
    async with control.transaction(tenant) as session:
        return await service.list_versions(session, tenant.tenant, adapter, turn)


@router.get("/{adapter}/versions/{version}", summary="Read a version")
async def get_version(adapter: str, version: VersionNumber, tenant: ReaderKey, control: CurrentControl) -> VersionView:
    """Read one version: what the gate said, what it was fitted on, and its files."""
    async with control.transaction(tenant) as session:
        return await service.read_version(session, tenant.tenant, adapter, version)


@router.post(
    "/{adapter}/versions/{version}/approvals",
    status_code=201,
    response_model=DecisionView,
    summary="Approve or reject a version",
)
async def decide(adapter: str, version: VersionNumber, body: Decision, tenant: ApproveKey, post: OncePost) -> Response:
    """Approve a version, which moves `production` to it, or reject it; a version that failed its gate stays refused."""
    return await post.once(tenant, lambda session: service.decide(session, tenant, adapter, version, body))


@router.get("/{adapter}/versions/{version}/approvals", summary="List decisions on a version")
async def list_decisions(
    adapter: str, version: VersionNumber, tenant: ReaderKey, control: CurrentControl, turn: AskedPage
) -> Page[DecisionView]:
    """List who approved or rejected a version, when, and with which comment; oldest first."""
    async with control.transaction(tenant) as session:
        return await service.decisions(session, tenant.tenant, adapter, version, turn)


@router.get("/{adapter}/aliases/{alias}", response_model=AliasView, summary="Read an alias")
async def get_alias(
    adapter: str, alias: AliasName, tenant: ReaderKey, control: CurrentControl, response: Response
) -> AliasView:
    """Read where an alias points; its ETag is what If-Match needs to move it."""
    async with control.transaction(tenant) as session:
        found = await adapters.resolve(session, tenant.tenant, adapter)
        read = await adapters.get_alias(session, tenant.tenant, found.id, alias)
    response.headers["ETag"] = etag(read.revision)
    return aliases.alias_view(read)


@router.put("/{adapter}/aliases/{alias}", response_model=AliasView, summary="Move an alias")
async def move_alias(
    adapter: str,
    alias: AliasName,
    body: AliasTarget,
    tenant: AdaptersKey,
    control: CurrentControl,
    match: AskedMatch,
    trail: AskedTrail,
) -> Response:
    """Point an alias at a version that passed or was approved; moving an existing alias needs If-Match.

    A canary edits a share of all images, chosen by their content and so always the same; every answer's
    X-Adapter-Version tells which version made it. A shadow is never seen by callers.
    """
    async with control.transaction(tenant) as session:
        reply = await aliases.move_alias(session, tenant, adapter, alias, body, match)
        if reply.changes:
            await note(trail, session, tenant, reply)
    await control.announce(reply.announce or "alias_moved")
    return answer(reply)


@router.post("/{adapter}/rollback", response_model=AliasView, summary="Roll back")
async def roll_back(adapter: str, tenant: AdaptersKey, post: OncePost, body: RollBack | None = None) -> Response:
    """Point an alias (`production` unless named) at the version it pointed at before; a running canary ends first."""
    return await post.once(tenant, lambda session: aliases.roll_back(session, tenant, adapter, body or RollBack()))


@router.get("/{adapter}/alias_moves", summary="List moves of aliases")
async def list_alias_moves(
    adapter: str, tenant: ReaderKey, control: CurrentControl, turn: AskedPage, alias: OfAlias = None
) -> Page[AliasMoveView]:
    """List every move of an adapter's aliases, newest first: to which version, from which, by whom, when and why."""
    async with control.transaction(tenant) as session:
        return await aliases.list_moves(session, tenant.tenant, adapter, alias, turn)
