"""The studio in real Chromium over the real stack: sign in, read the card, approve, edit, watch a fit, roll back."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.e2e.studio_page import HELD_OUT, other_level
from tests.e2e.studio_stage import dead_letter
from tests.e2e.wire import LabelledImages, Wire

pytestmark = pytest.mark.timeout(240)


def distance(one: list[int], other: list[int]) -> float:
    return sum(abs(a - b) for a, b in zip(one[2:], other[2:], strict=True)) / len(one[2:])


def test_a_wrong_key_is_refused_in_words(open_studio: Callable[..., Any], fitted: Wire) -> None:
    with open_studio(fitted) as studio:
        studio.sign_in("hdl_nobody_has_this_key")
        expect(studio.page.get_by_role("alert")).to_contain_text("key")
        assert studio.page.evaluate("sessionStorage.length") == 0
        studio.page.get_by_label("API key").fill(studio.key)
        studio.page.get_by_role("button", name="Sign in").click()
        studio.page.get_by_role("heading", name="Edit", exact=True).wait_for()
        studio.page.get_by_role("button", name="Sign out").click()
        studio.page.get_by_role("heading", name="Sign in").wait_for()
        assert studio.page.evaluate("sessionStorage.length + localStorage.length") == 0


def test_an_empty_tenant_is_told_what_to_do(open_studio: Callable[..., Any], new_tenant: Callable[[], Wire]) -> None:
    with open_studio(new_tenant()) as studio:
        studio.sign_in()
        studio.page.get_by_role("heading", name="Nothing to edit with yet").wait_for()
        studio.open("Adapters")
        studio.page.get_by_role("heading", name="No adapter yet").wait_for()
        studio.open("Jobs")
        studio.page.get_by_role("heading", name="No job yet").wait_for()


def test_the_editor_is_taken_home_and_the_scorecard_runs_no_script(
    open_studio: Callable[..., Any], fitted: Wire
) -> None:
    with open_studio(fitted) as studio:
        studio.sign_in()
        studio.open("Adapters")
        studio.page.get_by_text("Take it home").last.click()
        studio.page.get_by_text("edits pictures without Heddle").last.wait_for()
        studio.check_layout()
        with studio.page.expect_download() as download:
            studio.page.get_by_role("button", name="Download the editor").last.click()
        assert download.value.suggested_filename == "avatars-1.editor.onnx"
        path = "/v1/adapters/avatars/versions/1/download"
        whole = fitted.control.get(path, params={"format": "editor"}).content
        assert download.value.path().read_bytes() == whole
        studio.page.get_by_role("button", name="Open scorecard").last.click()
        frame = studio.page.locator("dialog iframe")
        assert frame.get_attribute("sandbox") == "allow-same-origin"
        inside = studio.page.frame_locator("dialog iframe")
        inside.get_by_text("glasses").first.wait_for()
        assert inside.locator("body").evaluate("() => document.adoptedStyleSheets.length") >= 1
        assert inside.locator("body").evaluate("(body) => getComputedStyle(body).fontFamily") != "serif"
        assert inside.locator("script").count() == 0
        studio.page.get_by_role("dialog").get_by_role("button", name="Close").click()
        expect(studio.page.locator("dialog")).to_have_count(0)


def test_a_changed_factor_changes_the_picture_and_reset_brings_it_back(
    open_studio: Callable[..., Any], approved: Wire, micah: LabelledImages, stack: Any
) -> None:
    with open_studio(approved) as studio:
        studio.sign_in()
        studio.choose_picture(micah.images[HELD_OUT])
        original = studio.corner("original")
        assert studio.corner("edited") == original
        wanted = other_level(micah, "background")
        studio.set_level("background", wanted)
        edited = studio.corner("edited")
        assert edited[:2] == original[:2], "an edit keeps the picture's size"
        assert distance(edited, original) > 16, "the corner is background and must change"
        expect(studio.after("background")).to_contain_text(wanted)
        expect(studio.after("skin")).to_contain_text(micah.labels[HELD_OUT]["skin"])
        studio.page.get_by_role("button", name="Reset").click()
        expect(studio.page.locator(".facts")).to_be_empty()
        assert studio.corner("edited") == original
        allowed = {urlsplit(stack.control_url).netloc, urlsplit(stack.edge_url).netloc, ""}
        assert studio.hosts <= allowed, "the page works without any other host"


def test_an_edit_is_downloaded_copied_as_curl_without_the_key_and_judged(
    open_studio: Callable[..., Any], approved: Wire, micah: LabelledImages
) -> None:
    with open_studio(approved, permissions=["clipboard-read", "clipboard-write"]) as studio:
        studio.sign_in()
        studio.choose_picture(micah.images[HELD_OUT])
        studio.set_level("background", other_level(micah, "background"))
        with studio.page.expect_download() as download:
            studio.page.get_by_role("button", name="Download").click()
        picture = Image.open(io.BytesIO(download.value.path().read_bytes()))
        assert (picture.format, picture.size) == ("PNG", (128, 128))
        studio.page.get_by_role("button", name="Copy as curl").click()
        studio.page.get_by_text("Copied").wait_for()
        command = studio.page.evaluate("navigator.clipboard.readText()")
        assert command.startswith("curl ")
        assert "$HEDDLE_API_KEY" in command
        assert studio.key not in command
        assert '"background"' in command
        expect(studio.page.locator(".facts")).to_contain_text("the scorecard found that better")
        studio.page.get_by_role("button", name="Kept").click()
        studio.page.get_by_text("Noted as kept").wait_for()
        expect(studio.page.get_by_role("button", name="Kept")).to_have_attribute("aria-pressed", "true")
        (told,) = approved.call("GET", "/v1/feedback")["data"]
        assert (told["kept"], told["final"]) == (True, {"background": other_level(micah, "background")})
        studio.page.get_by_role("button", name="Discarded").click()
        studio.page.get_by_text("Noted as discarded").wait_for()
        assert [each["kept"] for each in approved.call("GET", "/v1/feedback")["data"]] == [False]


def test_what_was_copied_gives_the_same_picture(
    open_studio: Callable[..., Any], approved: Wire, micah: LabelledImages, tmp_path: Path
) -> None:
    """Both requests are run as a person would who pastes them beside the picture."""
    (tmp_path / "avatar.png").write_bytes(micah.images[HELD_OUT])
    with open_studio(approved, permissions=["clipboard-read", "clipboard-write"]) as studio:
        studio.sign_in()
        studio.choose_picture(micah.images[HELD_OUT])
        studio.set_level("background", other_level(micah, "background"))
        with studio.page.expect_download() as download:
            studio.page.get_by_role("button", name="Download").click()
        shown = download.value.path().read_bytes()
        environment = {**os.environ, "HEDDLE_API_KEY": studio.key}
        for language, command in (("curl", ["bash", "-euc"]), ("Python", [sys.executable, "-c"])):
            studio.page.evaluate("navigator.clipboard.writeText('')")
            studio.page.get_by_role("button", name=f"Copy as {language}").click()
            studio.page.wait_for_function("async () => (await navigator.clipboard.readText()) !== ''")
            copied = studio.page.evaluate("navigator.clipboard.readText()")
            done = subprocess.run(
                [*command, copied],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, (copied, done.stderr)
            edited = tmp_path / "edited.png"
            assert edited.read_bytes() == shown
            edited.unlink()


def test_factors_are_changed_by_keyboard_and_what_is_refused_says_why(
    open_studio: Callable[..., Any], approved: Wire, micah: LabelledImages
) -> None:
    gate = approved.call("GET", "/v1/adapters/avatars/versions/1")["gate"]["factors"]
    editable = next(name for name, verdict in gate.items() if verdict["passed"])
    with open_studio(approved) as studio:
        studio.sign_in()
        studio.choose_picture(micah.images[HELD_OUT])
        as_it_is = studio.factor(editable).get_by_role("radio").first
        as_it_is.focus()
        studio.page.keyboard.press("ArrowRight")
        expect(studio.factor(editable).get_by_role("radio").nth(1)).to_be_checked()
        expect(studio.after(editable)).not_to_have_text("–")
        for name, verdict in gate.items():
            expect(studio.factor(name).get_by_role("radio").first).to_be_enabled(enabled=verdict["passed"])
            if not verdict["passed"]:
                expect(studio.factor(name)).to_contain_text(verdict["reasons"][0])
        broken = {"name": "broken.png", "mimeType": "image/png", "buffer": b"\x89PNG\r\n\x1a\nnot really"}
        studio.page.set_input_files("#picture", broken)
        expect(studio.page.get_by_role("alert")).to_contain_text("image")


def test_a_dead_letter_is_sent_again_watched_live_approved_and_rolled_back(
    open_studio: Callable[..., Any], approved: Wire, stack: Any
) -> None:
    with open_studio(approved) as studio:
        studio.sign_in()
        studio.open("Jobs")
        studio.page.locator("article").first.wait_for()
        before = studio.page.locator("article").count()
        job = dead_letter(stack, approved)
        expect(studio.page.locator("article")).to_have_count(before + 1)  # the list finds it by itself
        newest = studio.page.locator("article").first
        expect(newest).to_contain_text("nothing is lost, retry it")
        newest.get_by_text("3 attempts").click()
        expect(newest).to_contain_text("attempt 3,")
        newest.get_by_role("button", name="Retry").click()
        expect(newest.get_by_role("link", name="Version")).to_be_visible(timeout=90_000)
        version = approved.call("GET", f"/v1/jobs/{job}")["result"]["version"]
        newest.get_by_text("What happened").click()
        expect(newest.get_by_text("sent again")).to_be_visible()
        newest.get_by_role("link", name=f"Version {version}").click()
        studio.page.get_by_role("heading", name=f"avatars, version {version}").wait_for()
        studio.page.get_by_role("button", name="Approve").click()
        studio.page.get_by_role("dialog").get_by_role("button", name="Approve").click()
        studio.page.get_by_text(f"production came to version {version} from version 1, by an approval").wait_for()
        studio.open("Adapters")
        studio.page.get_by_text(f"production: version {version}").wait_for()
        studio.page.get_by_role("button", name="Roll back to version 1").click()
        dialog = studio.page.get_by_role("dialog")
        expect(dialog).to_contain_text("The same factors stay editable")
        dialog.get_by_role("button", name="Roll back").click()
        studio.page.get_by_text("production: version 1").wait_for()
        studio.page.get_by_role("link", name="Report card").first.click()
        expect(studio.page.locator(".timeline")).to_contain_text(
            f"production came to version 1 from version {version}, rolled back, with key"
        )
    assert approved.call("GET", "/v1/adapters/avatars")["aliases"]["production"] == 1
