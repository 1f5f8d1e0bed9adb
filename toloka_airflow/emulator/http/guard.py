"""Whose requests are taken: those of programs, and not what a page of another site makes a browser send."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope

# The header Host: a name or an address, and a port.
HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/@\s]+))(?::[0-9]{1,5})?")


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches what listens at a host."""
    return host.lower() == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Guard:
    """
    Refuse a foreign Host, as a page has whose name was made to lead here, and a foreign Origin.

    :param remote: Whether other machines may send requests; then every address may be the Host, but no other name.
    :param names: Further names under which the emulator is reached.
    """

    remote: bool = False
    names: Iterable[str] = field(default=())

    def objection(self, scope: Scope) -> str | None:
        """Return why a request is refused."""
        headers = dict(reversed(scope["headers"]))
        host = headers.get(b"host", b"").decode("latin-1").lower()
        found = HOST.fullmatch(host)
        if found is None or not self._is_own(found[1] or found[2]):
            return f"The emulator is not served as {host!r}; name it with --allow-host if it shall be"
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").lower() not in (f"http://{host}", f"https://{host}"):
            return "A page of another site may not send requests to the emulator"
        return None

    def _is_own(self, name: str) -> bool:
        known = is_loopback(name) or name in (known.lower() for known in self.names)
        return known or (self.remote and _is_address(name))
