"""Calls that a user writes as method and path: what is checked before they are sent, and which are sent again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_REPEATABLE_POST = re.compile(
    r"(/api/v1)?/((pools|trainings)/[^/]+/(open|close|close-for-update|archive)|projects/[^/]+/archive)"
)
"""What the API answers with 204, or an error, when it is done already."""
_FILE = re.compile(r"(/api/v1)?/attachments/[^/]+/download")


def checked_method(method: object) -> str:
    """
    Return an HTTP method in capital letters.

    :raises ValueError: If the API has none of that name.
    """
    name = method.upper() if isinstance(method, str) else method
    if name not in METHODS:
        raise ValueError(f"method is {method!r}; it must be one of {', '.join(METHODS)}")
    return str(name)


def checked_path(path: object) -> str:
    """
    Return a path below ``/api/v1``, or below another path that begins with ``/api/``, each part of it quoted.

    So nothing in a part, such as an id from a template, leads to another call.

    :raises ValueError: If it is an address, has a query, or a part that is empty, ``None``, ``.`` or ``..``; or if what
        it answers is no JSON.
    """
    if not isinstance(path, str):
        raise ValueError(f"path is {path!r}; it must be text like /pools/21")
    if "://" in path or path.startswith("//"):
        raise ValueError(f"path is {path!r}; it must be without a host: that is the connection's")
    if re.search(r"[?#\\]", path):
        raise ValueError(
            f"path is {path!r}; it must be without a query or backslashes: give the query as a mapping of its own"
        )
    parts = path.removeprefix("/").split("/")
    if bad := sorted({part for part in parts if part.strip() in ("", "None", ".", "..")}):
        raise ValueError(
            f"path is {path!r}, which has the part {bad[0]!r}: no call has that. "
            "Maybe a template or an upstream task gave no id"
        )
    quoted = "/" + "/".join(quote(part, safe="") for part in parts)
    if _FILE.fullmatch(quoted):
        raise ValueError(
            f"path is {path!r}, which answers a file and no JSON: take `DownloadAttachmentsOperator`, or "
            "`download_attachment` of the client"
        )
    return quoted


def checked_json(body: Any) -> Any:
    """
    Return a body that can be sent.

    :raises ValueError: If it cannot be written as JSON, NaN included.
    """
    try:
        json.dumps(body, allow_nan=False)
        return body
    except (TypeError, ValueError, RecursionError) as exc:
        raise ValueError(f"json cannot be written as JSON: {exc}") from None


def checked_params(params: Mapping[str, Any] | None, *, name: str = "params") -> Mapping[str, Any]:
    """
    Return the parameters of a query.

    :param name: The argument to name in an error.
    :raises ValueError: If they are no mapping, or one of them is.
    """
    if not isinstance(params or {}, Mapping) or any(isinstance(value, Mapping) for value in (params or {}).values()):
        raise ValueError(f"{name} is {params!r}; it must be a mapping of names to values or lists of values")
    return params or {}


def is_repeatable(method: str, path: str) -> bool:
    """
    Return whether the server may receive a call twice: it changes nothing, or sets what it set before.

    Of POSTs, those that open, close and archive. All others may create, pay or send something.
    """
    return method != "POST" or _REPEATABLE_POST.fullmatch(path) is not None
