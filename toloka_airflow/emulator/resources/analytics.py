"""Analytics: metrics of pools."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.calls import describing
from toloka_airflow.emulator.calls.describing import Description, Descriptions, many, ref
from toloka_airflow.emulator.calls.handling import Answer, Call, Routes
from toloka_airflow.emulator.forms.fields import ID, must
from toloka_airflow.emulator.forms.schema import REQUIRED, Field, Form, examine
from toloka_airflow.emulator.resources import operations
from toloka_airflow.emulator.world.clock import MINUTE, format_date
from toloka_airflow.emulator.world.entities import AssignmentStatus, Json, Operation, Pool
from toloka_airflow.emulator.world.errors import Problems, Refusal, invalid, problem

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.world import World

TYPE = "ANALYTICS"
MAX_METRICS = 10
HOUR = 60 * MINUTE

Metric = Callable[["World", Pool, Json], Any]


def start(world: World, body: object) -> Operation:
    """Start measuring what the body asks for."""
    if not isinstance(body, list):
        raise invalid({"body": problem("ARRAY_EXPECTED", "Value must be an array")})
    if len(body) > MAX_METRICS:
        raise Refusal("ENTITY_TOO_LARGE", f"At most {MAX_METRICS} metrics in one request")
    requests: list[Json] = []
    problems: Problems = {}
    for i, request in enumerate(body):
        clean, wrong = _check(world, request, f"{i}.")
        requests.append(clean)
        problems |= wrong
    if problems or not body:
        raise invalid(problems or {"body": problem("ARRAY_SIZE_LESS_THAN_MIN", "Ask for at least one metric", [1])})
    return operations.start(world, TYPE, {"value": requests}, partial(_measure, requests=requests))


def _check(world: World, request: Any, at: str) -> tuple[Json, Problems]:
    clean, problems = examine(request, FORM, at=at)
    if problems:
        return clean, problems
    if clean["subject_id"] not in world.pools:
        problems[f"{at}subject_id"] = problem("ENTITY_DOES_NOT_EXIST", "Entity does not exist")
    needs_hours = clean["name"] == "active_workers_by_filter_count"
    if needs_hours and "interval_hours" not in clean:
        problems[f"{at}interval_hours"] = REQUIRED
    return clean, problems


def _measure(world: World, operation: Operation, *, requests: list[Json]) -> None:
    finished = format_date(world.now)
    operation.details = {
        "value": [
            {
                "result": METRICS[request["name"]](world, world.pools[request["subject_id"]], request),
                "request": request,
                "finished": finished,
            }
            for request in requests
        ]
    }


def _count(world: World, pool: Pool, request: Json, *, status: AssignmentStatus) -> int:
    return sum(assignment.status is status for assignment in pool.assignments)


def _completed(world: World, pool: Pool, request: Json) -> int:
    # Decided ones, too: the official client describes the metric so.
    return sum(assignment.submitted is not None for assignment in pool.assignments)


def _real_tasks(world: World, pool: Pool, request: Json) -> int:
    return sum(task.is_real for task in pool.tasks)


def _completion(world: World, pool: Pool, request: Json) -> Json:
    return _object(int(100 * pool.completion), approximate=False)


def _estimated(world: World, pool: Pool, request: Json) -> Json:
    return _object(pool.assignments_wanted + sum(not _was_lost(item.status) for item in pool.assignments))


def _was_lost(status: AssignmentStatus) -> bool:
    return status in (AssignmentStatus.SKIPPED, AssignmentStatus.EXPIRED)


def _object(value: int, *, approximate: bool = True) -> Json:
    return {"type": "NORMAL", "value": value, "infinite": False, "approximate": approximate}


def _average_time(world: World, pool: Pool, request: Json) -> int:
    times = [item.submitted - item.created for item in pool.assignments if item.submitted is not None]
    return round(sum(times) / len(times)) if times else 0


def _spent(world: World, pool: Pool, request: Json) -> float:
    accepted = (item.reward for item in pool.assignments if item.status is AssignmentStatus.ACCEPTED)
    return round(sum(accepted), 6)


def _workers(world: World, pool: Pool, request: Json) -> int:
    return len({item.user_id for item in pool.assignments})


def _submitters(world: World, pool: Pool, request: Json) -> int:
    return len(pool.people)


def _active_workers(world: World, pool: Pool, request: Json) -> int:
    since = world.now - request["interval_hours"] * HOUR
    return len({item.user_id for item in pool.assignments if max(item.created, item.submitted or 0) >= since})


METRICS: dict[str, Metric] = {
    "real_tasks_count": _real_tasks,
    "submitted_assignments_count": _completed,
    "skipped_assignments_count": partial(_count, status=AssignmentStatus.SKIPPED),
    "rejected_assignments_count": partial(_count, status=AssignmentStatus.REJECTED),
    "approved_assignments_count": partial(_count, status=AssignmentStatus.ACCEPTED),
    "completion_percentage": _completion,
    "avg_submit_assignment_millis": _average_time,
    "spent_budget": _spent,
    "unique_workers_count": _workers,
    "unique_submitters_count": _submitters,
    "active_workers_by_filter_count": _active_workers,
    "estimated_assignments_count": _estimated,
}

FORM: Form = {
    "name": Field("string", required=True, choices=tuple(METRICS)),
    "subject": Field("string", required=True, choices=("POOL",)),
    "subject_id": must(ID),
    "interval_hours": Field("integer", minimum=1),
}


def _start_analytics(world: World, call: Call) -> Answer:
    return Answer(200, start(world, call.body).view(world.now))


# Outside of the prefix of all the others.
ROUTES: Routes = {("POST", "/api/staging/analytics-2"): _start_analytics}

DESCRIPTIONS: Descriptions = {
    ("POST", "/api/staging/analytics-2"): Description(
        {200: ref("Operation")}, body=many(describing.request(FORM)) | {"minItems": 1, "maxItems": MAX_METRICS}
    ),
}
