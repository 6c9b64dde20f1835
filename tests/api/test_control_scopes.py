"""Scopes: every route names those it needs; a key without them is refused before anything else is looked at."""

import re

import httpx
import pytest

from heddle_platform.records import TENANT_SCOPES, Scope
from tests.api.control_world import Person, World

EVERYBODY = {"/v1/me", "/v1/bases", "/v1/bases/{base}", "/v1/bases/{base}/card", "/v1/bases/{name}/aliases/{alias}"}
NOBODY = {"/v1/signing_key"}  # needs no key at all
FIRST_STEPS = {
    "/v1/factor_sets": {"factors"},
    "/v1/uploads": {"data"},
    "/v1/datasets": {"data"},
    "/v1/erasure_requests": {"data"},
    "/v1/jobs": {"jobs"},
    "/v1/fits": {"jobs"},
    "/v1/adapters": {"adapters", "approve"},
    "/v1/drift": {"adapters", "approve"},
    "/v1/usage": {"factors", "data", "jobs", "adapters", "approve"},
    "/v1/quota": {"factors", "data", "jobs", "adapters", "approve"},
    "/v1/api_keys": set[str](),  # every scope together
    "/v1/audit": set[str](),
    "/v1/admin": set[str](),
}


def routes_of(world: World) -> list[tuple[str, str]]:
    """Every method and path of the plane's interface."""
    return [
        (method.upper(), path)
        for path, methods in world.app.openapi()["paths"].items()
        for method in methods
        if path.startswith("/v1/") and path not in NOBODY
    ]


async def ask(client: httpx.AsyncClient, method: str, path: str) -> httpx.Response:
    concrete = re.sub(r"\{version\}", "1", path)
    concrete = re.sub(r"\{[^}]+\}", "x", concrete)
    return await client.request(method, concrete, json={} if method in ("POST", "PUT", "PATCH") else None)


async def test_no_route_answers_without_a_key(world: World) -> None:
    nobody = world.client(None)
    routes = routes_of(world)
    assert len(routes) > 40
    for method, path in routes:
        answer = await ask(nobody, method, path)
        assert (answer.status_code, answer.json()["code"]) == (401, "missing_key"), (method, path)


@pytest.mark.parametrize("scope", TENANT_SCOPES)
async def test_a_scope_opens_its_own_routes_and_no_other(world: World, tenant: Person, scope: Scope) -> None:
    key = (await tenant.post("/v1/api_keys", {"name": scope, "scopes": [scope]}))["api_key"]
    client = world.client(key)
    document = world.app.openapi()["paths"]
    routes = routes_of(world)
    assert len(routes) > 40
    for method, path in routes:
        if path in EVERYBODY and method == "GET":
            continue
        opens = next((scopes for start, scopes in FIRST_STEPS.items() if path.startswith(start)), set())
        if path == "/v1/feedback":
            opens = {"feedback", "edits"} if method == "POST" else {"feedback", "adapters", "approve"}
        elif path.endswith("/approvals") and method == "POST":
            opens = {"approve"}
        elif path.startswith("/v1/adapters") and method != "GET":
            opens = {"adapters"}
        answer = await ask(client, method, path)
        refused = answer.status_code == 403 and answer.json()["code"] == "missing_scope"
        assert refused is (scope not in opens), (method, path, answer.text)
        named = [set(found["api_key"]) for found in document[path][method.lower()]["security"]]
        if any(named):  # some routes ask for every scope the owner has, which no list of them says
            assert refused is not any(scopes <= {scope} for scopes in named), (method, path, named)
