"""How to reach a Toloka account: one frozen object that travels from the Airflow connection to the HTTP request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from toloka_airflow.api.ids import checked_id

__all__ = ["ClientSettings"]

PRODUCTION = "https://toloka.dev"
SANDBOX = "https://sandbox.toloka.dev"
YANDEX_TASKS = "https://tasks.yandex.ru"
SANDBOX_IS_GONE = (
    "Toloka has not offered its sandbox since 1 July 2024: rehearse with the emulator "
    "(`python -m toloka_airflow.emulator`)"
)
"""As its own page on posting tasks says."""
AUTH_SCHEMES = ("auto", "OAuth", "ApiKey")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MIN_POLL_TIMEOUT = 5.0
"""Seconds that the answer to a poll has at least, also shortly before the time is up: its last chance is one, too."""
# `requests` takes a proxy from the environment for whatever is not in the mapping, and none for what is None there.
NO_PROXIES = {"http": None, "https": None, "all": None}


@dataclass(frozen=True)
class ClientSettings:
    """
    Describe an account, where its API is served, the time limits and the retries.

    Neither the token nor a proxy, whose address may hold a password, shows in its repr.

    :param token: OAuth token or API key.
    :param base_url: Where the API is served; a trailing ``/api/v1`` is left out.
    :param auth_scheme: ``OAuth``, ``ApiKey``, or ``auto``: recognised by the shape of the token.
    :param account_id: Requester to act for, if access is shared (``X-Act-Under-Account-ID``).
    :param timeout: Seconds to wait for a connection, and between two bytes of an answer.
    :param total_timeout: Seconds for one request with its whole answer, however steadily that comes.
    :param retry_budget: Seconds that one call may spend on being repeated; 0 to leave that to the caller.
    :param first_pause: Seconds before the first repetition, at the most; every further pause is twice as long.
    :param verify: Whether to check certificates, or the path of a CA bundle or folder.
    :param proxies: Proxy address per scheme, as `requests` takes it; those of the environment are used besides, but
        never for a loopback address.
    :param allow_http: Whether the token may travel unencrypted to another machine, be it Toloka's or a proxy.
    :raises ValueError: If one of them cannot be used. The error names the host, not ``base_url``, as the field of an
        Airflow connection from which it comes.
    """

    token: str = field(repr=False)
    _: KW_ONLY
    base_url: str = PRODUCTION
    auth_scheme: str = "auto"
    account_id: str | None = None
    timeout: tuple[float, float] = (10.0, 60.0)
    total_timeout: float = 120.0
    retry_budget: float = 90.0
    first_pause: float = 1.0
    verify: bool | str = True
    proxies: Mapping[str, str] | None = field(default=None, repr=False, hash=False)
    allow_http: bool = False

    def __post_init__(self) -> None:
        _ = self.authorization
        if isinstance(self.verify, str) and not (self.verify and Path(self.verify).exists()):
            raise ValueError(f"verify is {self.verify!r}; it must be true, false, or the path of a CA bundle here")
        for seconds in self.timeout:
            if not 0 < seconds < float("inf"):
                raise ValueError(f"timeout is {self.timeout!r}; it must be two positive numbers of seconds")
        if not 0 < self.total_timeout < float("inf"):
            raise ValueError(f"total_timeout is {self.total_timeout!r}; it must be a positive number of seconds")
        for name in ("retry_budget", "first_pause"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be a number of seconds, or 0")
        account_id = checked_id("account_id", self.account_id) if self.account_id else None
        self._set(
            base_url=_checked_url(self.base_url, allow_http=self.allow_http),
            account_id=account_id,
            proxies=_checked_proxies(self.proxies or {}),
        )
        if self._is_unencrypted_to_proxy():
            raise ValueError(
                f"proxies: the token would travel unencrypted from {self.base_url} to a proxy; leave the proxy out, "
                "or set allow_http in the extra of the connection if this network is yours"
            )

    def _set(self, **values: object) -> None:
        """Put normalised values into their fields, which are frozen from then on."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _is_unencrypted_to_proxy(self) -> bool:
        parts = urlsplit(self.base_url)
        if self.allow_http or parts.scheme != "http":
            return False
        return any(key.partition("://")[0] in ("http", "all") for key in self.proxies or {})

    def request_proxies(self) -> dict[str, Any]:
        """
        Return a mapping for one request, into which `requests` puts the proxies of the environment.

        What is on this machine is reached without them: a proxy elsewhere would get the token, and reach its own
        machine.
        """
        is_here = urlsplit(self.base_url).hostname in LOOPBACK
        return {**(NO_PROXIES if is_here else {}), **(self.proxies or {})}

    @cached_property
    def authorization(self) -> str:
        """The value of the Authorization header: the scheme and the token."""
        return authorization(self.token, self.auth_scheme)


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


def _checked_url(url: str, *, allow_http: bool) -> str:
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
    # All of them, so that settings made from checked ones (`dataclasses.replace`) have the same address.
    path = re.sub(r"(/api/v1|/)+$", "", parts.path)
    return f"{parts.scheme}://{parts.netloc}{path}"


def _checked_proxies(proxies: Mapping[str, str]) -> dict[str, str]:
    """
    Return proxies as `requests` takes them.

    :raises ValueError: If one is no address. It is not shown, because it may hold a password.
    """
    for scheme, proxy in proxies.items():
        if not isinstance(proxy, str) or _address(re.sub(r"^(\w+://)?", "http://", proxy)) is None:
            raise ValueError(f"proxies: the one for {scheme!r} is no address like http://proxy.example:3128")
    return dict(proxies)


def _address(url: str) -> SplitResult | None:
    """Return the parts of a plain http(s) address, or ``None`` if it is anything else."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        (parts.hostname or "").encode("idna")
    except ValueError:  # a port that is no number, half an IPv6 address, an empty part of a name
        return None
    return parts if usable and not re.search(r"[\s?#]", url) else None
