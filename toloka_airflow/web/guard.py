"""
What holds for each request to the page: headers, posts of this page only, and errors that say nothing.

Airflow authenticates nothing that a plugin mounts, so each route depends on `toloka_airflow.web.access`; a test goes
through all routes.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Header, HTTPException
from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Nothing of others, nothing inline, shown in a frame of this Airflow only."""
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Set the headers of all answers; answer what nobody caught with a 500 that does not say what it was."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if "\0" in scope["path"]:  # which no database takes as part of a name
            await JSONResponse({"detail": "Not Found"}, 404, headers=HEADERS)(scope, receive, send)
            return
        has_begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            log.exception("The page of Toloka could not answer %s", scope.get("path"))
            if has_begun:
                raise
            answer = JSONResponse({"detail": "Something went wrong; the log of the API server says what"}, 500)
            await answer(scope, receive, send_with_headers)


def require_own_page(
    content_type: Annotated[str, Header()] = "",
    x_toloka_airflow: Annotated[str, Header()] = "",
    sec_fetch_site: Annotated[str, Header()] = "same-origin",
) -> None:
    """
    Refuse a request that another site, or another page of this one, may have made with a user's cookie.

    :raises HTTPException: 415 or 403.
    """
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "The Content-Type must be application/json")
    if x_toloka_airflow != "1" or sec_fetch_site != "same-origin":
        raise HTTPException(403, "Only the page itself may do this: the header X-Toloka-Airflow must be 1, same-origin")


Answers = dict[int | str, dict[str, Any]]
NOT_ALLOWED: Answers = {401: {"description": "Not authenticated"}, 403: {"description": "No right"}}
"""What each route may answer."""
