"""Bodies of numbers are decoded by another parser than all the rest, and mean the same."""

import json
import math
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI, Request
from httpx import ASGITransport, AsyncClient

from heddle_api.control.bulk import BulkRoute

DEEP = "[" * 300 + "]" * 300


def planes() -> list[AsyncClient]:
    """One that decodes as this route does, and one that decodes as all others do."""
    clients = []
    for quick in (True, False):
        app = FastAPI()
        if quick:
            app.router.route_class = BulkRoute

        @app.post("/echo")
        async def echo(body: dict[str, Any] | list[Any] | None, request: Request) -> str:
            return repr(await request.json())

        clients.append(AsyncClient(transport=ASGITransport(app), base_url="http://plane"))
    return clients


@pytest.mark.parametrize(
    "body",
    [
        b'{"latents": [[0.1, -1.25e-3, 5e-324, 0.30000000000000004, 1.7976931348623157e308, -0.0]]}',
        b'{"a": 1, "a": 2, "big": 123456789012345678901234567890}',
        b"[NaN, Infinity, -Infinity, 1e999]",
        b'{"lone": "\\ud800"}',
        '{"smile": "ja \u00e9"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": 1,}',
        b'{"a": 1} x',
        b"[01]",
        b"[1",
        b'{"a": "\xff"}',
        DEEP.encode(),
        b"null",
        b"",
    ],
)
async def test_a_body_means_what_it_means_elsewhere(body: bytes) -> None:
    quick, plain = planes()
    answers = [
        await client.post("/echo", content=body, headers={"content-type": "application/json"})
        for client in (quick, plain)
    ]
    assert (answers[0].status_code, answers[0].text) == (answers[1].status_code, answers[1].text)


async def test_random_numbers_are_the_same_to_the_last_bit() -> None:

    bits = np.random.default_rng(0).integers(0, 2**63, size=20_000).view(np.float64)
    numbers = [number for number in bits.tolist() if math.isfinite(number)]
    quick, _ = planes()
    answer = await quick.post("/echo", content=json.dumps(numbers), headers={"content-type": "application/json"})
    assert answer.json() == repr(numbers)
