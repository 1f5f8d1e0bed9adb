"""From an Airflow connection to a Toloka client, and from Toloka's errors to Airflow's."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
    BaseHook,
)

from toloka_airflow._internal import statistics
from toloka_airflow._internal.supervision import ensure_supervised
from toloka_airflow._internal.troubleshooting import topic_of, with_link
from toloka_airflow.api.errors import TolokaConflictError, TolokaError, TolokaNotSentError, TolokaOperationError
from toloka_airflow.api.settings import PRODUCTION, SANDBOX, YANDEX_TASKS, ClientSettings
from toloka_airflow.get_provider_info import get_provider_info

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models.account import Requester
    from toloka_airflow.api.observing import Observer

__all__ = ["TolokaHook"]

ENVIRONMENTS = {"production": PRODUCTION, "sandbox": SANDBOX, "yandex_tasks": YANDEX_TASKS}
CONNECT_TIMEOUT = 10.0
"""Seconds to wait for a TCP connection; the connection's own `timeout` is for the answer."""
TOTAL_TIMEOUTS = 2
"""How many times the `timeout` of the connection a whole request may take, though no pause in its answer is so long."""

_CONNECTION_TYPE: dict[str, Any] = get_provider_info()["connection-types"][0]
_OLD_PREFIX = "extra__toloka__"
_BOOLEANS = {"true": True, "false": False}


class TolokaHook(BaseHook):
    """
    Give tasks a Toloka client with the credentials of an Airflow connection.

    :param toloka_conn_id: The connection; its password holds the API token.
    """

    conn_name_attr = "toloka_conn_id"
    default_conn_name = "toloka_default"
    conn_type = "toloka"
    hook_name = "Toloka"

    def __init__(self, toloka_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.toloka_conn_id = toloka_conn_id

    def get_conn(self) -> TolokaClient:
        """
        Return a client for the connection.

        In a task whose supervisor has ended, it sends nothing that changes Toloka (`TolokaNotSentError`): Airflow tries
        that task again, and both attempts would act.

        :raises AirflowNotFoundException: If Airflow has no such connection.
        :raises ValueError: If a field of the connection cannot be used; nothing is sent.
        """
        return self._connect(statistics.observer(self.toloka_conn_id, closes_as="task"))

    def _connect(self, observer: Observer | None = None) -> TolokaClient:
        try:
            conn = self.get_connection(self.toloka_conn_id)
        except AirflowNotFoundException as exc:
            text = f"{exc}. Add the connection, or name another one as toloka_conn_id"
            raise AirflowNotFoundException(with_link(text, "connection-fields")) from exc
        return client_from_connection(conn, before_change=ensure_supervised, observer=observer)

    def test_connection(self) -> tuple[bool, str]:
        """Fetch whose token it is (``GET /requester``), for the *Test* button of the connection form."""
        try:
            # Not counted: Airflow makes up an id for each test of a form, and each would be a series of its own.
            client = self._connect().without_retries()
            requester = client.get_requester()
        except AirflowNotFoundException as exc:
            # The form of a connection has one; so this is a script.
            text = (
                f"{exc.__cause__}. One in Airflow's database is found by tasks, triggers and Airflow's own commands "
                f"only: try it by `airflow-toloka doctor --conn-id {self.toloka_conn_id}`"
            )
            return False, with_link(text, "connection-fields")
        except (TolokaError, ValueError, AirflowException) as exc:
            # Airflow tests what is in the form under an id that it makes up, which tells a reader nothing.
            text = str(exc).removeprefix(f"Connection {self.toloka_conn_id!r}: ")
            return False, with_link(text, exc.topic if isinstance(exc, TolokaError) else "connection-fields")
        return True, f"{connected(client, requester)}, balance {balance(client, requester)}"

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the layout of the connection form; Airflow 3.2 and newer read the provider info instead."""
        behaviour = _CONNECTION_TYPE["ui-field-behaviour"]
        return {key.replace("-", "_"): value for key, value in behaviour.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's extra fields; Airflow 3.2 and newer read the provider info instead."""
        from wtforms import BooleanField, IntegerField, StringField
        from wtforms.validators import Optional, any_of

        kinds = {"string": StringField, "integer": IntegerField, "boolean": BooleanField}
        widgets = {}
        for name, spec in _CONNECTION_TYPE["conn-fields"].items():
            schema = spec["schema"]
            choices = [any_of(schema["enum"])] if "enum" in schema else []
            widgets[name] = kinds[schema["type"][0]](
                spec["label"],
                validators=[Optional(), *choices],
                description=spec["description"],
                default=schema.get("default"),
            )
        return widgets


def settings_from_connection(conn: Connection) -> ClientSettings:
    """
    Return the settings that a connection describes; nothing is sent.

    The extra fields of the old provider (``extra__toloka__token``, ``extra__toloka__environment``,
    ``extra__toloka__url``) are understood.

    :raises ValueError: If a field of the connection cannot be used, with the connection and the field named.
    """
    try:
        extra = _extra(conn.extra)
        timeout = _seconds(extra.pop("timeout", 60))
        environment = _environment(extra)
        auth_scheme = extra.pop("auth_scheme", "auto")
        return ClientSettings(
            _token(conn, extra),
            base_url=_base_url(conn, extra, environment),
            # Yandex Tasks documents no other scheme, whatever the token is shaped like.
            auth_scheme="OAuth" if (environment, auth_scheme) == ("yandex_tasks", "auto") else auth_scheme,
            account_id=extra.pop("account_id", None),
            timeout=(CONNECT_TIMEOUT, timeout),
            total_timeout=TOTAL_TIMEOUTS * timeout,
            verify=_verify(extra.pop("verify", True)),
            proxies=_proxies(extra.pop("proxies", None)),
            allow_http=_boolean("allow_http", extra.pop("allow_http", False)),
        )
    except ValueError as exc:
        # No cause: a parser's own message may quote the extra, which may hold a token.
        raise ValueError(f"Connection {conn.conn_id!r}: {exc}") from None


def client_from_connection(
    conn: Connection, *, before_change: Callable[[], None] | None = None, observer: Observer | None = None
) -> TolokaClient:
    """
    Return a client for a connection; see `settings_from_connection`.

    :param before_change: See `TolokaClient`.
    :param observer: See `TolokaClient`.
    :raises ValueError: If a field of the connection cannot be used.
    """
    # Not when a DAG is parsed: no operator connects before it runs.
    from toloka_airflow.api.client import TolokaClient

    return TolokaClient(settings_from_connection(conn), before_change=before_change, observer=observer)


def connected(client: TolokaClient, requester: Requester) -> str:
    """Return to which address a client is connected, and as whom."""
    who = f"{requester.name} ({requester.id})" if requester.name else requester.id
    return f"Connected to {client.base_url} as {who}"


def balance(client: TolokaClient, requester: Requester) -> str:
    """Return the money on an account, in words."""
    return "unknown" if requester.balance is None else client.in_currency(requester.balance)


@contextmanager
def task_errors(*, must_be_done: bool = False) -> Iterator[None]:
    """
    Raise Toloka's errors, and what this package says of bad arguments, as exceptions that are Airflow's as well.

    Airflow decides by its own classes whether to try again. What is raised has both: a `TolokaQuotaError` comes as one
    that is also an `AirflowException`, a `ValueError` as one that is also an `AirflowFailException`.

    A `ValueError` that others raise, such as a function of the DAG or the library of a file store, stays as it is:
    nobody knows whether it will come again.

    :param must_be_done: Whether only the state of a pool (409) is a reason not to try again.
    :raises AirflowException: For what may be different the next time: no answer, 408, 429, most of 5xx, an operation
        that failed or was not done in time, a request that an orphan did not send.
    :raises AirflowFailException: For what will not change by itself: other answers, arguments and files of
        configuration, the fields of the connection, a library that an extra brings. The task fails without a retry.
    """
    try:
        yield
    except AirflowException:  # one of both has been decided about
        raise
    except TolokaError as exc:
        # An operation that failed stays so, but the next attempt starts another, and is no orphan.
        may_succeed = exc.is_transient or isinstance(exc, TolokaOperationError | TolokaNotSentError)
        try_again = may_succeed or (must_be_done and not isinstance(exc, TolokaConflictError))
        raise task_error(exc, AirflowException if try_again else AirflowFailException) from exc
    except ValueError as exc:
        if not _is_raised_here(exc):
            raise
        raise task_error(exc, AirflowException if must_be_done else AirflowFailException) from exc
    except ImportError as exc:
        # Where this package says what to install, as for numpy; installing it takes a person.
        if not _is_raised_here(exc):
            raise
        raise AirflowFailException(with_link(str(exc), "missing-library")) from exc


def task_error(
    exc: TolokaError | ValueError, outer: type[AirflowException], text: str | None = None
) -> AirflowException:
    """
    Return an error as one that is also an exception of Airflow, with the same facts and the same or another text.

    At its end is a link to what the documentation says about such an error.
    """
    topic = exc.topic if isinstance(exc, TolokaError) else topic_of(_raised_by(exc))
    kind = type(exc) if isinstance(exc, TolokaError) else ValueError
    # Under its public name, as that is what logs show.
    both: Any = type(kind.__name__, (outer, kind), {"__module__": kind.__module__, "__doc__": kind.__doc__})
    error: AirflowException = both.__new__(both, with_link(text or str(exc), topic))
    vars(error).update(vars(exc))
    return error


def _is_raised_here(exc: Exception) -> bool:
    """Return whether this package raised an error itself."""
    return _raised_by(exc).startswith("toloka_airflow.")


def _raised_by(exc: Exception) -> str:
    """Return the name of the module that raised an error."""
    *_, (frame, _line) = walk_tb(exc.__traceback__)
    return str(frame.f_globals.get("__name__"))


def _extra(text: str | None) -> dict[str, Any]:
    """Return the extra fields that have a value, under their short names."""
    try:
        extra = json.loads(text) if text else {}
    except ValueError:
        raise ValueError("extra is not JSON") from None
    if not isinstance(extra, dict):
        raise ValueError("extra must be a JSON object")
    known = {*_CONNECTION_TYPE["conn-fields"], "token", "url"}
    given = {key: value for key, value in extra.items() if value not in (None, "")}
    old = {key.removeprefix(_OLD_PREFIX): value for key, value in given.items() if key.startswith(_OLD_PREFIX)}
    given = old | {key: value for key, value in given.items() if not key.startswith(_OLD_PREFIX)}
    if unknown := sorted(set(given) - known):
        fields = ", ".join(sorted(known - {"token", "url"}))
        raise ValueError(f"extra has unknown fields: {', '.join(unknown)}; known are {fields}")
    return given


def _token(conn: Connection, extra: dict[str, Any]) -> str:
    token = conn.password or extra.pop("token", "")
    if not isinstance(token, str):
        raise ValueError("extra.token is no text")
    return token


def _environment(extra: dict[str, Any]) -> str:
    environment = str(extra.pop("environment", "production")).lower()
    if environment not in ENVIRONMENTS:
        raise ValueError(f"extra.environment is {environment!r}; it must be one of {', '.join(ENVIRONMENTS)}")
    return environment


def _base_url(conn: Connection, extra: dict[str, Any], environment: str) -> str:
    url = extra.pop("url", None)
    if not conn.host:
        return str(url or ENVIRONMENTS[environment])
    # Airflow leaves the protocol of a URI like toloka://https://:token@host:8443 in the host, and the port beside it.
    address = conn.host if "://" in conn.host else f"{conn.schema or 'https'}://{conn.host}"
    port = f":{conn.port}" if conn.port else ""
    return re.sub(r"^(\w+://(?:[^/:]+|\[[^/]*\]))(?=/|$)", rf"\g<1>{port}", address)


def _seconds(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError(f"extra.timeout is {value!r}; it must be a positive number of seconds")
    return seconds


def _verify(value: Any) -> bool | str:
    if isinstance(value, bool):
        return value
    return _BOOLEANS.get(str(value).lower(), str(value))


def _boolean(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() not in _BOOLEANS:
        raise ValueError(f"extra.{name} is {value!r}; it must be true or false")
    return _BOOLEANS[str(value).lower()]


def _proxies(value: Any) -> Mapping[str, str] | None:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError("extra.proxies is not JSON") from None
    if isinstance(value, str):
        return {"http": value, "https": value}
    if value is None or isinstance(value, Mapping):
        return value
    raise ValueError("extra.proxies is neither an address nor an object with an address per scheme")
