"""The studio from a zip to an edit and back, as one person walks it; what operators see; and the keyboard alone."""

import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.studio_page import HELD_OUT, IMAGES, Studio, opened, other_level
from tests.e2e.wire import LabelledImages, Wire

pytestmark = pytest.mark.timeout(240)


def test_from_a_zip_to_an_edit_on_the_page_alone(
    open_studio: Callable[..., Any], new_tenant: Callable[[], Wire], micah: LabelledImages
) -> None:
    wire = new_tenant()
    wire.call("POST", "/v1/factor_sets", json=micah.factor_set)
    archive = micah.archive(range(IMAGES))
    with open_studio(wire) as studio:
        page = studio.page
        studio.sign_in()
        page.get_by_role("link", name="Go to your data").click()
        expect(page.get_by_label("Factor set avatars")).to_contain_text("round")
        page.set_input_files("#archive", {"name": "spring.zip", "mimeType": "application/zip", "buffer": archive})
        page.get_by_role("dialog").get_by_role("button", name="Upload").click()
        expect(page.get_by_text("Arrived. Its labels are being checked.")).to_be_visible(timeout=60_000)
        sets = page.get_by_label("Labelled set spring")
        expect(sets).to_contain_text("600 images", timeout=60_000)
        sets.get_by_role("link", name="Validation report").click()
        expect(page.get_by_text("Nothing is wrong with it")).to_be_visible()
        expect(page.get_by_role("grid", name="Association of labels")).to_be_visible(timeout=60_000)
        page.get_by_role("button", name="Fit an adapter on it").click()
        page.get_by_role("dialog").get_by_role("button", name="Queue the fit").click()
        job = page.locator("article").first
        expect(job.get_by_role("link", name="Version 1")).to_be_visible(timeout=90_000)
        job.get_by_role("link", name="Version 1").click()
        expect(page.get_by_role("img", name="Effect of background by strength")).to_be_visible()
        page.get_by_role("button", name="Approve").click()
        page.get_by_label("Comment").fill("good enough")
        page.get_by_role("dialog").get_by_role("button", name="Approve").click()
        expect(page.locator(".timeline")).to_contain_text("good enough")
        page.get_by_role("link", name="Try it").click()
        studio.choose_picture(micah.images[HELD_OUT])
        original = studio.corner("original")
        studio.set_level("background", other_level(micah, "background"))
        assert studio.corner("edited") != original
        expect(studio.after("skin")).to_contain_text(micah.labels[HELD_OUT]["skin"])
        expect(page.get_by_text("Nothing else moved.")).to_be_visible()


def test_a_rejected_set_leads_to_its_faulty_rows(
    open_studio: Callable[..., Any], new_tenant: Callable[[], Wire], micah: LabelledImages
) -> None:
    wire = new_tenant()
    names = [factor["name"] for factor in micah.factor_set["factors"]]
    good = [micah.labels[0][name] for name in names]
    rows = [["file", *names], ["00000.png", *good], ["nope.png", *good], ["00001.png", "plaid", *good[1:]]]
    broken = "\n".join(",".join(row) for row in rows).encode()
    dataset = wire.dataset(micah.archive(range(3), labels__csv=broken), micah.factor_set, name="broken")
    assert dataset["status"] == "rejected"
    with open_studio(wire) as studio:
        studio.sign_in()
        studio.open("Data")
        studio.page.get_by_role("link", name="Validation report").click()
        expect(studio.page.get_by_text("must be mended before a fit")).to_be_visible()
        table = studio.page.get_by_role("table")
        expect(table).to_contain_text("nope.png")
        expect(table).to_contain_text("plaid")
        studio.page.get_by_role("button", name="missing file").click()
        expect(table).to_contain_text("nope.png")
        expect(table).not_to_contain_text("plaid")


def test_an_interrupted_upload_of_a_parquet_file_goes_on_where_it_stopped(
    open_studio: Callable[..., Any], new_tenant: Callable[[], Wire], micah: LabelledImages
) -> None:
    wire = new_tenant()
    wire.call("POST", "/v1/factor_sets", json=micah.factor_set)
    archive = parquet(micah, 40)
    with open_studio(wire) as studio:
        page = studio.page
        studio.sign_in()
        studio.open("Data")
        page.get_by_label("Factor set avatars").wait_for()
        page.route("**/uploads/**", lambda route: route.abort() if route.request.method == "PUT" else route.continue_())
        page.set_input_files(
            "#archive", {"name": "late.parquet", "mimeType": "application/octet-stream", "buffer": archive}
        )
        page.get_by_role("dialog").get_by_role("button", name="Upload").click()
        expect(page.get_by_role("alert")).to_contain_text("object store cannot be reached", timeout=30_000)
        page.unroute("**/uploads/**")
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_text("Arrived.")).to_be_visible(timeout=30_000)
        expect(page.get_by_label("Labelled set late")).to_contain_text("40 images", timeout=30_000)
        studio.faults[:] = [fault for fault in studio.faults if "ERR_FAILED" not in fault]


def test_comparing_undoing_and_traversing(
    open_studio: Callable[..., Any], approved: Wire, micah: LabelledImages
) -> None:
    with open_studio(approved, permissions=["clipboard-read", "clipboard-write"]) as studio:
        page = studio.page
        studio.sign_in()
        studio.choose_picture(micah.images[HELD_OUT])
        wanted = other_level(micah, "background")
        studio.set_level("background", wanted)
        page.get_by_role("button", name="Difference").click()
        expect(page.get_by_text("of the pixels differ visibly")).to_be_visible()
        page.get_by_role("button", name="Split").click()
        page.get_by_label("Where the line").fill("20")
        assert "20%" in page.locator(".pair").evaluate("(pair) => pair.style.getPropertyValue('--split')")
        page.get_by_role("button", name="Copy as Python").click()
        page.get_by_text("Copied").wait_for()
        script = page.evaluate("navigator.clipboard.readText()")
        compile(script, "edit.py", "exec")
        assert wanted in script
        assert studio.key not in script
        page.get_by_role("button", name="Undo").click()
        expect(studio.factor("background").get_by_role("radio").first).to_be_checked()
        page.get_by_role("button", name="Draw the grid").click()
        cell = page.get_by_role("grid", name="Traversal").get_by_role("button", name=f"background: {wanted}")
        cell.wait_for()
        cell.click()
        expect(studio.after("background")).to_contain_text(wanted)


def test_a_drag_is_coalesced_to_its_newest_value(
    open_studio: Callable[..., Any], approved: Wire, micah: LabelledImages
) -> None:
    """Thirty changes faster than pictures come back: few requests, one at a time, and the last value wins."""
    with open_studio(approved) as studio:
        page = studio.page
        studio.sign_in()
        studio.choose_picture(micah.images[HELD_OUT])
        sent: list[str] = []
        page.on("request", lambda asked: sent.append(asked.url) if asked.url.endswith("/v1/edits") else None)
        radios = studio.factor("background").get_by_role("radio")
        last = radios.count() - 1
        page.locator('fieldset[data-factor="background"]').evaluate(
            """(set) => { const all = [...set.querySelectorAll("input")].slice(1);
                 for (let turn = 0; turn < 30; turn++) all[turn % all.length].click();
                 all.at(-1).click(); }"""
        )
        expect(radios.nth(last)).to_be_checked()
        wanted = studio.factor("background").locator("label").nth(last).inner_text()
        expect(studio.after("background")).to_contain_text(wanted, timeout=20_000)
        assert 1 <= len(sent) <= 4, sent


def test_who_chooses_again_gets_the_last_choice(open_studio: Callable[..., Any], approved: Wire) -> None:
    """The answers about the adapter chosen first come after those about the second, and change nothing."""
    with open_studio(approved) as studio:
        studio.page.goto(studio.control_url)
        factors, edited_by = studio.page.evaluate(
            """async () => {
              const { editView } = await import("/studio/js/edit_view.js");
              const settled = () => new Promise((resume) => setTimeout(resume, 50));
              let answerFirst = null;
              const versionOf = (name) => ({
                version: 1, status: "approved", aliases: ["production"], gate: {}, factor_set: { id: name, version: 1 },
              });
              const adapters = [{ name: "first" }, { name: "second" }];
              const api = {
                edgeUrl: "http://127.0.0.1:9",
                list: async (path) => path === "/v1/adapters" ? adapters : [versionOf(path.split("/")[3])],
                get: (path) => {
                  const name = path.split("/")[3];
                  const found = { document: { factors: [{ name: `of the ${name}`, kind: "binary" }] } };
                  if (name === "second") return Promise.resolve(found);
                  return new Promise((resume) => { answerFirst = () => resume(found); });
                },
              };
              const view = editView(api, []);
              view.start();
              await settled();
              const choice = view.element.querySelector("#adapter");
              choice.value = "second";
              choice.dispatchEvent(new Event("change"));
              await settled();
              answerFirst();
              await settled();
              view.stop();
              const names = [...view.element.querySelectorAll("[data-factor]")].map((each) => each.dataset.factor);
              return [[...new Set(names)], view.element.querySelector("pre").textContent];
            }"""
        )
        assert factors == ["of the second"]
        assert '"adapter":"second@production"' in edited_by


def test_an_expired_session_comes_back_to_where_it_was(
    open_studio: Callable[..., Any], approved: Wire, new_tenant: Callable[[], Wire]
) -> None:
    key = approved.call(
        "POST", "/v1/api_keys", json={"name": "short", "scopes": approved.call("GET", "/v1/me")["scopes"]}
    )
    with open_studio(approved) as studio:
        studio.sign_in(key["api_key"])
        studio.open("Adapters")
        studio.page.get_by_role("button", name="Open scorecard").first.wait_for()  # nothing is under way any more
        approved.call("DELETE", f"/v1/api_keys/{key['id']}")
        studio.page.get_by_role("link", name="Jobs", exact=True).click()
        expect(studio.page.get_by_text("Your key is no longer accepted")).to_be_visible()
        studio.page.get_by_label("API key").fill(studio.key)
        studio.page.keyboard.press("Enter")
        expect(studio.page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()


def test_an_edge_that_is_away_is_told_and_asked_again(
    open_studio: Callable[..., Any], approved: Wire, micah: LabelledImages
) -> None:
    with open_studio(approved) as studio:
        page = studio.page
        studio.sign_in()
        page.route("**/v1/images", lambda route: route.abort())
        page.locator("#picture").wait_for(state="attached")
        page.set_input_files("#picture", {"name": "a.png", "mimeType": "image/png", "buffer": micah.images[HELD_OUT]})
        expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
        page.unroute("**/v1/images")
        page.get_by_role("button", name="Try again").click()
        page.locator(".readings .sure").first.wait_for()
        studio.faults[:] = [fault for fault in studio.faults if "ERR_FAILED" not in fault]


def test_operators_see_tenants_bases_and_the_cluster(browser: Browser, stack: Any, approved: Wire) -> None:
    with opened(browser, stack.control_url, stack.admin_key) as studio:
        page = studio.page
        studio.sign_in()
        expect(page.get_by_role("heading", name="Tenants")).to_be_visible()
        page.get_by_role("button", name="New tenant").click()
        page.get_by_label("Name", exact=True).fill("Borealis")
        page.get_by_role("button", name="Create").click()
        shown = page.get_by_label("API key").inner_text()
        assert shown.startswith("hdl_")
        page.get_by_role("button", name="I have it").click()
        page.get_by_label("Find a tenant").fill("borealis")
        page.get_by_role("button", name="Suspend Borealis").first.click()
        page.get_by_role("dialog").get_by_role("button", name="Suspend").click()
        expect(page.get_by_role("button", name="Reactivate Borealis").first).to_be_visible()
        studio.open("Bases")
        card = page.get_by_label("Base default", exact=True).get_by_role("button", name="Open model card")
        card.click()
        page.frame_locator("dialog iframe").get_by_text("default").first.wait_for()
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_have_count(0)
        expect(card).to_be_focused()
        studio.open("Cluster")
        page.locator("main .panel, main .empty").first.wait_for()
        studio.check_layout()


def test_the_keyboard_alone_is_enough(open_studio: Callable[..., Any], approved: Wire) -> None:
    with open_studio(approved) as studio:
        page = studio.page
        page.goto(studio.control_url)
        page.get_by_label("API key").wait_for()
        page.keyboard.type(studio.key)  # the field has the focus
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Edit", exact=True).wait_for()
        expect(page.locator("#main")).to_be_focused()
        page.reload()
        page.get_by_role("heading", name="Edit", exact=True).wait_for()
        page.keyboard.press("Tab")
        expect(page.locator("#skip")).to_be_focused()
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", "the focus can be seen"
        page.keyboard.press("Enter")
        expect(page.locator("#main")).to_be_focused()
        reach(studio, "Adapters")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Adapters", exact=True).wait_for()
        opener = page.get_by_role("button", name="Open scorecard").last
        opener.focus()
        page.keyboard.press("Enter")
        page.locator("dialog[open]").wait_for()
        page.keyboard.press("Escape")
        expect(opener).to_be_focused()
        page.get_by_role("link", name="Report card").last.focus()
        page.keyboard.press("Enter")
        grid = page.get_by_role("grid", name="Leakage")
        grid.locator("[tabindex='0']").focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
        label = page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert label
        assert page.evaluate("document.activeElement.getAttribute('role')") == "gridcell"


def reach(studio: Studio, link: str) -> None:
    """Press Tab from the page's start until the link has the focus."""
    studio.page.evaluate("document.activeElement.blur(); document.getElementById('skip').focus()")
    for _ in range(12):
        studio.page.keyboard.press("Tab")
        if studio.page.evaluate("document.activeElement.textContent") == link:
            return
    raise AssertionError(f"Tab does not reach {link}")


def parquet(micah: LabelledImages, count: int) -> bytes:
    """The first images as a Parquet file: a column of bytes, then one per factor."""
    rows = [{"image": image, **labels} for image, labels in zip(micah.images[:count], micah.labels, strict=False)]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()
