"""The studio's files hold together: no build step, nothing from elsewhere, nothing inline, every import there."""

import re
import shlex
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer

from heddle_api.cli.main import app as command_line
from heddle_api.control import studio
from heddle_api.control.studio import FOLDER
from heddle_platform.quota import LIMITS
from heddle_platform.usage import METRICS
from heddle_platform.webhook_records import WEBHOOK_EVENTS
from tests.api.control_world import EDGE_URL, World

STORE_URL = "http://127.0.0.1:1"  # what the world of these tests says of its object store
FILES = sorted(path for path in FOLDER.rglob("*") if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
SHEETS = [path for path in FILES if path.suffix == ".css"]
SERVED_TYPES = {".html", ".css", ".js", ".svg"}


class Page(HTMLParser):
    """Collects what a page refers to and what it does inline."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.inline: list[str] = []
        self._script_without_source = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.links += [value for name in ("src", "href") if (value := given.get(name))]
        self.inline += [f"<{tag} {name}>" for name in given if name == "style" or name.startswith("on")]
        self.inline += [f"<{tag}>"] if tag == "style" else []
        self._script_without_source = tag == "script" and "src" not in given

    def handle_data(self, data: str) -> None:
        if self._script_without_source and data.strip():
            self.inline.append("<script>")


@pytest.fixture(scope="module")
def page() -> Page:
    return Page((FOLDER / "index.html").read_text())


def test_the_page_writes_no_script_or_style_inline(page: Page) -> None:
    assert page.inline == []


def test_the_inline_check_would_find_some() -> None:
    assert Page('<p style="a" onclick="b"></p><style>c</style><script>d</script>').inline == [
        "<p style>",
        "<p onclick>",
        "<style>",
        "<script>",
    ]


def test_everything_the_page_refers_to_is_shipped(page: Page) -> None:
    files = [link for link in page.links if not link.startswith("#")]
    assert files
    for link in files:
        assert link.startswith("/studio/"), f"{link} comes from elsewhere"
        assert (FOLDER / link.removeprefix("/studio/")).is_file(), f"{link} is not there"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_no_file_reaches_out(path: Path) -> None:
    assert path.suffix in SERVED_TYPES
    addresses = re.findall(r"(?:https?:)?//[a-z0-9][\w.-]*\.[a-z]{2,}", path.read_text())
    assert [address for address in addresses if not address.endswith("www.w3.org")] == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_import_names_a_file_and_something_it_exports(script: Path) -> None:
    text = script.read_text()
    assert text.startswith("// "), "a module opens by saying what it is for"
    for names, source in re.findall(r"^import \{([^}]+)\} from \"([^\"]+)\";$", text, re.MULTILINE):
        assert source.startswith("./")
        exported = (script.parent / source).read_text()
        for name in (part.split(" as ")[0].strip() for part in names.split(",")):
            assert re.search(rf"^export (?:async )?(?:function|class|const) {name}\b", exported, re.MULTILINE), (
                f"{source} exports no {name}"
            )
    assert len(re.findall(r"^import ", text, re.MULTILINE)) == len(re.findall(r"^import \{", text, re.MULTILINE))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_no_script_turns_text_into_markup_or_code(script: Path) -> None:
    text = script.read_text()
    dangerous = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\(\"style"
    assert re.findall(dangerous, text) == []


def test_the_key_is_kept_in_one_place_and_only_for_the_tab() -> None:
    users = [script.name for script in SCRIPTS if re.search("sessionStorage|localStorage|cookie", script.read_text())]
    assert users == ["session.js", "theme.js"]
    assert "localStorage" not in (FOLDER / "js/session.js").read_text()
    # the one thing kept beyond the tab is light or dark
    assert not re.search("key|sessionStorage|cookie|import", (FOLDER / "js/theme.js").read_text())


@pytest.mark.parametrize("path", [*SCRIPTS, *SHEETS], ids=lambda path: path.name)
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize(
    ("script", "names"),
    [("webhooks_panel.js", WEBHOOK_EVENTS), ("usage_panel.js", METRICS), ("tenant_view.js", LIMITS)],
)
def test_lists_that_the_page_repeats_are_the_platforms(script: str, names: Sequence[str]) -> None:
    text = (FOLDER / "js" / script).read_text()
    (listed,) = re.findall(r"^const (?:EVENTS|METRICS|FIELDS) = \[\n(.*?)^\];$", text, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"\"([a-z_]+(?:\.[a-z_]+)?)\"", listed)) >= set(names)


def test_every_colour_is_named_once_for_light_and_dark() -> None:
    named = {scheme: colours(scheme) for scheme in ("light", "dark")}
    assert len(named["light"]) > 10
    assert named["light"].keys() == named["dark"].keys()
    text = (FOLDER / "studio.css").read_text()
    assert '[data-theme="light"] { color-scheme: light; }' in text
    assert '[data-theme="dark"] { color-scheme: dark; }' in text
    used = {name for sheet in SHEETS for name in re.findall(r"var\(--([\w-]+)\)", sheet.read_text())}
    assert used - {"share"} <= named["light"].keys() | {"shadow", "radius"}


@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        ("ink", "paper"), ("ink", "surface"), ("muted", "paper"), ("muted", "surface"), ("muted", "sunken"),
        ("accent", "surface"), ("accent", "accent-soft"), ("accent-ink", "accent"),
        ("good", "good-soft"), ("warn", "warn-soft"), ("bad", "bad-soft"), ("warn", "surface"), ("bad", "surface"),
        ("ink", "sunken"), ("accent", "paper"), ("bad", "paper"), ("surface", "bad"), ("paper", "ink"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(scheme: str, ink: str, ground: str) -> None:
    assert contrast(colours(scheme)[ink], colours(scheme)[ground]) >= 4.5  # WCAG 2.2, 1.4.3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_numbers_stand_out_from_the_hottest_cell_of_a_heat_map(scheme: str) -> None:
    most = re.search(r"accent\) calc\(var\(--share\) \* (\d+)%", (FOLDER / "charts.css").read_text())
    assert most is not None
    named, part = colours(scheme), int(most.group(1)) / 100
    # mixed channel by channel here; in OKLab, as the browser does it, the mixture is a little lighter or darker
    channels = [[int(named[name][at : at + 2], 16) for name in ("accent", "sunken")] for at in (1, 3, 5)]
    mixed = "#" + "".join(f"{round(part * hot + (1 - part) * cold):02x}" for hot, cold in channels)
    assert contrast(named["ink"], mixed) >= 5.0


def colours(scheme: str) -> dict[str, str]:
    """Colours by name, as `--name: light-dark(#..., #...)` gives them."""
    found = re.findall(
        r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", (FOLDER / "studio.css").read_text()
    )
    return {name: light if scheme == "light" else dark for name, light, dark in found}


def contrast(ink: str, ground: str) -> float:
    """Contrast ratio of two colours, 1..21 (WCAG 2.2)."""
    lighter, darker = sorted((luminance(ink), luminance(ground)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, 0..1 (WCAG 2.2)."""
    shares = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_policy_allows_nothing_inline_and_two_other_origins() -> None:
    policy = studio.policy("http://127.0.0.1:8001/", "https://store.example:9000/ignored")
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["script-src"] == "'self'"
    assert directives["style-src"] == "'self'"
    assert "unsafe" not in policy
    assert directives["connect-src"] == "'self' http://127.0.0.1:8001 https://store.example:9000"
    origins = [word for word in policy.replace(";", " ").split() if urlsplit(word).netloc]
    assert origins == ["http://127.0.0.1:8001", "https://store.example:9000"]


async def test_every_file_is_served_with_a_type_that_browsers_run(world: World) -> None:
    types = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    async with world.client(None) as client:
        for path in FILES:
            answer = await client.get(f"/studio/{path.relative_to(FOLDER)}")
            assert answer.status_code == 200
            assert answer.headers["content-type"].partition(";")[0] == types[path.suffix]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.content == path.read_bytes()
        front = await client.get("/")
    assert front.content == (FOLDER / "index.html").read_bytes()
    assert front.headers["content-security-policy"] == studio.policy(EDGE_URL, STORE_URL)


def commands_shown() -> Iterator[tuple[str, str]]:
    """Yield every command that the page tells people to type, with the script that does."""
    for script in SCRIPTS:
        for block in re.findall(r'h\("pre", \{\}, "((?:[^"\\]|\\.)*)"\)', script.read_text()):
            for line in block.replace('\\"', '"').split("\\n"):
                yield script.name, line


def test_the_page_names_no_command_that_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("images", "folder"):
        (tmp_path / folder).mkdir()
    for file in ("factors.yaml", "recipe.yaml"):
        (tmp_path / file).touch()
    shown = list(commands_shown())
    assert len(shown) >= 6
    for script, line in shown:
        name, *arguments = shlex.split(line)
        assert name == "heddle", (script, line)
        command: Any = typer.main.get_command(command_line)
        while hasattr(command, "commands"):
            word, *arguments = arguments
            assert word in command.commands, f"{script}: there is no command {line!r}"
            command = command.commands[word]
        command.make_context(line, arguments)  # raises what a shell would show
