"""One HTTP request to Toloka: credentials, time-outs, what may be sent again, and errors."""

from __future__ import annotations

import itertools
import json
import logging
import os
import random
import re
import ssl
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from toloka_airflow import __version__
from toloka_airflow.api.errors import (
    TolokaApiError,
    TolokaConnectionError,
    TolokaQuotaError,
    TolokaRetryableError,
    error_class,
    shortened,
)

if TYPE_CHECKING:
    import requests

log = logging.getLogger(__name__)

AUTH_SCHEMES = ("auto", "OAuth", "ApiKey")
LONGEST_PAUSE = 30.0
_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.\d+")
"""How OpenSSL finds a certificate in a folder."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Transport:
    """
    Send requests to one Toloka account and read JSON.

    Arguments are those of `TolokaClient`, which documents them.
    """

    def __init__(
        self,
        token: str,
        *,
        base_url: str,
        auth_scheme: str,
        account_id: str | None,
        timeout: tuple[float, float],
        retry_budget: float,
        first_pause: float,
        verify: bool | str,
        proxies: Mapping[str, str] | None,
        allow_http: bool,
        session: requests.Session | None,
    ) -> None:
        self.base_url = checked_url(base_url, allow_http=allow_http)
        self._authorization = authorization(token, auth_scheme)
        self._secret = self._authorization.split(" ", 1)[1]
        self._headers = {"User-Agent": f"airflow-toloka/{__version__}", "Accept": "application/json"}
        if account_id:
            self._headers["X-Act-Under-Account-ID"] = checked_id("account_id", account_id)
        if isinstance(verify, str) and not (verify and Path(verify).exists()):
            raise ValueError(f"verify is {verify!r}; it must be true, false, or the path of a CA bundle here")
        self._timeout = timeout
        self._retry_budget = retry_budget
        self._first_pause = first_pause
        self._verify = certificates(verify)
        self._proxies = checked_proxies(proxies or {})
        self._session = _LazySession(session)

    def without_retries(self) -> Transport:
        """Return the same transport, one that leaves trying again to its caller."""
        twin = object.__new__(Transport)
        twin.__dict__ = {**self.__dict__, "_retry_budget": 0.0}
        return twin

    def with_own_session(self) -> Transport:
        """Return the same transport with connections of its own."""
        twin = object.__new__(Transport)
        twin.__dict__ = {**self.__dict__, "_session": _LazySession()}
        return twin

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        repeatable: bool = True,
    ) -> Any:
        """
        Send a request and return the JSON it was answered with; ``None`` for 204.

        :param path: Path below ``/api/v1``, made of checked ids; or a whole one, which begins with ``/api/``.
        :param body: What to send as JSON; bytes are JSON already.
        :param repeatable: Whether the server may receive it twice. If not, it is sent again only when it
            cannot have been received.
        :raises TolokaConnectionError: If no answer came within the retry budget.
        :raises TolokaApiError: If the API answered with an error.
        """
        give_up = time.monotonic() + self._retry_budget
        for attempt in itertools.count(1):
            try:
                return self._send(method, path, params, body)
            except TolokaQuotaError:
                raise
            except (TolokaConnectionError, TolokaRetryableError) as exc:
                pause = self._pause(attempt, exc.retry_after)
                if (exc.received and not repeatable) or time.monotonic() + pause > give_up:
                    raise
                log.warning("%s; trying again in %.1f s", exc, pause)
                time.sleep(pause)
        raise AssertionError("unreachable")

    def _send(self, method: str, path: str, params: Mapping[str, Any] | None, body: Any) -> Any:
        request = f"{method} {path}"
        headers = {**self._headers, **({} if body is None else {"Content-Type": "application/json"})}
        try:
            answer = self._session.get().request(
                method,
                self.base_url + (path if path.startswith("/api/") else f"/api/v1{path}"),
                params=params,
                data=json.dumps(body) if not isinstance(body, bytes | None) else body,
                headers=headers,
                auth=self._authorize,
                timeout=self._timeout,
                allow_redirects=False,
                verify=self._verify,
                proxies=self._proxies,
            )
        except OSError as exc:  # what requests raises, and what a missing CA bundle raises through it
            received = not _never_sent(exc)
            text = self._without_secret(f"{request} got no answer from {self.base_url}: {exc}")
            # No cause: its text is in ours, where the token is crossed out in case that the server echoed it.
            raise TolokaConnectionError(text, received=received) from None
        return self._read(request, answer, body)

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # An auth object, because a plain header would lose to credentials in the user's ~/.netrc.
        request.headers["Authorization"] = self._authorization
        return request

    def _read(self, request: str, answer: requests.Response, sent: Any) -> Any:
        if answer.status_code == 204:
            return None
        if 300 <= answer.status_code < 400:
            # Never followed: it would carry the token elsewhere, and could turn a POST into a GET.
            where = self._without_secret(answer.headers.get("Location", "nowhere"))
            advice = "Set the host of the connection to the address that the API is served at."
            raise TolokaApiError(request, status=answer.status_code, message=f"redirect to {where}", advice=advice)
        try:
            content = json.loads(answer.content) if answer.content else None
            is_json = content is not None or answer.status_code >= 400
        except ValueError:
            content, is_json = None, False
        if answer.ok and is_json:
            return content
        raise self._error(request, answer, content, is_json, sent)

    def _error(self, request: str, answer: requests.Response, content: Any, is_json: bool, sent: Any) -> TolokaApiError:
        body = self._without_secret(content) if isinstance(content, dict) else {}
        text = f"not JSON: {shortened(self._without_secret(answer.text))!r}"
        code, payload = body.get("code"), body.get("payload")
        return error_class(answer.status_code, payload, is_json=is_json)(
            request,
            status=answer.status_code,
            code=None if code is None else str(code),
            message=str(body.get("message") or "") if is_json else text,
            request_id=body.get("request_id"),
            payload=payload,
            retry_after=_seconds(answer.headers.get("Retry-After")),
            sent=self._without_secret(sent) if answer.status_code == 400 else None,
        )

    def _pause(self, attempt: int, retry_after: float | None) -> float:
        """Return the seconds before the next try: doubling, jittered so that many tasks do not ask in step."""
        backoff = min(self._first_pause * 2.0 ** min(attempt - 1, 20), LONGEST_PAUSE) * random.uniform(0.5, 1.0)
        return max(backoff, retry_after or 0.0)

    def _without_secret(self, value: Any) -> Any:
        """Return text or JSON with the token crossed out: there are servers that echo what they were sent."""
        if isinstance(value, str):
            return value.replace(self._secret, "***")
        if isinstance(value, dict):
            return {self._without_secret(key): self._without_secret(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._without_secret(item) for item in value]
        return value


def authorization(token: str, scheme: str = "auto") -> str:
    """
    Return the value of the Authorization header.

    With ``auto`` a token with two dots, the first of them after 22 to 24 characters, is an ApiKey and any other
    an OAuth token, as in Toloka's own clients. A token that already has its prefix keeps it.

    :raises ValueError: If the token is empty or no header can hold it, or the scheme is unknown.
    """
    if scheme not in AUTH_SCHEMES:
        raise ValueError(f"auth_scheme is {scheme!r}; it must be one of {', '.join(AUTH_SCHEMES)}")
    prefix, _, rest = token.strip().partition(" ")
    if prefix in AUTH_SCHEMES[1:]:
        scheme, token = prefix, rest
    token = token.strip()
    if not token:
        raise ValueError("token is empty; put Toloka's API token into the password of the connection")
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        # The value is not shown: it is a secret.
        raise ValueError("token has characters that no token has (spaces, line breaks, non-ASCII); copy it again")
    if scheme == "auto":
        scheme = "ApiKey" if token.count(".") == 2 and 22 <= token.index(".") <= 24 else "OAuth"
    return f"{scheme} {token}"


def checked_id(name: str, value: object) -> str:
    """
    Return an id that is safe inside a URL path.

    :param name: The argument to name in the error.
    :raises ValueError: If it is anything but letters, digits and hyphens, or a template that rendered nothing.
    """
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if text in ("", "None") or value is None:
        raise ValueError(
            f"{name} is {value!r}: a template or an upstream task gave no id. "
            "Pass an id, or the output of the task that makes it (`task.output`)"
        )
    if not re.fullmatch(r"[0-9A-Za-z-]+", text):
        raise ValueError(f"{name} is {value!r}, which is no id: only letters, digits and hyphens are allowed")
    return text


def checked_url(url: str, *, allow_http: bool = False) -> str:
    """
    Return a base URL without a trailing slash or ``/api/v1``.

    :raises ValueError: If it is no http(s) address, carries credentials, or would send the token unencrypted
        over a network.
    """
    if "@" in url:
        raise ValueError("host contains credentials; the token belongs into the password of the connection")
    parts = _address(url)
    if parts is None:
        raise ValueError(f"host is {url!r}; it must be an address like https://toloka.dev")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK and not allow_http:
        raise ValueError(
            f"host is {url!r}, which would send the token unencrypted; use https://, "
            "or set allow_http in the extra of the connection if this network is yours"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/").removesuffix("/api/v1")


def checked_proxies(proxies: Mapping[str, str]) -> dict[str, str]:
    """
    Return proxies as `requests` takes them.

    :raises ValueError: If one is no address. It is not shown, because it may hold a password.
    """
    for scheme, proxy in proxies.items():
        if not isinstance(proxy, str) or _address(re.sub(r"^(\w+://)?", "http://", proxy)) is None:
            raise ValueError(f"proxies: the one for {scheme!r} is no address like http://proxy.example:3128")
    return dict(proxies)


def certificates(verify: bool | str) -> bool | str:
    """
    Return what `requests` is to check certificates with: those of the machine, where it has a folder of them.

    So a company's own are trusted as by other programs. The bundle of `requests` is one file, which every task would
    read as a whole: 17 ms of CPU. REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE win over both.
    """
    if verify is not True or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE"):
        return verify
    folder = ssl.get_default_verify_paths().capath
    try:
        return folder if folder and any(map(_HASHED_NAME.fullmatch, os.listdir(folder))) else verify
    except OSError:  # it may not be read
        return verify


def _address(url: str) -> SplitResult | None:
    """Return the parts of a plain http(s) address, or ``None`` if it is anything else."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        return None
    return parts if usable and not re.search(r"[\s?#]", url) else None


class _LazySession:
    """
    A session that is made for its first request.

    A task that resumes with what its trigger has seen sends none: the import of `requests` would be most of its CPU.
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
                    import requests

                    self._session = requests.Session()
        return self._session


def _never_sent(exc: OSError) -> bool:
    """Return whether the connection could not even be made."""
    import requests
    from urllib3.exceptions import NewConnectionError

    if isinstance(exc, requests.ConnectTimeout):
        return True
    reason = getattr(exc.args[0], "reason", None) if exc.args else None
    return isinstance(reason, NewConnectionError)


def _seconds(retry_after: str | None) -> float | None:
    """Read a Retry-After header, which holds seconds or a date."""
    if not retry_after:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None
