"""What each list of the API can be asked for."""

from __future__ import annotations

from toloka_airflow.emulator.http.listing import CREATED, ID, Attribute, Listing, date
from toloka_airflow.emulator.world.entities import AssignmentStatus, OperationStatus, PoolStatus, ProjectStatus
from toloka_airflow.emulator.world.ids import id_key

PROJECT_STATUS = Attribute(lambda project: project.status, ProjectStatus)
POOL_STATUS = Attribute(lambda pool: pool.shown_status, PoolStatus)
ASSIGNMENT_STATUS = Attribute(lambda assignment: assignment.status, AssignmentStatus)
OPERATION_STATUS = Attribute(lambda operation: operation.status, OperationStatus)
PROJECT_ID = Attribute(lambda pool: pool.body["project_id"])
OVERLAP = Attribute(lambda task: task.overlap, int)
TASK_ID = Attribute(lambda solution: id_key(solution["task_id"]), id_key)

MANY = 100_000


def _texts(name: str) -> Attribute:
    return Attribute(lambda project: project.body.get(name))


def _moments(*names: str) -> dict[str, Attribute]:
    return {"id": ID} | {name: date(name) for name in names}


_created = {"id": ID, "created": CREATED}
_started = _moments("created", "last_started")
_decided = _moments("created", "submitted", "accepted", "rejected", "skipped", "expired")
_finished = _moments("submitted", "finished")


PROJECTS = Listing(
    exact={"status": PROJECT_STATUS, "owner": Attribute(lambda project: project.owner_id)},
    ranges=_created,
    sorts=_created | {"public_name": _texts("public_name"), "private_comment": _texts("private_comment")},
)
POOLS = Listing(exact={"status": POOL_STATUS, "project_id": PROJECT_ID}, ranges=_started, sorts=_started)
TASKS = Listing(
    exact={"pool_id": Attribute(lambda task: task.pool.id), "overlap": OVERLAP},
    ranges=_created | {"overlap": OVERLAP},
    sorts=_created,
    required=("pool_id",),
    maximum=MANY,
)
# Which tasks a suite has is looked up before the list is asked.
SUITES = Listing(
    exact={"pool_id": Attribute(lambda suite: suite.pool.id), "overlap": OVERLAP},
    ranges=_created | {"overlap": OVERLAP},
    sorts=_created,
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
    ranges=_created,
    sorts=_created,
    created_in_order=False,
)
