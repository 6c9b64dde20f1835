"""Every page of the studio, light and dark, wide and 390 pixels: nothing sticks out, all is named."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.e2e.studio_page import HELD_OUT, PHONE, Studio, opened, other_level
from tests.e2e.wire import LabelledImages, Wire

pytestmark = pytest.mark.timeout(240)
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"color_scheme": "light", "viewport": PHONE, "has_touch": True},
    "phone-dark": {"color_scheme": "dark", "viewport": PHONE, "has_touch": True},
}


@pytest.fixture(scope="module")
def furnished(approved: Wire, micah: LabelledImages) -> Wire:
    """A tenant with a set in production, a rejected set, and a version before the one in production."""
    bad = b"file,skin\n00000.png,plaid\nnope.png,ivory\n"
    approved.dataset(micah.archive(range(3), labels__csv=bad), micah.factor_set, name="second try")
    return approved


@pytest.mark.parametrize("look", LOOKS)
def test_every_view_fits_and_names_its_controls(
    look: str, open_studio: Callable[..., Any], furnished: Wire, micah: LabelledImages
) -> None:
    with open_studio(furnished, **LOOKS[look]) as studio:
        page = studio.page
        page.goto(studio.control_url)
        page.get_by_label("API key").wait_for()
        shoot(studio, f"{look}-sign-in")
        studio.sign_in()
        page.goto(f"{studio.control_url}/#/edit/avatars/production")
        page.locator(".drop").wait_for()
        shoot(studio, f"{look}-edit-empty")
        studio.choose_picture(micah.images[HELD_OUT])
        studio.set_level("background", other_level(micah, "background"))
        page.get_by_role("button", name="Draw the grid").click()
        page.get_by_text("Pick a picture to set its factor").wait_for()
        shoot(studio, f"{look}-edit")
        page.get_by_role("button", name="Split").click()
        shoot(studio, f"{look}-edit-split")
        page.get_by_role("button", name="Difference").click()
        page.get_by_text("of the pixels differ").wait_for()
        shoot(studio, f"{look}-edit-difference")
        studio.open("Data")
        page.get_by_label("Factor set avatars").wait_for()
        shoot(studio, f"{look}-data")
        page.get_by_label("Labelled set set").get_by_role("link", name="Validation report").click()
        page.get_by_role("grid", name="Images by").wait_for()
        shoot(studio, f"{look}-report")
        studio.open("Data")
        page.get_by_label("Labelled set second try").get_by_role("link", name="Validation report").click()
        page.get_by_role("table").first.wait_for()
        shoot(studio, f"{look}-report-faults")
        studio.open("Adapters")
        page.get_by_role("button", name="Open scorecard").last.wait_for()
        shoot(studio, f"{look}-adapters")
        page.get_by_role("link", name="Report card").last.click()
        page.locator(".timeline time").first.wait_for()
        shoot(studio, f"{look}-card")
        page.get_by_role("button", name="Open scorecard").last.click()
        page.frame_locator("dialog iframe").get_by_text("glasses").first.wait_for()
        shoot(studio, f"{look}-scorecard")
        page.get_by_role("dialog").get_by_role("button", name="Close").click()
        studio.open("Jobs")
        page.locator("article .events li").first.wait_for(state="attached")
        shoot(studio, f"{look}-jobs")


@pytest.mark.parametrize("look", LOOKS)
def test_every_view_of_operators_fits_and_names_its_controls(look: str, browser: Browser, stack: Any) -> None:
    with opened(browser, stack.control_url, stack.admin_key, **LOOKS[look]) as studio:
        page = studio.page
        studio.sign_in()
        page.get_by_role("table").wait_for()
        shoot(studio, f"{look}-operator-tenants")
        page.get_by_role("button", name="New tenant").click()
        shoot(studio, f"{look}-operator-new-tenant")
        page.keyboard.press("Escape")
        studio.open("Cluster")
        page.locator("main .panel, main .empty").first.wait_for()
        shoot(studio, f"{look}-operator-cluster")
        studio.open("Bases")
        page.get_by_role("button", name="Open model card").first.wait_for()
        shoot(studio, f"{look}-operator-bases")


def shoot(studio: Studio, name: str) -> None:
    studio.check_layout()
    studio.check_contrast()
    studio.screenshot(name)


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
