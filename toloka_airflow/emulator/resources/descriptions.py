"""What the OpenAPI document tells of the nouns that have no module of their own yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_airflow.emulator.calls.describing import (
    ANY_OBJECT,
    COUNT,
    DATE,
    FLAG,
    NUMBER,
    OWNED,
    READ_ONLY,
    TEXT,
    Description,
    Descriptions,
    closed,
    enum,
    list_of,
    many,
    parameter,
    ref,
    request,
    some_of,
    value_of,
    view,
)
from toloka_airflow.emulator.forms import documents
from toloka_airflow.emulator.resources import lists
from toloka_airflow.emulator.rules.analytics import MAX_METRICS
from toloka_airflow.emulator.world.entities import AssignmentStatus, Json, OperationStatus, PoolStatus

if TYPE_CHECKING:
    from toloka_airflow.emulator.forms.schema import Form

STARTED = OWNED | {
    "status": enum(PoolStatus),
    "last_close_reason": TEXT,
    "last_started": DATE,
    "last_stopped": DATE,
}
DECIDED = dict.fromkeys(("submitted", "accepted", "rejected", "skipped", "expired"), DATE)
OVERLAP = {"overlap": COUNT, "infinite_overlap": FLAG, "remaining_overlap": COUNT}
VALUES = closed({"output_values": ANY_OBJECT})

SCHEMAS: Json = {
    "Requester": closed({"id": TEXT, "balance": NUMBER, "public_name": ANY_OBJECT, "company": ANY_OBJECT}, ("id",)),
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
        tasks=many(view(documents.TASK_IN_SUITE, ("id",), id=TEXT)),
        mixed=FLAG,
        automerged=FLAG,
    ),
    "WebhookSubscription": closed(
        READ_ONLY | {name: value_of(documents.WEBHOOK[name], view) for name in ("webhook_url", "event_type", "pool_id")}
    ),
    "PushResult": closed(
        {
            "success": FLAG,
            "responseReceivedAt": DATE,
            "errorType": TEXT,
            "originalStatusCode": {"type": "integer"},
            "uuids": many(TEXT),
        },
        ("success", "uuids"),
    ),
    "Assignment": closed(
        READ_ONLY
        | DECIDED
        | {
            "task_suite_id": TEXT,
            "pool_id": TEXT,
            "user_id": TEXT,
            "status": enum(AssignmentStatus),
            "reward": NUMBER,
            "tasks": many(ref("Task")),
            "solutions": many(VALUES),
            "public_comment": TEXT,
            "mixed": FLAG,
            "automerged": FLAG,
            "owner": ref("Owner"),
        },
        ("id", "created", "task_suite_id", "pool_id", "user_id", "status", "reward", "tasks", "owner"),
    ),
    "Operation": closed(
        {
            "id": TEXT,
            "type": TEXT,
            "status": enum(OperationStatus),
            "submitted": DATE,
            "started": DATE,
            "finished": DATE,
            "progress": {"type": "integer", "minimum": 0, "maximum": 100},
            "parameters": ANY_OBJECT,
            "details": ANY_OBJECT,
        },
        ("id", "type", "status", "submitted", "progress", "parameters"),
    ),
    "LogStep": closed({"type": TEXT, "success": FLAG, "input": {}, "output": ANY_OBJECT}),
    "AggregatedSolution": closed(
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
    return {"oneOf": [ref(name), some_of(name)]}


def _uploads(prefix: str, name: str, form: Form, change: Form, listing: Description) -> Descriptions:
    item = request(form, extra="__")
    some_or_one = {"oneOf": [item, many(item) | {"minItems": 1}]}
    opens = (parameter("open_pool", FLAG),)
    return {
        ("POST", prefix): Description({201: _uploaded(name), 202: ref("Operation")}, body=some_or_one, query=UPLOAD),
        ("GET", prefix): listing,
        ("GET", f"{prefix}/{{id}}"): Description({200: ref(name)}),
        ("PATCH", f"{prefix}/{{id}}"): Description({200: ref(name)}, body=request(change), query=opens),
        ("PATCH", f"{prefix}/{{id}}/set-overlap-or-min"): Description(
            {200: ref(name)}, body=request(documents.OVERLAP_OR_LEAST), query=opens
        ),
    }


def _lifecycle(prefix: str, name: str, form: Form) -> Descriptions:
    moved = Description({202: ref("Operation"), 204: None})
    moves = ("open", "close", "close-for-update", "archive")
    return {("POST", f"{prefix}/{{id}}/{call}"): moved for call in moves} | {
        ("POST", prefix): Description({201: ref(name)}, body=request(form)),
        ("GET", prefix): list_of(name, lists.POOLS),
        ("GET", f"{prefix}/{{id}}"): Description({200: ref(name)}),
        ("PUT", f"{prefix}/{{id}}"): Description({200: ref(name)}, body=request(form)),
        ("POST", f"{prefix}/{{id}}/clone"): Description({202: ref("Operation")}),
    }


DESCRIPTIONS: Descriptions = {
    ("GET", "/requester"): Description({200: ref("Requester")}),
    **_lifecycle("/pools", "Pool", documents.POOL),
    # Through /pools, a training is shown as a pool.
    ("GET", "/pools/{id}"): Description({200: {"anyOf": [ref("Pool"), ref("TrainingAsPool")]}}),
    ("PATCH", "/pools/{id}"): Description(
        {200: ref("Pool")}, body=request(documents.POOL_PATCH), unlike_others=frozenset({409})
    ),
    **_lifecycle("/trainings", "Training", documents.TRAINING),
    **_uploads("/tasks", "Task", documents.TASK, documents.TASK_PATCH, list_of("Task", lists.TASKS)),
    **_uploads(
        "/task-suites",
        "TaskSuite",
        documents.SUITE,
        documents.SUITE_PATCH,
        list_of("TaskSuite", lists.SUITES, parameter("task_id", TEXT)),
    ),
    ("GET", "/operations"): list_of("Operation", lists.OPERATIONS),
    ("GET", "/operations/{id}"): Description({200: ref("Operation")}),
    ("GET", "/operations/{id}/log"): Description({200: many(ref("LogStep"))}),
    ("GET", "/assignments"): list_of("Assignment", lists.ASSIGNMENTS, parameter("task_id", TEXT)),
    ("GET", "/assignments/{id}"): Description({200: ref("Assignment")}),
    ("PATCH", "/assignments/{id}"): Description({200: ref("Assignment")}, body=request(documents.ASSIGNMENT_PATCH)),
    ("POST", "/aggregated-solutions/aggregate-by-pool"): Description(
        {202: ref("Operation")}, body=request(documents.AGGREGATION)
    ),
    ("POST", "/aggregated-solutions/aggregate-by-task"): Description(
        {200: ref("AggregatedSolution")}, body=request(documents.AGGREGATION)
    ),
    ("GET", "/aggregated-solutions/{id}"): list_of("AggregatedSolution", lists.SOLUTIONS),
    ("PUT", "/webhook-subscriptions"): Description(
        {
            200: {"oneOf": [ref("WebhookSubscription"), some_of("WebhookSubscription")]},
            201: ref("WebhookSubscription"),
        },
        body={"oneOf": [request(documents.WEBHOOK), many(request(documents.WEBHOOK))]},
    ),
    ("GET", "/webhook-subscriptions"): list_of("WebhookSubscription", lists.WEBHOOKS),
    ("GET", "/webhook-subscriptions/{id}"): Description({200: ref("WebhookSubscription")}),
    ("DELETE", "/webhook-subscriptions/{id}"): Description({204: None}),
    ("POST", "/webhook-subscriptions/{id}/test"): Description({200: ref("PushResult")}),
    ("POST", "/api/staging/analytics-2"): Description(
        {200: ref("Operation")}, body=many(request(documents.METRIC)) | {"minItems": 1, "maxItems": MAX_METRICS}
    ),
}

_AS_POOL: Json = {"type": {"enum": ["TRAINING"]}}
SCHEMAS["TrainingAsPool"] = view(
    documents.TRAINING, ("id", "created", "owner", "status", "type"), **STARTED, **_AS_POOL
)
