"""What each error knows of itself, and when a permanent one is believed."""

from __future__ import annotations

import pytest

from tests.support import operation
from toloka_airflow.api.errors import (
    MAX_CONSECUTIVE_FAILURES,
    FailureCount,
    TolokaConnectionError,
    TolokaError,
    TolokaNotSentError,
    TolokaOperationError,
    TolokaTimeoutError,
    error_class,
    is_transient,
)
from toloka_airflow.api.models import Operation


def answered(
    status: int, *, is_json: bool = True, interval: str | None = None, wait: float | None = None
) -> TolokaError:
    """Return the error for an answer."""
    payload = {"interval": interval}
    return error_class(status, payload, is_json=is_json)("GET /x", status=status, payload=payload, retry_after=wait)


NOT_SENT = TolokaConnectionError("refused", may_have_been_received=False)
NO_ANSWER = TolokaConnectionError("dropped", may_have_been_received=True)
FAILED = TolokaOperationError(Operation.from_api(operation("FAIL")))


@pytest.mark.parametrize(
    ("exc", "transient", "received"),
    [
        (TolokaError("odd shape"), False, True),
        (NOT_SENT, True, False),
        (NO_ANSWER, True, True),
        (FAILED, False, True),
        (TolokaTimeoutError("late"), True, True),
        (TolokaNotSentError("an orphan"), False, False),
        *[(answered(status), False, False) for status in (302, 400, 401, 403, 404, 405, 409, 413, 422, 501, 505)],
        *[(answered(status), True, True) for status in (408, 500, 502, 503, 504)],
        *[(answered(status, is_json=False), True, True) for status in (200, 404, 409, 502)],
        *[(answered(status, is_json=False), False, False) for status in (501, 505)],
        *[(answered(429, interval=interval), True, False) for interval in (None, "MIN", "HOUR", "DAY")],
        (answered(429, is_json=False), True, False),
    ],
    ids=lambda value: f"{type(value).__name__} {getattr(value, 'status', '')}",
)
def test_errors_know(exc: TolokaError, transient: bool, received: bool) -> None:
    assert (exc.is_transient, exc.may_have_been_received) == (transient, received)
    assert is_transient(exc) == transient
    assert exc.retry_after is None


def test_retry_after() -> None:
    assert answered(503, wait=7.0).retry_after == 7.0


def test_nothing_is_known_of_other_errors() -> None:
    assert not is_transient(TimeoutError())


class TestFailureCount:
    PERMANENT = answered(404)
    TRANSIENT = answered(503)

    def test_the_last_in_a_row_is_final(self) -> None:
        failures = FailureCount()
        found = [failures.is_final(self.PERMANENT) for _ in range(MAX_CONSECUTIVE_FAILURES)]
        assert found == [False] * (MAX_CONSECUTIVE_FAILURES - 1) + [True]

    def test_a_success_begins_anew(self) -> None:
        failures = FailureCount()
        for _ in range(5):
            for _ in range(MAX_CONSECUTIVE_FAILURES - 1):
                assert not failures.is_final(self.PERMANENT)
            failures.reset()

    def test_transient_errors_never_count(self) -> None:
        failures = FailureCount()
        assert not any(failures.is_final(self.TRANSIENT) for _ in range(100))

    def test_transient_errors_do_not_interrupt_the_row(self) -> None:
        failures = FailureCount()
        for _ in range(MAX_CONSECUTIVE_FAILURES - 1):
            failures.is_final(self.PERMANENT)
            assert not failures.is_final(self.TRANSIENT)
        assert failures.is_final(self.PERMANENT)

    def test_errors_that_are_not_of_toloka_count(self) -> None:
        failures = FailureCount()
        found = [failures.is_final(ValueError("no such host")) for _ in range(MAX_CONSECUTIVE_FAILURES)]
        assert found == [False] * (MAX_CONSECUTIVE_FAILURES - 1) + [True]
