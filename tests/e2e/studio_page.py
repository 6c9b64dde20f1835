"""The studio in a real browser: opening it as a person would, and asking the page what it shows."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, Playwright, ViewportSize, expect

from tests.e2e.wire import LabelledImages

SCREENSHOTS = Path(__file__).parents[2] / "screenshots"
IMAGES = 600
HELD_OUT = 900
DESK = ViewportSize(width=1280, height=900)
PHONE = ViewportSize(width=390, height=844)
LOOKS: Final[Mapping[str, tuple[ViewportSize, Literal["light", "dark"]]]] = {
    "wide": (DESK, "light"),
    "wide-dark": (DESK, "dark"),
    "phone": (PHONE, "light"),
    "phone-dark": (PHONE, "dark"),
}
_ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
_PIXELS = """async (image) => {
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const pen = canvas.getContext("2d");
  pen.drawImage(image, 0, 0);
  return [canvas.width, canvas.height, ...pen.getImageData(2, 2, 4, 4).data];
}"""
_BURSTING = """() => [...document.querySelectorAll(".panel")].filter((panel) =>
  panel.scrollWidth > panel.clientWidth).map((panel) => panel.outerHTML.slice(0, 200))"""
# text against the nearest opaque ground behind it, as it was computed; pictures, disabled and hidden things left out
_FAINT = """() => {
  const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const light = (rgb) => rgb.slice(0, 3).map((part) => part / 255)
    .map((share) => (share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4))
    .reduce((sum, share, place) => sum + share * [0.2126, 0.7152, 0.0722][place], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *:not(svg *, :disabled, :disabled *, option, noscript)")) {
    const words = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!words || !element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    const [one, other] = [light(rgba(getComputedStyle(element).color)), light(ground(element))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${element.outerHTML.slice(0, 160)}`);
  }
  return found;
}"""
_NAMELESS = """() => [...document.querySelectorAll("input, select, textarea, button, a")].filter((element) =>
  !(element.labels?.length || element.ariaLabel || element.textContent.trim())).map((element) => element.outerHTML)"""


def launch(playwright: Playwright) -> Browser:
    """Start Chromium; skip where there is none, fail in CI, where there must be one."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        reason = "no Chromium here; install it (Debian: apt-get install chromium) to test the studio page"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return playwright.chromium.launch(executable_path=program, args=list(_ARGUMENTS))


@dataclass
class Studio:
    """The page, and everything it did that a person would not see."""

    page: Page
    control_url: str
    key: str
    hosts: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def sign_in(self, key: str | None = None) -> None:
        self.page.goto(self.control_url)
        self.page.get_by_label("API key").fill(key or self.key)
        self.page.get_by_role("button", name="Sign in").click()

    def open(self, view: str) -> None:
        self.page.get_by_role("navigation", name="Views").get_by_role("link", name=view, exact=True).click()
        self.page.get_by_role("heading", name=view, exact=True, level=1).wait_for()

    def choose_picture(self, data: bytes) -> None:
        self.page.set_input_files("#picture", {"name": "avatar.png", "mimeType": "image/png", "buffer": data})
        self.page.locator(".readings .sure").first.wait_for()

    def factor(self, name: str) -> Locator:
        return self.page.locator(f'fieldset[data-factor="{name}"]')

    def before(self, name: str) -> Locator:
        """The cell of a factor's reading before the edit."""
        return self.page.locator(f'.readings tr[data-factor="{name}"] td').first

    def after(self, name: str) -> Locator:
        """The cell of a factor's reading after the edit."""
        return self.page.locator(f'.readings tr[data-factor="{name}"] td:last-child')

    def set_level(self, factor: str, level: str) -> None:
        self.factor(factor).get_by_text(level, exact=True).click()
        expect(self.after(factor)).not_to_have_text("–", timeout=20_000)

    def corner(self, picture: str) -> list[int]:
        """Size and first pixels of the original or the edited picture, as drawn."""
        image = self.page.locator(f'[data-picture="{picture}"] img')
        drawn: list[int] = image.evaluate(_PIXELS)
        return drawn

    def screenshot(self, name: str) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.evaluate("window.scrollTo(0, 0)")  # what sticks to the window stands at its place
        whole = self.page.locator("dialog").count() == 0  # a dialog's ground covers the window only
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=whole, animations="disabled")

    def shoot(self, name: str) -> None:
        """Check and picture what is shown, wide and on a phone, light and dark."""
        for look, (size, scheme) in LOOKS.items():
            self.page.set_viewport_size(size)
            self.page.emulate_media(color_scheme=scheme)
            self.check_layout()
            self.check_contrast()
            self.screenshot(f"{name}-{look}")
        self.page.set_viewport_size(DESK)
        self.page.emulate_media(color_scheme="light")

    def check_layout(self) -> None:
        """Nothing sticks out sideways, and every control has a name."""
        assert self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "it scrolls sideways"
        assert self.page.evaluate(_BURSTING) == [], "something sticks out of its panel"
        assert self.page.evaluate(_NAMELESS) == []
        ids = self.page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
        assert len(ids) == len(set(ids)), "an id stands twice"
        assert self.page.evaluate("document.querySelectorAll('h1').length") == 1

    def check_contrast(self) -> None:
        """All text that is shown stands out from its ground by 4.5 or more (WCAG 2.2, 1.4.3)."""
        assert self.page.evaluate(_FAINT) == []


@contextmanager
def opened(browser: Browser, control_url: str, key: str, **options: Any) -> Iterator[Studio]:
    """Open a fresh browser profile at the studio; at the end, nothing may have gone wrong unseen."""
    context = browser.new_context(**{"viewport": DESK, "color_scheme": "light", **options})
    studio = Studio(context.new_page(), control_url, key)
    studio.page.set_default_timeout(20_000)
    studio.page.on("pageerror", lambda error: studio.faults.append(str(error)))
    studio.page.on("console", lambda message: _note(studio, message.type, message.text))
    studio.page.on("request", lambda request: studio.hosts.add(urlsplit(request.url).netloc))
    try:
        yield studio
    finally:
        context.close()
    assert studio.faults == []


def _note(studio: Studio, kind: str, text: str) -> None:
    # a browser reports each refused request, and that it drops a scorecard's inline styles: both are meant
    expected = re.search(r"status of 4\d\d|Applying inline style violates", text)
    if kind == "error" and not expected:
        studio.faults.append(text)


def other_level(micah: LabelledImages, factor: str, row: int = HELD_OUT) -> str:
    """A level of the factor that the row's picture does not show."""
    levels = next(spec["levels"] for spec in micah.factor_set["factors"] if spec["name"] == factor)
    return str(next(level for level in levels if level != micah.labels[row][factor]))
