"""Request context: an id and a log line for every request, metrics by route template, nothing secret in either."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from heddle_api.errors import install_error_handlers
from heddle_api.probes import probe_router
from heddle_api.request_context import install_request_context
from heddle_platform.ids import is_id


def make_app() -> FastAPI:
    app = FastAPI()
    install_error_handlers(app)
    metrics = install_request_context(app, "test", max_body_bytes=1_000)
    app.include_router(probe_router(metrics.registry))

    @app.get("/things/{thing}")
    async def thing(thing: str) -> str:
        return thing

    @app.get("/broken")
    async def broken() -> StreamingResponse:
        async def half() -> AsyncIterator[bytes]:
            yield b"half"
            raise RuntimeError("in the middle")

        return StreamingResponse(half())

    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=make_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://plane") as made:
        yield made


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as captured:
        yield captured


async def test_every_answer_has_an_id_of_its_own(client: httpx.AsyncClient) -> None:
    ids = {
        (await client.get(path)).headers["x-request-id"] for path in ("/things/a", "/things/b", "/nowhere", "/healthz")
    }
    assert len(ids) == 4
    assert all(is_id(request_id, "req") for request_id in ids)


async def test_the_log_has_the_route_and_no_query(client: httpx.AsyncClient, lines: list[Any]) -> None:
    await client.get("/things/a?X-Amz-Signature=abc&password=x")
    (line,) = lines
    assert (line["event"], line["route"], line["status"]) == ("request_finished", "/things/{thing}", 200)
    assert line["tenant_id"] is None
    assert line["milliseconds"] >= 0
    assert "abc" not in str(line)


async def test_probes_that_go_well_are_not_logged(client: httpx.AsyncClient, lines: list[Any]) -> None:
    await client.get("/healthz")
    await client.get("/metrics")
    assert lines == []


async def test_metrics_count_by_template_and_callers_cannot_mint_labels(client: httpx.AsyncClient) -> None:
    for path in ("/things/a", "/things/b", "/nowhere/1", "/nowhere/2"):
        await client.get(path)
    await client.request("BREW", "/nowhere/3")
    text = (await client.get("/metrics")).text
    assert 'heddle_requests_total{method="GET",plane="test",route="/things/{thing}",status="200"} 2.0' in text
    assert 'heddle_requests_total{method="ANY",plane="test",route="unmatched",status="404"} 3.0' in text
    assert "nowhere" not in text
    assert "BREW" not in text
    assert 'heddle_request_seconds_count{method="GET",plane="test",route="/things/{thing}"} 2.0' in text


async def test_half_an_answer_is_broken_off_and_not_patched_up(client: httpx.AsyncClient) -> None:
    with pytest.raises(RuntimeError, match="in the middle"):
        await client.get("/broken")


async def test_two_apps_in_one_process_count_apart() -> None:
    for _ in range(2):
        transport = httpx.ASGITransport(app=make_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://plane") as client:
            await client.get("/things/a")
            text = (await client.get("/metrics")).text
            assert 'route="/things/{thing}",status="200"} 1.0' in text
