"""What `make bench-fleet` makes of what it has seen: figures, tables, and whether the limits were kept."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

import pytest

pytest.importorskip("uvicorn")

from benchmarks.fleet import page
from benchmarks.fleet.figures import Figures, Record, share
from benchmarks.fleet.kinds import KINDS
from benchmarks.fleet.toloka import BY_ID, LIST, OTHER, PAGE, sort_of, spread

THRESHOLD = 10.0


def record(kind: str = "ours", **changes: object) -> Record:
    """Ten waits from second 1000, which end from second 1600 on, one every ten seconds; a kill at 1660."""
    ends = [1600.0 + 10 * number for number in range(10)]
    seen = {number: (end + 1 + number / 10, None, True) for number, end in enumerate(ends)}
    found = Record(kind, deferred=1000.0, begin=1600.0, ends=ends, assigned=1004.0, seen=seen, killed=1660.0)
    return replace(found, **changes)  # type: ignore[arg-type]


def kept(found: Iterable[page.Limit]) -> dict[str, bool]:
    return {limit.what.split(": ")[1]: limit.is_kept for limit in found}


def test_delays_are_those_of_the_ends_that_were_surely_seen_before_the_kill() -> None:
    figures = Figures.of(record())
    assert (figures.p50, figures.p99, figures.longest) == pytest.approx((1.3, 1.5, 1.5))  # 1600 to 1650
    assert figures.after_kill == pytest.approx(1.9)


def test_all_delays_count_where_nothing_was_killed() -> None:
    figures = Figures.of(record(killed=None))
    assert figures.longest == pytest.approx(1.9)
    assert figures.after_kill is None
    assert figures.takeover is None


def test_what_ended_badly_too_early_or_never_is_in_no_delay() -> None:
    seen = {0: (1601.0, None, True), 1: (1700.0, None, False), 2: (1619.0, None, True), 3: (None, None, True)}
    figures = Figures.of(record(seen=seen))
    assert (figures.longest, figures.early, figures.well, figures.waits) == (1.0, 1, 3, 10)


def test_requests_are_counted_until_the_first_end_and_in_all() -> None:
    requests = [(1001.2, LIST), (1001.4, BY_ID), (1001.9, OTHER), (1599.9, LIST), (1600.0, LIST)]
    figures = Figures.of(record(requests=requests))
    assert (figures.quiet, figures.lists, figures.by_id, figures.quiet_requests) == (600.0, 2, 1, 4)
    assert (figures.requests, figures.peak) == (5, 3)


def test_memory_counts_before_the_kill_and_connections_always() -> None:
    figures = Figures.of(record(memory=[(1010, 2e8), (1659, 3e8), (1661, 9e8)], connections=[(1010, 7), (1661, 9)]))
    assert (figures.memory, figures.connections) == (3e8, 9)


def test_real_tasks_are_done_later_than_seen() -> None:
    seen = {number: (1600.0 + 10 * number + 1, 1600.0 + 10 * number + 4, True) for number in range(10)}
    figures = Figures.of(record("real", killed=None, seen=seen))
    assert (figures.p50, figures.done50, figures.done99) == (1.0, 4.0, 4.0)


def test_figures_survive_a_file() -> None:
    figures = Figures.of(record())
    assert page.line(Figures(**json.loads(json.dumps(figures.as_json())))) == page.line(figures)


def test_of_no_delays_there_is_no_share() -> None:
    assert share([], 0.5) is None
    assert share([3.0, 1.0, 2.0], 0.5) == 2.0


def test_the_limits_are_those_of_the_page() -> None:
    peer = replace(Figures.of(record("datetime")), p99=1.0, connections=10, memory=4e8)
    within = {"p99": 7.9, "connections": 11, "memory": 4.3e8, "takeover": 14.9, "lists": 599, "by_id": 20}
    good = replace(peer, kind="ours", **within)
    assert set(kept(page.limits_of(good, [peer], THRESHOLD)).values()) == {True}
    for change in (
        {"p99": 8.1},
        {"connections": 12},
        {"memory": 4.5e8},
        {"takeover": 15.1},
        {"takeover": None},
        {"lists": 601},
        {"by_id": 21},
        {"well": 9},
    ):
        missed = kept(page.limits_of(replace(good, **change), [peer], THRESHOLD))  # type: ignore[arg-type]
        assert list(missed.values()).count(False) == 1, change


def test_pools_are_held_to_their_requests_for_each_measurement() -> None:
    # Ten pools, nine minutes from one after they began to the first end: 90 measurements.
    start, later = [(1001.0, BY_ID)] * 50, [(1060.0, BY_ID)] * 48 + [(1599.0, OTHER)] * 58 + [(1300.0, LIST)]
    found = record("pools", assigned=1000.0, taken_over=1665.0, requests=start + later)
    limit = "at most 1.2 requests for each pool and measurement, lists included"
    assert Figures.of(found).per_measurement == pytest.approx(107 / 90)
    assert kept(page.limits_of(Figures.of(found), [], THRESHOLD))[limit]
    found.requests += [(1400.0, LIST)] * 2
    assert not kept(page.limits_of(Figures.of(found), [], THRESHOLD))[limit]


def test_too_short_a_time_says_nothing_of_measurements() -> None:
    assert Figures.of(record("pools", assigned=1500.0)).per_measurement is None


def test_the_text_has_a_table_for_each_number_and_says_no_where_a_limit_was_missed() -> None:
    ours, peer = Figures.of(record()), Figures.of(record("datetime"))
    more = replace(Figures.of(record("http")), waits=3000)
    text = page.text([more, ours, peer], "make bench-fleet", THRESHOLD)
    assert "`make bench-fleet`" in text
    assert text.index("**10 waits**") < text.index("**3,000 waits**")
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")]
    assert [f"| {KINDS[kind].title}" for kind in ("ours", "datetime", "http")] == [
        row for row in rows if row in {f"| {kind.title}" for kind in KINDS.values()}
    ]
    assert "taken over within 15 s | - | **no** |" in text


def test_real_tasks_are_held_against_real_tasks() -> None:
    ours, peer = (Figures.of(record(kind, killed=None)) for kind in ("real", "real_datetime"))
    text = page.text([ours, peer, Figures.of(record("datetime"))], "make bench-fleet", THRESHOLD)
    assert text.count("99 % seen within") == 1
    assert "taken over within" not in text
    assert "request by id" not in text


@pytest.mark.parametrize(
    ("method", "path", "sort"),
    [
        ("GET", "/api/v1/operations", LIST),
        ("GET", "/api/v1/pools", LIST),
        ("GET", "/api/v1/operations/0a1b2c3d-0001-4000-8000-00000000000f", BY_ID),
        ("GET", "/api/v1/pools/21", BY_ID),
        ("POST", "/api/staging/analytics-2", OTHER),
        ("POST", "/api/v1/pools/21/close", OTHER),
    ],
)
def test_requests_are_told_apart(method: str, path: str, sort: str) -> None:
    assert sort_of(method, path) == sort
    assert sort != PAGE


def test_everybody_has_the_same_ends() -> None:
    first, second = spread(100, 1000.0, 60), spread(100, 5000.0, 60)
    assert [round(end - 4000.0, 3) for end in second] == pytest.approx(first)
    assert 1000 <= min(first) <= max(first) <= 1060


def test_memory_is_held_against_a_trigger_that_reads_a_connection_too() -> None:
    ours = replace(Figures.of(record()), memory=5e8)
    others = [replace(ours, kind="datetime", memory=4e8), replace(ours, kind="connection", memory=4.8e8)]
    limits = {limit.what: limit.is_kept for limit in page.limits_of(ours, others, THRESHOLD) if "MB" in limit.what}
    assert list(limits.values()) == [False, True]
