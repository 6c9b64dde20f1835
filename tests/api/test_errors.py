"""Problem documents: one status per error, one shape for everything that fails, nothing of our insides."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Query
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from heddle_api.errors import STATUS, install_error_handlers, status_of
from heddle_api.request_context import install_request_context
from heddle_platform import errors
from heddle_platform.errors import (
    Conflict,
    DataCorrupt,
    Detail,
    Forbidden,
    HeddleError,
    InvalidInput,
    LeaseLost,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

MEMBERS = {
    "type",
    "title",
    "status",
    "detail",
    "instance",
    "code",
    "param",
    "errors",
    "request_id",
    "retryable",
}


class Body(BaseModel):
    name: str = Field(min_length=2)
    levels: list[int]


def make_app(raised: list[BaseException]) -> FastAPI:
    app = FastAPI()
    install_error_handlers(app)
    install_request_context(app, "test", max_body_bytes=1_000)

    @app.get("/raise")
    async def fail() -> None:
        raise raised[0]

    @app.post("/body")
    async def body(body: Body, page: int = Query(1, ge=1)) -> Body:
        return body

    return app


@pytest.fixture
def raised() -> list[BaseException]:
    return []


@pytest.fixture
async def client(raised: list[BaseException]) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=make_app(raised))
    async with httpx.AsyncClient(transport=transport, base_url="http://plane") as made:
        yield made


def problem_in(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert set(body) == MEMBERS
    assert body["status"] == answer.status_code
    assert body["type"] == f"urn:heddle:error:{body['code']}"
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["title"]
    return body


def test_every_error_of_the_tree_has_a_status_of_its_own_line() -> None:
    tree = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, HeddleError)}
    assert tree == set(STATUS)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInput("x"), 422),
        (InvalidInput("x", code="malformed_json"), 400),
        (InvalidInput("x", code="not_acceptable"), 406),
        (InvalidInput("x", code="unsupported_media_type"), 415),
        (TooLarge("x"), 413),
        (NotFound("x"), 404),
        (Unauthenticated("x"), 401),
        (Forbidden("x"), 403),
        (Conflict("x"), 409),
        (PreconditionRequired("x"), 428),
        (PreconditionFailed("x"), 412),
        (RateLimited("x"), 429),
        (Unavailable("x"), 503),
        (DataCorrupt("x"), 500),
        (LeaseLost("x"), 500),
        (HeddleError("x"), 500),
    ],
)
async def test_the_table(
    client: httpx.AsyncClient, raised: list[BaseException], error: HeddleError, status: int
) -> None:
    assert status_of(error) == status
    raised.append(error)
    answer = await client.get("/raise")
    body = problem_in(answer)
    assert answer.status_code == status
    assert ("retry-after" in answer.headers) == (status in {429, 503})
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert body["code"] == (error.code if status != 500 else "internal_error")
    assert body["instance"] == "/raise"


def test_a_subclass_nobody_listed_has_its_parents_status() -> None:
    class Deeper(TooLarge):
        pass

    assert status_of(Deeper("x")) == 413


async def test_details_keep_row_and_column(client: httpx.AsyncClient, raised: list[BaseException]) -> None:
    detail = Detail("/labels.csv/7/hat", "unknown_level", "unknown level 'fez'", row=7, column="hat")
    raised.append(InvalidInput("one fault", code="unknown_level", param="hat", details=[detail]))
    body = problem_in(await client.get("/raise"))
    assert body["param"] == "hat"
    assert body["errors"] == [
        {
            "pointer": "/labels.csv/7/hat",
            "code": "unknown_level",
            "detail": "unknown level 'fez'",
            "row": 7,
            "column": "hat",
        }
    ]


@pytest.mark.parametrize(("seconds", "header"), [(0.2, "1"), (1.0, "1"), (2.5, "3")])
async def test_retry_after_is_whole_seconds_rounded_up(
    client: httpx.AsyncClient, raised: list[BaseException], seconds: float, header: str
) -> None:
    error = RateLimited("slow down")
    error.retry_after_seconds = seconds
    raised.append(error)
    answer = await client.get("/raise")
    assert answer.headers["retry-after"] == header
    assert answer.json()["retryable"] is True


@pytest.mark.parametrize("error", [RuntimeError("secret of ours"), DataCorrupt("secret of ours"), KeyError("secret")])
async def test_our_own_faults_say_nothing_of_our_insides(
    client: httpx.AsyncClient, raised: list[BaseException], error: Exception
) -> None:
    raised.append(error)
    answer = await client.get("/raise")
    assert (answer.status_code, problem_in(answer)["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


async def test_framework_validation_has_pointers(client: httpx.AsyncClient) -> None:
    answer = await client.post("/body?page=0", json={"name": "x", "levels": [1, "two"]})
    body = problem_in(answer)
    assert (answer.status_code, body["code"]) == (422, "invalid_request")
    assert {fault["pointer"] for fault in body["errors"]} == {"/name", "/levels/1", "/query/page"}
    assert all(fault["detail"] and fault["code"] for fault in body["errors"])


async def test_malformed_json_is_a_400(client: httpx.AsyncClient) -> None:
    answer = await client.post("/body", content=b"{", headers={"Content-Type": "application/json"})
    assert (answer.status_code, problem_in(answer)["code"]) == (400, "malformed_json")


async def test_framework_errors_are_problems_too(client: httpx.AsyncClient, raised: list[BaseException]) -> None:
    missing = await client.get("/nowhere")
    assert (missing.status_code, problem_in(missing)["code"]) == (404, "unknown_route")
    wrong = await client.post("/raise")
    assert (wrong.status_code, problem_in(wrong)["code"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "GET"
    raised.append(HTTPException(418, "teapot"))
    odd = await client.get("/raise")
    assert (odd.status_code, problem_in(odd)["code"]) == (418, "request_failed")


async def test_long_bodies_are_refused_with_and_without_a_length(client: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 100

    for content in (b" " * 1_001, endless()):
        answer = await client.post("/body", content=content, headers={"Content-Type": "application/json"})
        body = problem_in(answer)
        assert (answer.status_code, body["code"]) == (413, "request_too_large")
        assert "1000" in body["detail"]
