"""Toloka's side: the connection, whether Toloka takes the token, its clock, the money, the quotas."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.errors import TolokaApiError, TolokaConnectionError, TolokaError, TolokaNotSentError
from toloka_airflow.doctor.connections import connection, is_in_environment, is_stored, variable_of
from toloka_airflow.doctor.findings import Finding, fail, ok, unknown, warn
from toloka_airflow.hooks import balance, connected, settings_from_connection

if TYPE_CHECKING:
    from decimal import Decimal

    from airflow.providers.common.compat.sdk import Connection

    from toloka_airflow.api.models import Pool
    from toloka_airflow.api.models.account import Requester
    from toloka_airflow.api.settings import ClientSettings

CLOCK_WARNING, CLOCK_FAILURE = 15.0, 60.0
"""Seconds by which the clocks of this machine and Toloka may differ; the header that says so has whole seconds."""
_TOKEN = re.compile(r"token", re.IGNORECASE)
_NETWORK = (
    # What the error of `requests` says, and what it means to whoever has to do something. That of a proxy has
    # one of the others in it, too.
    (
        ("ProxyError", "Tunnel connection failed"),
        "The proxy refuses, or is not there: check extra.proxies, HTTPS_PROXY and NO_PROXY",
    ),
    (
        ("NameResolutionError", "getaddrinfo", "Name or service not known", "Temporary failure in name resolution"),
        "The name of the host cannot be resolved: check the host of the connection, and the DNS of this machine",
    ),
    (
        ("Connection refused", "Errno 111"),
        "Nothing listens at that address: check host and port of the connection; if it is the emulator, start it",
    ),
    (
        ("CERTIFICATE_VERIFY_FAILED", "SSLError", "SSL:"),
        "Its certificate is not trusted here: set extra.verify to the CA bundle of your proxy or company",
    ),
    (
        ("timed out", "no complete answer", "the time is up"),
        "Packets may be dropped on the way: check firewall and proxy (extra.proxies, HTTPS_PROXY), or raise --timeout",
    ),
    (("Network is unreachable", "No route to host"), "This machine has no route there: check its network and firewall"),
)


@dataclass
class Account:
    """
    A connection, and what the probes learn of it one after the other.

    :param secrets: What must not be shown; it is shared with all other accounts.
    :param settings: What the connection describes; ``None`` until it is known to be usable.
    :param is_open: Whether Toloka answered it.
    :param skew: How far Toloka's clock is ahead of this machine's.
    :param has_database: Whether Airflow's database answers, so that connections may be in it.
    :param requester_id: Whose account it is; ``None`` until Toloka has answered.
    :param open_pools: The pools that are open; ``None`` until they are listed.
    """

    conn_id: str
    secrets: set[str]
    settings: ClientSettings | None = None
    is_open: bool = False
    has_database: bool = True
    requester_id: str | None = None
    open_pools: list[Pool] | None = None
    skew: timedelta = field(default_factory=timedelta)

    @cached_property
    def client(self) -> TolokaClient:
        """A client that sends GETs only."""
        if self.settings is None:
            raise RuntimeError(f"The connection {self.conn_id} cannot be used")
        return TolokaClient(self.settings, before_change=_never)

    @property
    def key(self) -> tuple[str, str]:
        """Equal for connections to one account, whatever their tokens are."""
        return self.client.base_url, str(self.requester_id)

    def now(self) -> datetime:
        """Return what Toloka's clock shows, as far as that is known; it decides when a pool expires."""
        return datetime.now(UTC) + self.skew

    def in_time(self, timeout: float) -> TolokaClient:
        """Return the client, for requests that are each sent once and have ended in time."""
        return self.client.without_retries(timeout=timeout)


def probe_account(account: Account, *, timeout: float, min_balance: Decimal) -> Iterator[Finding]:
    """Try the connection, and say what the answer says of clock, money and quotas."""
    conn_id = account.conn_id
    try:
        found = connection(conn_id, has_database=account.has_database)
        account.secrets |= _secrets(found)
    except AirflowNotFoundException:
        if is_in_environment(conn_id) or (account.has_database and is_stored(conn_id)):
            yield _unreadable(conn_id)
        elif account.has_database:
            yield _missing(conn_id)
        else:
            why = (
                "It is not in the environment; whether Airflow's database has it is not known, as that does not answer"
            )
            yield unknown("connection", why, "Mend `metadata-database` first", conn_id=conn_id)
        return
    except Exception:  # its text may quote what it could not read, such as a part of the password
        yield _unreadable(conn_id)
        return
    if found.conn_type != "toloka":
        yield warn(
            "connection-type",
            f"Its type is {found.conn_type!r}",
            "Make it `toloka`, so that its form has the right fields and the token is masked as the password",
            conn_id=conn_id,
        )
    try:
        account.settings = settings = settings_from_connection(found)
    except ValueError as exc:
        yield fail("connection", str(exc), "Edit this field of the connection as the message says", conn_id=conn_id)
        return
    account.secrets.add(settings.authorization.partition(" ")[2])
    client = account.in_time(timeout)
    began = time.time()
    try:
        requester = client.get_requester()
    except TolokaError as exc:
        yield from _refusal(account, exc)
    else:
        account.is_open, account.requester_id = True, requester.id
        yield ok("connection", connected(client, requester), conn_id=conn_id)
        yield from _money(account, requester, min_balance)
        yield ok("quota", "Not spent; Toloka does not say how much of it is left", conn_id=conn_id)
    yield from _encryption(account)
    yield from _clock(account, client, began)


def _missing(conn_id: str) -> Finding:
    return fail(
        "connection",
        f"Airflow has no connection {conn_id!r}",
        f"Add it: `airflow connections add {conn_id} --conn-type toloka --conn-password TOKEN`, or set "
        f"{variable_of(conn_id)}",
        conn_id=conn_id,
    )


def _unreadable(conn_id: str) -> Finding:
    """Return that a connection is written in a way that cannot be read; Airflow itself says that there is none."""
    return fail(
        "connection",
        f"Airflow cannot read the connection {conn_id!r}",
        f"If it is in the environment, check how it is written: {variable_of(conn_id)} as JSON, or as an address whose "
        "parts are quoted. If it is in the database, run this with the [core] fernet_key of the deployment. Else check "
        "the secrets backend",
        conn_id=conn_id,
    )


def _never() -> None:
    raise TolokaNotSentError("The doctor changes nothing at Toloka")


def secrets_of(conn_id: str, *, has_database: bool) -> set[str]:
    """Return what a connection holds that must not be shown; nothing if it cannot be read."""
    with suppress(Exception):
        return _secrets(connection(conn_id, has_database=has_database))
    return set()


def _secrets(found: Connection) -> set[str]:
    """Return what a connection holds that must not be shown: the password, and tokens in the extra."""
    secrets = {found.password or ""}
    with suppress(ValueError):
        extra: Any = json.loads(found.extra or "{}")
        if isinstance(extra, dict):
            secrets |= {str(value) for key, value in extra.items() if _TOKEN.search(key) and value}
    return secrets - {""}


def _refusal(account: Account, exc: TolokaError) -> Iterator[Finding]:
    conn_id = account.conn_id
    if isinstance(exc, TolokaApiError) and exc.status == 429:
        yield quota_finding(account, exc)
        yield unknown("connection", f"Whether the token is accepted is not known: {exc}", conn_id=conn_id)
    elif isinstance(exc, TolokaApiError) and exc.status in (401, 403):
        remedy = (
            "Copy the token again from Toloka's profile page into the password of the connection, and check that "
            "host and environment are those of the token"
        )
        yield fail("connection", f"The token is not accepted: {exc}", remedy, conn_id=conn_id, topic=exc.topic)
    elif isinstance(exc, TolokaConnectionError):
        yield fail("connection", str(exc), network_remedy(str(exc)), conn_id=conn_id, topic=exc.topic)
    else:
        remedy = "Check that host and environment of the connection are Toloka's API; if they are, try again later"
        yield fail("connection", str(exc), remedy, conn_id=conn_id, topic=exc.topic)


def network_remedy(text: str) -> str:
    """Return what to do about a request that got no answer."""
    for signs, remedy in _NETWORK:
        if any(sign in text for sign in signs):
            return remedy
    return "Check host and port of the connection, the proxy, and the network of this machine"


def quota_finding(account: Account, exc: TolokaApiError) -> Finding:
    """Return that a quota is spent."""
    remedy = (
        "Wait until it returns, and find out who spends it: other programs with this token, or waits with a short "
        "poll_interval"
    )
    return fail("quota", f"It is spent: {exc}", remedy, conn_id=account.conn_id)


def _money(account: Account, requester: Requester, least: Decimal) -> Iterator[Finding]:
    conn_id, amount = account.conn_id, requester.balance
    text = f"The balance is {balance(account.client, requester)}"
    if amount is None:
        remedy = "Check it on Toloka's site; `min_balance` of OpenPoolOperator cannot work with this account"
        yield warn("balance", text, remedy, conn_id=conn_id)
    elif amount <= 0:
        remedy = "Top up the account: Toloka opens no pool without money, and closes those that are open"
        yield fail("balance", text, remedy, conn_id=conn_id)
    elif amount < least:
        remedy = "Top up the account before the next pool is opened; what is low for you is set by --min-balance"
        yield warn("balance", f"{text}, which is less than {least}", remedy, conn_id=conn_id)
    else:
        yield ok("balance", text, conn_id=conn_id)


def _encryption(account: Account) -> Iterator[Finding]:
    settings = account.client.settings
    if settings.base_url.startswith("http://") and settings.allow_http:
        yield warn(
            "encryption",
            f"The token travels unencrypted to {settings.base_url}, as allow_http says it may",
            "Use https://, and take allow_http out of the extra, unless this network is yours",
            conn_id=account.conn_id,
        )


def _clock(account: Account, client: TolokaClient, began: float) -> Iterator[Finding]:
    conn_id = account.conn_id
    if (shown := client.server_time()) is None:
        yield unknown("clock", "No answer said what time it is at Toloka, so the clocks are not compared",
                      conn_id=conn_id)  # fmt: skip
        return
    account.skew = shown - datetime.now(UTC)
    # The header has whole seconds, and may have been written at any time between request and answer.
    unsure = 1.0 + (time.time() - began)
    seconds = account.skew.total_seconds()
    ahead = "behind" if seconds > 0 else "ahead of"
    text = f"The clock of this machine is {abs(seconds):.0f} s {ahead} that of Toloka"
    remedy = (
        "Have the clocks of all machines of Airflow set by NTP (`timedatectl set-ntp true`): windows, deadlines and "
        "the expiry of pools are times. If this is the emulator, its virtual clock is where you have set it"
    )
    if abs(seconds) > CLOCK_FAILURE + unsure:
        yield fail("clock", text, remedy, conn_id=conn_id)
    elif abs(seconds) > CLOCK_WARNING + unsure:
        yield warn("clock", text, remedy, conn_id=conn_id)
    else:
        yield ok("clock", f"It differs from Toloka's by {abs(seconds):.0f} s", conn_id=conn_id)
