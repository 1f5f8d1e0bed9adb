"""HTTP in, world, HTTP out."""

from __future__ import annotations

import asyncio
import json
import math
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from toloka_airflow.emulator.calls.handling import Answer, Call, File, Handler, Later
from toloka_airflow.emulator.http.guard import Guard
from toloka_airflow.emulator.http.openapi import document
from toloka_airflow.emulator.http.pages import page_routes
from toloka_airflow.emulator.http.steering import STEERING, SteeringHandler
from toloka_airflow.emulator.resources.routes import HANDLERS, STAGING_HANDLERS
from toloka_airflow.emulator.world.clock import SECOND, format_http_date
from toloka_airflow.emulator.world.errors import DEFAULT_CODES, Refusal, SilentRefusal, error_body, invalid, problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from toloka_airflow.emulator.simulation.simulation import Simulation
    from toloka_airflow.emulator.world.entities import Json
    from toloka_airflow.emulator.world.faults import Fault
    from toloka_airflow.emulator.world.world import World

API = "/api/v1"
STEERING_PREFIX = "/_emulator"
# An ASGI extension: a function that closes the connection. Only a server can offer it.
DROP = "toloka_emulator.drop"
POLLED = f"{API}/operations/{{id}}"
# json.dumps would make an encoder for each answer.
ENCODE = json.JSONEncoder(separators=(",", ":")).encode
AUTH_SCHEMES = ("oauth", "apikey")
API_ROUTES = (*((method, API + path) for method, path in HANDLERS), *STAGING_HANDLERS)
"""Method and path of all that the API has."""


def create_app(world: Simulation, guard: Guard | None = None) -> Starlette:
    """Return the ASGI application over a world; without a guard, for programs on this machine."""
    modelled = {(method, API + path): _counted(method, path, handler) for (method, path), handler in HANDLERS.items()}
    modelled |= STAGING_HANDLERS
    steering: dict[tuple[str, str], SteeringHandler] = {
        (method, STEERING_PREFIX + path): handler for (method, path), handler in STEERING.items()
    }
    steering["GET", f"{STEERING_PREFIX}/openapi.json"] = _get_document
    api = [_route(ApiEndpoint, world, path, methods) for path, methods in _by_path(modelled)]
    steer = [_route(SteeringEndpoint, world, path, methods) for path, methods in _by_path(steering)]
    rest = [_route(ApiEndpoint, world, "/api/{rest:path}", {}), _route(Endpoint, world, "/{rest:path}", {})]
    return Starlette(
        routes=[*api, *steer, *page_routes(world), *rest],
        middleware=[Middleware(Guarded, world=world, guard=guard or Guard()), Middleware(TrailingSlash)],
        exception_handlers={Exception: partial(_crashed, world)},
    )


async def _crashed(world: Simulation, request: Request, exc: Exception) -> Response:
    return _json(500, error_body(world.ids.request(), "INTERNAL_ERROR", f"Error in the emulator: {exc!r}"))


def _counted(method: str, path: str, handler: Handler) -> Handler:
    name = f"{method} {path}"

    def serve(world: World, call: Call) -> Answer | Later:
        world.quotas.charge(name, world.now, call.body)
        return handler(world, call)

    return serve


def _get_document(world: World, call: Call) -> Answer:
    return Answer(200, document())


def _by_path(handlers: Mapping[tuple[str, str], SteeringHandler]) -> list[tuple[str, dict[str, SteeringHandler]]]:
    by_path: dict[str, dict[str, SteeringHandler]] = {}
    for (method, path), handler in handlers.items():
        by_path.setdefault(path, {})[method] = handler
    # What clients ask for most is found first; else a fixed word wins over an id in the same place.
    return sorted(by_path.items(), key=lambda item: (item[0] != POLLED, item[0].replace("{", "\x7f")))


def _route(endpoint: type[Endpoint], world: Simulation, path: str, methods: dict[str, SteeringHandler]) -> Route:
    return Route(path, endpoint(world, methods))


class Guarded:
    """Refuse requests that the guard objects to, before anything is done."""

    def __init__(self, app: ASGIApp, world: Simulation, guard: Guard) -> None:
        self.app = app
        self.world = world
        self.guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        objection = self.guard.objection(scope) if scope["type"] == "http" else None
        if objection is None:
            await self.app(scope, receive, send)
            return
        with self.world.lock:
            refusal = Refusal("ACCESS_DENIED", objection)
            response = _json(refusal.status, refusal.body(self.world.ids.request()))
        await response(scope, receive, send)


class TrailingSlash:
    """Treat `/pools/` like `/pools`: clients send both."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http" and scope["path"].endswith("/"):
            scope = {**scope, "path": scope["path"].rstrip("/") or "/"}
        await self.app(scope, receive, send)


class Endpoint:
    """One path of the server; `methods` has the handler of each method, and none at all is an unknown path."""

    def __init__(self, world: Simulation, methods: Mapping[str, SteeringHandler]) -> None:
        self.world = world
        self.methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the request and serve it."""
        raw = await _read(receive)
        if raw is not None:
            await self.serve(Request(scope, receive), raw, send)

    async def serve(self, request: Request, raw: bytes, send: Send) -> None:
        """Answer the request."""
        with self.world.up_to_date():
            response = self.respond(request, raw)
        if isinstance(response, Later):
            response = await self.wait(response, request)
        self.date(response)
        await response(request.scope, request.receive, send)

    def date(self, response: Response) -> None:
        """Say when the answer was given, in virtual time."""
        response.raw_headers.append((b"date", format_http_date(self.world.now // SECOND).encode()))

    async def wait(self, later: Later, request: Request) -> Response:
        """Wait until the answer is ready, but neither too long nor for a client that is gone."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + later.seconds
        news = asyncio.Event()
        gone = asyncio.ensure_future(request.receive())
        with self.world.news.heard_by(partial(loop.call_soon_threadsafe, news.set)):
            while not later.is_ready() and not gone.done() and loop.time() < deadline:
                told = asyncio.ensure_future(news.wait())
                await asyncio.wait({told, gone}, timeout=deadline - loop.time(), return_when=asyncio.FIRST_COMPLETED)
                told.cancel()
                news.clear()
        gone.cancel()
        with self.world.up_to_date():
            return _response(later.answer())

    def respond(self, request: Request, raw: bytes) -> Response | Later:
        """Return the response; a refusal becomes the documented error body."""
        try:
            answer = self.answer(request, raw)
        except SilentRefusal as refusal:
            return Response(status_code=refusal.status)
        except Refusal as refusal:
            return _json(refusal.status, refusal.body(self.world.ids.request()))
        return answer if isinstance(answer, Later) else _response(answer)

    def answer(self, request: Request, raw: bytes) -> Answer | Later:
        """Find the handler and let it work."""
        if not self.methods:
            raise Refusal("NOT_FOUND", f"There is no route {request.scope['path']}")
        if request.method not in self.methods:
            raise Refusal("METHOD_NOT_ALLOWED", f"The route supports {', '.join(sorted(self.methods))}")
        query = request.query_params if request.scope["query_string"] else {}
        call = Call(request.path_params, query, _body(request, raw))
        return self.methods[request.method](self.world, call)


class SteeringEndpoint(Endpoint):
    """A path that steers: what changes anything is JSON, with or without a body, which no form of a page can send."""

    def answer(self, request: Request, raw: bytes) -> Answer | Later:
        """Let the handler work for whoever sends JSON."""
        if request.method in self.methods and request.method != "GET" and not _is_json(request):
            raise Refusal(
                "UNSUPPORTED_MEDIA_TYPE", "Send the header 'Content-Type: application/json', with no body, too"
            )
        return super().answer(request, raw)


class ApiEndpoint(Endpoint):
    """A path of the API: it wants a token, suffers faults and is written down in the journal."""

    async def serve(self, request: Request, raw: bytes, send: Send) -> None:
        """Answer the request, or do what a fault says."""
        fault = self.world.faults.take(request.method, request.scope["path"])
        with self.world.up_to_date():
            if fault is None or fault.does_work:
                response = self.respond(request, raw)
            else:
                response = _faulty(fault, self.world.ids.request())
            if isinstance(response, Response):
                self._write_down(request, response, fault)
        if isinstance(response, Later):
            response = await self.wait(response, request)
            self._write_down(request, response, fault)
        self.date(response)
        await _deliver(response, fault, request, send)

    def answer(self, request: Request, raw: bytes) -> Answer | Later:
        """Let the handler work for whoever has a token."""
        scheme, _, token = _header(request, b"authorization").partition(" ")
        token = token.strip()
        if scheme.lower() not in AUTH_SCHEMES or not token or not self.world.account.accepts(token):
            raise Refusal("AUTHENTICATION_ERROR")
        self.world.quotas.charge_request(real_time=self.world.clock.is_real_time)
        return super().answer(request, raw)

    def _write_down(self, request: Request, response: Response, fault: Fault | None) -> None:
        # Not request.url, which is slow, and which nonsense in the header Host breaks.
        path, query = request.scope["path"], request.scope["query_string"].decode("latin-1")
        facts: Json = {"method": request.method, "path": path, "query": query}
        if fault is None or fault.kind != "drop":
            facts["status"] = response.status_code
        if fault is not None:
            facts["fault"] = fault.kind
        self.world.journal.add("request", self.world.now, facts)


async def _read(receive: Receive) -> bytes | None:
    """Return the body of the request, None if the client is gone; faster than Starlette's own way."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _header(request: Request, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in request.scope["headers"] if key == name), "")


def _is_json(request: Request) -> bool:
    return _header(request, b"content-type").partition(";")[0].strip().lower() == "application/json"


def _body(request: Request, raw: bytes) -> Any:
    if not raw:
        return None
    if not _is_json(request):
        raise Refusal("UNSUPPORTED_MEDIA_TYPE")
    try:
        return json.loads(raw, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as exc:
        raise invalid({"body": problem("JSON_EXPECTED", f"Body must be JSON: {exc}")}) from exc


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is too large")
    return value


def _response(answer: Answer) -> Response:
    if isinstance(answer.body, File):
        return _file(answer.status, answer.body)
    return Response(status_code=answer.status) if answer.body is None else _json(answer.status, answer.body)


def _json(status: int, body: Any) -> Response:
    return Response(ENCODE(body).encode(), status, media_type="application/json")


def _file(status: int, file: File) -> Response:
    response = Response(file.content, status, {"Content-Type": file.media_type})
    # Half a surrogate pair has no bytes.
    name = quote(file.name, safe="", errors="replace")
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{name}"
    return response


def _faulty(fault: Fault, request_id: str) -> Response:
    if fault.html is not None:
        return HTMLResponse(f"<html><body><h1>{fault.html}</h1></body></html>", fault.html)
    status = fault.status or 500
    code = fault.code or DEFAULT_CODES.get(status, "INTERNAL_ERROR")
    response = _json(status, error_body(request_id, code, fault.message or "Fault on request", fault.payload))
    if fault.retry_after is not None:
        response.headers["Retry-After"] = str(fault.retry_after)
    return response


async def _deliver(response: Response, fault: Fault | None, request: Request, send: Send) -> None:
    kind = fault.kind if fault else None
    if fault and fault.delay and await _disconnected(request, fault.delay):
        return
    if kind == "half_body":
        await _send_half(response, send)
    if kind in ("drop", "lost_answer", "half_body"):
        await _drop(request)
    else:
        await response(request.scope, request.receive, send)


async def _disconnected(request: Request, seconds: float) -> bool:
    """Wait; return True as soon as the client is gone."""
    try:
        await asyncio.wait_for(request.receive(), seconds)
    except TimeoutError:
        return False
    return True


async def _send_half(response: Response, send: Send) -> None:
    body = bytes(response.body)
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})


async def _drop(request: Request) -> None:
    drop: Callable[[], Awaitable[None]] | None = request.scope.get("extensions", {}).get(DROP)
    if drop is None:
        raise ConnectionError("The fault closes the connection, and in process there is none")
    await drop()
