"""What each list of the API can be asked for."""

from __future__ import annotations

from toloka_airflow.emulator.calls.listing import ID_AND_CREATED, MANY, Attribute, Listing, moments
from toloka_airflow.emulator.world.entities import AssignmentStatus, OperationStatus, PoolStatus
from toloka_airflow.emulator.world.ids import id_key

POOL_STATUS = Attribute(lambda pool: pool.shown_status, PoolStatus)
ASSIGNMENT_STATUS = Attribute(lambda assignment: assignment.status, AssignmentStatus)
OPERATION_STATUS = Attribute(lambda operation: operation.status, OperationStatus)
PROJECT_ID = Attribute(lambda pool: pool.body["project_id"])
OVERLAP = Attribute(lambda task: task.overlap, int)
TASK_ID = Attribute(lambda solution: id_key(solution["task_id"]), id_key)

_started = moments("created", "last_started")
_decided = moments("created", "submitted", "accepted", "rejected", "skipped", "expired")
_finished = moments("submitted", "finished")


POOLS = Listing(exact={"status": POOL_STATUS, "project_id": PROJECT_ID}, ranges=_started, sorts=_started)
TASKS = Listing(
    exact={"pool_id": Attribute(lambda task: task.pool.id), "overlap": OVERLAP},
    ranges=ID_AND_CREATED | {"overlap": OVERLAP},
    sorts=ID_AND_CREATED,
    required=("pool_id",),
    maximum=MANY,
)
# Which tasks a suite has is looked up before the list is asked.
SUITES = Listing(
    exact={"pool_id": Attribute(lambda suite: suite.pool.id), "overlap": OVERLAP},
    ranges=ID_AND_CREATED | {"overlap": OVERLAP},
    sorts=ID_AND_CREATED,
    maximum=MANY,
)
ASSIGNMENTS = Listing(
    exact={
        "pool_id": Attribute(lambda assignment: assignment.pool.id),
        "task_suite_id": Attribute(lambda assignment: assignment.suite.id),
        "user_id": Attribute(lambda assignment: assignment.user_id),
        "status": ASSIGNMENT_STATUS,
    },
    ranges=_decided,
    sorts=_decided,
    many=frozenset({"status"}),
    maximum=MANY,
)
OPERATIONS = Listing(
    exact={"type": Attribute(lambda operation: operation.type), "status": OPERATION_STATUS},
    ranges=_finished,
    sorts=_finished,
    many=frozenset({"status", "type"}),
    maximum=500,
)
SOLUTIONS = Listing(ranges={"task_id": TASK_ID}, sorts={"task_id": TASK_ID}, maximum=MANY, key="task_id")
WEBHOOKS = Listing(
    exact={
        "event_type": Attribute(lambda subscription: subscription.event_type),
        "pool_id": Attribute(lambda subscription: subscription.pool_id),
    },
    ranges=ID_AND_CREATED,
    sorts=ID_AND_CREATED,
    created_in_order=False,
)
