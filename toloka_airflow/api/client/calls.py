"""How the calls of a client are sent, whatever noun they are about: paths, filters, pages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from toloka_airflow.api.errors import TolokaApiError, TolokaError
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import Operation
from toloka_airflow.api.pages import Page, check_page, read_page
from toloka_airflow.api.transport import LazySession, Transport

if TYPE_CHECKING:
    from typing import Protocol

    import requests

    from toloka_airflow.api.models import Raw
    from toloka_airflow.api.observing import Observer
    from toloka_airflow.api.settings import ClientSettings

    class _Model(Protocol):
        @classmethod
        def from_api(cls, raw: Raw) -> Any: ...


PAGE_SIZE = 300
SMALL_PAGE_SIZE = 100

_RANGES = ("_gt", "_gte", "_lt", "_lte")
_POOL_FILTERS = {"status", "project_id"}, {"id", "created", "last_started"}
_FILTERS: dict[str, tuple[set[str], set[str]]] = {
    "/projects": ({"status", "owner"}, {"id", "created"}),
    "/pools": _POOL_FILTERS,
    "/trainings": _POOL_FILTERS,
    "/tasks": ({"pool_id", "overlap"}, {"id", "created", "overlap"}),
    "/operations": ({"type", "status"}, {"id", "submitted", "finished"}),
    "/assignments": (
        {"pool_id", "task_id", "task_suite_id", "user_id", "status"},
        {"id", "created", "submitted", "accepted", "rejected", "skipped", "expired"},
    ),
    "/aggregated-solutions": (set(), {"task_id"}),
    "/task-suites": ({"pool_id", "task_id", "overlap"}, {"id", "created", "overlap"}),
    "/skills": ({"name", "global"}, {"id", "created", "modified"}),
    "/user-skills": ({"user_id", "skill_id"}, {"id", "created", "modified"}),
    "/user-restrictions": ({"scope", "user_id", "pool_id", "project_id"}, {"id", "created"}),
    "/user-bonuses": ({"user_id", "assignment_id", "private_comment"}, {"id", "created"}),
    "/attachments": ({"pool_id", "assignment_id", "name", "type", "user_id"}, {"id", "created"}),
    "/message-threads": ({"folder", "folder_ne"}, {"id", "created"}),
    "/webhook-subscriptions": ({"event_type", "pool_id"}, {"id", "created"}),
}
_SMALL_PAGES = ("/skills", "/attachments")
"""Lists of which the official client takes `SMALL_PAGE_SIZE` at once, though the API reference says 300 for all."""


ModelT = TypeVar("ModelT", bound="_Model")
ItemT = TypeVar("ItemT")


class Calls:
    """What all calls of a client need; see `TolokaClient`."""

    def __init__(
        self,
        settings: ClientSettings,
        *,
        session: requests.Session | LazySession | None = None,
        retries: bool = True,
        deadline: float = float("inf"),
        before_change: Callable[[], None] | None = None,
        on_retry: Callable[[TolokaError], None] | None = None,
        before_receiving: Callable[[], None] | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.settings = settings
        self._session = session if isinstance(session, LazySession) else LazySession(session)
        self._retries, self._before_change, self._observer = retries, before_change, observer
        self._deadline = deadline
        self._transport = Transport(
            settings,
            self._session,
            retries=retries,
            deadline=deadline,
            before_change=before_change,
            on_retry=on_retry,
            before_receiving=before_receiving,
            observer=observer,
        )

    def __repr__(self) -> str:
        return f"TolokaClient(base_url={self.base_url!r})"

    def without_retries(self, *, timeout: float = float("inf")) -> Self:
        """
        Return the same client, one that leaves trying again to its caller.

        :param timeout: Seconds from now in which all its requests must have ended.
        """
        deadline = min(self._deadline, time.monotonic() + timeout)
        return type(self)(
            self.settings,
            session=self._session,
            retries=False,
            deadline=deadline,
            before_change=self._before_change,
            observer=self._observer,
        )

    def with_own_session(
        self,
        *,
        on_retry: Callable[[TolokaError], None] | None = None,
        before_receiving: Callable[[], None] | None = None,
    ) -> Self:
        """
        Return the same client with connections of its own: a `requests.Session` belongs to one thread.

        :param on_retry: Called with the error of a request that is about to be sent again.
        :param before_receiving: Called when an answer begins to come, before more of it is read than its headers.
        """
        return type(self)(
            self.settings,
            retries=self._retries,
            deadline=self._deadline,
            before_change=self._before_change,
            on_retry=on_retry,
            before_receiving=before_receiving,
            observer=self._observer,
        )

    @property
    def base_url(self) -> str:
        """Where the API is served."""
        return self.settings.base_url

    def server_time(self) -> datetime | None:
        """
        Return what Toloka's clock shows, to the second, by the ``Date`` of the last answer that this client got.

        ``None`` without an answer, or if it said nothing.
        """
        return self._transport.server_time()

    def call(self, method: str, path: str, *, json: Any = None, params: Mapping[str, Any] | None = None) -> Any:
        """
        Send any call, with the same credentials, time limits, retries and errors as the others.

        GET, PUT, PATCH and DELETE are repeated after a lost answer, and so are the POSTs that open, close or archive;
        other POSTs only if the server cannot have received them.

        :param method: ``GET``, ``POST``, ``PUT``, ``PATCH`` or ``DELETE``.
        :param path: Path below ``/api/v1``, such as ``/pools/21``; or a full one that begins with ``/api/``. Each part
            is quoted.
        :param json: What to send.
        :param params: Query; ``None`` is left out, dates are written in UTC, lists with commas, booleans in lower case.
        :return: The JSON of the answer; ``None`` for an empty one (204).
        :raises ValueError: If an argument cannot be used; nothing is sent.
        """
        from toloka_airflow.api import free_calls

        method, path = free_calls.checked_method(method), free_calls.checked_path(path)
        return self._transport.request(
            method,
            path,
            params=query_of(free_calls.checked_params(params)),
            body=free_calls.checked_json(json),
            repeatable=free_calls.is_repeatable(method, path),
        )

    def _get(self, path: str) -> Any:
        return self._transport.request("GET", path)

    def _put(self, path: str, body: Any) -> Any:
        """Set something; sent again if need be: it sets the same once more."""
        return self._transport.request("PUT", path, body=body)

    def _patch(self, path: str, body: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Set some of something; sent again if need be: the API's patches say what is to be, not what to add."""
        return self._transport.request("PATCH", path, params=query_of(params or {}), body=body)

    def _delete(self, path: str) -> None:
        """Delete something; that it is not there (404) is an error, unless an attempt before may have deleted it."""
        self._transport.request("DELETE", path)

    def _act(self, path: str) -> Operation | None:
        """Send a call that changes nothing when it is sent a second time (204)."""
        answer = self._transport.request("POST", path)
        return None if answer is None else Operation.from_api(answer)

    def _create(self, path: str, body: Any = None, params: Mapping[str, Any] | None = None) -> Any:
        """Send a call that the server must not receive twice."""
        return self._transport.request("POST", path, params=query_of(params or {}), body=body, repeatable=False)

    def _list(self, path: str, model: type[ModelT], filters: Mapping[str, Any], key: str = "id") -> Iterator[ModelT]:
        """
        Iterate over all pages of a list, by ascending key.

        :raises ValueError: At once, if a filter is unknown or empty: the API might ignore it and list everything.
        """
        pages = self._list_pages(path, filters, key=key)
        return (model.from_api(item) for page in pages for item in page.items)

    def _list_pages(
        self,
        path: str,
        filters: Mapping[str, Any],
        *,
        key: str = "id",
        limit: int | None = None,
        read: Callable[[bytes], Page[Any]] | None = None,
    ) -> Iterator[Page[Any]]:
        collection = "/" + path.split("/")[1]
        limit = limit or (SMALL_PAGE_SIZE if collection in _SMALL_PAGES else PAGE_SIZE)
        ids = {
            name: checked_id(name, value)
            for name, value in without_none(filters).items()
            if name.endswith("_id") or name in (f"{key}_gt", f"{key}_lte")
        }
        given = {**query_of(filters), **ids}
        check_filters(collection, given)
        return self._pages(path, given, key, limit, read)

    def _pages(
        self, path: str, filters: Mapping[str, str], key: str, limit: int, read: Callable[[bytes], Page[Any]] | None
    ) -> Iterator[Page[Any]]:
        params = {"sort": key, "limit": str(limit), **filters}
        while True:
            page = self._page(path, params, key, read)
            check_page(path, params, page, key)
            yield page
            if not page.has_more:
                return
            params[f"{key}_gt"] = page.keys[-1]

    def _page(
        self, path: str, params: dict[str, str], key: str, read: Callable[[bytes], Page[Any]] | None = None
    ) -> Page[Any]:
        send = partial(self._transport.request, "GET", path, params=params, read=read)
        try:
            answer = send()
        except TolokaApiError as exc:
            # How the API refuses a limit is not documented; a payload that only names other fields is about those.
            may_be_limit = exc.status == 400 and (not exc.payload or "limit" in str(exc.payload))
            if not may_be_limit or int(params["limit"]) <= PAGE_SIZE:
                raise
            params["limit"] = str(PAGE_SIZE)
            answer = send()
        return answer if isinstance(answer, Page) else read_page(path, answer, key)


def object_path(collection: str, action: str = "", /, **ids: str) -> str:
    """Return the path of an object, whose id is checked under the name of the argument it came in."""
    [(name, value)] = ids.items()
    path = f"{collection}/{checked_id(name, value)}"
    return f"{path}/{action}" if action else path


def check_filters(collection: str, given: Mapping[str, str]) -> None:
    """
    Make sure that a list has the filters, and that none is empty: the API might ignore it and list everything.

    :raises ValueError: If not.
    """
    exact, ranges = _FILTERS[collection]
    known = exact | {field + suffix for field in ranges for suffix in _RANGES}
    if unknown := sorted(set(given) - known):
        raise ValueError(f"{', '.join(unknown)}: no filter of {collection}; known are {', '.join(sorted(known))}")
    if empty := sorted(name for name, value in given.items() if not value):
        raise ValueError(f"{', '.join(empty)} is empty; leave the filter out to list everything")


def without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given."""
    return {key: value for key, value in values.items() if value is not None}


def query_of(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters of a query string; what is ``None`` is left out."""
    return {key: query_text(value) for key, value in without_none(values).items()}


def query_text(value: Any) -> str:
    """Write a value as Toloka's query strings have it: UTC dates without zone, commas, lower-case booleans."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone; dates in filters must have one")
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Iterable):
        return ",".join(query_text(item) for item in value)
    return str(value)
