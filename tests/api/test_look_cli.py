"""Commands on pictures: what is read, a traversal, what to ask for instead, and batches; the edge is scripted."""

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response
from typer.testing import Result

from heddle_api.client import HeddleClient
from tests.api.live import Script, served
from tests.api.test_control_cli import run

READINGS = {"glasses": {"value": "none", "confidence": 0.98}, "age": {"value": 31.5, "confidence": 0.6}}
TAKEN = {
    "image_id": "img_1",
    "width": 8,
    "height": 6,
    "adapter": "avatars@3",
    "readings": READINGS,
    "expires_at": "2026-01-02T03:04:05Z",
}
BATCH: dict[str, Any] = {"id": "bat_1", "status": "done", "items": 2, "done": 2, "failed": 1}
ITEMS = [
    {"item": 0, "image": 0, "edit": 0, "status": "done"},
    {"item": 1, "image": 1, "edit": 0, "status": "failed", "code": "image_damaged", "message": "the image is damaged"},
]


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "me.png"
    path.write_bytes(b"pixels")
    return str(path)


def asked(answer: Response, *arguments: str) -> tuple[Result, Script]:
    """Run a command against an edge that gives one answer."""
    script = Script([answer])
    with served(script) as url:
        return run(*arguments, "--edge-url", url, key="key", url=url), script


def test_every_factor_is_read_with_how_sure_it_is(picture: str) -> None:
    result, script = asked(JSONResponse(TAKEN, 201), "read", picture, "--adapter", "avatars")
    assert result.exit_code == 0, result.output
    assert [line.split() for line in result.stdout.splitlines()[1:]] == [
        ["glasses", "none", "98%"],
        ["age", "31.5", "60%"],
    ]
    assert b'name="adapter"\r\n\r\navatars' in script.requests[0][3]
    result, _ = asked(JSONResponse(TAKEN, 201), "read", picture, "--adapter", "avatars", "--json")
    assert json.loads(result.stdout) == TAKEN


def test_a_traversal_is_written_and_its_values_told(picture: str, tmp_path: Path) -> None:
    target = tmp_path / "strip.webp"
    headers = {"X-Grid-Values": "[0.5, 2.0]", "X-Adapter-Version": "avatars@3"}
    arguments = ("grid", picture, "--adapter", "avatars", "--factor", "age", "--steps", "2", "-o", str(target))
    result, script = asked(Response(b"strip", headers=headers), *arguments, "--preserve", "skin")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"wrote {target}  (avatars@3), from left to right: 0.5, 2\n"
    assert target.read_bytes() == b"strip"
    _, path, sent, body = script.requests[0]
    assert (path, sent["accept"]) == ("/v1/edits/grid", "image/webp")
    wanted = {"adapter": "avatars", "factor": "age", "steps": 2, "preserve": ["skin"], "detail": "auto"}
    assert json.dumps(wanted).encode() in body


@pytest.mark.parametrize(
    ("suggestion", "said"),
    [
        ({"reason": "image_outside"}, "The picture itself is unlike your labelled images"),
        (
            {
                "reason": "edit_outside",
                "strength": 0.5,
                "set": {"age": 40.25},
                "shift": {"size": -1},
                "leave": ["skin"],
            },
            "Inside it would be: --set age=40.25 --shift size=-1, without skin",
        ),
        ({"reason": "edit_outside", "strength": 0.0, "leave": ["skin", "hair"]}, "leave skin, hair as it is"),
        ({"reason": "edit_outside", "strength": 0.5}, "set fewer factors at once"),
    ],
)
def test_an_edit_beyond_trust_says_what_to_ask_for_instead(
    picture: str, tmp_path: Path, suggestion: dict[str, Any], said: str
) -> None:
    headers = {
        "X-Extrapolation": "1.50",
        "X-Suggestion": json.dumps(suggestion),
        "X-Detail": "decode",
        "X-Detail-Reason": "requested",
    }
    arguments = ("edit", picture, "--adapter", "avatars", "--set", "age=80", "-o", str(tmp_path / "out.png"))
    result, _ = asked(Response(b"edited", headers=headers), *arguments)
    assert (result.exit_code, said in result.stdout) == (0, True), result.output
    result, _ = asked(Response(b"edited", headers=headers), *arguments, "--json")
    document = json.loads(result.stdout)
    assert document["suggestion"] == suggestion
    assert (document["detail"], document["detail_reason"]) == ("decode", "requested")


def test_the_client_hands_on_what_the_edge_suggests_and_why_it_drew_so(tmp_path: Path) -> None:
    suggestion = {"reason": "image_outside"}
    headers = {"X-Extrapolation": "1.5", "X-Suggestion": json.dumps(suggestion), "X-Detail": "preserve"}
    script = Script([Response(b"far", headers=headers), Response(b"near")])
    with served(script) as url, HeddleClient(url, url, "key") as client:
        far = client.edit(b"pixels", {"adapter": "avatars"})
        near = client.edit(b"pixels", {"adapter": "avatars"})
    assert (far.suggestion, far.detail) == (suggestion, "preserve")
    assert (near.suggestion, near.extrapolation) == (None, None)


def test_a_batch_is_shown_item_by_item(picture: str) -> None:
    result, script = asked(JSONResponse({**BATCH, "results": ITEMS}), "batch", "show", "bat_1")
    assert result.exit_code == 0, result.output
    assert "bat_1 is done: 2 of 2 done, 1 failed" in result.stdout
    assert "the image is damaged" in result.stdout
    assert script.requests[0][1] == "/v1/edit_batches/bat_1"


def test_a_batch_is_taken_home_and_deleted(tmp_path: Path) -> None:
    target = tmp_path / "pictures.zip"
    result, script = asked(Response(b"zip"), "batch", "download", "bat_1", "-o", str(target))
    assert (result.exit_code, target.read_bytes()) == (0, b"zip"), result.output
    assert script.requests[0][1] == "/v1/edit_batches/bat_1/download"
    result, script = asked(Response(status_code=204), "batch", "delete", "bat_1", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"deleted": "bat_1"})
    assert script.requests[0][:2] == ("DELETE", "/v1/edit_batches/bat_1")


def test_a_folder_is_edited_by_shifts_too(picture: str, tmp_path: Path) -> None:
    results = [{"item": 0, "image": 0, "edit": 0, "status": "done"}]
    done = {"id": "bat_1", "status": "done", "items": 1, "done": 1, "failed": 0, "results": results}
    script = Script([JSONResponse(done, 202), JSONResponse(done), Response(b"edited")])
    target = tmp_path / "out"
    with served(script) as url:
        arguments = ("batch", "run", str(tmp_path), "--adapter", "avatars", "--shift", "age=5", "-o", str(target))
        result = run(*arguments, "--edge-url", url, key="key", url=url)
    assert result.exit_code == 0, result.output
    assert (target / "me.png").read_bytes() == b"edited"
    assert b'"shift": {"age": 5.0}' in script.requests[0][3]
