"""Ids, digests, keys, errors, edits, settings and logs: the words everybody uses."""

import io
import json
import logging
import pickle
import time

import pytest
import structlog
from pydantic import ValidationError

from heddle_platform import keys
from heddle_platform.digest import canonical_json, json_digest, sha256_hex
from heddle_platform.edits import parse_edit
from heddle_platform.errors import Detail, HeddleError, InvalidInput, RateLimited, TooLarge
from heddle_platform.ids import PREFIXES, derived_id, is_id, new_id
from heddle_platform.settings import DatabaseSettings, SecuritySettings
from heddle_platform.telemetry import configure_logging, redact


def test_ids_sort_by_time_and_carry_their_kind() -> None:
    first = new_id("job")
    time.sleep(0.002)
    second = new_id("job")
    assert first < second
    assert is_id(first, "job")
    assert not is_id(first, "ten")
    assert not is_id(first + "x", "job")
    assert len({new_id("ten") for _ in range(1000)}) == 1000
    assert all(is_id(new_id(prefix), prefix) for prefix in PREFIXES)  # type: ignore[arg-type]


def test_what_has_a_name_has_an_id_of_it() -> None:
    assert derived_id("itm", "a/ü.png") == derived_id("itm", "a/ü.png") != derived_id("itm", "a/u.png")
    assert all(is_id(derived_id("itm", f"{number}.png"), "itm") for number in range(100))


def test_canonical_json_has_one_spelling() -> None:
    assert canonical_json({"b": 1, "a": [1.5, "ä"]}) == '{"a":[1.5,"ä"],"b":1}'.encode()
    assert json_digest({"b": 1, "a": 2}) == json_digest({"a": 2, "b": 1})
    assert sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json(float("nan"))


@pytest.mark.parametrize("part", ["", "..", ".", "a/b"])
def test_no_key_can_leave_its_tenants_prefix(part: str) -> None:
    with pytest.raises(InvalidInput):
        keys.upload("ten_1", part)
    with pytest.raises(InvalidInput):
        keys.upload(part, "up_1")


def test_a_key_tells_the_digest_it_stands_under() -> None:
    for key, place in (
        (keys.dataset_images("ten_1", "d"), ("datasets", "d")),
        (keys.dataset_manifest("ten_1", "d"), ("datasets", "d")),
        (keys.latents("ten_1", "d", "b"), ("latents", "d")),
        (keys.adapter_file("ten_1", "a", "card.json"), ("adapters", "a")),
        (keys.upload("ten_1", "up_1"), None),
        (keys.dataset_images("ten_2", "d"), None),
    ):
        assert keys.addressed("ten_1", key) == place
    assert keys.latents("ten_1", "d", "b").startswith(keys.latents_of("ten_1", "d"))


def test_errors_survive_pickling_with_all_they_say() -> None:
    error = TooLarge("5 > 4", code="image_too_large", param="image", details=[Detail("/a", "b", "c", row=3)])
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is TooLarge
    assert (again.message, again.code, again.param, again.details) == (
        "5 > 4",
        "image_too_large",
        "image",
        error.details,
    )
    limited = RateLimited("slow down")
    limited.retry_after_seconds = 7.5
    assert pickle.loads(pickle.dumps(limited)).retry_after_seconds == 7.5
    assert isinstance(again, HeddleError)


def test_an_edit_names_its_adapter_and_alias() -> None:
    edit = parse_edit({"adapter": "avatars@3", "set": {"glasses": "round", "smile": True}, "shift": {"age": -5}})
    assert (edit.adapter_name, edit.adapter_reference, edit.detail) == ("avatars", "3", "auto")
    assert parse_edit({"adapter": "avatars"}).adapter_reference == "production"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"adapter": "a", "set": {"x": "1"}, "shift": {"x": 1}}, "both set and shift"),
        ({"adapter": "a", "set": {"x": "1"}, "preserve": ["x"]}, "edited and preserved"),
        ({"adapter": "a", "sett": {}}, "not permitted"),
        ({"adapter": "a", "detail": "sharp"}, "'auto', 'decode' or 'preserve'"),
        ([], "valid dictionary"),
    ],
)
def test_an_ambiguous_edit_is_refused(document: object, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        parse_edit(document)


def test_production_refuses_the_development_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEDDLE_ENVIRONMENT", "production")
    with pytest.raises(ValidationError, match="HEDDLE_SECRET_KEY must be set"):
        SecuritySettings()
    monkeypatch.setenv("HEDDLE_SECRET_KEY", "x" * 40)
    assert SecuritySettings().environment == "production"


def test_settings_hide_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEDDLE_DATABASE_URL", "postgresql+asyncpg://me:hunter2@host/db")
    assert "hunter2" not in repr(DatabaseSettings())  # type: ignore[call-arg,unused-ignore]


def test_logs_are_json_lines_without_secrets() -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        configure_logging("test")
        handler = root.handlers[0]
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(stream)
        structlog.get_logger().info("key_made", api_key="hdl_abc_secret", url="redis://:pw123@127.0.0.1/0", rows=3)
        logging.getLogger("other").warning("GET /x?X-Amz-Signature=0123abcd with hdl_abc_verysecret")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["event"], first["rows"], first["process"], first["api_key"]) == ("key_made", 3, "test", "***")
    assert all(word not in stream.getvalue() for word in ("secret", "pw123", "0123abcd"))
    assert "hdl_abc_***" in second["event"]


def test_redaction_keeps_the_rest_readable() -> None:
    assert redact("postgresql://user:pw@host/db") == "postgresql://user:***@host/db"
