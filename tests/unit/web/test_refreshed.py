"""How often something is fetched, and who waits for it; by events, not by time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import pytest

from toloka_airflow.web.refreshed import Refreshed

LONG = 1000.0
MORE_THAN_A_PROCESS_HAS = 1 << 47
"""Bytes of addresses, on the usual machines of 64 bits."""


class Source:
    """Counts how often it is fetched; it answers when it may."""

    def __init__(self) -> None:
        self.fetches = 0
        self.may_answer = Event()
        self.may_answer.set()
        self.error: Exception | None = None

    def fetch(self) -> int:
        self.fetches += 1
        assert self.may_answer.wait(60)
        if self.error is not None:
            raise self.error
        return self.fetches


@pytest.fixture
def source() -> Source:
    return Source()


class Clock:
    """A monotonic clock that a test sets."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    return clock


def settle() -> None:
    """Wait until nothing is fetched."""
    for thread in threading.enumerate():
        if thread.name == "toloka-page":
            thread.join(60)
            assert not thread.is_alive()


@contextmanager
def no_thread_to_be_had() -> Iterator[None]:
    """Have the system refuse to start any thread."""
    before = threading.stack_size(MORE_THAN_A_PROCESS_HAS)
    try:
        yield
    finally:
        threading.stack_size(before)


def test_many_at_once_fetch_once(source: Source) -> None:
    value = Refreshed(source.fetch, min_pause=LONG, max_wait=LONG, usable_for=LONG)
    source.may_answer.clear()
    with ThreadPoolExecutor(20) as people:
        answers = [people.submit(value.get) for _ in range(20)]
        source.may_answer.set()
        assert {answer.result().value for answer in answers} == {1}
    assert source.fetches == 1


def test_not_more_often_than_the_pause(source: Source, clock: Clock) -> None:
    value = Refreshed(source.fetch, min_pause=10, max_wait=LONG, usable_for=0)
    for now, fetches in ((0, 1), (5, 1), (9.9, 1), (10, 2), (19, 2), (25, 3)):
        clock.now = now
        value.get()
        settle()
        assert source.fetches == fetches


def test_a_failure_counts_as_well(source: Source, clock: Clock) -> None:
    value = Refreshed(source.fetch, min_pause=10, max_wait=LONG, usable_for=0)
    source.error = ValueError("no")
    for now in (0, 1, 2):
        clock.now = now
        assert value.get().error is source.error
    assert source.fetches == 1


def test_nobody_waits_while_what_there_is_can_be_used(source: Source, clock: Clock) -> None:
    value = Refreshed(source.fetch, min_pause=10, max_wait=3, usable_for=30)
    assert value.get().value == 1
    source.may_answer.clear()
    clock.now = 15
    assert value.get().value == 1, "and the second fetch is under way"
    source.may_answer.set()
    settle()
    assert value.get().value == 2


def test_nobody_waits_for_longer_than_the_limit(source: Source) -> None:
    value = Refreshed(source.fetch, min_pause=0, max_wait=0.01, usable_for=0)
    source.may_answer.clear()
    assert value.get().value is None
    assert value.get().fetched_at is None
    source.may_answer.set()
    settle()


def test_what_there_is_stays_after_a_failure(source: Source, clock: Clock) -> None:
    value = Refreshed(source.fetch, min_pause=10, max_wait=LONG, usable_for=0)
    first = value.get()
    source.error, clock.now = ValueError("no"), 20
    second = value.get()
    assert (second.value, second.fetched_at, second.error) == (1, first.fetched_at, source.error)
    source.error, clock.now = None, 40
    assert value.get().error is None


def test_a_slow_fetch_makes_the_pause_longer(clock: Clock) -> None:
    fetched = []

    def fetch() -> int:
        fetched.append(clock.now)
        clock.now += 2
        return 1

    value = Refreshed(fetch, min_pause=3, max_wait=LONG, usable_for=0, load=0.1)
    for now in (0, 5, 15, 19.9, 20):
        clock.now = max(now, clock.now)
        value.get()
        settle()
    assert fetched == [0, 20]


def test_nobody_waits_for_a_slow_fetch_while_there_is_one_all_the_time(clock: Clock) -> None:
    may_answer = Event()
    may_answer.set()
    fetched = []

    def fetch() -> int:
        assert may_answer.wait(60)
        fetched.append(clock.now)
        clock.now += 2
        return len(fetched)

    value = Refreshed(fetch, min_pause=3, max_wait=LONG, usable_for=15, load=0.1)
    assert value.get().value == 1
    may_answer.clear()
    clock.now = 39
    assert value.get().value == 1, "the pause is 20 s, and the second fetch is under way"
    may_answer.set()
    settle()
    assert value.get().value == 2
    clock.now = 39 + 41
    assert value.get().value == 3, "nobody had it open for longer than that"


def test_no_thread_to_be_had_is_no_end(source: Source) -> None:
    found = Refreshed(source.fetch, min_pause=0, max_wait=LONG, usable_for=0)
    with no_thread_to_be_had():
        assert found.get().value is None
    assert source.fetches == 0
    assert found.get().value == 1
