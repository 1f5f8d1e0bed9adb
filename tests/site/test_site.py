"""
The documentation site as a reader has it: from a folder, without a network.

``make test-site`` builds it first. Needs Chromium, which is installed by apt-get if it is missing and we are root;
others are told how, and skip.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from demo.airflow_api import wait_until
from demo.browser import Browser
from setup import long_description
from tests.chromium import chromium
from toloka_airflow._internal.troubleshooting import DOCUMENTATION

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "build" / "site"
OPERATORS = re.findall(r"^\| `(\w+)\(", (ROOT / "docs" / "operators.md").read_text(), re.MULTILINE)
WIDTHS = (360, 820, 1400)
PAGES_SHOWN = (
    *(
        "index",
        "start",
        "first-dag",
        "concepts",
        "how-to/people",
        "operators",
        "connection",
        "windows",
        "failure-modes",
    ),
    *("examples", "troubleshooting", "quality", "page", "statistics", "reference", "versions"),
)
PUBLIC = re.findall(
    r"^\| `(toloka_airflow[\w.]+)` \| (.*) \|$", (ROOT / "docs" / "versions.md").read_text(), re.MULTILINE
)
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
BROKEN_WORDS = """
[...document.querySelectorAll("article h1, .sig-prename, .descname")].flatMap(named => {
    const nodes = document.createTreeWalker(named, NodeFilter.SHOW_TEXT), found = [];
    while (nodes.nextNode()) found.push(nodes.currentNode);
    return named.matches("h1") ? found.filter(node => node.parentElement == named) : found;
}).flatMap(node => {
    const broken = [];
    for (const match of (node.nodeType == Node.TEXT_NODE ? node.data : "").matchAll(/\\S+/g)) {
        const word = document.createRange();
        word.setStart(node, match.index);
        word.setEnd(node, match.index + match[0].length);
        if (word.getClientRects().length > 1) broken.push(match[0]);
    }
    return broken;
})
"""
PICTURES = """
[...document.querySelectorAll("article img")].map(image => {
    image.loading = "eager";
    return [image.getAttribute("src"), image.naturalWidth, image.getBoundingClientRect().width];
})
"""
DRAWINGS = """
[...document.querySelectorAll("article img[src$='.svg']")].map(({parentElement: around}) => [
    around.scrollWidth > around.clientWidth,
    getComputedStyle(around, "::after").content.includes("to the right"),
])
"""
FOUND = "[...document.querySelectorAll('#search-results li a')].map(link => link.getAttribute('href'))"
IS_SEARCHED = "/finished|did not match/.test(document.querySelector('.search-summary')?.innerText || '')"
OTHER_WORDS = {
    "pay": "how-to/people.html",
    "ban": "how-to/people.html",
    "block": "how-to/people.html",
    "reopen": "how-to/open-and-close.html",
    "stop": "how-to/open-and-close.html",
    "clone": "how-to/create.html",
    "export": "how-to/answers.html",
    "photos": "how-to/answers.html",
    "majority": "how-to/labels.html",
    "delete": "how-to/archive.html",
    "exam": "how-to/create.html",
    "hours": "how-to/schedule.html",
    "webhook": "how-to/call.html",
    "price": "how-to/estimate.html",
    "open pools": "page.html",
    "gauges": "statistics.html",
    "statsd": "statistics.html",
    "public": "versions.html",
}


class Links(HTMLParser):
    """The anchors of a page, where its links lead, and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors |= {value for value in (values.get("id"), values.get("name")) if value}
        if tag == "a" and (target := values.get("href")):
            self.links.append(target)
        if tag in ("script", "img") and (source := values.get("src")):
            self.loaded.append(source)
        if tag == "link" and "stylesheet" in (values.get("rel") or "") and (source := values.get("href")):
            self.loaded.append(source)


@pytest.fixture(scope="module")
def pages() -> dict[Path, Links]:
    found = {path.resolve(): Links(path) for path in SITE.rglob("*.html") if "_downloads" not in path.parts}
    assert len(found) > 60, "run make test-site, which builds the site"
    return found


def test_every_link_and_anchor_holds(pages: dict[Path, Links]) -> None:
    lost = []
    for path, page in pages.items():
        for target in page.links:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            is_lost = not there.exists() or (
                there in pages and parts.fragment and unquote(parts.fragment) not in pages[there].anchors
            )
            if is_lost:
                lost.append((path.name, target))
    assert lost == []


def test_what_a_package_index_shows_leads_here(pages: dict[Path, Links]) -> None:
    lost = []
    targets = re.findall(rf"\]\({DOCUMENTATION}([^)]*)\)", long_description())
    for target in targets:
        parts = urlsplit(target)
        there = (SITE / parts.path).resolve()
        if not there.is_file() or (parts.fragment and parts.fragment not in pages[there].anchors):
            lost.append(target)
    assert len(targets) > 20
    assert lost == []


def test_nothing_is_loaded_from_elsewhere(pages: dict[Path, Links]) -> None:
    assert {source for page in pages.values() for source in page.loaded if urlsplit(source).netloc} == set()


def test_others_can_link_to_the_classes() -> None:
    data = (SITE / "objects.inv").read_bytes()
    names = zlib.decompress(data.split(b"\n", 4)[4]).decode()
    for name in (*OPERATORS, "TolokaHook", "TolokaClient", "EmulatorServer"):
        assert re.search(rf"^toloka_airflow\.\S*\b{name} py:(class|function) ", names, re.MULTILINE), name


def test_the_reference_shows_what_is_public_and_nothing_else(pages: dict[Path, Links]) -> None:
    shown = {
        anchor
        for path, page in pages.items()
        for anchor in page.anchors
        if path.parent.name == "_reference" and anchor.rpartition(".")[0] == path.stem
    }
    public = {f"{module}.{name}" for module, names in PUBLIC for name in re.findall(r"`(\w+)`", names)}
    assert public - shown == {"toloka_airflow.emulator.pytest_plugin.toloka_emulator"}
    assert shown - public == set()


@pytest.mark.parametrize("page", ["page", "statistics", "versions"])
def test_a_page_is_in_the_table_of_contents(pages: dict[Path, Links], page: str) -> None:
    assert f"{page}.html" in pages[SITE / "index.html"].links


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium("The site's test", tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


def show(browser: Browser, page: str) -> None:
    """Open a page, and hold that it asks nobody for anything."""
    browser.take_events()
    browser.call("Page.navigate", url=(SITE / page.partition("?")[0]).as_uri() + page.partition(".html")[2])
    browser.wait_for("Page.loadEventFired")
    events = browser.take_events()
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert [event for event in events if event["method"] == "Runtime.exceptionThrown"] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_pages_fit_in_every_size_and_colour(browser: Browser, width: int, scheme: str) -> None:
    browser.resize(width, 900, scheme=scheme)
    for name in PAGES_SHOWN:
        show(browser, f"{name}.html")
        assert browser.evaluate(OVERFLOW) == 0, (name, width)
        assert browser.evaluate(BROKEN_WORDS) == [], (name, width)
        for source, natural, shown in browser.evaluate(PICTURES):
            assert natural > 0, (name, source)
            assert shown > min(width, 600) * 0.75, (name, source, shown)
        background = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness = sum(map(int, re.findall(r"\d+", background)[:3]))
        assert (brightness > 600) == (scheme == "light"), (name, background)


def test_names_in_the_reference_are_not_broken_within_a_word(browser: Browser) -> None:
    browser.resize(360, 900)
    for path in sorted((SITE / "_reference").glob("*.html")):
        show(browser, f"_reference/{path.name}")
        assert browser.evaluate(OVERFLOW) == 0, path.name
        assert browser.evaluate(BROKEN_WORDS) == [], path.name


@pytest.mark.parametrize("width", WIDTHS)
def test_a_drawing_that_goes_on_to_the_right_says_so(browser: Browser, width: int) -> None:
    browser.resize(width, 900)
    for name in ("concepts", "estimates", "performance", "quality", "transfer", "windows"):
        show(browser, f"{name}.html")
        assert browser.evaluate(OVERFLOW) == 0, name
        drawings = browser.evaluate(DRAWINGS)
        assert drawings, name
        assert drawings == [[width == WIDTHS[0]] * 2] * len(drawings), name


def found(browser: Browser, words: str) -> list[str]:
    show(browser, f"search.html?q={words}")
    wait_until(lambda: browser.evaluate(IS_SEARCHED), f"the search for {words} has ended", timeout=30)
    return [str(link).removeprefix("./").partition("#")[0].partition("?")[0] for link in browser.evaluate(FOUND)]


@pytest.mark.parametrize(("word", "page"), OTHER_WORDS.items())
def test_search_finds_what_is_meant(browser: Browser, word: str, page: str) -> None:
    assert page in found(browser, word)[:12]


def test_search_finds_every_operator_by_its_name(browser: Browser) -> None:
    for name in OPERATORS:
        links = found(browser, name)
        assert any("_reference/" in link for link in links[:3]), (name, links[:5])
        assert any(link.startswith("how-to/") for link in links), (name, links)
