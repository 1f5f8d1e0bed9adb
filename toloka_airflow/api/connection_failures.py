"""Why a request got no answer, from what `requests` raises: whether it was sent at all, and the reason in words."""

from __future__ import annotations

import re
import socket

_PASSWORD = re.compile(r"(?<=//)[^/\s]*@")
"""The credentials in an address, such as that of a proxy."""


def was_never_sent(exc: Exception) -> bool:
    """Return whether the connection could not even be made."""
    import requests
    from urllib3.exceptions import NewConnectionError

    return isinstance(exc, requests.ConnectTimeout) or isinstance(_reason(exc), NewConnectionError)


def in_words(exc: Exception) -> str:
    """Return why there was no answer, without credentials."""
    reason = _reason(exc)
    cause = reason.__cause__ if reason is not None else None
    if isinstance(cause, socket.gaierror):
        return f"the name of the host was not found ({cause.strerror}); check the host of the connection"
    if isinstance(cause, ConnectionRefusedError):
        return f"nothing listens at this address ({cause.strerror}); check host and port of the connection"
    if "WRONG_VERSION_NUMBER" in str(exc):
        return "what answers there speaks no https; write http:// before the host of the connection if that is meant"
    return _PASSWORD.sub("***@", str(exc) or repr(exc))


def _reason(exc: Exception) -> BaseException | None:
    """Return what made urllib3 give up, if it did."""
    reason = getattr(exc.args[0], "reason", None) if exc.args else None
    return reason if isinstance(reason, BaseException) else None
