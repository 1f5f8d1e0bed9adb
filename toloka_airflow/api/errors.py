"""
Everything that `toloka_airflow.api` raises, apart from `ValueError` for a bad argument::

    TolokaError
        TolokaConnectionError       no answer came, so nobody knows what the server did
        TolokaApiError              the API answered with an error
            TolokaConflictError     409: not possible in the present state
            TolokaRetryableError    408, 429, 5xx (but 501, 505) or not JSON: the same request may succeed later
                TolokaQuotaError    429 for a quota that returns in an hour or a day
        TolokaOperationError        an operation ended as FAIL, or in a way this version does not know
        TolokaTimeoutError          an operation was not done in time
        TolokaNotSentError          this process may not change anything at Toloka any more

Each knows what its callers decide by: `is_transient`, `may_have_been_received` and `retry_after`. `FailureCount` says
when a permanent error is believed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from toloka_airflow._internal.wording import counted

if TYPE_CHECKING:
    from toloka_airflow._internal.troubleshooting import Topic
    from toloka_airflow.api.models import Operation

__all__ = [
    "TolokaApiError",
    "TolokaConflictError",
    "TolokaConnectionError",
    "TolokaError",
    "TolokaNotSentError",
    "TolokaOperationError",
    "TolokaQuotaError",
    "TolokaRetryableError",
    "TolokaTimeoutError",
]

MAX_CONSECUTIVE_FAILURES = 3
"""How often a permanent error, such as 404, must come in a row before a wait believes it."""
MAX_SHOWN = 500
MAX_FIELDS_SHOWN = 20
MAX_VALUE_SHOWN = 80

_FOR_EVER = (501, 505)
"""Not implemented, HTTP version not supported: the same request is never answered otherwise."""
QUOTA_INTERVALS = {"MIN": timedelta(minutes=1), "HOUR": timedelta(hours=1), "DAY": timedelta(days=1)}
"""When the quota of a call returns at the latest, by the name that the API gives the interval."""
_LONG_QUOTAS = {name: interval for name, interval in QUOTA_INTERVALS.items() if name != "MIN"}

_ADVICE_BY_CODE = {
    "AUTHENTICATION_ERROR": "Check the token (the password of the Airflow connection) and its environment: "
    "each environment has tokens of its own.",
    "ACCESS_DENIED": "The token is valid but has no right to this; check the account and `account_id`.",
    "DOES_NOT_EXIST": "Check the id and the environment: each environment has objects of its own.",
    "EMPTY_POOL": "Upload tasks to the pool before opening it.",
    "NOT_ENOUGH_BALANCE": "Top up the account before opening the pool.",
    "POOL_IS_TRAINING": "This id belongs to a training: use the training operators.",
    "TRAINING_ARCHIVE_CONFLICT": "Archive every main pool that requires this training first.",
    "UNARCHIVED_POOLS_CONFLICT": "Archive every pool of the project first.",
    "SUBMITTED_ASSIGNMENTS_CONFLICT": "Accept or reject the submitted answers first: "
    "an archived pool cannot be reviewed.",
    "THERE_IS_REJECTED_ASSIGNMENT": "A pool can be archived 9 days after its last rejected answer, "
    "when Tolokers can no longer appeal.",
    "THERE_IS_ACTIVE_ASSIGNMENT": "Tolokers are still working on tasks of this pool; try again later.",
    "MIXER_CONFIG_REQUIRED": "Give the pool a `mixer_config` to upload single tasks, or upload task suites.",
}
_ADVICE_BY_CODE["OAUTH_AUTHENTICATION_ERROR"] = _ADVICE_BY_CODE["AUTHENTICATION_ERROR"]
_TOPIC_BY_CODE: dict[str | None, Topic] = {
    "NOT_ENOUGH_BALANCE": "not-enough-money",
    "MIXER_CONFIG_REQUIRED": "refused-values",
    "POOL_IS_TRAINING": "no-such-object",
}
_TOPIC_BY_STATUS: dict[int, Topic] = {
    301: "connection-fields",
    302: "connection-fields",
    307: "connection-fields",
    308: "connection-fields",
    400: "refused-values",
    401: "token-refused",
    403: "token-refused",
    404: "no-such-object",
    409: "wrong-state",
    413: "refused-values",
}
_ADVICE_BY_STATUS = {
    401: _ADVICE_BY_CODE["AUTHENTICATION_ERROR"],
    403: _ADVICE_BY_CODE["ACCESS_DENIED"],
    404: _ADVICE_BY_CODE["DOES_NOT_EXIST"],
}


class TolokaError(Exception):
    """Base of all errors of the Toloka client; raised itself for an answer of another shape than documented."""

    is_transient: bool = False
    """Whether the same request may succeed later: after no answer, 408, 429, 5xx, what is not JSON, or a time-out."""

    may_have_been_received: bool = True
    """Whether the server may have acted on the request, in any of its sendings, so that another may do it twice."""

    retry_after: float | None = None
    """Seconds after which the server wants the next request, if it said so."""

    topic: Topic = "unexpected-answer"
    """Where the documentation says more about it: an anchor of its page on troubleshooting."""

    def __init__(self, message: str = "", *, topic: Topic | None = None) -> None:
        super().__init__(message)
        if topic is not None:
            self.topic = topic


class TolokaConnectionError(TolokaError):
    """
    Report a request that got no answer.

    :param may_have_been_received: False if the connection could not even be made.
    """

    is_transient = True
    topic = "no-answer"

    def __init__(self, message: str, *, may_have_been_received: bool) -> None:
        super().__init__(message)
        self.may_have_been_received = may_have_been_received


class TolokaApiError(TolokaError):
    """
    Report an error answer of the API.

    :param request: Method and path of the request, without query.
    :param status: HTTP status.
    :param code: Toloka's machine-readable code; ``None`` if the answer had none.
    :param message: Toloka's own words, or the start of a body that was not JSON.
    :param request_id: What Toloka's support needs.
    :param payload: Details; their shape depends on the code.
    :param retry_after: What the Retry-After header says, in seconds.
    :param advice: What to do about it; a default is known for the common codes.
    :param sent: The body of the request; the message shows the values of it that were found invalid.
    """

    def __init__(
        self,
        request: str,
        *,
        status: int,
        code: str | None = None,
        message: str = "",
        request_id: str | None = None,
        payload: Any = None,
        retry_after: float | None = None,
        advice: str | None = None,
        sent: Any = None,
    ) -> None:
        self.request, self.status, self.code = request, status, code
        self.message, self.request_id, self.payload = message, request_id, payload
        self.retry_after = retry_after
        # A 429 is a refusal before any action, as is every answer that is final.
        self.may_have_been_received = self.is_transient and status != 429
        self.advice = advice if advice is not None else default_advice(status, code, payload)
        self.topic = _TOPIC_BY_CODE.get(code) or _TOPIC_BY_STATUS.get(status) or self.topic
        super().__init__(self._text(sent))

    def _text(self, sent: Any) -> str:
        parts = [f"{self.request} answered {self.status} {self.code or 'without a code'}"]
        if self.message:
            parts.append(f": {self.message}")
        fields = list(invalid_fields(self.payload, sent))
        is_in_advice = isinstance(self.payload, dict) and self.payload.keys() == {"appropriate_statuses"}
        if self.payload and not fields and not (is_in_advice and self.advice):
            parts.append(f" {shortened(self.payload)}")
        if self.request_id:
            parts.append(f" (request id {self.request_id})")
        if self.advice:
            parts.append(f". {self.advice}")
        parts += [f"\n  {field}" for field in fields[:MAX_FIELDS_SHOWN]]
        if len(fields) > MAX_FIELDS_SHOWN:
            parts.append(f"\n  and {len(fields) - MAX_FIELDS_SHOWN} more")
        return "".join(parts)


class TolokaConflictError(TolokaApiError):
    """Report that the present state does not allow the call."""

    def with_cause(self, cause: str, topic: Topic) -> Self:
        """Return it with what is known of the state that does not allow the call, and what that is about."""
        facts = {name: getattr(self, name) for name in ("status", "code", "message", "request_id", "payload")}
        error = type(self)(self.request, **facts, advice=f"{self.advice} {cause}".strip())
        error.topic = topic
        return error

    @property
    def is_blocked(self) -> bool:
        """Whether the call is possible when another operation of the pool or training has ended."""
        return self.code == "POOL_LOCKED_BY_ANOTHER_OPERATION"


class TolokaRetryableError(TolokaApiError):
    """Report an answer that may be different the next time; all but 429 leave open what the server did."""

    is_transient = True
    topic: Topic = "no-answer"


class TolokaQuotaError(TolokaRetryableError):
    """Report a spent quota that returns in an hour or a day: too late for a wait inside a task."""

    topic = "quota-spent"


class TolokaOperationError(TolokaError):
    """
    Report an operation that did not succeed.

    :param operation: The operation as it was last fetched.
    :param log: Its log, for the types that have one.
    """

    topic = "operation-failed"

    def __init__(self, operation: Operation, log: list[dict[str, Any]] | None = None) -> None:
        self.operation, self.log = operation, log or []
        super().__init__(self._text())

    def _text(self) -> str:
        operation = self.operation
        text = f"Operation {operation.id} ({operation.type}) ended as {operation.status.value}"
        if not operation.status.is_known:
            text += ", a status that this version of toloka_airflow does not know, so it counts as failed"
        if operation.parameters:
            text += f"; parameters {shortened(operation.parameters)}"
        if operation.details:
            text += f"; details {shortened(operation.details)}"
        failed = [step for step in self.log if step.get("success") is False]
        if failed:
            shown = [{"type": step.get("type"), "output": step.get("output")} for step in failed[:3]]
            text += f"; first of {counted(len(failed), 'error')} in its log {shortened(shown)}"
        return text


class TolokaTimeoutError(TolokaError):
    """Report an operation that was not done in time; it continues at Toloka."""

    is_transient = True
    topic = "timed-out"


class TolokaNotSentError(TolokaError):
    """Report a request that was not sent, as this process may not change anything at Toloka any more."""

    may_have_been_received = False
    topic = "supervisor-gone"


class FailureCount:
    """
    Count permanent errors in a row, because a single 404 or 401 may be a slip of a proxy or a replica.

    Transient errors neither count nor interrupt the row; only success does.
    """

    __slots__ = ("_failures",)

    def __init__(self) -> None:
        self._failures = 0

    def is_final(self, exc: Exception) -> bool:
        """Take note of an error; return whether it is permanent and the last of `MAX_CONSECUTIVE_FAILURES` in a row."""
        self._failures += not is_transient(exc)
        return self._failures >= MAX_CONSECUTIVE_FAILURES

    def reset(self) -> None:
        """Begin anew, after a success."""
        self._failures = 0


def is_transient(exc: BaseException) -> bool:
    """Return whether what failed may succeed later; of errors that are not Toloka's, nothing is known."""
    return isinstance(exc, TolokaError) and exc.is_transient


def error_class(status: int, payload: Any, *, is_json: bool) -> type[TolokaApiError]:
    """Return the class for an error answer."""
    if status == 429 and quota_interval(payload) in _LONG_QUOTAS:
        return TolokaQuotaError
    if (not is_json or status in (408, 429) or status >= 500) and status not in _FOR_EVER:
        return TolokaRetryableError
    return TolokaConflictError if status == 409 else TolokaApiError


def quota_interval(payload: Any) -> str | None:
    """Return the interval (MIN, HOUR, DAY) in which a spent quota returns, if the answer names it."""
    interval = payload.get("interval") if isinstance(payload, dict) else None
    return interval if isinstance(interval, str) else None


def invalid_fields(payload: Any, sent: Any = None) -> Iterator[str]:
    """
    Iterate over what a validation found, one line per field: ``field: CODE: message (you sent value)``.

    :param payload: Maps paths (``tasks.0.input_values.image``) to ``{"code": ..., "message": ...}``; the maps may be
        nested. Anything else has no fields.
    :param sent: What was validated, if known; a secret in it, such as a webhook's key, is not shown.
    """
    for path, problem in _problems(payload):
        text = f"{path}: {problem['code']}"
        if message := problem.get("message"):
            text += f": {shortened(message)}"
        known, value = _find_value(sent, path)
        is_shown = known and "secret" not in path.lower() and "secret" not in repr(value).lower()
        yield f"{text} (you sent {shortened(repr(value), MAX_VALUE_SHOWN)})" if is_shown else text


def _problems(payload: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(payload, dict):
        return
    for key, value in payload.items():
        inner = f"{path}.{key}" if path else str(key)
        if isinstance(value, dict) and isinstance(value.get("code"), str):
            yield inner, value
        else:
            yield from _problems(value, inner)


def _find_value(sent: Any, path: str) -> tuple[bool, Any]:
    """Return whether there is a value at a path of keys and positions, and the value."""
    for step in path.split("."):
        if isinstance(sent, dict) and step in sent:
            sent = sent[step]
        elif isinstance(sent, list) and step.isdecimal() and len(step) < 10 and int(step) < len(sent):
            sent = sent[int(step)]
        else:
            return False, None
    return True, sent


def shortened(value: Any, limit: int = MAX_SHOWN) -> str:
    """Return a value as text that fits into a message."""
    text = str(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def default_advice(status: int, code: str | None, payload: Any) -> str:
    """Return what to do about an error answer, as far as that is known."""
    allowed = payload.get("appropriate_statuses") if isinstance(payload, dict) else None
    if allowed and isinstance(allowed, list):
        return f"Allowed statuses: {', '.join(map(str, allowed))}."
    if wait := _LONG_QUOTAS.get(quota_interval(payload) or ""):
        latest = datetime.now(UTC) + wait
        return f"The quota of this call is spent; it returns by {latest:%Y-%m-%d %H:%M} UTC at the latest."
    if code in _ADVICE_BY_CODE:
        return _ADVICE_BY_CODE[code]
    return _ADVICE_BY_STATUS.get(status, "")
