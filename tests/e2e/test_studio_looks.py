"""Every page of the studio, light and dark, wide and 390 pixels: nothing sticks out, all is named."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator

from tests.e2e.studio_page import HELD_OUT, PHONE, Studio, opened, other_level
from tests.e2e.studio_stage import dead_letter
from tests.e2e.wire import LabelledImages, Wire

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def furnished(two_versions: Wire, micah: LabelledImages, stack: Any) -> Wire:
    """A tenant with something to see on every page: sets, versions, jobs, a trial, a webhook."""
    bad = b"file,skin\n00000.png,plaid\nnope.png,ivory\n"
    two_versions.dataset(micah.archive(range(3), labels__csv=bad), micah.factor_set, name="second try")
    dead_letter(stack, two_versions)
    hook = {"url": "https://hooks.example.invalid/heddle", "description": "the shop"}
    two_versions.call("POST", "/v1/webhook_endpoints", json=hook)
    return two_versions


def test_every_view_fits_and_names_its_controls(
    open_studio: Callable[..., Any], furnished: Wire, micah: LabelledImages
) -> None:
    with open_studio(furnished) as studio:
        page = studio.page
        page.goto(studio.control_url)
        page.get_by_label("API key").wait_for()
        studio.shoot("sign-in")
        studio.sign_in()
        page.goto(f"{studio.control_url}/#/edit/avatars/production")
        page.locator(".drop").wait_for()
        studio.shoot("edit-empty")
        studio.choose_picture(micah.images[HELD_OUT])
        studio.set_level("background", other_level(micah, "background"))
        page.get_by_role("button", name="Draw the grid").click()
        page.get_by_text("Pick a picture to set its factor").wait_for()
        studio.shoot("edit")
        page.get_by_role("button", name="Split").click()
        studio.shoot("edit-split")
        page.get_by_role("button", name="Difference").click()
        page.get_by_text("of the pixels differ").wait_for()
        studio.shoot("edit-difference")
        studio.open("Data")
        page.get_by_label("Factor set avatars").wait_for()
        studio.shoot("data")
        page.get_by_role("button", name="Register factors").click()
        studio.shoot("dialog-factors")
        page.keyboard.press("Escape")
        page.get_by_label("Labelled set set").get_by_role("link", name="Validation report").click()
        page.get_by_role("grid", name="Images by").wait_for()
        studio.shoot("report")
        studio.open("Data")
        page.get_by_label("Labelled set second try").get_by_role("link", name="Validation report").click()
        page.get_by_role("table").first.wait_for()
        studio.shoot("report-faults")
        studio.open("Jobs")
        page.get_by_text("3 attempts").wait_for()
        studio.shoot("jobs")


def test_every_view_of_adapters_and_the_account_fits(open_studio: Callable[..., Any], furnished: Wire) -> None:
    with open_studio(furnished) as studio:
        page = studio.page
        studio.sign_in()
        studio.open("Adapters")
        page.get_by_role("button", name="Start a trial").click()
        studio.shoot("dialog-trial")
        page.keyboard.press("Escape")
        studio.shoot("adapters")
        page.get_by_role("link", name="Report card").last.click()
        page.locator(".timeline time").first.wait_for()
        page.get_by_text("in the last 7 days").wait_for()
        studio.shoot("card")
        page.get_by_role("button", name="Open scorecard").last.click()
        page.frame_locator("dialog iframe").get_by_text("glasses").first.wait_for()
        studio.shoot("scorecard")
        page.get_by_role("dialog").get_by_role("button", name="Close").click()
        studio.open("Account")
        page.locator(".hours svg").wait_for()
        studio.shoot("account-usage")
        tab(studio, "API keys", page.get_by_role("article").first)
        studio.shoot("account-keys")
        page.get_by_role("button", name="New key").click()
        studio.shoot("dialog-key")
        page.keyboard.press("Escape")
        tab(studio, "Webhooks", page.get_by_role("article").first)
        page.get_by_text("Deliveries").click()
        page.get_by_text("Nothing was sent yet").wait_for()
        studio.shoot("account-webhooks")
        tab(studio, "Activity", page.locator(".timeline time").first)
        studio.shoot("account-activity")


def test_every_view_of_operators_fits_and_names_its_controls(browser: Browser, stack: Any, furnished: Wire) -> None:
    with opened(browser, stack.control_url, stack.admin_key) as studio:
        page = studio.page
        studio.sign_in()
        page.get_by_role("table").wait_for()
        studio.shoot("operator-tenants")
        page.get_by_role("button", name="New tenant").click()
        studio.shoot("dialog-tenant")
        page.keyboard.press("Escape")
        page.goto(f"{studio.control_url}/#/tenants/{furnished.id}")
        page.locator(".quota").wait_for()
        studio.shoot("operator-tenant")
        page.get_by_role("button", name="Set limits").click()
        page.get_by_label("Labelled rows").wait_for()
        studio.shoot("dialog-limits")
        page.keyboard.press("Escape")
        studio.open("Cluster")
        page.locator("main .panel, main .empty").first.wait_for()
        studio.shoot("operator-cluster")
        studio.open("Bases")
        page.get_by_role("button", name="Open model card").first.wait_for()
        studio.shoot("operator-bases")
        studio.open("Rollouts")
        page.locator("main .empty, main article").first.wait_for()
        studio.shoot("operator-rollouts-empty")


def tab(studio: Studio, name: str, there: Locator) -> None:
    studio.page.get_by_role("navigation", name="Account").get_by_role("link", name=name).click()
    there.wait_for()


def test_colours_follow_the_system_until_somebody_chooses(open_studio: Callable[..., Any], approved: Wire) -> None:
    with open_studio(approved, color_scheme="dark") as studio:
        page = studio.page
        page.goto(studio.control_url)
        page.get_by_label("API key").wait_for()
        paper = "getComputedStyle(document.body).backgroundColor"
        dark = page.evaluate(paper)
        page.get_by_role("button", name="Colours").click()
        assert page.evaluate(paper) != dark
        page.reload()
        assert page.evaluate(paper) != dark, "the choice is remembered"


def test_what_a_card_warns_of_is_told_in_whole_sentences(open_studio: Callable[..., Any], approved: Wire) -> None:
    with open_studio(approved) as studio:
        studio.page.goto(studio.control_url)
        told = studio.page.evaluate(
            """async () => {
              const { cardView } = await import("/studio/js/card_view.js");
              const version = {
                adapter: "avatars", version: 2, status: "refused", verdict: "fail", aliases: [],
                created_at: "2026-01-02T03:04:05Z", gate: { reasons: ["smile reads .4, .9 is wanted"], factors: {} },
              };
              const warnings = [{ detail: "smile moves too little", action: "label more of it" }];
              const card = { labels: 9, factors: [], warnings };
              const get = async (path) => {
                if (path.endsWith("/card")) return card;
                return path.includes("/versions/") ? version : { id: "ada_1", aliases: {} };
              };
              const api = { scopes: [], get, list: async () => [], getIfThere: async () => null };
              const view = cardView(api, ["avatars", "2"]);
              await view.start();
              view.stop();
              return [...view.element.querySelectorAll(".sentences li")].map((each) => each.textContent);
            }"""
        )
    assert told == ["Smile reads .4, .9 is wanted.", "Smile moves too little. Label more of it."]


def test_motion_is_still_where_asked_for_and_targets_fit_a_finger(
    open_studio: Callable[..., Any], approved: Wire, micah: LabelledImages
) -> None:
    with open_studio(approved, viewport=PHONE, has_touch=True, reduced_motion="reduce") as studio:
        studio.sign_in()
        studio.choose_picture(micah.images[HELD_OUT])
        studio.check_layout()
        small = studio.page.evaluate(
            """() => [...document.querySelectorAll("button, .chip, nav a, select, input[type=number]")]
                 .filter((one) => one.offsetParent && one.getBoundingClientRect().height < 38)
                 .map((one) => one.outerHTML.slice(0, 120))"""
        )
        assert small == []
        moving = studio.page.evaluate(
            "document.getAnimations().filter((one) => one.effect.getComputedTiming().duration > 0).length"
        )
        assert moving == 0


def test_the_checksum_and_the_stream_are_read_right(open_studio: Callable[..., Any], approved: Wire) -> None:
    data = bytes(range(256)) * 517
    with open_studio(approved) as studio:
        page = studio.page
        page.goto(studio.control_url)
        found = page.evaluate(
            """async ([size, pieces]) => {
              const { Sha256 } = await import("/studio/js/sha256.js");
              const whole = Uint8Array.from({ length: size }, (_, place) => place % 256);
              const hash = new Sha256();
              for (let at = 0, turn = 0; at < size; turn++) {
                const step = pieces[turn % pieces.length];
                hash.update(whole.subarray(at, at + step));
                at += step;
              }
              return [hash.hex(), new Sha256().hex()];
            }""",
            [len(data), [1, 63, 64, 65, 1000]],
        )
        assert found == [hashlib.sha256(data).hexdigest(), hashlib.sha256(b"").hexdigest()]
        events = page.evaluate(
            """async () => {
              const { readEvents } = await import("/studio/js/follow.js");
              const first = 'id: 7\\nevent: created\\ndata: {"a": 1}';
              const pieces = [first, ": still here", 'event: progress\\ndata: {"b": "ü"}'];
              const bytes = new TextEncoder().encode(pieces.map((piece) => `${piece}\\n\\n`).join(""));
              const start = (out) => { for (const one of bytes) out.enqueue(Uint8Array.of(one)); out.close(); };
              const body = new ReadableStream({ start });
              const found = [];
              await readEvents(body, (event) => found.push(event));
              return found;
            }"""
        )
        assert events == [
            {"id": "7", "event": "created", "data": '{"a": 1}'},
            {"event": "progress", "data": '{"b": "ü"}'},
        ]
