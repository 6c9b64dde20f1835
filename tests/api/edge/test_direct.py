"""Direct routes: the same answers as by the framework's own way, which everything else to these paths still takes."""

import json
from typing import Any

import httpx
import pytest

from heddle_api.edge.app import create_app
from heddle_api.edge.direct import DirectRoute
from heddle_api.edge.routes import direct
from tests.api.edge.edge_world import Edge

DIFFERING = {"x-request-id", "x-edit-id", "x-cache", "server-timing", "ratelimit"}


@pytest.fixture(name="edge")
def _edge(shared_edge: Edge) -> Any:
    return shared_edge


def below(edge: Edge) -> httpx.AsyncClient:
    """Return a caller whose requests come below a root path, as behind a proxy that adds one."""
    transport = edge._transport
    assert isinstance(transport, httpx.ASGITransport)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(transport.app, root_path="/edge"), base_url="http://edge", headers=edge.headers
    )


async def send(http: httpx.AsyncClient, edge: Edge, path: str, edit: dict[str, Any]) -> httpx.Response:
    form = {"edit": json.dumps({"adapter": "avatars", **edit})}
    files = {"image": ("face.png", edge.world.fitted.images[0])}
    return await http.post(path, files=files, data=form, headers=edge.world.headers())


@pytest.mark.parametrize("edit", [{"set": {"glasses": "round"}}, {"set": {"glasses": "pince-nez"}}, {"adapter": "x"}])
async def test_both_ways_answer_alike(edge: Edge, edit: dict[str, Any]) -> None:
    async with below(edge) as http:
        answers = [await send(edge, edge, "/v1/edits", edit), await send(http, edge, "/edge/v1/edits", edit)]
    told = [{k: v for k, v in answer.headers.items() if k not in DIFFERING} for answer in answers]
    assert answers[0].status_code == answers[1].status_code
    if answers[0].status_code == 200:
        assert told[0] == told[1]
        assert answers[0].content == answers[1].content
    else:
        assert told[0].keys() == told[1].keys()
        assert answers[0].json()["code"] == answers[1].json()["code"]
        assert answers[0].json()["request_id"] == answers[0].headers["x-request-id"]


async def test_other_methods_and_paths_go_the_frameworks_way(edge: Edge) -> None:
    wrong = await edge.get("/v1/edits")
    assert (wrong.status_code, wrong.headers["allow"], wrong.json()["code"]) == (405, "POST", "method_not_allowed")
    assert (await edge.post("/v1/edits/nothing")).status_code == 404


async def test_requests_are_counted_under_their_route(edge: Edge) -> None:
    await send(edge, edge, "/v1/edits", {"set": {"glasses": "none"}})
    text = (await edge.get("/metrics")).text
    assert 'heddle_requests_total{method="POST",plane="edge",route="/v1/edits",status="200"}' in text


def test_direct_routes_have_no_parameters_and_are_all_of_the_routers() -> None:
    paths = [route.path for route in direct.routes if isinstance(route, DirectRoute)]
    assert paths == ["/v1/edits", "/v1/edits/grid"]
    assert not any("{" in path for path in paths)
    assert set(paths) <= set(create_app().openapi()["paths"])
