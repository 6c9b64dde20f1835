"""Keys: minted once, stored hashed, found by hash, scoped."""

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from starlette.types import Receive, Scope, Send

from heddle_api.auth import MAX_KEY_CHARACTERS, Caller, Principal, hash_key, mint_key, require
from heddle_api.errors import install_error_handlers
from heddle_platform.digest import sha256_hex
from heddle_platform.errors import Forbidden
from heddle_platform.telemetry import redact

KEY = mint_key()
OPERATOR = mint_key()


class Listed:
    """A directory of two keys that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def find(self, key_hash: str) -> Principal | None:
        self.asked.append(key_hash)
        known = {
            KEY.hash: Principal("key_1", "ten_1", frozenset({"edits", "data"}), 3),
            OPERATOR.hash: Principal("key_2", None, frozenset({"admin"})),
        }
        return known.get(key_hash)


@pytest.fixture
def directory() -> Listed:
    return Listed()


@pytest.fixture
async def client(directory: Listed) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    install_error_handlers(app)

    @app.get("/me")
    async def me(caller: Caller) -> dict[str, Any]:
        return {"key": caller.key_id, "tenant": caller.tenant_id, "epoch": caller.tenant_epoch}

    @app.get("/approve")
    async def approve(_: Annotated[Principal, Depends(require("approve"))]) -> None: ...

    @app.get("/either")
    async def either(caller: Annotated[Principal, Depends(require("data", "admin"))]) -> str:
        return caller.tenant

    async def with_directory(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {"key_directory": directory}}, receive, send)

    transport = httpx.ASGITransport(app=with_directory)
    async with httpx.AsyncClient(transport=transport, base_url="http://plane") as made:
        yield made


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_keys_have_the_written_shape_and_never_repeat() -> None:
    minted = [mint_key() for _ in range(200)]
    assert all(re.fullmatch(r"hdl_[0-9a-z]{26}_[A-Za-z0-9_-]{43}", key.plaintext) for key in minted)
    assert len({key.plaintext[-43:] for key in minted}) == 200
    assert all(key.hash == sha256_hex(key.plaintext.encode()) == hash_key(key.plaintext) for key in minted)


def test_a_key_names_its_row() -> None:
    assert mint_key("key_01jd").plaintext.startswith("hdl_01jd_")


def test_a_key_in_a_log_line_is_blanked() -> None:
    assert redact(f"sent {KEY.plaintext} to us") == f"sent {KEY.plaintext[:-43]}*** to us"


async def test_a_known_key_passes_and_is_looked_up_by_hash_only(client: httpx.AsyncClient, directory: Listed) -> None:
    answer = await client.get("/me", headers=bearer(KEY.plaintext))
    assert answer.json() == {"key": "key_1", "tenant": "ten_1", "epoch": 3}
    assert directory.asked == [KEY.hash]
    assert (await client.get("/me", headers={"Authorization": f"bearer  {KEY.plaintext} "})).status_code == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_key"),
        ({"Authorization": "Bearer"}, "malformed_authorization"),
        ({"Authorization": f"Basic {KEY.plaintext}"}, "malformed_authorization"),
        ({"Authorization": "Bearer " + "x" * (MAX_KEY_CHARACTERS + 1)}, "malformed_authorization"),
        (bearer(KEY.plaintext[:-1]), "unknown_key"),
        (bearer(mint_key().plaintext), "unknown_key"),
    ],
)
async def test_anything_else_is_a_401(client: httpx.AsyncClient, headers: dict[str, str], code: str) -> None:
    answer = await client.get("/me", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert answer.headers["www-authenticate"] == 'Bearer realm="heddle"'


async def test_of_two_keys_neither_is_believed(client: httpx.AsyncClient, directory: Listed) -> None:
    """A gateway in front of the plane may have looked at the other one."""
    good, other = (f"Bearer {key.plaintext}" for key in (KEY, OPERATOR))
    for pair in ((good, other), (good, good), (good, "")):
        answer = await client.get("/me", headers=[("Authorization", one) for one in pair])
        assert (answer.status_code, answer.json()["code"]) == (401, "malformed_authorization")
    assert directory.asked == []


async def test_a_scope_that_is_missing_is_named(client: httpx.AsyncClient) -> None:
    answer = await client.get("/approve", headers=bearer(KEY.plaintext))
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
    assert "approve" in answer.json()["detail"]
    assert "data, edits" in answer.json()["detail"]


async def test_one_of_several_scopes_is_enough_but_a_tenant_is_still_needed(client: httpx.AsyncClient) -> None:
    assert (await client.get("/either", headers=bearer(KEY.plaintext))).json() == "ten_1"
    answer = await client.get("/either", headers=bearer(OPERATOR.plaintext))
    assert (answer.status_code, answer.json()["code"]) == (403, "tenant_key_required")


def test_an_operator_has_no_tenant() -> None:
    with pytest.raises(Forbidden):
        _ = Principal("key_2", None, frozenset({"admin"})).tenant
