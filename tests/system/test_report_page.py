"""
A report in a browser: it shows charts, asks nobody for anything, and runs nothing that others wrote.

Needs Chromium, which is installed by apt-get if it is missing and we are root; others are told how, and skip.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from demo.browser import Browser
from tests.reports import HOSTILE, POOL, PROJECT, answers, excessive_answers, hostile_answers, labels
from tests.support import scripted_server
from toloka_airflow.quality.report import build_report
from toloka_airflow.quality.report.figures import PoolFacts

MADE = datetime(2026, 11, 3, 12, tzinfo=UTC)
SIZES = [("light", 1200), ("dark", 1200), ("light", 360), ("dark", 360)]
CHARTS = """
[...document.querySelectorAll("svg")].filter(svg => svg.checkVisibility()).map(svg => ({
    name: svg.querySelector("title").textContent,
    width: svg.getBoundingClientRect().width,
    marks: [...svg.querySelectorAll("rect, circle, path, polygon, polyline")]
        .filter(mark => mark.getBoundingClientRect().width + mark.getBoundingClientRect().height > 0).length,
    colours: [...new Set([...svg.querySelectorAll("rect, circle, path, polygon")].map(m => getComputedStyle(m).fill))],
}))
"""
PICTURES = "[...document.images].map(image => [image.complete, image.naturalWidth])"
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
CUT_OFF = """
[...document.querySelectorAll("svg text")].filter(text => {
    const [inner, outer] = [text, text.ownerSVGElement].map(each => each.getBoundingClientRect());
    return outer.width && (inner.left < outer.left - 1 || inner.right > outer.right + 1);
}).map(text => text.textContent)
"""
"""Words of charts that are not wholly in their chart."""
BACKGROUND = "getComputedStyle(document.body).backgroundColor"
MUST_NOT = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Page.javascriptDialogOpening")


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Open a page, and return all that was requested and reported."""

    def opened(html: str, scheme: str = "light", width: int = 1200) -> list[dict[str, Any]]:
        path = tmp_path / "report.html"
        path.write_text(html)
        browser.resize(width, 900, scheme=scheme)
        browser.take_events()
        browser.call("Page.navigate", url=path.as_uri())
        browser.wait_for("Page.loadEventFired")
        events = browser.take_events()
        assert [event for event in events if event["method"] in MUST_NOT] == []
        asked = [
            event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
        ]
        assert [url for url in asked if not url.startswith("data:image/")] == [path.as_uri()]
        return events

    return opened


def test_it_is_shown_in_every_size_and_colour(browser: Browser, show: Callable[..., Any]) -> None:
    rows = answers(60, 4, 20)
    facts = PoolFacts(PROJECT, POOL, {}, ["person-00000"])
    html = build_report(rows, labels(rows), facts=facts, made=MADE)
    backgrounds = {}
    for scheme, width in SIZES:
        show(html, scheme, width)
        charts = browser.evaluate(CHARTS)
        assert [chart["name"] for chart in charts] == [
            "Answers so far",
            "Answers in each minute",
            "Money",
            "Agreement over time",
            "Labels by their confidence",
            "What was answered, by what is right",
            "Accuracy against speed",
        ]
        for chart in charts:
            assert chart["marks"] >= 2, chart
            assert 0 < chart["width"] <= width, chart
            # Black is what a chart has that no style reaches.
            assert "rgb(0, 0, 0)" not in chart["colours"], chart
        assert browser.evaluate(OVERFLOW) == 0
        assert browser.evaluate(CUT_OFF) == []
        pictures = browser.evaluate(PICTURES)
        assert len(pictures) == 24
        assert all(complete and pixels for complete, pixels in pictures)
        backgrounds[scheme] = browser.evaluate(BACKGROUND)
    assert backgrounds["light"] != backgrounds["dark"]


@pytest.mark.parametrize("count", [0, 1, 100_000])
def test_it_is_shown_with_any_number_of_answers(count: int, browser: Browser, show: Callable[..., Any]) -> None:
    rows = answers(count // 5, 5, 2000) if count > 1 else answers(count, 1, 1)
    html = build_report(rows, labels(rows), made=MADE)
    assert len(html) < 400_000
    for width in (1200, 360):
        show(html, "dark", width)
        assert browser.evaluate(OVERFLOW) == 0
        charts = browser.evaluate(CHARTS)
        assert bool(charts) == bool(count)
        assert all(chart["marks"] for chart in charts)
        assert f" Answers {count:,} by " in " ".join(browser.text().split())


def test_what_is_too_much_keeps_its_place(browser: Browser, show: Callable[..., Any]) -> None:
    html = build_report(excessive_answers(), made=MADE)
    for scheme, width in SIZES:
        show(html, scheme, width)
        assert browser.evaluate(OVERFLOW) == 0
        assert browser.evaluate(CUT_OFF) == []
        assert browser.evaluate("document.documentElement.scrollHeight") < 160_000


def test_what_others_wrote_is_shown_as_text(browser: Browser, show: Callable[..., Any]) -> None:
    with scripted_server() as tracker:
        rows = hostile_answers(tracker.url)
        markup = HOSTILE[0]
        facts = PoolFacts(dict.fromkeys(PROJECT, markup), dict.fromkeys(POOL, markup), {}, [rows[0]["user_id"]])
        html = build_report(rows, labels(rows), facts=facts, title=markup, made=MADE)
        for scheme, width in SIZES[::3]:
            show(html, scheme, width)
            shown = browser.text()
            for text in HOSTILE:
                assert re.sub("[\x00-\x1f\u202e\ud800-\udfff]", "\ufffd", text)[:20] in shown, text
            assert f"{tracker.url}/image.png" in shown
            assert browser.evaluate("document.title") == markup
            assert browser.evaluate("document.querySelectorAll('script, #broken, [onload], [onerror]').length") == 0
            assert browser.evaluate(OVERFLOW) == 0
            assert browser.evaluate(CUT_OFF) == []
        assert tracker.seen == []
        assert tracker.url in unquote(html)


def test_the_policy_stops_what_would_get_through(browser: Browser, tmp_path: Path) -> None:
    """Also if text were not escaped, nothing of it would run or be requested."""
    with scripted_server() as tracker:
        evil = "<script>document.title = 'broken'</script>"
        evil += f"<img src='{tracker.url}/image.png' onerror='document.title = 1'>"
        path = tmp_path / "report.html"
        path.write_text(build_report([], made=MADE).replace("<main>", f"<main>{evil}"))
        browser.call("Page.navigate", url=path.as_uri())
        browser.wait_for("Page.loadEventFired")
        assert browser.evaluate("document.title") == "Labels and their quality"
        assert browser.evaluate("document.scripts.length") == 1
        refused = [
            event["params"]["entry"]["text"] for event in browser.take_events() if event["method"] == "Log.entryAdded"
        ]
        assert len(refused) >= 2
        assert all("Content Security Policy" in text for text in refused)
        assert tracker.seen == []
