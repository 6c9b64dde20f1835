"""A rollout on the page, over the real stack: a dry run, its report, in earnest, on after the canary, and back."""

import pytest
from playwright.sync_api import Browser, expect

from tests.conftest import RunningStack
from tests.e2e.studio_page import Studio, opened
from tests.e2e.wire import Wire

pytestmark = pytest.mark.timeout(240)
FITTED_MS = 90_000


def test_a_base_is_rolled_out_and_taken_back(
    browser: Browser, stack: RunningStack, approved: Wire, turned: str
) -> None:
    path = "/v1/adapters/avatars/aliases/production"
    before = approved.call("GET", path)["version"]
    with opened(browser, stack.control_url, stack.admin_key) as studio:
        page = studio.page
        studio.sign_in()
        studio.open("Rollouts")
        page.locator("main .empty, main article").first.wait_for()
        known = page.get_by_role("article").count()
        page.get_by_role("button", name="Start a rollout").click()
        page.get_by_label("Base", exact=True).select_option(turned)
        page.get_by_label("Only these tenants").fill(approved.id)
        studio.shoot("dialog-rollout")
        page.get_by_role("dialog").get_by_role("button", name="Start").click()
        row = page.get_by_role("row").filter(has_text=approved.id).filter(has_text="avatars")
        badge = page.locator("h1 + .badge")
        expect(badge).to_have_text("reported", timeout=FITTED_MS)
        expect(row).to_contain_text(outcome(studio, approved))
        studio.shoot("operator-rollout")
        assert approved.call("GET", path)["version"] == before, "a dry run moves nothing"
        page.get_by_role("button", name="Roll it out in earnest").click()
        expect(page.get_by_label("Only these tenants")).to_have_value(approved.id)
        page.get_by_role("dialog").get_by_role("button", name="Start").click()
        expect(badge).to_have_text("canary: waits for you", timeout=FITTED_MS)
        expect(row).to_contain_text("moved")
        assert approved.call("GET", path)["version"] > before
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("dialog").get_by_role("button", name="Continue").click()
        expect(badge).to_have_text("complete")
        page.get_by_role("button", name="Roll back").click()
        page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
        expect(badge).to_have_text("rolled back")
        studio.open("Rollouts")
        expect(page.get_by_role("article")).to_have_count(known + 2)
        studio.shoot("operator-rollouts")
    assert approved.call("GET", path)["version"] == before


def outcome(studio: Studio, approved: Wire) -> str:
    """What the report says of the tenant's adapter, as the page words it."""
    rollout = studio.page.url.rpartition("/")[2]
    key = {"Authorization": f"Bearer {studio.key}"}
    report = approved.control.get(f"/v1/rollouts/{rollout}/report", headers=key).json()
    return str(next(each["outcome"] for each in report["adapters"] if each["adapter"] == "avatars"))
