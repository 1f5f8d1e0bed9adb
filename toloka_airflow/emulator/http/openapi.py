"""The emulator's own OpenAPI document, made from its routes, its forms and its lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.forms import documents
from toloka_airflow.emulator.http import lists
from toloka_airflow.emulator.http.api import HANDLERS, STAGING_HANDLERS
from toloka_airflow.emulator.http.listing import DEFAULT_LIMIT, RANGES, Attribute, Listing
from toloka_airflow.emulator.rules.analytics import MAX_METRICS
from toloka_airflow.emulator.world.clock import parse_date
from toloka_airflow.emulator.world.entities import AssignmentStatus, Json, OperationStatus, PoolStatus, ProjectStatus
from toloka_airflow.emulator.world.errors import CODES

if TYPE_CHECKING:
    from toloka_airflow.emulator.forms.schema import Field, Form

API = "/api/v1"

TEXT: Json = {"type": "string"}
FLAG: Json = {"type": "boolean"}
NUMBER: Json = {"type": "number"}
COUNT: Json = {"type": "integer", "minimum": 0}
ANY_OBJECT: Json = {"type": "object"}
DATE: Json = {
    "type": "string",
    "description": "UTC, without a zone",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?$",
}
# What the fields of a form look like in JSON; an id may be sent as a number, and is answered as a string.
KINDS: dict[str, Json] = {
    "any": {},
    "string": TEXT,
    "id": {"type": ["string", "integer"]},
    "integer": {"type": "integer"},
    "number": NUMBER,
    "boolean": FLAG,
    "date": TEXT,
    "object": ANY_OBJECT,
    "array": {"type": "array"},
}


@dataclass(frozen=True)
class Route:
    """One call as the document tells it; the schema None stands for an empty body."""

    answers: Mapping[int, Json | None]
    body: Json | None = None
    query: tuple[Json, ...] = ()
    # Some refusals have no body, so that nothing can be said of what comes with this status.
    may_be_empty: frozenset[int] = field(default_factory=frozenset)


def document() -> Json:
    """Return the document: every call that is emulated, and nothing else."""
    paths: Json = {}
    for (method, path), route in _routes().items():
        paths.setdefault(path, {})[method.lower()] = _operation(path, route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Toloka emulator",
            "version": "1",
            "description": "The calls of the Toloka API that the emulator models. Faults on request are not in here.",
        },
        "paths": dict(sorted(paths.items())),
        "security": [{"token": []}],
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "Authorization"}},
        },
    }


def undescribed() -> list[tuple[str, str]]:
    """Return the emulated calls of which the document knows no more than the address."""
    return sorted({*HANDLERS, *STAGING_HANDLERS} - set(ROUTES))


@cache
def _routes() -> dict[tuple[str, str], Route]:
    unknown = Route({200: {}, 201: {}, 202: {}, 204: None}, body={})
    described = {(method, API + path): ROUTES.get((method, path), unknown) for method, path in HANDLERS}
    return described | {key: ROUTES.get(key, unknown) for key in STAGING_HANDLERS}


def _operation(path: str, route: Route) -> Json:
    answers = {str(status): _answer(status, schema) for status, schema in route.answers.items()}
    refusals = {
        str(status): {"description": "Refused"} if status in route.may_be_empty else _answer(status, _error(codes))
        for status, codes in _codes_by_status().items()
    }
    shown: Json = {"responses": answers | refusals}
    in_path = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    parameters = [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in in_path]
    if parameters or route.query:
        shown["parameters"] = [*parameters, *route.query]
    if route.body is not None:
        shown["requestBody"] = {"required": True, "content": {"application/json": {"schema": route.body}}}
    return shown


def _answer(status: int, schema: Json | None) -> Json:
    description = "Done" if status < 400 else "Refused"
    if schema is None:
        return {"description": description}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _codes_by_status() -> dict[int, list[str]]:
    by_status: dict[int, list[str]] = {}
    for code, (status, _) in CODES.items():
        # The rest are no refusals of a modelled call: they come as faults, or from calls that are not modelled.
        if status < 500:
            by_status.setdefault(status, []).append(code)
    return by_status


def _error(codes: list[str]) -> Json:
    return {"allOf": [ref("Error"), {"properties": {"code": {"enum": sorted(codes)}}}]}


def ref(name: str) -> Json:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def request(form: Form, *, extra: str | None = None) -> Json:
    """Return the schema of a body that is sent; `extra`: names that begin like this are passed over."""
    properties = {name: _request_field(wanted) for name, wanted in form.items()}
    shown: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    if extra is not None:
        shown["patternProperties"] = {f"^{extra}": {}}
    required = [name for name, wanted in form.items() if wanted.required]
    return shown | ({"required": required} if required else {})


def _request_field(wanted: Field) -> Json:
    shown = _value(wanted, request)
    # An optional field may be null, which means the same as leaving it out.
    if wanted.required or not shown:
        return shown
    return {"anyOf": [shown, {"type": "null"}]}


def view(form: Form, required: Iterable[str] = (), **more: Json) -> Json:
    """Return the schema of an answer that shows what was sent, and more."""
    sent = {name: _value(wanted, _view_of_form) for name, wanted in form.items() if not wanted.ignored}
    # Null is not kept, so that only the fields that must be sent are always there.
    always = [name for name, wanted in form.items() if wanted.required]
    return _closed(sent | more, {*always, *required})


def _view_of_form(form: Form) -> Json:
    return view(form)


def _closed(properties: Json, required: Iterable[str] | None = None) -> Json:
    """Return an object that has no other fields; all of them are there if nothing else is said."""
    wanted = sorted(properties if required is None else required)
    return {"type": "object", "properties": properties, "required": wanted, "additionalProperties": False}


def _value(wanted: Field, of_form: Any) -> Json:
    if wanted.kind == "id" and of_form is not request:
        return TEXT
    shown = dict(KINDS[wanted.kind])
    if wanted.fields is not None:
        return dict(of_form(wanted.fields))
    if wanted.choices:
        shown["enum"] = list(wanted.choices)
    if wanted.minimum is not None:
        shown["minimum"] = wanted.minimum
    if wanted.maximum is not None:
        shown["maximum"] = wanted.maximum
    if wanted.each is not None:
        inner = "items" if wanted.kind == "array" else "additionalProperties"
        shown[inner] = _value(wanted.each, of_form)
    return shown


def _enum(values: type[StrEnum]) -> Json:
    return {"type": "string", "enum": [value.value for value in values]}


def _many(schema: Json) -> Json:
    return {"type": "array", "items": schema}


def _page(name: str) -> Json:
    return _closed({"items": _many(ref(name)), "has_more": FLAG})


def _by_position(schema: Json) -> Json:
    return {"type": "object", "propertyNames": {"pattern": "^[0-9]+$"}, "additionalProperties": schema}


def parameter(name: str, schema: Json, *, required: bool = False) -> Json:
    """Return a parameter of the query."""
    return {"name": name, "in": "query", "required": required, "schema": schema}


def listing_query(listing: Listing) -> tuple[Json, ...]:
    """Return the parameters of a list."""
    exact = [
        parameter(name, TEXT if name in listing.many else _read(attribute), required=listing.required == (name,))
        for name, attribute in listing.exact.items()
    ]
    ranges = [
        parameter(name + suffix, _read(attribute)) for name, attribute in listing.ranges.items() for suffix in RANGES
    ]
    words = "|".join(listing.sorts)
    sort = parameter("sort", {"type": "string", "pattern": f"^(-?({words})(,-?({words}))*)?$"})
    limit: Json = {"type": "integer", "minimum": 1, "maximum": listing.maximum, "default": DEFAULT_LIMIT}
    return (*exact, *ranges, sort, parameter("limit", limit))


def _read(attribute: Attribute) -> Json:
    read: Any = attribute.read
    if isinstance(read, type) and issubclass(read, StrEnum):
        return _enum(read)
    if read is int:
        return {"type": "integer"}
    return DATE if read is parse_date else TEXT


READ_ONLY: Json = {"id": TEXT, "created": DATE}
OWNED = READ_ONLY | {"owner": ref("Owner")}
STARTED = OWNED | {
    "status": _enum(PoolStatus),
    "last_close_reason": TEXT,
    "last_started": DATE,
    "last_stopped": DATE,
}
DECIDED = dict.fromkeys(("submitted", "accepted", "rejected", "skipped", "expired"), DATE)
OVERLAP = {"overlap": COUNT, "infinite_overlap": FLAG, "remaining_overlap": COUNT}
PROBLEM = _closed({"code": TEXT, "message": TEXT, "params": {"type": "array"}}, ("code", "message"))
PROBLEMS: Json = {"type": "object", "additionalProperties": PROBLEM}
VALUES = _closed({"output_values": ANY_OBJECT})

SCHEMAS: Json = {
    "Error": _closed(
        {"request_id": TEXT, "code": TEXT, "message": TEXT, "payload": {"type": ["object", "null"]}},
        ("request_id", "code", "message"),
    ),
    "Owner": _closed({"id": TEXT, "myself": FLAG}),
    "Requester": _closed({"id": TEXT, "balance": NUMBER, "public_name": ANY_OBJECT, "company": ANY_OBJECT}, ("id",)),
    "Project": view(documents.PROJECT, ("id", "created", "owner", "status"), **OWNED, status=_enum(ProjectStatus)),
    "Pool": view(
        documents.POOL,
        ("id", "created", "owner", "status", "type"),
        **STARTED,
        type={"enum": ["REGULAR", "TRAINING"]},
    ),
    "Training": view(documents.TRAINING, ("id", "created", "owner", "status"), **STARTED),
    # The tasks of a suite have no overlap of their own.
    "Task": view(
        documents.TASK,
        ("id", "created", "reserved_for", "unavailable_for"),
        **READ_ONLY,
        **OVERLAP,
    ),
    "TaskSuite": view(
        documents.SUITE,
        ("id", "created", "infinite_overlap", "reserved_for", "unavailable_for", "mixed", "automerged"),
        **READ_ONLY,
        **OVERLAP,
        tasks=_many(view(documents.TASK_IN_SUITE, ("id",), id=TEXT)),
        mixed=FLAG,
        automerged=FLAG,
    ),
    "WebhookSubscription": _closed(
        READ_ONLY | {name: _value(documents.WEBHOOK[name], view) for name in ("webhook_url", "event_type", "pool_id")}
    ),
    "PushResult": _closed(
        {
            "success": FLAG,
            "responseReceivedAt": DATE,
            "errorType": TEXT,
            "originalStatusCode": {"type": "integer"},
            "uuids": _many(TEXT),
        },
        ("success", "uuids"),
    ),
    "Assignment": _closed(
        READ_ONLY
        | DECIDED
        | {
            "task_suite_id": TEXT,
            "pool_id": TEXT,
            "user_id": TEXT,
            "status": _enum(AssignmentStatus),
            "reward": NUMBER,
            "tasks": _many(ref("Task")),
            "solutions": _many(VALUES),
            "public_comment": TEXT,
            "mixed": FLAG,
            "automerged": FLAG,
            "owner": ref("Owner"),
        },
        ("id", "created", "task_suite_id", "pool_id", "user_id", "status", "reward", "tasks", "owner"),
    ),
    "Operation": _closed(
        {
            "id": TEXT,
            "type": TEXT,
            "status": _enum(OperationStatus),
            "submitted": DATE,
            "started": DATE,
            "finished": DATE,
            "progress": {"type": "integer", "minimum": 0, "maximum": 100},
            "parameters": ANY_OBJECT,
            "details": ANY_OBJECT,
        },
        ("id", "type", "status", "submitted", "progress", "parameters"),
    ),
    "LogStep": _closed({"type": TEXT, "success": FLAG, "input": {}, "output": ANY_OBJECT}),
    "AggregatedSolution": _closed(
        {
            "pool_id": TEXT,
            "task_id": TEXT,
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "output_values": ANY_OBJECT,
        }
    ),
}

UPLOAD: tuple[Json, ...] = (
    parameter("operation_id", {"type": "string", "format": "uuid"}),
    *(parameter(name, FLAG) for name in ("async_mode", "skip_invalid_items", "allow_defaults", "open_pool")),
)


def _uploaded(name: str) -> Json:
    return {"oneOf": [ref(name), _some_of(name)]}


def _some_of(name: str) -> Json:
    return _closed({"items": _by_position(ref(name)), "validation_errors": _by_position(PROBLEMS)}, ("items",))


def _uploads(prefix: str, name: str, form: Form, change: Form, listing: Route) -> dict[tuple[str, str], Route]:
    item = request(form, extra="__")
    some_or_one = {"oneOf": [item, _many(item) | {"minItems": 1}]}
    opens = (parameter("open_pool", FLAG),)
    return {
        ("POST", prefix): Route({201: _uploaded(name), 202: ref("Operation")}, body=some_or_one, query=UPLOAD),
        ("GET", prefix): listing,
        ("GET", f"{prefix}/{{id}}"): Route({200: ref(name)}),
        ("PATCH", f"{prefix}/{{id}}"): Route({200: ref(name)}, body=request(change), query=opens),
        ("PATCH", f"{prefix}/{{id}}/set-overlap-or-min"): Route(
            {200: ref(name)}, body=request(documents.OVERLAP_OR_LEAST), query=opens
        ),
    }


def _list(name: str, listing: Listing, *more: Json) -> Route:
    return Route({200: _page(name)}, query=(*more, *listing_query(listing)))


def _lifecycle(prefix: str, name: str, form: Form) -> dict[tuple[str, str], Route]:
    moved = Route({202: ref("Operation"), 204: None})
    moves = ("open", "close", "close-for-update", "archive")
    return {("POST", f"{prefix}/{{id}}/{call}"): moved for call in moves} | {
        ("POST", prefix): Route({201: ref(name)}, body=request(form)),
        ("GET", prefix): _list(name, lists.POOLS),
        ("GET", f"{prefix}/{{id}}"): Route({200: ref(name)}),
        ("PUT", f"{prefix}/{{id}}"): Route({200: ref(name)}, body=request(form)),
        ("POST", f"{prefix}/{{id}}/clone"): Route({202: ref("Operation")}),
    }


ROUTES: dict[tuple[str, str], Route] = {
    ("GET", "/requester"): Route({200: ref("Requester")}),
    ("POST", "/projects"): Route({201: ref("Project")}, body=request(documents.PROJECT)),
    ("GET", "/projects"): _list("Project", lists.PROJECTS),
    ("GET", "/projects/{id}"): Route({200: ref("Project")}),
    ("PUT", "/projects/{id}"): Route({200: ref("Project")}, body=request(documents.PROJECT)),
    ("POST", "/projects/{id}/archive"): Route({202: ref("Operation")}),
    **_lifecycle("/pools", "Pool", documents.POOL),
    # Through /pools, a training is shown as a pool.
    ("GET", "/pools/{id}"): Route({200: {"anyOf": [ref("Pool"), ref("TrainingAsPool")]}}),
    ("PATCH", "/pools/{id}"): Route(
        {200: ref("Pool")}, body=request(documents.POOL_PATCH), may_be_empty=frozenset({409})
    ),
    **_lifecycle("/trainings", "Training", documents.TRAINING),
    **_uploads("/tasks", "Task", documents.TASK, documents.TASK_PATCH, _list("Task", lists.TASKS)),
    **_uploads(
        "/task-suites",
        "TaskSuite",
        documents.SUITE,
        documents.SUITE_PATCH,
        _list("TaskSuite", lists.SUITES, parameter("task_id", TEXT)),
    ),
    ("GET", "/operations"): _list("Operation", lists.OPERATIONS),
    ("GET", "/operations/{id}"): Route({200: ref("Operation")}),
    ("GET", "/operations/{id}/log"): Route({200: _many(ref("LogStep"))}),
    ("GET", "/assignments"): _list("Assignment", lists.ASSIGNMENTS, parameter("task_id", TEXT)),
    ("GET", "/assignments/{id}"): Route({200: ref("Assignment")}),
    ("PATCH", "/assignments/{id}"): Route({200: ref("Assignment")}, body=request(documents.ASSIGNMENT_PATCH)),
    ("POST", "/aggregated-solutions/aggregate-by-pool"): Route(
        {202: ref("Operation")}, body=request(documents.AGGREGATION)
    ),
    ("POST", "/aggregated-solutions/aggregate-by-task"): Route(
        {200: ref("AggregatedSolution")}, body=request(documents.AGGREGATION)
    ),
    ("GET", "/aggregated-solutions/{id}"): _list("AggregatedSolution", lists.SOLUTIONS),
    ("PUT", "/webhook-subscriptions"): Route(
        {
            200: {"oneOf": [ref("WebhookSubscription"), _some_of("WebhookSubscription")]},
            201: ref("WebhookSubscription"),
        },
        body={"oneOf": [request(documents.WEBHOOK), _many(request(documents.WEBHOOK))]},
    ),
    ("GET", "/webhook-subscriptions"): _list("WebhookSubscription", lists.WEBHOOKS),
    ("GET", "/webhook-subscriptions/{id}"): Route({200: ref("WebhookSubscription")}),
    ("DELETE", "/webhook-subscriptions/{id}"): Route({204: None}),
    ("POST", "/webhook-subscriptions/{id}/test"): Route({200: ref("PushResult")}),
    ("POST", "/api/staging/analytics-2"): Route(
        {200: ref("Operation")}, body=_many(request(documents.METRIC)) | {"minItems": 1, "maxItems": MAX_METRICS}
    ),
}

_AS_POOL: Json = {"type": {"enum": ["TRAINING"]}}
SCHEMAS["TrainingAsPool"] = view(
    documents.TRAINING, ("id", "created", "owner", "status", "type"), **STARTED, **_AS_POOL
)
