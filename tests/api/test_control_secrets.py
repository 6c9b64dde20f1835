"""What the control plane logs: for whom, on every line of a request, and never a secret."""

import asyncio
import io
import json
import logging
import urllib.parse
from collections.abc import Iterator

import pytest
import structlog

from heddle_infra.s3 import S3ObjectStore
from heddle_platform.settings import ObjectStoreSettings
from heddle_platform.telemetry import configure_logging
from tests.api.control_world import Person, open_world, upload


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """The plane's log as it is in production: lines of JSON."""
    stream = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    configure_logging("control", "debug")
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines_of(logged: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in logged.getvalue().splitlines()]


def requests_of(logged: io.StringIO) -> list[dict[str, object]]:
    return [line for line in lines_of(logged) if line["event"] == "request_finished"]


async def test_every_line_of_a_request_names_its_tenant(tenant: Person, other: Person, logged: io.StringIO) -> None:
    await asyncio.gather(*(person.get("/v1/adapters") for person in (tenant, other) for _ in range(5)))
    assert (await tenant.world.client(None).get("/v1/adapters")).status_code == 401
    told = [line.get("tenant_id") for line in requests_of(logged)]
    assert (told.count(tenant.id), told.count(other.id), told.count(None)) == (5, 5, 1)
    assert "tenant_id" not in structlog.contextvars.get_contextvars()


async def test_no_secret_reaches_the_log(
    postgres_url: str, seaweed_settings: ObjectStoreSettings, logged: io.StringIO
) -> None:
    async with open_world(postgres_url) as world:
        person = await world.tenant("acme")
        made = await person.post("/v1/api_keys", {"name": "x", "scopes": ["data"]})
        await upload(world, person.http, b"bytes")
        store = S3ObjectStore(seaweed_settings)
        url = store.presign_get("tenants/x/uploads/y", expires_seconds=60)
        signature = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["X-Amz-Signature"][0]
        for client in (person.http, world.client(made["api_key"] + "x"), world.client("hdl_nonsense_secret")):
            await client.get("/v1/jobs", params={"after": url, "key": made["api_key"]})
            await client.post("/v1/datasets", json={"name": url, "factor_set": made["api_key"], "upload": url})
    whole = logged.getvalue()
    assert len(requests_of(logged)) >= 8
    for secret in (person.key, made["api_key"], world.admin_key, "hdl_nonsense_secret", signature):
        assert secret not in whole
