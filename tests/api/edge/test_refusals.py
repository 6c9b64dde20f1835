"""Every way to ask for something wrong: refused with a code, a sentence and what would be right."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from heddle_platform import pixels
from tests.api.edge.edge_world import Edge
from tests.platform.image_files import bomb_png


@pytest.fixture(name="edge")
def _edge(shared_edge: Edge) -> Any:
    return shared_edge


@pytest.mark.parametrize(
    ("edit", "status", "code", "named"),
    [
        ({"adapter": "nobody"}, 404, "unknown_adapter", "avatars"),
        ({"adapter": "avatars@beta"}, 404, "unknown_alias", "production"),
        ({"adapter": "avatars@2"}, 404, "unknown_version", "1"),
        ({"adapter": "avatars@" + "9" * 50}, 404, "unknown_version", "1"),
        ({"set": {"nose": "long"}}, 422, "unknown_factor", "glasses"),
        ({"set": {"glasses": "pince-nez"}}, 422, "unknown_level", "round"),
        ({"set": {"mouth": "smile"}}, 422, "factor_refused", "glasses"),
        ({"shift": {"glasses": 1}}, 422, "not_shiftable", "round"),
        ({"preserve": ["nose"]}, 422, "unknown_factor", "glasses"),
        ({"set": {"skin": "sand"}, "shift": {"skin": 1}}, 422, "invalid_edit", "skin"),
        ({"strength": 2}, 422, "invalid_edit", "strength"),
        ({"adapter": ""}, 422, "invalid_edit", "adapter"),
    ],
)
async def test_what_cannot_be_done_is_said(
    edge: Edge, edit: dict[str, Any], status: int, code: str, named: str
) -> None:
    answer = await edge.edit(edge.world.fitted.images[0], **edit)
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, body["code"]) == (status, code)
    assert named in body["detail"]
    assert body["request_id"] == answer.headers["x-request-id"]


async def test_another_tenants_adapter_does_not_exist(edge: Edge) -> None:
    answer = await edge.edit(edge.world.fitted.images[0], who="other")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_adapter")
    assert "avatars@" not in answer.text


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "missing_key"),
        ({"Authorization": "Basic abc"}, 401, "malformed_authorization"),
        ({"Authorization": "Bearer hdl_x_unknown"}, 401, "unknown_key"),
    ],
)
async def test_without_a_key_nothing_happens(edge: Edge, headers: dict[str, str], status: int, code: str) -> None:
    answer = await edge.post("/v1/edits", files={"image": ("a.png", b"x")}, data={"edit": "{}"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_key_needs_the_scope_and_a_tenant(edge: Edge) -> None:
    answer = await edge.edit(edge.world.fitted.images[0], who="reader")
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
    answer = await edge.edit(edge.world.fitted.images[0], who="admin")
    assert (answer.status_code, answer.json()["code"]) == (403, "tenant_key_required")


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"edit": (None, "{}")}, 422, "invalid_edit"),
        ({"edit": (None, '{"adapter": "avatars"}')}, 422, "missing_image"),
        ({"edit": (None, "{"), "image": ("a.png", b"x")}, 400, "malformed_json"),
        ({"edit": (None, "[" * 100_000), "image": ("a.png", b"x")}, 400, "malformed_json"),
        ({"edit": (None, '{"adapter": NaN}'), "image": ("a.png", b"x")}, 400, "malformed_json"),
        ({"image": ("a.png", b"x")}, 422, "missing_field"),
        ({"edit": (None, '{"adapter": "avatars"}'), "image": (None, "text")}, 422, "image_not_a_file"),
        (
            {"edit": (None, '{"adapter": "avatars"}'), "image": ("a.png", b"x"), "image_id": (None, "y")},
            422,
            "image_twice",
        ),
        ({"edit": (None, '{"adapter": "avatars"}'), "image": ("a.png", b"")}, 422, "unsupported_image"),
        ({"edit": (None, '{"adapter": "avatars"}'), "image": ("a.png", b"GIF89a")}, 422, "unsupported_image"),
        ({"edit": ("edit.json", b'{"adapter": "avatars"}'), "image": ("a.png", b"x")}, 422, "not_text"),
    ],
)
async def test_malformed_forms(edge: Edge, form: Any, status: int, code: str) -> None:
    answer = await edge.post("/v1/edits", files=form, headers=edge.world.headers())
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_a_body_that_is_no_form(edge: Edge) -> None:
    answer = await edge.post("/v1/edits", json={"adapter": "avatars"}, headers=edge.world.headers())
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    headers = {**edge.world.headers(), "Content-Type": "multipart/form-data; boundary=x"}
    answer = await edge.post("/v1/edits", content=b"no boundary here", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")


@pytest.mark.parametrize(
    ("make", "status", "code"),
    [
        (bomb_png, 413, "image_too_large"),
        (lambda: b"\x89PNG\r\n\x1a\n" + b"\0" * 2_500_000, 413, "image_too_large"),
        (lambda: b"x" * 4_000_000, 413, "request_too_large"),
        (lambda: pixels.encode(np.zeros((64, 64, 3), np.uint8), "image/jpeg")[:200], 422, "image_damaged"),
    ],
)
async def test_hostile_images(edge: Edge, make: Callable[[], bytes], status: int, code: str) -> None:
    answer = await edge.edit(make())
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8000", "http://localhost:8000"])
async def test_the_studio_may_call_and_read_the_headers(edge: Edge, origin: str) -> None:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    preflight = await edge.options("/v1/edits", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == origin
    answer = await edge.post("/v1/edits", headers={"Origin": origin})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == origin
    assert "X-Edit-Id" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:9999", "null"])
async def test_other_pages_may_not(edge: Edge, origin: str) -> None:
    answer = await edge.get("/healthz", headers={"Origin": origin})
    assert "access-control-allow-origin" not in answer.headers


async def test_unknown_routes_and_methods_are_problems(edge: Edge) -> None:
    missing = await edge.get("/v1/nothing")
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_route")
    wrong = await edge.get("/v1/edits")
    assert (wrong.status_code, wrong.json()["code"], wrong.headers["allow"]) == (405, "method_not_allowed", "POST")
