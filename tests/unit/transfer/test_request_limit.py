"""How many requests are under way after refusals."""

from __future__ import annotations

import threading
from contextlib import ExitStack

from toloka_airflow.api.errors import TolokaApiError, TolokaConnectionError
from toloka_airflow.transfer.request_limit import RequestLimit

TOO_MANY = TolokaApiError("GET /assignments", status=429)


def go_well(limit: RequestLimit, times: int) -> None:
    for _ in range(times):
        with limit.request():
            pass


def test_half_as_many_after_a_refusal_and_one_more_after_each_round_that_went_well() -> None:
    limit = RequestLimit(8)
    limit.has_failed(TOO_MANY)
    assert limit.current == 4
    go_well(limit, 4)
    assert limit.current == 5
    go_well(limit, 5 + 6 + 7 + 100)
    assert limit.current == 8


def test_refusals_that_come_at_once_count_once() -> None:
    limit = RequestLimit(8)
    for _ in range(8):
        limit.has_failed(TOO_MANY)
    assert limit.current == 4
    go_well(limit, 1)
    limit.has_failed(TOO_MANY)
    assert limit.current == 2


def test_one_is_always_sent() -> None:
    limit = RequestLimit(2)
    for _ in range(5):
        limit.has_failed(TOO_MANY)
        go_well(limit, 1)
    assert limit.current >= 1


def test_other_errors_do_not_count() -> None:
    limit = RequestLimit(8)
    limit.has_failed(TolokaConnectionError("no answer", may_have_been_received=True))
    limit.has_failed(TolokaApiError("GET /assignments", status=503))
    assert limit.current == 8


def test_no_more_than_that_are_under_way() -> None:
    limit = RequestLimit(2)
    sent = threading.Event()

    def send() -> None:
        with limit.request():
            sent.set()

    with ExitStack() as under_way:
        under_way.enter_context(limit.request())
        under_way.enter_context(limit.request())
        third = threading.Thread(target=send)
        third.start()
        assert not sent.wait(0.05)
    third.join(10)
    assert sent.is_set()
