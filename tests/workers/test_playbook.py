"""The pages of a version: self-contained, safe under hostile names, readable on a phone and in the dark."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from heddle_adapters.artifact import unpack
from heddle_adapters.gate import judge
from heddle_adapters.playbook import Findings, advice, card_page, drawn_page, playbook_page
from heddle_adapters.report import AssociationCard, Card, InteractionCard
from heddle_platform.errors import DataCorrupt

from .study import HOSTILE, Study

CHROMIUM = Path("/usr/bin/chromium")
PAGES = ("card.html", "playbook.html")
LOOKS: tuple[tuple[Literal["light", "dark"], int], ...] = (
    ("light", 390),
    ("dark", 1100),
    ("dark", 390),
    ("light", 820),
)
_UNREACHABLE = """() => [...document.querySelectorAll(".scroll")].filter((box) =>
  box.tabIndex !== 0 || !box.ariaLabel).map((box) => box.outerHTML.slice(0, 200))"""
_BURSTING = """() => [...document.querySelectorAll("td, th, dd, figcaption, .tile")].filter((box) =>
  box.scrollWidth > box.clientWidth + 1).map((box) => box.outerHTML.slice(0, 200))"""


def page(study: Study, name: str) -> str:
    return study.fitted.files[name].decode()


def findings_of(study: Study, card: Card) -> Findings:
    return Findings(
        unpack(study.fitted.files["adapter.npz"]),
        card,
        judge(card, study.factor_set),
        study.fitted.digest,
        (),
    )


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_whole_and_ask_nothing_of_the_network(study: Study, name: str) -> None:
    html = page(study, name)
    assert html.startswith("<!doctype html>")
    assert html.rstrip().endswith("</html>")
    assert re.findall(r"https?://", html) == []
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', html)
    assert all(source.startswith("data:image/webp;base64,") for source in sources)
    assert "<script" not in html
    assert "<link" not in html


@pytest.mark.parametrize("name", PAGES)
def test_names_that_tenants_chose_are_text(study: Study, name: str) -> None:
    html = page(study, name)
    assert HOSTILE not in html
    assert "<img src=x" not in html
    if name == "card.html":
        assert "&lt;script&gt;" in html
        assert "onerror=alert" in html, "shown, not dropped"


def test_the_card_shows_every_number_it_is_for(study: Study) -> None:
    html = page(study, "card.html").replace("<wbr>", "")  # where a long name may break
    card = study.fitted.card
    for factor in card["factors"]:
        assert f"<th>{factor['name']}<br>" in html
        assert f"{100 * factor['effect']:.0f}\N{NARROW NO-BREAK SPACE}%" in html
        assert f"{factor['gain']:.2f}" in html
    for reasons in (verdict["reasons"] for verdict in study.fitted.gate["factors"].values()):
        for reason in reasons:
            assert reason.replace("'", "&#39;") in html
    assert html.count("<figure") >= 3 * 3 * 3
    assert study.fitted.digest[:12] in html


def test_the_card_of_one_factor_says_that_there_is_nothing_to_leak_into(study: Study) -> None:
    card = Card.model_validate(study.fitted.card)
    only = card.factors[0].model_copy(update={"leakage": 0.0, "leakage_into": None})
    alone = card.model_copy(update={"factors": (only,), "associations": (), "labelling": None})
    html = card_page(replace(findings_of(study, card), card=alone)).decode()
    assert "There is one factor only: no other" in html
    assert 'class="leaks"' not in html


def test_a_protocol_is_words_and_the_gate_names_a_factor_once(study: Study) -> None:
    html = page(study, "card.html")
    assert "{&#39;" not in html, "no Python on a page"
    gate = html[html.index("What the gate looked at") :]
    for name, factor in study.fitted.gate["factors"].items():
        assert gate.count(f'<th rowspan="{len(factor["checks"])}">{name.replace("_", "_<wbr>")}</th>') == 1


def test_pages_hold_no_clock(study: Study) -> None:
    for name in PAGES:
        assert re.findall(r"\b20\d\d-\d\d-\d\d\b", page(study, name)) == []
        assert "seconds" not in page(study, name)


def test_advice_names_what_the_numbers_show(study: Study) -> None:
    card = Card.model_validate(study.fitted.card)
    background, *others = card.factors
    leaky = background.model_copy(update={"readable": True, "leakage": 0.3, "leakage_into": "tone"})
    apart = AssociationCard(
        factors=("background", "tone"), value=0.02, measure="correlation_ratio", labels=100, smallest_cell=None
    )
    together = apart.model_copy(update={"value": 0.7})
    unreadable = others[0].model_copy(update={"readable": False, "accuracy": 0.31, "chance": 0.30})
    rest = [pair for pair in card.associations if set(pair.factors) != {"background", "tone"}]

    def told(pair: AssociationCard, *factors: object) -> str:
        return " ".join(advice(card.model_copy(update={"factors": factors, "associations": (pair, *rest)})))

    assert "their labels go together (0.70)" in told(together, leaky, *others)
    assert "their labels are independent" in told(apart, leaky, *others)
    sentence = told(apart, background, unreadable, others[1])
    assert "wears_glasses reads 31\N{NARROW NO-BREAK SPACE}%" in sentence
    assert "drop it" in sentence


def test_pages_in_a_real_browser(study: Study, tmp_path: Path) -> None:
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed (Debian package chromium); the pages were not opened")
    from playwright.sync_api import sync_playwright

    asked: list[str] = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        for name in PAGES:
            file = tmp_path / name
            file.write_bytes(study.fitted.files[name])
            for scheme, width in LOOKS:
                opened = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
                opened.on("request", lambda request: asked.append(request.url))
                opened.on("console", lambda message: asked.append(message.text))
                opened.goto(file.as_uri())
                assert opened.evaluate("document.documentElement.scrollWidth") == width, "nothing sticks out"
                assert opened.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
                assert "owned" not in opened.title()
                assert opened.evaluate(_UNREACHABLE) == [], "what scrolls can be scrolled without a mouse"
                assert opened.evaluate(_BURSTING) == []
                dark = opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 29)"
                assert dark == (scheme == "dark")
                opened.close()
        browser.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_pages_tell_which_looks_depend_on_each_other(study: Study) -> None:
    card = Card.model_validate(study.fitted.card)
    pair = InteractionCard(
        factor="wears_glasses",
        on="background",
        gain=0.0312,
        error=0.0021,
        columns=7,
        kept=True,
        reason="explains 0.0312 of what the additive model leaves",
        thin_cells=(("true", HOSTILE), ("false", HOSTILE)),
        cells=16,
    )
    dropped = pair.model_copy(update={"on": "tone", "kept": False, "thin_cells": (), "reason": "too little"})
    findings = findings_of(study, card.model_copy(update={"interactions": (pair, dropped)}))
    shown, spoken = card_page(findings).decode(), playbook_page(findings).decode()
    assert "0.0312" in shown
    assert "2 of 16" in shown
    assert "too little" in shown
    assert "explains 0.0312 of what the additive model leaves; 2 of 16 pairs of levels" in spoken
    assert "too little" not in spoken
    assert HOSTILE not in shown + spoken


@pytest.mark.parametrize("name", PAGES)
def test_a_page_drawn_of_stored_files_says_what_the_fits_would(study: Study, name: str) -> None:
    files = study.fitted.files
    card = Card.model_validate_json(files["card.json"])
    at_the_fit = {"card.html": card_page, "playbook.html": playbook_page}[name](findings_of(study, card))
    assert drawn_page(name, files["adapter.npz"], files["card.json"]) == at_the_fit
    for adapter, broken in ((files["adapter.npz"], b"{}"), (b"no adapter", files["card.json"])):
        with pytest.raises(DataCorrupt):
            drawn_page(name, adapter, broken)
