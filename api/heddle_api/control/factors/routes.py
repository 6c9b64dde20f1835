"""Routes of factor sets: `/v1/factor_sets`."""

from copy import deepcopy
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response

from heddle_api.auth import Principal
from heddle_api.control.context import CurrentControl, tenant_with
from heddle_api.control.factors import service
from heddle_api.control.factors.document import read_document
from heddle_api.control.factors.service import FactorSetCheck, FactorSetView
from heddle_api.control.once import OncePost, Reply
from heddle_api.control.page import AskedPage, Page
from heddle_api.control.wire import VersionNumber
from heddle_infra.database import factor_sets
from heddle_platform.factors import FactorSet, parse_factor_set

router = APIRouter(prefix="/v1/factor_sets", tags=["factor sets"])
FactorsKey = Annotated[Principal, Depends(tenant_with("factors"))]

_EXAMPLE: Final = {
    "name": "avatars",
    "factors": [
        {"name": "glasses", "kind": "categorical", "levels": ["none", "round", "square"], "accept": {"accuracy": 0.95}},
        {"name": "smile", "kind": "binary"},
        {"name": "age", "kind": "continuous", "range": [0, 90], "unit": "years"},
    ],
    "accept": {"leakage_max": 0.2, "labels_min": 100},
}


# the body is read by hand because it may be YAML, so its schema has to be told to OpenAPI
def _body(schema: dict[str, Any]) -> dict[str, Any]:
    content = {"schema": schema, "example": _EXAMPLE}
    types = ("application/json", "application/yaml")
    return {"requestBody": {"required": True, "content": {media_type: deepcopy(content) for media_type in types}}}


_BODY: Final = _body(FactorSet.model_json_schema(ref_template="#/components/schemas/{model}"))
_ANYTHING: Final = _body(
    {"description": "A document for POST /v1/factor_sets, right or wrong: the answer lists faults."}
)


async def _document(request: Request) -> Any:
    return await read_document(await request.body(), request.headers.get("content-type"))


Document = Annotated[Any, Depends(_document)]


@router.post("", status_code=201, response_model=FactorSetView, summary="Register a factor set", openapi_extra=_BODY)
async def register_factor_set(tenant: FactorsKey, document: Document, post: OncePost) -> Response:
    """Register a factor set; a changed document under a known name becomes its next version."""
    factor_set = parse_factor_set(document)
    return await post.once(tenant, lambda session: service.register(session, tenant.tenant, factor_set))


@router.post("/validate", response_model=FactorSetCheck, summary="Check a factor set", openapi_extra=_ANYTHING)
async def validate_factor_set(tenant: FactorsKey, document: Document, post: OncePost) -> Response:
    """Check a factor set without storing it; every fault is listed with its JSON pointer."""

    async def check(_: object) -> Reply:
        return Reply(service.check(document), changes=False)

    return await post.once(tenant, check)


@router.get("", summary="List factor sets")
async def list_factor_sets(tenant: FactorsKey, control: CurrentControl, turn: AskedPage) -> Page[FactorSetView]:
    """List factor sets, newest first, each in its newest version."""
    async with control.transaction(tenant) as session:
        return await service.list_own(session, tenant.tenant, turn)


@router.get("/{factor_set}", summary="Read a factor set")
async def get_factor_set(factor_set: str, tenant: FactorsKey, control: CurrentControl) -> FactorSetView:
    """Read the newest version of a factor set by id or name."""
    async with control.transaction(tenant) as session:
        return service.view(await factor_sets.resolve(session, tenant.tenant, factor_set))


@router.get("/{factor_set}/versions/{version}", summary="Read a version of a factor set")
async def get_factor_set_version(
    factor_set: str, version: VersionNumber, tenant: FactorsKey, control: CurrentControl
) -> FactorSetView:
    """Read one version of a factor set by id or name."""
    async with control.transaction(tenant) as session:
        return service.view(await factor_sets.resolve(session, tenant.tenant, factor_set, version))
