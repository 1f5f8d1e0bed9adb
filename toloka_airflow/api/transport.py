"""One HTTP request to Toloka: credentials, time-outs, what may be sent again, and errors."""

from __future__ import annotations

import json
import logging
import math
import os
import random
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property, partial
from itertools import chain, count
from threading import RLock
from typing import TYPE_CHECKING, Any

from toloka_airflow import __version__
from toloka_airflow.api.connection_failures import in_words, was_never_sent
from toloka_airflow.api.errors import (
    TolokaApiError,
    TolokaConnectionError,
    TolokaError,
    TolokaQuotaError,
    default_advice,
    error_class,
    invalid_fields,
    shortened,
)
from toloka_airflow.api.observing import Exchange, route_of
from toloka_airflow.api.settings import SANDBOX, SANDBOX_IS_GONE

if TYPE_CHECKING:
    import requests

    from toloka_airflow.api.observing import Observer
    from toloka_airflow.api.settings import ClientSettings

log = logging.getLogger(__name__)

LONGEST_PAUSE = 30.0
CHUNK_SIZE = 64 * 1024
"""Bytes of a file that are read at once."""
MAX_RETRY_AFTER = 24 * 3600.0
"""Seconds of a Retry-After header that are believed: no quota returns later than in a day."""
MAX_DEPTH = 100
"""How deep an answer may be nested."""
_TOO_DEEP = f"JSON that is nested deeper than {MAX_DEPTH} levels"
_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.\d+")
"""How OpenSSL finds a certificate in a folder."""


class LazySession:
    """
    A session that is made for its first request.

    A task that resumes with the answer of its trigger sends none: the import of `requests` would be most of its CPU.

    :param session: One that is there already.
    """

    def __init__(self, session: requests.Session | None = None) -> None:
        self._session = session
        # Taken once only, and by a signal handler even if it interrupts the one who holds it.
        self._lock = RLock()

    def get(self) -> requests.Session:
        """Return the session, one for all transports that share this."""
        if self._session is None:
            with self._lock:
                if self._session is None:
                    from toloka_airflow.api.timed_session import timed_session

                    self._session = timed_session()
        return self._session


class FileContent(Iterator[bytes]):
    """
    The bytes of a file, chunk by chunk.

    :param media_type: What the server says it is, if it does.
    """

    def __init__(self, chunks: Iterator[bytes], media_type: str | None) -> None:
        self._chunks, self.media_type = chunks, media_type

    def __next__(self) -> bytes:
        return next(self._chunks)


class Transport:
    """
    Send requests to one Toloka account and read JSON.

    :param session: The connections, which other transports may share.
    :param retries: Whether to spend the retry budget of the settings.
    :param deadline: Monotonic time by which all its requests must have ended.
    :param before_change: Called right before each sending of a request that is no GET, also after each pause; what it
        raises keeps the request from being sent.
    :param on_retry: Called with the error of a request that is about to be sent again.
    :param before_receiving: Called when an answer begins to come, before more of it is read than its headers.
    :param observer: Called with each request that was sent, once it is answered or failed; it raises nothing.
    """

    def __init__(
        self,
        settings: ClientSettings,
        session: LazySession,
        *,
        retries: bool = True,
        deadline: float = float("inf"),
        before_change: Callable[[], None] | None = None,
        on_retry: Callable[[TolokaError], None] | None = None,
        before_receiving: Callable[[], None] | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._settings, self._session, self._deadline = settings, session, deadline
        self._before_change, self._on_retry, self._before_receiving = before_change, on_retry, before_receiving
        self._observer = observer
        self._retry_budget = settings.retry_budget if retries else 0.0
        self._authorization = settings.authorization
        self._secret = self._authorization.split(" ", 1)[1]
        self._headers = {"User-Agent": f"airflow-toloka/{__version__}", "Accept": "application/json"}
        if settings.account_id:
            self._headers["X-Act-Under-Account-ID"] = settings.account_id
        self._about_host = SANDBOX_IS_GONE if settings.base_url == SANDBOX else ""
        self._server_time: tuple[datetime, float] | None = None

    def server_time(self) -> datetime | None:
        """Return what the server's clock shows, to the second, by its last answer; ``None`` if that did not say."""
        if self._server_time is None:
            return None
        date, answered = self._server_time
        return date + timedelta(seconds=time.monotonic() - answered)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        repeatable: bool = True,
        read: Callable[[bytes], Any] | None = None,
    ) -> Any:
        """
        Send a request and return the JSON it was answered with; ``None`` for 204.

        :param path: Path below ``/api/v1``, made of checked ids; or a full path, which begins with ``/api/``.
        :param body: What to send as JSON; bytes are JSON already.
        :param repeatable: Whether the server may receive it twice. If not, it is sent again only when it
            cannot have been received.
        :param read: What reads the JSON of a success instead; it raises `ValueError` for what is none.
        :raises TolokaConnectionError: If no answer came within the retry budget.
        :raises TolokaApiError: If the API answered with an error.
        :raises TolokaNotSentError: If this process may not change anything at Toloka any more.
        """
        send = partial(self._send, method, path, params, body, read or parse_json)
        return self._tried(send, method, repeatable=repeatable)

    @contextmanager
    def stream(self, path: str) -> Iterator[FileContent]:
        """
        Request a file, and give its bytes chunk by chunk; it is requested again until the first of them are there.

        Each chunk has as long as the whole answer of another request: a file may be of any size.

        :param path: As in `request`.
        :raises TolokaConnectionError: If no answer came within the retry budget; while iterating, if it broke off.
        :raises TolokaApiError: If the API answered with an error.
        :raises TolokaError: If the answer is no file, or does not say where it ends: a part of it would seem complete.
        """
        answer, first, rest = self._tried(partial(self._begin_stream, path), "GET")
        try:
            yield FileContent(self._chunks(path, first, rest), answer.headers.get("Content-Type"))
        finally:
            answer.close()

    def _tried(self, send: Callable[[], Any], method: str, *, repeatable: bool = True) -> Any:
        """Return what a function returns that sends a request; it is called again after transient errors."""
        give_up = min(time.monotonic() + self._retry_budget, self._deadline)
        may_have_been_received = False
        for attempt in count(1):
            try:
                return send()
            except TolokaError as exc:
                # Not one that is no JSON, as it is from a proxy on the way.
                is_gone = isinstance(exc, TolokaApiError) and exc.status == 404 and not exc.is_transient
                if method == "DELETE" and is_gone and may_have_been_received:
                    return None  # deleted by an attempt before, whose answer was lost
                may_repeat = exc.is_transient and (repeatable or not exc.may_have_been_received)
                may_have_been_received |= exc.may_have_been_received
                # Of all of them: the last one alone would hide one before whose answer was lost.
                exc.may_have_been_received = may_have_been_received
                pause = self._pause(attempt, exc.retry_after)
                if isinstance(exc, TolokaQuotaError) or not may_repeat or time.monotonic() + pause > give_up:
                    raise
                log.warning("%s; trying again in %.1f s", exc, pause)
                if self._on_retry is not None:
                    self._on_retry(exc)
                time.sleep(pause)
        raise AssertionError("unreachable")

    def _send(
        self, method: str, path: str, params: Mapping[str, Any] | None, body: Any, read: Callable[[bytes], Any]
    ) -> Any:
        request = f"{method} {path}"
        headers = {**self._headers, **({} if body is None else {"Content-Type": "application/json"})}
        data = json.dumps(body) if not isinstance(body, bytes | None) else body
        session = self._session.get()  # before the clock starts: the first time, it imports `requests`
        before = self._before_change if method != "GET" else None
        with self._exchange(request, before) as seconds, self._lost_answers_observed(request):
            answer = self._open(session, method, path, seconds, headers, params=params, data=data)
            if self._before_receiving is not None:
                self._before_receiving()
            content = b"".join(answer.iter_content(None))
        return self._read(request, answer, content, body, read)

    def _begin_stream(self, path: str) -> tuple[requests.Response, bytes, Iterator[bytes]]:
        """Return an answer that is a file, its first bytes, and what gives the others."""
        request, session = f"GET {path}", self._session.get()
        with self._exchange(request) as seconds, self._lost_answers_observed(request):
            answer = self._open(session, "GET", path, seconds, {**self._headers, "Accept": "*/*"})
            chunks = answer.iter_content(CHUNK_SIZE)
            is_file = answer.status_code == 200
            first = next(chunks, b"") if is_file else b"".join(chunks)
        if is_file:
            self._note(request, answer)
        if is_file and not any(name in answer.headers for name in ("Content-Length", "Transfer-Encoding")):
            answer.close()
            raise TolokaError(f"{request} answered a file without its length, so a part of it would seem complete")
        if is_file:
            return answer, first, chunks
        self._read(request, answer, first, None, parse_json)
        raise TolokaError(f"{request} answered {answer.status_code} instead of a file")

    def _chunks(self, path: str, chunk: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
        while chunk:
            yield chunk
            with self._exchange(f"GET {path}"):
                chunk = next(rest, b"")

    @contextmanager
    def _exchange(self, request: str, before: Callable[[], None] | None = None) -> Iterator[float]:
        """
        Let what is sent and read in this block end in time, and give the seconds that it has.

        :param before: Called first of all.
        :raises TolokaConnectionError: If it does not, or no answer came for another reason.
        """
        from toloka_airflow.api.timed_session import ends_by

        seconds = min(self._settings.total_timeout, self._deadline - time.monotonic())
        if seconds <= 0:
            raise TolokaConnectionError(f"{request} was not sent: the time is up", may_have_been_received=False)
        deadline = time.monotonic() + seconds
        if before is not None:
            before()
        try:
            with ends_by(deadline):
                yield seconds
        except Exception as exc:  # mostly an OSError; but a proxy that cannot be parsed, for one, is a ValueError
            late = f"no complete answer in {seconds:.3g} s; " if time.monotonic() >= deadline else ""
            answer = f"{request} got no answer from {self._settings.base_url}: {late}{in_words(exc)}"
            text = self._without_secret(answer)
            text += f". {self._about_host}" if self._about_host else ""
            # No cause: its text is in ours, where the token is crossed out in case that the server echoed it.
            raise TolokaConnectionError(text, may_have_been_received=not was_never_sent(exc)) from None

    def _open(
        self, session: requests.Session, method: str, path: str, seconds: float, headers: Mapping[str, str], **sent: Any
    ) -> requests.Response:
        """Send a request, and return its answer when the headers have come."""
        connect, max_pause = self._settings.timeout
        return session.request(
            method,
            self._settings.base_url + (path if path.startswith("/api/") else f"/api/v1{path}"),
            headers=headers,
            auth=self._authorize,
            timeout=(min(connect, seconds), max_pause),
            allow_redirects=False,
            # Not read by `requests`, which takes 10 kB at a time: of a page of answers, a hundred of them.
            stream=True,
            verify=self._verify,
            # A copy, into which `requests` puts those of the environment.
            proxies=self._settings.request_proxies(),
            **sent,
        )

    @cached_property
    def _verify(self) -> bool | str:
        return _certificates(self._settings.verify)

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # An auth object, because a plain header would lose to credentials in the user's ~/.netrc.
        request.headers["Authorization"] = self._authorization
        return request

    @contextmanager
    def _lost_answers_observed(self, request: str) -> Iterator[None]:
        try:
            yield
        except Exception:
            self._observe(request, None)
            raise

    def _observe(self, request: str, status: int | None) -> None:
        if self._observer is not None:
            method, path = request.split(" ", 1)
            self._observer(Exchange(method, route_of(path), status))

    def _note(self, request: str, answer: requests.Response) -> None:
        self._observe(request, answer.status_code)
        date = _http_date(answer.headers.get("Date"))
        self._server_time = None if date is None else (date, time.monotonic())

    def _read(
        self, request: str, answer: requests.Response, content: bytes, sent: Any, read: Callable[[bytes], Any]
    ) -> Any:
        self._note(request, answer)
        if answer.status_code == 204:
            return None
        if 300 <= answer.status_code < 400:
            # Never followed: it would carry the token elsewhere, and could turn a POST into a GET.
            where = self._without_secret(answer.headers.get("Location", "nowhere"))
            advice = "Set the host of the connection to the address that the API is served at."
            raise TolokaApiError(request, status=answer.status_code, message=f"redirect to {where}", advice=advice)
        is_success = 200 <= answer.status_code < 300
        try:
            said = (read if is_success else parse_json)(content) if content else None
            problem = "not JSON" if is_success and said is None else None
        except ValueError as exc:
            said, problem = None, str(exc)
        if is_success and problem is None:
            return said
        text = self._without_secret(content.decode(errors="replace"))
        raise self._error(request, answer, said, text, problem, sent)

    def _error(
        self, request: str, answer: requests.Response, said: Any, text: str, problem: str | None, sent: Any
    ) -> TolokaApiError:
        body = self._without_secret(said) if isinstance(said, dict) else {}
        code, payload = body.get("code"), body.get("payload")
        if code is None and payload is None and any(invalid_fields(body)):
            payload = body  # the refusal of equal bonuses is documented without an envelope
        code = None if code is None else str(code)
        advice = default_advice(answer.status_code, code, payload)
        return error_class(answer.status_code, payload, is_json=problem is None)(
            request,
            status=answer.status_code,
            code=code,
            message=str(body.get("message") or "") if problem is None else f"{problem}: {shortened(text)!r}",
            request_id=body.get("request_id"),
            payload=payload,
            retry_after=_seconds(answer.headers.get("Retry-After")),
            advice=f"{advice} {self._about_host}".strip(),
            sent=self._without_secret(sent) if answer.status_code == 400 else None,
        )

    def _pause(self, attempt: int, retry_after: float | None) -> float:
        """Return the seconds before the next try: doubling, jittered so that the requests of many tasks spread."""
        backoff = min(self._settings.first_pause * 2.0 ** min(attempt - 1, 20), LONGEST_PAUSE)
        return max(backoff * random.uniform(0.5, 1.0), retry_after or 0.0)

    def _without_secret(self, value: Any) -> Any:
        """Return text or JSON with the token crossed out: there are servers that echo what they were sent."""
        if isinstance(value, str):
            return value.replace(self._secret, "***")
        if isinstance(value, dict):
            return {self._without_secret(key): self._without_secret(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._without_secret(item) for item in value]
        return value


def _certificates(verify: bool | str) -> bool | str:
    """
    Return what `requests` is to check certificates with: those of the machine, where it has a folder of them.

    So a company's own are trusted as by other programs. The bundle of `requests` is one file, which every task would
    parse entirely: 17 ms of CPU. REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE win over both.
    """
    if verify is not True or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE"):
        return verify
    folder = ssl.get_default_verify_paths().capath
    try:
        return folder if folder and any(map(_HASHED_NAME.fullmatch, os.listdir(folder))) else verify
    except OSError:  # it may not be read
        return verify


def parse_json(content: bytes) -> Any:
    """
    Return the JSON of an answer; a number that JSON does not have, such as NaN, is as good as none.

    :raises ValueError: If it is no JSON, or so deep that no function that calls itself gets through it.
    """
    try:
        value = json.loads(content, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except ValueError:
        raise ValueError("not JSON") from None
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        if not level:
            return value
        inner = chain.from_iterable(node.values() if type(node) is dict else node for node in level)
        level = [node for node in inner if type(node) is dict or type(node) is list]
    raise ValueError(_TOO_DEEP)


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _seconds(retry_after: str | None) -> float | None:
    """Read a Retry-After header, which holds seconds or a date."""
    if not retry_after:
        return None
    try:
        if retry_after.strip().isdecimal():
            seconds = float(retry_after)
        else:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, seconds), MAX_RETRY_AFTER)


def _http_date(text: str | None) -> datetime | None:
    """Read a Date header, which is always in GMT."""
    try:
        return None if text is None else parsedate_to_datetime(text).replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
