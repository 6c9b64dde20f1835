"""Numbers under the hand: a slider dragged with a pointer, the original held against the edit, what is beyond trust."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.e2e.studio_page import IMAGES, Studio
from tests.e2e.wire import LabelledImages, Wire, png

pytestmark = pytest.mark.timeout(240)
STEPS = 40


@pytest.fixture(scope="module")
def shades(module_tenant: Wire, micah: LabelledImages) -> Wire:
    """A tenant with an adapter whose factors are a number, a switch, and levels."""
    shaded = with_numbers(micah)
    dataset = module_tenant.dataset(shaded.archive(range(IMAGES)), shaded.factor_set, name="shaded")
    job = module_tenant.wait(module_tenant.queue_fit(dataset["id"], "shades", adapter="shades", card="brief"))
    module_tenant.approve("shades", job["result"]["version"])
    return module_tenant


@pytest.fixture(scope="module")
def dark(micah: LabelledImages) -> bytes:
    """The darkest picture that no fit saw."""
    return min(micah.images[IMAGES:], key=lightness)


def begin(studio: Studio, picture: bytes) -> list[str]:
    """Open the bench with the picture; returns the addresses of edits as they are asked for."""
    studio.sign_in()
    studio.choose_picture(picture)
    asked: list[str] = []
    studio.page.on("request", lambda one: asked.append(one.url) if one.url.endswith("/v1/edits") else None)
    return asked


def test_a_slider_is_dragged_and_the_picture_follows(
    open_studio: Callable[..., Any], shades: Wire, dark: bytes
) -> None:
    with open_studio(shades) as studio:
        page = studio.page
        asked = begin(studio, dark)
        original = studio.corner("original")
        before = {name: studio.before(name).inner_text() for name in ("spectacles", "skin")}
        slider = page.get_by_label("shade", exact=True)
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        assert box is not None
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + 8, middle)
        page.mouse.down()
        seen = set()
        for step in range(1, STEPS + 1):
            page.mouse.move(box["x"] + 8 + (box["width"] - 16) * step / STEPS, middle)
            if step % (STEPS // 4) == 0:
                # the pointer rests for as long as a picture takes, still held down
                expect(page.locator('[data-picture="edited"]')).to_have_attribute("aria-busy", "false")
                seen.add(tuple(studio.corner("edited")))
        assert len(seen) >= 3, "the picture changes while the slider is dragged"
        assert float(page.get_by_label("shade, exactly").input_value()) > 0.9
        page.mouse.up()
        expect(studio.after("shade")).not_to_have_text("–")
        assert mean_light(studio.corner("edited")) > mean_light(original) + 40
        assert 3 <= len(asked) <= STEPS, "a drag asks for what it can show, not for every move"
        for name, reading in before.items():
            assert studio.after(name).locator(":scope > :not(.sure)").count() == 0, "nothing is said to have moved, too"
            assert studio.after(name).inner_text().split()[0] == reading.split()[0]
        expect(page.get_by_text("Nothing else moved.")).to_be_visible()


def test_a_number_is_typed_held_against_the_original_and_taken_back(
    open_studio: Callable[..., Any], shades: Wire, dark: bytes
) -> None:
    with open_studio(shades) as studio:
        page = studio.page
        begin(studio, dark)
        original = studio.corner("original")
        page.get_by_label("shade", exact=True).focus()
        page.keyboard.press("End")
        expect(page.get_by_label("shade, exactly")).to_have_value("1")
        page.get_by_label("shade, exactly").fill("0.9")
        page.keyboard.press("Enter")
        expect(studio.after("shade")).not_to_have_text("–")
        expect(studio.factor("spectacles").get_by_role("radio")).to_have_count(3)
        page.get_by_role("button", name="Hold to compare").click()
        held = page.get_by_role("button", name="Hold to see the original")
        frame = page.locator('[data-picture="edited"] .frame')
        expect(frame).to_be_visible()
        held.hover()
        page.mouse.down()
        expect(frame).to_be_hidden()
        expect(page.locator('[data-picture="original"] .frame')).to_be_visible()
        expect(held).to_have_attribute("aria-pressed", "true")
        page.mouse.up()
        expect(frame).to_be_visible()
        held.focus()
        page.keyboard.down("Space")
        expect(frame).to_be_hidden()
        page.keyboard.up("Space")
        expect(frame).to_be_visible()
        studio.factor("shade").get_by_role("button", name="as it is").click()
        expect(page.locator(".facts")).to_be_empty()
        assert studio.corner("edited") == original


def test_a_picture_unlike_the_labelled_ones_is_said_to_be(open_studio: Callable[..., Any], shades: Wire) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (128, 128, 3), np.uint8)
    with open_studio(shades) as studio:
        begin(studio, png(noise))
        studio.page.get_by_label("shade, exactly").fill("0.9")
        studio.page.keyboard.press("Enter")
        expect(studio.page.get_by_text("unlike your labelled images")).to_be_visible()
        studio.shoot("edit-outside")


def test_a_suggestion_of_the_edge_is_told_and_taken(open_studio: Callable[..., Any], shades: Wire) -> None:
    """Edits of these pictures stay within what is trusted, so the answer is one that another edge would give."""
    with open_studio(shades) as studio:
        studio.page.goto(studio.control_url)
        told = studio.page.evaluate(
            """async () => {
              const { editWarning } = await import("/studio/js/edit_warning.js");
              const taken = [];
              const shown = (set, suggestion, extrapolation = "1.25") => {
                const found = editWarning({
                  set, lastMove: { factor: "skin" },
                  result: { extrapolation, suggestion: JSON.stringify(suggestion) },
                  takeSuggestion: (near) => taken.push(near), change: (factor, value) => taken.push([factor, value]),
                });
                found.element.querySelector("button")?.click();
                return [found.words, found.element.querySelector("button")?.textContent ?? null];
              };
              const outside = { reason: "edit_outside", strength: 0.5 };
              return [
                shown({ shade: 1 }, { ...outside, set: { shade: 0.7 } }), shown({ skin: "sand", hair: "bob" }, outside),
                shown({ skin: "sand" }, outside),
                shown({ shade: 1, skin: "sand" }, { ...outside, set: { shade: 1 }, leave: ["skin"] }), taken,
                shown({ skin: "sand" }, outside, "1.00")[0], shown({ skin: "sand" }, outside, "2.50")[0],
              ];
            }"""
        )
        number, several, one, fewer, taken, least, most = told
        assert number[0].startswith("This edit goes 25 % beyond")
        assert least.startswith("This edit goes just beyond")
        assert most.startswith("This edit goes far beyond")
        assert "set shade to 0.7" in number[0]
        assert fewer[0].endswith("To stay inside, leave skin as it is.")
        assert [number[1], several[1], one[1]] == ["Apply the suggestion", "Leave skin as it is", None]
        assert taken == [{"shade": 0.7}, ["skin", None], {"skin": None}]


def with_numbers(micah: LabelledImages) -> LabelledImages:
    """The same pictures labelled otherwise: how light the ground is (a number), and glasses or none (a switch)."""
    factors = [
        {"name": "shade", "kind": "continuous", "range": [0, 1]},
        {"name": "spectacles", "kind": "binary"},
        next(spec for spec in micah.factor_set["factors"] if spec["name"] == "skin"),
    ]
    labels = [
        {
            "shade": f"{lightness(image):.3f}",
            "spectacles": "no" if row["glasses"] == "none" else "yes",
            "skin": row["skin"],
        }
        for image, row in zip(micah.images, micah.labels, strict=True)
    ]
    return LabelledImages(micah.images, tuple(labels), {"name": "shades", "factors": factors})


def lightness(image: bytes) -> float:
    """How light the upper left corner is, 0..1."""
    return float(Image.open(io.BytesIO(image)).convert("L").getpixel((2, 2))) / 255  # type: ignore[arg-type]


def mean_light(corner: list[int]) -> float:
    pixels = [
        corner[start : start + 3] for start in range(2, len(corner), 4)
    ]  # behind the size: red, green, blue, alpha
    return sum(sum(pixel) for pixel in pixels) / (3 * len(pixels))
