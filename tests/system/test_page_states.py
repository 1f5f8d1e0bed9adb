"""
The page "Toloka" in a headless Chromium, in every state that its API's answers can bring it into.

The files and their policy are those of the package; the answers are made up, as 2,000 pools and a Toloka that is down
are not quickly had. `test_live_page.py` has the page in a live Airflow.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote

import pytest

from demo.airflow_api import wait_until
from demo.browser import Browser
from tests.framed_page import FramedPage
from tests.page_answers import made_calendar, made_details, made_overview, made_pool
from tests.reports import HOSTILE
from tests.support import ScriptedServer, scripted_server
from toloka_airflow.web.guard import HEADERS
from toloka_airflow.web.pages import PAGE, files

BASE = "/api/airflow"
"""Where Airflow is: below a path, so that an address which is not relative leads nowhere."""
# As Airflow frames it.
PARENT = """<!doctype html><html class="{theme}"><head><link rel="icon" href="data:,"></head>
<body style="margin: 0"><iframe sandbox="allow-scripts allow-same-origin allow-forms" src="toloka/view{query}"
style="border: 0; width: 100vw; height: 100vh"></iframe></body></html>"""
DAG_PAGE = b"<!doctype html><link rel='icon' href='data:,'>the DAG"
# Airflow's frame in a window of 1280 and of 900 px, and that of a DAG's tab.
SIZES = [("light", 1208), ("dark", 1208), ("light", 828), ("dark", 828), ("light", 632), ("dark", 632)]
# Elements that are cut off by what they are in, or by the frame, and are in nothing that scrolls by itself. What is in
# the days of the calendar is where its time is.
CUT_OFF = """[...$.querySelectorAll('header *, main *')].filter(each => {
    const overflow = element => getComputedStyle(element).overflowX;
    const bar = each.closest('.wide, .scroll');
    if (each.closest('svg, .lanes') || each.matches('input') || bar && overflow(bar) === 'auto') return false;
    const isBeyond = each.getBoundingClientRect().right > $.querySelector('main').getBoundingClientRect().right + 1;
    return isBeyond || overflow(each) !== 'visible' && each.scrollWidth > each.clientWidth;
}).map(each => each.outerHTML)"""


class Page(FramedPage):
    """The page in a frame of a parent that is like Airflow's."""

    def __init__(self, browser: Browser, server: ScriptedServer) -> None:
        super().__init__(browser)
        self.server = server
        self.now = datetime.now(UTC)
        self.serve("view", *files()[PAGE])
        for name, (content, media_type) in files().items():
            self.serve(f"static/{name}", content, media_type)

    def serve(self, name: str, content: bytes, media_type: str) -> None:
        headers = {**HEADERS, "Content-Type": media_type}
        self.server.default("GET", f"{BASE}/toloka/{name}", body=content, headers=headers)

    def answer(self, name: str, json: Any, status: int = 200, method: str = "GET") -> None:
        headers = {**HEADERS, "Content-Type": "application/json"}
        self.server.default(method, f"{BASE}/toloka/api/{name}", json, status=status, headers=headers)

    def pools(self, count: int, state: str = "fresh") -> list[dict[str, Any]]:
        """Have some pools, each with its own view."""
        pools = [made_pool(number, self.now) for number in range(count)]
        self.answer("overview", made_overview(pools, self.now, state))
        for pool in pools[:20]:
            self.details(pool)
        return pools

    def details(self, pool: dict[str, Any], **more: Any) -> None:
        self.answer(f"pools/{path_of(pool)}", {**made_details(pool, self.now), **more})

    def open(self, query: str = "", *, theme: str = "light", width: int = 1208) -> None:
        html = PARENT.format(theme=theme, query=query).encode()
        self.server.default("GET", f"{BASE}/parent", body=html, headers={"Content-Type": "text/html"})
        self.browser.resize(width, 800)
        self.browser.take_events()
        self.show(f"{self.server.url}{BASE}/parent")

    def is_in_shape(self) -> None:
        """Check that nothing is wider than the page, and that all requests and reports are as they must be."""
        assert self.js("$.documentElement.scrollWidth - $.documentElement.clientWidth") == 0
        self.has_only_requested(f"{self.server.url}{BASE}/")

    def is_whole(self) -> None:
        """Check that nothing is cut off, and that all of it is in shape."""
        assert self.js(CUT_OFF) == []
        self.is_in_shape()


def path_of(pool: dict[str, Any]) -> str:
    return "/".join(quote(pool[key], safe="") for key in ("dag_id", "conn_id", "pool_id"))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with scripted_server() as server:
        yield Page(browser, server)
        # It must not fetch from a server that is gone.
        browser.call("Page.navigate", url="about:blank")
        assert server.unexpected == []


@pytest.mark.parametrize("count", [0, 1, 2000])
def test_any_number_of_pools_is_shown(page: Page, count: int) -> None:
    page.pools(count)
    backgrounds = set()
    for theme, width in SIZES:
        page.open(theme=theme, width=width)
        page.shows("No pool or training is known yet." if count == 0 else f"{count:,} pool")
        assert len(page.rows()) == min(count, 50)
        backgrounds.add(page.js("getComputedStyle($.body).backgroundColor"))
        page.is_whole()
    assert len(backgrounds) == 2


def test_whose_the_time_is_at_which_a_pool_is_closed(page: Page) -> None:
    pool = {**made_pool(3, page.now), "closed_by_dag_id": "label_nights"}
    page.answer("overview", made_overview([pool], page.now))
    page.details(pool)
    for query in ("", f"#pool/{path_of(pool)}"):
        page.open(query)
        page.shows("Closes", pool["name"])
        times = f"[...$.querySelectorAll('time[datetime=\"{pool['closes_at']}\"]')]"
        assert page.js(f"{times}.map(time => time.title.split('\\n')[0])") == ["Set by the DAG label_nights"]


def test_each_status_is_shown_as_a_whole(page: Page) -> None:
    page.pools(24)
    for theme, width in SIZES:
        page.open(theme=theme, width=width)
        page.shows("Open", "Closed", "Archived", "Locked", "Not open", "Unknown", "SOMETHING_NEW")
        # Words of ours in one line; of one that Toloka adds, all of it.
        lines = "[...$.querySelectorAll('.badge')].map(each => [each.textContent, each.offsetHeight])"
        heights = {text: height for text, height in page.js(lines) if text != "SOMETHING_NEW"}
        assert set(heights.values()) == {heights["Open"]}
        page.is_whole()


def test_all_pools_are_reached_page_by_page(page: Page) -> None:
    pools = page.pools(120)
    page.open()
    page.shows("1 to 50 of 120")
    found = page.rows()
    for last in ("100", "120"):
        page.click(".pager button:last-child")
        page.shows(f"to {last} of 120")
        found += page.rows()
    assert sorted(found) == sorted(pool["name"] for pool in pools)
    assert page.js("$.querySelector('.pager button:last-child').disabled")


def test_the_filter_and_the_sort(page: Page) -> None:
    pools = page.pools(120)
    page.open()
    page.shows("120 pools")
    marked = [pool["name"] for pool in pools if pool["alerts"]]
    # What needs somebody comes first, whatever it is called.
    assert sorted(page.rows()[: len(marked)]) == sorted(marked)
    page.type("#filter-text", "SIGNS label_33")
    page.shows("3 of 120 pools")
    names = [pool["name"] for pool in pools if pool["dag_id"] == "label_33"]
    assert sorted(page.rows()) == sorted(names) != []
    page.js("$.querySelector('#filter-text').select()")
    page.browser.call("Input.insertText", text="no such pool")
    page.shows("No pool matches the filter.")
    page.click("[data-action=clear-filter]")
    page.shows("1 to 50 of 120")
    assert page.focused() == "filter-text"
    page.click("[data-input=onlyAlerts]")
    page.shows(f"{len(marked)} of 120 pools")
    assert sorted(page.rows()) == sorted(marked)
    page.click("[data-input=onlyAlerts]")
    page.click("[data-action=sort][data-value=spent]")
    page.until("$.querySelector('[aria-sort=descending]')", "it is sorted")
    by_money = sorted((pool for pool in pools if pool["spent"] is not None), key=lambda pool: -pool["spent"])
    assert page.rows()[:50] == [pool["name"] for pool in by_money[:50]]
    page.click("[data-action=sort][data-value=spent]")
    page.until("$.querySelector('[aria-sort=ascending]')", "it is sorted")
    assert page.rows()[:50] == [pool["name"] for pool in by_money[::-1][:50]]


def test_what_others_wrote_is_shown_as_text(page: Page) -> None:
    pool = made_pool(0, page.now)
    run = {"dag_id": "label_0", "run_id": HOSTILE[0], "task_id": HOSTILE[2], "map_index": -1}
    for text in HOSTILE:
        hostile = {
            **pool,
            **dict.fromkeys(("name", "status", "close_reason", "kind", "toloka_url"), text),
            "alerts": [{"kind": text, "text": text}],
            "opened_by": {**run, "by_hand": False},
        }
        page.answer("overview", made_overview([hostile, {**hostile, "status": "OPEN", "pool_id": text}], page.now))
        operation = {**dict.fromkeys(("operation_id", "type", "status"), text), "log": [text]}
        operation |= {"submitted_at": None, "finished_at": None}
        page.details(
            hostile,
            message=text,
            operations=[operation],
            runs=[{**run, "state": text, "what": text, "started_at": None, "ended_at": None}],
        )
        page.open()
        page.shows("2 pools")
        page.click("a.name[href$='/1000']")
        page.until("$.querySelector('.operations')", "the pool is shown")
        assert page.js("$.title") == "Toloka"
        assert page.js("$.querySelectorAll('img, #broken, [onload], [onerror], main script, main style').length") == 0
        assert page.js("[...$.querySelectorAll('a')].filter(a => !/^https?:$/.test(a.protocol)).length") == 0
        page.is_in_shape()


def test_a_refresh_keeps_what_somebody_is_doing(page: Page) -> None:
    pools = page.pools(120)
    page.open(width=900)
    page.shows("120 pools")
    page.js("$.querySelectorAll('a.name')[30].focus()")
    before = page.focused()
    page.js("$.defaultView.scrollTo(0, 1200)")
    for pool in pools:
        pool["answers"] = 77_777
    page.answer("overview", made_overview(pools, page.now))
    page.js("$.querySelector('[data-action=refresh]').click()")
    page.shows("77,777")
    assert page.focused() == before
    assert page.js("$.defaultView.scrollY") == 1200

    page.click(f"a.name[href$='{path_of(pools[0])}']")
    page.click("#close-now")
    page.type("#closing-reason", "The guideline is wrong")
    page.details({**pools[0], "answers": 88_888})
    page.js("$.querySelector('[data-action=refresh]').click()")
    page.shows("88,888")
    assert page.focused() == "closing-reason"
    assert page.js("$.querySelector('#closing-reason').value") == "The guideline is wrong"


def test_a_pool_is_closed_in_two_steps(page: Page) -> None:
    [pool] = page.pools(1)
    close = f"pools/{path_of(pool)}/close"
    page.answer(close, {"detail": "Toloka answered 503"}, 502, method="POST")
    page.open(f"#pool/{path_of(pool)}")
    page.click("#close-now")
    page.click("[data-action=keep-open]")
    page.click("#close-now")
    page.type("#closing-reason", " It is wrong ")
    assert page.server.calls("POST") == []
    page.click("[data-action=close]")
    page.shows("It was not closed: Toloka answered 503")
    page.browser.take_events()
    page.answer(close, {"result": "closed", "operation_id": None, "text": "Pool 1000 is closed"}, method="POST")
    closed = {**pool, "status": "CLOSED", "close_reason": "MANUAL"}
    page.click("#close-now")
    page.click("[data-action=close]")
    page.details(closed)
    page.shows("Pool 1000 is closed")
    page.shows("Closed\nmanual")
    assert page.js("$.querySelector('#close-now')") is None
    first, second = (seen for seen in page.server.seen if seen.method == "POST")
    assert first.body == {"reason": "It is wrong", "opened_at": pool["opened_at"]}
    assert second.body == {"reason": "", "opened_at": pool["opened_at"]}
    assert first.headers["Content-Type"] == "application/json"
    assert first.headers["X-Toloka-Airflow"] == "1"
    assert first.headers["Sec-Fetch-Site"] == "same-origin"
    page.is_in_shape()


def test_a_pool_that_was_closed_meanwhile_is_not_closed_again(page: Page) -> None:
    [pool] = page.pools(1)
    page.open(f"#pool/{path_of(pool)}")
    page.click("#close-now")
    page.type("#closing-reason", "It is wrong")
    page.details({**pool, "status": "CLOSED", "close_reason": "COMPLETED"})
    page.click("[data-action=refresh]")
    page.shows("It is not open any more.")
    assert page.js("$.querySelector('[data-action=close]')") is None
    assert page.server.calls("POST") == []


def test_who_may_not_close_is_told_so(page: Page) -> None:
    [pool] = page.pools(1)
    page.details({**pool, "may_close": False})
    page.open(f"#pool/{path_of(pool)}")
    page.shows("Closing it takes the right to change the task instances of label_0")
    assert page.js("$.querySelector('#close-now')") is None


def test_the_keyboard_is_enough(page: Page) -> None:
    pools = page.pools(9)
    page.open()
    page.shows("9 pools")
    page.js("$.querySelector('#filter-text').focus()")
    # Status, check box, eight heads of columns; then the first row.
    page.press("Tab", 11)
    first = page.focused()
    assert first == page.rows()[0]
    page.press("ArrowDown")
    assert page.focused() == page.rows()[1]
    assert page.js("getComputedStyle($.activeElement).outlineStyle") == "solid"
    name = page.focused()
    page.press("Enter")
    page.until("$.querySelector('#pool-name')", "the pool is shown")
    wait_until(lambda: page.focused() == "pool-name", "its name has the focus", timeout=30)
    assert any(pool["name"] == name and pool["status"] == "OPEN" for pool in pools)
    page.press("Tab")
    assert page.focused() == "close-now"
    page.press("Enter")
    assert page.focused() == "keep-open"
    page.press("Escape")
    assert page.focused() == "close-now"
    page.press("Escape")
    page.until("$.querySelector('table.pools')", "the table is shown")
    wait_until(lambda: page.focused() == name, "the row has the focus", timeout=30)
    assert page.server.calls("POST") == []


def test_what_cannot_be_seen_has_a_name(page: Page) -> None:
    """Each control and each chart has a name for a screen reader, and each time its UTC."""
    pool = page.pools(60)[0]
    page.answer("calendar", made_calendar(_monday(page.now), page.now))
    for query in ("", "#windows", f"#pool/{path_of(pool)}"):
        page.open(query)
        page.until("$.querySelector('table, .week, .chart')", f"{query} is shown")
        page.browser.call("Accessibility.enable")
        nodes = page.browser.call("Accessibility.getFullAXTree", frameId=_frame_id(page.browser))["nodes"]
        roles = {"button", "link", "textbox", "searchbox", "combobox", "checkbox", "image", "table", "region"}
        named = [node for node in nodes if node.get("role", {}).get("value") in roles and not node["ignored"]]
        assert len(named) > 10
        assert [node for node in named if not node["name"].get("value")] == []
        assert page.js("[...$.querySelectorAll('time')].every(time => time.title.endsWith(' UTC'))")


def test_the_theme_follows_airflows(page: Page) -> None:
    page.pools(3)
    page.open(theme="light")
    page.shows("3 pools")
    light = page.js("getComputedStyle($.body).backgroundColor")
    page.browser.evaluate("document.documentElement.className = 'dark'")
    page.until(f"getComputedStyle($.body).backgroundColor !== {light!r}", "it is dark")
    page.browser.evaluate("document.documentElement.className = 'light'")
    page.until(f"getComputedStyle($.body).backgroundColor === {light!r}", "it is light again")
    # Whatever dark is in this version of Airflow.
    page.browser.evaluate("document.body.style.backgroundColor = 'rgb(22, 29, 45)'")
    page.browser.evaluate("document.documentElement.className = 'dark'")
    page.until("getComputedStyle($.body).backgroundColor === 'rgb(22, 29, 45)'", "it is as dark as Airflow")


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", {}),
        ("?dag_id=d", {"dag_id": ["d"]}),
        # Airflow 3.1 puts run ids as they are into the address, 3.3 encodes them.
        ("?dag_id=d&run_id=s__1T00:00:00+00:00", {"dag_id": ["d"], "run_id": ["s__1T00:00:00+00:00"]}),
        ("?dag_id=d&run_id=s__1T00%3A00%3A00%2B00%3A00", {"dag_id": ["d"], "run_id": ["s__1T00:00:00+00:00"]}),
        (
            "?dag_id=d&run_id=r&task_id=t&map_index={MAP_INDEX}",
            {"dag_id": ["d"], "run_id": ["r"], "task_id": ["t"], "map_index": ["-1"]},
        ),
        (
            "?dag_id=d&run_id=r&task_id=t&map_index=3",
            {"dag_id": ["d"], "run_id": ["r"], "task_id": ["t"], "map_index": ["3"]},
        ),
        ("?dag_id=d&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}", {"dag_id": ["d"]}),
    ],
)
def test_a_tab_shows_what_it_is_about(page: Page, query: str, asked: dict[str, list[str]]) -> None:
    page.pools(1)
    page.open(query)
    page.shows("1 pool")
    [seen, *_] = [seen for seen in page.server.seen if seen.path.endswith("/api/overview")]
    assert parse_qs(seen.query) == asked


def test_pools_that_have_not_changed_are_not_sent_again(page: Page) -> None:
    page.pools(3)
    page.open("?dag_id=d")
    page.shows("3 pools")
    later = made_overview([], page.now, "down")
    page.answer("overview", {name: later[name] for name in ("now", "version", "connections")})
    page.js("$.querySelector('[data-action=refresh]').click()")
    page.shows("Toloka did not answer for the connection toloka_default: its figures are 7 min old.")
    assert len(page.rows()) == 3
    page.is_in_shape()
    first, second, *_ = [seen for seen in page.server.seen if seen.path.endswith("/api/overview")]
    assert parse_qs(first.query) == {"dag_id": ["d"]}
    assert parse_qs(second.query) == {"dag_id": ["d"], "known": ["1"]}


def test_what_is_old_or_missing_says_so(page: Page) -> None:
    page.pools(3, "down")
    page.open()
    page.shows(
        "Toloka did not answer for the connection toloka_default: its figures are 7 min old. Toloka answered 503"
    )
    page.shows("3 pools")
    page.is_in_shape()
    page.pools(0, "loading")
    page.open()
    page.shows("The pools are being fetched from Toloka.")
    for status, json, text in (
        (500, {"detail": "Something went wrong"}, "Something went wrong It is tried again every 10 seconds."),
        (401, {"detail": "Not authenticated"}, "You are signed out. Sign in to Airflow and load this page again."),
        (403, {"detail": "Forbidden"}, "Forbidden"),
    ):
        page.answer("overview", json, status)
        page.open()
        page.shows(text)
    # An Airflow without the page's app answers 200 with its own page to any address.
    page.serve("api/overview", b"<!doctype html>", "text/html")
    page.open()
    page.shows("Airflow's API server answered with something else than data.")
    # What was there stays.
    page.pools(3)
    page.js("$.querySelector('[data-action=refresh]').click()")
    page.shows("3 pools")
    page.answer("overview", {"detail": "Something went wrong"}, 500)
    page.js("$.querySelector('[data-action=refresh]').click()")
    page.shows("Something went wrong What is shown is of ")
    assert len(page.rows()) == 3


@pytest.mark.parametrize("count", [0, 1, 2, 5000])
def test_the_charts_hold_any_number_of_measurements(page: Page, count: int) -> None:
    [pool] = page.pools(1)
    # The last of them is at an hour, which has the most words right at the edge.
    measured = page.now.replace(minute=6, second=0, microsecond=0)
    page.details(pool, history=made_details(pool, measured, count)["history"])
    for theme, width in SIZES:
        page.open(f"#pool/{path_of(pool)}", theme=theme, width=width)
        page.shows("POOL.OPEN")
        charts = page.js("[...$.querySelectorAll('.chart')].map(chart => chart.querySelectorAll('.reading').length)")
        assert charts == [] if count == 0 else all(0 < readings <= 250 for readings in charts)
        assert len(charts) == (2 if count else 0)
        cut_off = """[...$.querySelectorAll("svg text")].filter(text => {
            const [inner, outer] = [text, text.ownerSVGElement].map(each => each.getBoundingClientRect());
            return inner.left < outer.left - 1 || inner.right > outer.right + 1;
        }).map(text => text.textContent)"""
        assert page.js(cut_off) == []
        page.is_whole()


def _monday(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=now.weekday())


def test_the_calendar_shows_each_window(page: Page) -> None:
    page.pools(0)
    calendar = made_calendar(_monday(page.now), page.now)
    page.answer("calendar", {**calendar, "problems": ["The timetable of label_broken cannot be read here"]})
    page.browser.call("Emulation.setTimezoneOverride", timezoneId="UTC")
    for theme, width in SIZES:
        page.open("#windows", theme=theme, width=width)
        page.shows("The timetable of label_broken cannot be read here")
        page.shows("21 windows")
        # Those over midnight are on two days, and the last of them ends in the next week.
        assert page.js("$.querySelectorAll('.lanes .window').length") == 27
        days = page.js("[...$.querySelectorAll('.day')].map(day => day.querySelectorAll('.window').length)")
        assert days == [3, 4, 4, 4, 4, 4, 4]
        page.is_whole()
    page.click(".window")
    page.shows("It had no run") if calendar["windows"][0]["state"] != "planned" else None
    page.type("[data-input=week-text]", "nights")
    page.shows("7 windows")
    page.click("[data-value='1']")
    # Of this week's windows, the last night's reaches into it.
    page.until("$.querySelectorAll('.lanes .window').length === 1", "it is the next week")
    weeks = {parse_qs(seen.query)["start"][0] for seen in page.server.seen if seen.path.endswith("/api/calendar")}
    first, last = sorted(map(datetime.fromisoformat, weeks))
    assert last - first == timedelta(days=7)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("UTC", "2026-10-21", [24] * 7),
        ("Europe/Berlin", "2026-10-21", [24] * 6 + [25]),
        ("Europe/Berlin", "2026-03-25", [24] * 6 + [23]),
        ("Pacific/Kiritimati", "2026-12-31", [24] * 7),
    ],
)
def test_days_are_those_of_the_reader(page: Page, zone: str, day: str, hours: list[int]) -> None:
    page.pools(0)
    page.browser.call("Emulation.setTimezoneOverride", timezoneId=zone)
    page.open()
    module = f"import('{page.server.url}{BASE}/toloka/static/calendar.js')"
    days = page.browser.evaluate(f"{module}.then(calendar => calendar.daysOf(0, Date.parse('{day}T12:00:00Z')))")
    assert [(each["to"] - each["from"]) / 3_600_000 for each in days] == hours
    shown = page.browser.evaluate(
        "new Intl.DateTimeFormat('en', {weekday: 'short', hour: 'numeric', hourCycle: 'h23'})"
        f".format({days[0]['from']})"
    )
    assert shown.startswith("Mon")
    assert "00" in shown


def test_the_zone_that_was_chosen_in_airflow_counts(page: Page) -> None:
    [pool] = page.pools(1)
    page.browser.call("Emulation.setTimezoneOverride", timezoneId="UTC")
    expires = datetime.fromisoformat(pool["expires_at"])
    page.open(f"#pool/{path_of(pool)}")
    page.shows(f"{expires.astimezone(UTC):%H:%M}")
    page.browser.evaluate("localStorage.setItem('timezone', '\"Asia/Kathmandu\"')")
    try:
        kathmandu = expires + timedelta(hours=5, minutes=45)
        page.shows(f"{kathmandu:%H:%M}")
        assert f"{expires:%Y-%m-%d %H:%M:%S} UTC" in page.js("[...$.querySelectorAll('time')].map(t => t.title)")
    finally:
        page.browser.evaluate("localStorage.removeItem('timezone')")


def test_links_into_airflow_are_followed_by_its_own_page(page: Page) -> None:
    pool = page.pools(1)[0]
    page.server.default("GET", f"{BASE}/dags/{pool['dag_id']}", body=DAG_PAGE, headers={"Content-Type": "text/html"})
    page.open()
    page.click(f"a[href$='dags/{pool['dag_id']}']")
    wait_until(lambda: page.browser.text() == "the DAG", "Airflow shows the DAG", timeout=30)
    assert page.browser.evaluate("location.pathname") == f"{BASE}/dags/{pool['dag_id']}"


def _frame_id(browser: Browser) -> str:
    tree = browser.call("Page.getFrameTree")["frameTree"]
    return str(tree["childFrames"][0]["frame"]["id"])
