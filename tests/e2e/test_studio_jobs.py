"""What jobs leave, on the page: an export's archive is taken home whole or not at all, a sweep's report is read."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from heddle_platform.digest import sha256_hex
from tests.e2e.studio_page import opened
from tests.e2e.studio_stage import finished_sweep
from tests.e2e.wire import Wire

pytestmark = pytest.mark.timeout(240)


def answering(answer: dict[str, Any]) -> Callable[[Route], None]:
    """Play an object store that answers so."""
    return lambda route: route.fulfill(**answer)


def test_an_archive_is_taken_home_whole_or_not_at_all(open_studio: Callable[..., Any], approved: Wire) -> None:
    body = {"type": "export", "adapter": "avatars@production", "formats": ["npz"]}
    job = approved.wait(str(approved.call("POST", "/v1/jobs", json=body)["id"]))
    archive = job["result"]["archive"]
    with open_studio(approved) as studio:
        page = studio.page
        studio.sign_in()
        studio.open("Jobs")
        button = page.get_by_label("Export of avatars: ").get_by_role("button", name="Download avatars-1.zip")
        button.focus()
        with page.expect_download() as download:
            page.keyboard.press("Enter")
        assert download.value.suggested_filename == "avatars-1.zip"
        assert sha256_hex(download.value.path().read_bytes()) == archive["sha256"]
        expect(page.get_by_text("avatars-1.zip is whole and saved.")).to_be_visible()
        studio.shoot("jobs-export")

        everywhere = {"Access-Control-Allow-Origin": "*"}
        for answer, said in (
            ({"status": 200, "body": "PK and no more", "headers": everywhere}, "arrived damaged and was not saved"),
            ({"status": 403, "body": "", "headers": everywhere}, "The object store answered 403"),
        ):
            page.route(f"**/exports/{job['id']}/**", answering(answer))
            button.click()
            expect(page.get_by_text(said)).to_be_visible()
            page.unroute(f"**/exports/{job['id']}/**")
        page.route(f"**/exports/{job['id']}/**", lambda route: route.abort())
        button.click()
        expect(page.get_by_text("did not arrive; check the connection")).to_be_visible()
        page.unroute(f"**/exports/{job['id']}/**")
        expect(button).to_be_enabled()
        studio.faults[:] = [fault for fault in studio.faults if "ERR_FAILED" not in fault and "403" not in fault]


def test_an_operator_reads_a_sweeps_report(browser: Browser, stack: Any) -> None:
    finished_sweep(stack)
    with opened(browser, stack.control_url, stack.admin_key) as studio:
        studio.sign_in()
        studio.open("Jobs")
        sweep = studio.page.get_by_label("Sweep: ").first
        expect(sweep).to_contain_text("beta 12 was chosen of 3 settings")
        sweep.get_by_role("button", name="Report").click()
        dialog = studio.page.get_by_role("dialog", name="Report of sweep beta")
        expect(dialog.frame_locator("iframe").get_by_role("heading", level=1)).to_be_visible()
        expect(dialog.get_by_role("link", name="Save")).to_have_attribute("download", "beta-report.html")
        studio.shoot("jobs-sweep-report")
        dialog.get_by_role("button", name="Close").click()
        studio.shoot("jobs-sweep")
