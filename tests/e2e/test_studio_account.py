"""The account on the page: limits and usage, keys, webhooks, trials; and what operators set of it."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.studio_page import HELD_OUT, opened, other_level
from tests.e2e.wire import LabelledImages, Wire

pytestmark = pytest.mark.timeout(240)


def test_limits_set_by_an_operator_show_with_what_is_used(
    open_studio: Callable[..., Any], browser: Browser, stack: Any, approved: Wire, micah: LabelledImages
) -> None:
    approved.edit_when_served(
        micah.images[HELD_OUT], {"adapter": "avatars", "set": {"background": other_level(micah, "background")}}
    )
    with opened(browser, stack.control_url, stack.admin_key) as studio:
        page = studio.page
        studio.sign_in()
        page.get_by_label("Find a tenant").fill(approved.id)
        page.get_by_role("table").get_by_role("link").click()
        page.get_by_role("heading", name="Usage by the hour").wait_for()
        page.get_by_role("button", name="Set limits").click()
        page.get_by_label("Adapters", exact=True).fill("1")
        page.get_by_label("Jobs waiting").fill("50")
        page.get_by_role("dialog").get_by_role("button", name="Set", exact=True).click()
        expect(page.locator('[data-limit="queued_jobs"]')).to_contain_text("of 50")
    with open_studio(approved) as studio:
        page = studio.page
        studio.sign_in()
        studio.open("Account")
        full = page.locator('[data-limit="adapters"]')
        expect(full).to_contain_text("set for this tenant")
        expect(full).to_contain_text("nothing more is taken")
        expect(page.locator('[data-limit="labelled_rows"]')).to_contain_text(re.compile(r"of [\d,]+"))
        page.get_by_label("What is counted").select_option("images_encoded")
        expect(page.locator(".hours figcaption")).to_contain_text("in all, most at")
        expect(page.locator(".hours .column")).not_to_have_count(0)
        page.get_by_role("button", name="7 days").click()
        page.get_by_text("The same as a table").click()
        expect(page.locator(".hours tbody tr").first).to_be_visible()
    operator = httpx.Client(base_url=stack.control_url, headers={"Authorization": f"Bearer {stack.admin_key}"})
    with operator:
        path = f"/v1/admin/tenants/{approved.id}/quota"
        tag = operator.get(path).headers["ETag"]
        operator.put(path, json={}, headers={"If-Match": tag}).raise_for_status()


def test_a_key_is_made_rotated_and_revoked(open_studio: Callable[..., Any], approved: Wire) -> None:
    with open_studio(approved, permissions=["clipboard-read", "clipboard-write"]) as studio:
        page = studio.page
        studio.sign_in()
        studio.open("Account")
        page.get_by_role("link", name="API keys").click()
        expect(page.get_by_text("the one you use")).to_be_visible()
        page.get_by_role("button", name="New key").click()
        page.get_by_label("Where it is used").fill("shop front")
        page.get_by_role("button", name="Make the key").click()
        secret = page.get_by_label("API key", exact=True).inner_text()
        page.get_by_role("button", name="Copy").click()
        page.get_by_text("Copied.").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == secret
        assert scopes_of(approved, secret) == ["edits", "feedback"]
        page.get_by_role("button", name="I have it").click()
        expect(page.locator("dialog")).to_have_count(0)
        assert secret not in page.content(), "it is shown once"
        page.get_by_role("button", name="Rotate shop front").click()
        page.get_by_label("The old secret goes on working").select_option("0")
        page.get_by_role("dialog").get_by_role("button", name="Rotate").click()
        fresh = page.get_by_label("API key", exact=True).inner_text()
        page.get_by_role("button", name="I have it").click()
        assert fresh != secret
        assert scopes_of(approved, secret) == []
        assert scopes_of(approved, fresh) == ["edits", "feedback"]
        page.get_by_role("button", name="Revoke shop front").click()
        page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        expect(page.get_by_role("button", name="Revoke shop front")).to_have_count(0)
        page.get_by_text("Revoked and expired").click()
        expect(page.get_by_label("Key shop front")).to_contain_text("revoked")
        assert scopes_of(approved, fresh) == []
        page.get_by_role("link", name="Activity").click()
        expect(page.locator(".timeline")).to_contain_text("Rotate key")


def test_a_key_without_every_scope_is_told_so(open_studio: Callable[..., Any], approved: Wire) -> None:
    made = approved.call("POST", "/v1/api_keys", json={"name": "weak", "scopes": ["edits", "adapters"]})
    with open_studio(approved) as studio:
        studio.sign_in(made["api_key"])
        studio.open("Account")
        studio.page.get_by_role("link", name="API keys").click()
        expect(studio.page.get_by_role("alert")).to_contain_text("scope")


def test_a_webhook_is_added_fails_in_words_and_is_sent_again(open_studio: Callable[..., Any], approved: Wire) -> None:
    dataset = approved.call("GET", "/v1/datasets")["data"][-1]["id"]
    with open_studio(approved) as studio:
        page = studio.page
        studio.sign_in()
        studio.open("Account")
        page.get_by_role("link", name="Webhooks").click()
        page.get_by_role("button", name="Add an endpoint").click()
        page.get_by_label("Address").fill("http://127.0.0.1/steal")
        page.get_by_role("dialog").get_by_role("button", name="Add").click()
        expect(page.get_by_role("alert")).to_contain_text("https")
        page.get_by_label("Address").fill("https://hooks.example.invalid/heddle")
        page.get_by_role("dialog").get_by_role("button", name="Add").click()
        assert page.get_by_label("Signing secret").inner_text().startswith("whsec_")
        page.get_by_role("button", name="I have it").click()
        job = approved.queue_fit(dataset, "avatars", card="brief")
        approved.call("POST", f"/v1/jobs/{job}/cancel")
        approved.wait(job)
        page.get_by_text("Deliveries").click()
        row = page.get_by_role("row").filter(has_text="job ")
        again(page, row.first)
        expect(row.first).to_contain_text("its name cannot be resolved", timeout=15_000)
        row.first.get_by_role("button").click()
        page.get_by_text("It is sent once more.").wait_for()
        page.get_by_role("button", name="Disable").click()
        expect(page.get_by_role("button", name="Enable")).to_be_visible()
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        page.get_by_role("heading", name="Nobody is told yet").wait_for()


def again(page: Any, row: Any) -> None:
    """Press Look again until the delivery was tried."""
    for _ in range(60):
        page.get_by_role("button", name="Look again").click()
        page.wait_for_load_state("networkidle")
        if row.count() and "cannot be resolved" in row.inner_text():
            return


def test_a_trial_is_started_and_a_rollback_ends_it_first(open_studio: Callable[..., Any], two_versions: Wire) -> None:
    path = "/v1/adapters/avatars/aliases/production"
    with open_studio(two_versions) as studio:
        page = studio.page
        studio.sign_in()
        studio.open("Adapters")
        production = two_versions.call("GET", path)["version"]
        page.get_by_role("button", name="Start a trial").click()
        page.get_by_label("Share of images").fill("25")
        page.get_by_role("dialog").get_by_role("button", name="Start").click()
        expect(page.get_by_text("25 % of images")).to_be_visible()
        page.get_by_role("button", name="Change the trial").click()
        page.get_by_label("How").select_option("shadow")
        page.get_by_role("dialog").get_by_role("button", name="Start").click()
        expect(page.get_by_text("shadow: version")).to_be_visible()
        now = two_versions.call("GET", path)
        assert now["canary"]["weight"] == 0.25, "the shadow runs beside the canary"
        assert now["shadow"] == now["canary"]["version"] != production
        page.get_by_role("button", name="End the shadow").click()
        expect(page.get_by_text("shadow: version")).to_have_count(0)
        page.get_by_role("button", name="Roll back", exact=True).click()
        expect(page.get_by_role("dialog")).to_contain_text("The trial ends first")
        page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
        expect(page.get_by_text("nothing; production answers every image")).to_be_visible()
    after = two_versions.call("GET", path)
    assert (after["version"], after["canary"], after["shadow"]) == (production, None, None)


def scopes_of(wire: Wire, key: str) -> list[str]:
    answer = httpx.get(f"{wire.control.base_url}/v1/me", headers={"Authorization": f"Bearer {key}"}, timeout=30)
    return list(answer.json()["scopes"]) if answer.is_success else []
