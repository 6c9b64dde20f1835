"""Every page of the studio, light and dark, wide and 390 pixels: nothing sticks out, all is named; pictures are kept."""

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
