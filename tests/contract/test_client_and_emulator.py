"""Two independent readings of the same documentation agree."""

from __future__ import annotations

import inspect
import json
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.worlds import POOL, PROJECT
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.errors import (
    TolokaApiError,
    TolokaConflictError,
    TolokaOperationError,
    TolokaQuotaError,
    TolokaRetryableError,
)
from toloka_airflow.api.models import (
    AssignmentStatus,
    Operation,
    OperationStatus,
    Pool,
    PoolStatus,
    ProjectStatus,
    read_date,
    read_metrics,
)
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.transfer.download.answer_rows import read_answers

TRAINING = {
    "private_name": "Training",
    "inherited_instructions": True,
    "training_tasks_in_task_suite_count": 2,
    "may_contain_adult_content": False,
}


def new_pool(toloka: Any, tasks: int = 0, **fields: Any) -> Pool:
    project = toloka.client.create_project(PROJECT)
    pool = toloka.client.create_pool({**POOL, "project_id": project.id, **fields})
    if tasks:
        toloka.client.create_tasks(questions(pool.id, tasks), allow_defaults=True)
    return pool


def questions(pool_id: str, count: int) -> list[dict[str, Any]]:
    return [{"pool_id": pool_id, "input_values": {"text": f"Is {number} even?"}} for number in range(count)]


def finished(toloka: Any, operation: Operation | None) -> Operation:
    assert operation is not None
    toloka.clock.advance(60)
    return toloka.client.ensure_success(toloka.client.get_operation(operation.id))


def labelled(toloka: Any, tasks: int = 6, **fields: Any) -> Pool:
    """Return a pool that the crowd has completed."""
    pool = new_pool(toloka, tasks, **fields)
    finished(toloka, toloka.client.open_pool(pool.id))
    toloka.clock.advance(24 * 3600)
    done: Pool = toloka.client.get_pool(pool.id)
    return done


def test_requester(toloka: Any) -> None:
    requester = toloka.client.get_requester()
    assert requester.id
    assert requester.balance == 1000


def test_a_project_from_creation_to_archive(toloka: Any) -> None:
    project = toloka.client.create_project(PROJECT)
    assert (project.status, project.public_name) == (ProjectStatus.ACTIVE, "Questions")
    assert toloka.client.get_project(project.id) == project
    assert list(toloka.client.list_projects(status=ProjectStatus.ACTIVE)) == [project]
    assert finished(toloka, toloka.client.archive_project(project.id)).type == "PROJECT.ARCHIVE"
    assert toloka.client.get_project(project.id).status == ProjectStatus.ARCHIVED


def test_a_project_with_a_pool_is_not_archived(toloka: Any) -> None:
    pool = new_pool(toloka)
    with pytest.raises(TolokaConflictError, match=r"UNARCHIVED_POOLS_CONFLICT.*Archive every pool"):
        toloka.client.archive_project(pool.project_id)


def test_a_pool_from_creation_to_archive(toloka: Any) -> None:
    pool = new_pool(toloka, tasks=2)
    assert (pool.status, pool.last_close_reason, pool.last_started) == (PoolStatus.CLOSED, None, None)
    for call, kind, status in [
        (toloka.client.open_pool, "POOL.OPEN", PoolStatus.OPEN),
        (toloka.client.close_pool, "POOL.CLOSE", PoolStatus.CLOSED),
        (toloka.client.archive_pool, "POOL.ARCHIVE", PoolStatus.ARCHIVED),
    ]:
        toloka.world.crowd.change(size=0)
        operation = finished(toloka, call(pool.id))
        assert (operation.type, operation.parameters) == (kind, {"pool_id": pool.id})
        assert toloka.client.get_pool(pool.id).status == status
        assert call(pool.id) is None
    archived = toloka.client.get_pool(pool.id)
    assert list(toloka.client.list_pools(project_id=pool.project_id, status=PoolStatus.ARCHIVED)) == [archived]
    assert list(toloka.client.list_pools(status=PoolStatus.OPEN)) == []
    assert archived.last_close_reason == "MANUAL"
    assert archived.last_started < archived.last_stopped
    assert toloka.client.web_url(archived).endswith(f"/requester/project/{pool.project_id}/pool/{pool.id}")


def test_a_training_from_creation_to_archive(toloka: Any) -> None:
    project = toloka.client.create_project(PROJECT)
    training = toloka.client.create_training({**TRAINING, "project_id": project.id})
    assert toloka.client.get_training(training.id) == training
    known = [{"output_values": {"answer": "yes"}}]
    task = {"pool_id": training.id, "input_values": {"text": "2?"}, "known_solutions": known, "infinite_overlap": True}
    toloka.client.create_tasks([task])
    requirement = {"training_requirement": {"training_pool_id": training.id, "training_passing_skill_value": 80}}
    pool = toloka.client.create_pool({**POOL, "project_id": project.id, "quality_control": requirement})
    assert finished(toloka, toloka.client.open_training(training.id)).type == "TRAINING.OPEN"
    assert toloka.client.open_training(training.id) is None
    assert finished(toloka, toloka.client.close_training_for_update(training.id)).type == "TRAINING.CLOSE"
    assert toloka.client.get_training(training.id).last_close_reason == "FOR_UPDATE"
    finished(toloka, toloka.client.open_training(training.id))
    assert finished(toloka, toloka.client.close_training(training.id)).type == "TRAINING.CLOSE"
    assert toloka.client.close_training(training.id) is None
    with pytest.raises(TolokaConflictError, match="TRAINING_ARCHIVE_CONFLICT"):
        toloka.client.archive_training(training.id)
    assert [found.id for found in toloka.client.pools_requiring(training.id)] == [pool.id]
    toloka.world.crowd.change(size=0)
    toloka.client.create_tasks([{"pool_id": pool.id, "input_values": {"text": "3?"}, "overlap": 1}])
    assert toloka.client.find_open_pool_requiring(training.id) is None
    opening = toloka.client.open_pool(pool.id)
    assert toloka.client.find_open_pool_requiring(training.id).id == pool.id
    finished(toloka, opening)
    assert toloka.client.find_open_pool_requiring(training.id).id == pool.id
    finished(toloka, toloka.client.close_pool(pool.id))
    assert toloka.client.find_open_pool_requiring(training.id) is None
    finished(toloka, toloka.client.archive_pool(pool.id))
    assert finished(toloka, toloka.client.archive_training(training.id)).type == "TRAINING.ARCHIVE"
    assert toloka.client.archive_training(training.id) is None
    assert [found.status for found in toloka.client.list_trainings(project_id=project.id)] == [PoolStatus.ARCHIVED]


def test_the_clock_of_the_server(toloka: Any) -> None:
    pool = new_pool(toloka)
    assert abs(toloka.client.server_time() - pool.created).total_seconds() < 60


def test_clones(toloka: Any) -> None:
    pool = new_pool(toloka, tasks=1)
    copy = toloka.client.get_pool(finished(toloka, toloka.client.clone_pool(pool.id)).details["pool_id"])
    assert copy.id != pool.id
    assert copy.private_name == pool.private_name
    assert list(toloka.client.list_tasks(copy.id)) == []
    training = toloka.client.create_training({**TRAINING, "project_id": pool.project_id})
    cloned = finished(toloka, toloka.client.clone_training(training.id))
    assert toloka.client.get_training(cloned.details["training_id"]).private_name == "Training"


def test_an_operation_is_followed(toloka: Any) -> None:
    toloka.world.crowd.change(size=0)
    pool = new_pool(toloka, tasks=1)
    operation = toloka.client.open_pool(pool.id)
    assert operation.status == OperationStatus.PENDING
    assert operation.finished is None
    assert toloka.client.get_pool(pool.id).status == PoolStatus.LOCKED
    assert toloka.client.get_settled_pool(pool.id).status == PoolStatus.LOCKED
    assert toloka.client.find_unfinished_operation(pool_id=pool.id).id == operation.id
    for call in (toloka.client.open_pool, toloka.client.close_pool, toloka.client.archive_pool):
        with pytest.raises(TolokaConflictError) as caught:
            call(pool.id)
        assert (caught.value.status, caught.value.code) == (409, "POOL_LOCKED_BY_ANOTHER_OPERATION")
    toloka.clock.advance(0.5)
    assert toloka.client.get_operation(operation.id).status == OperationStatus.RUNNING
    assert toloka.client.find_unfinished_operation(pool_id=pool.id).id == operation.id
    toloka.clock.advance(60)
    done = toloka.client.get_operation(operation.id)
    assert (done.status, done.progress) == (OperationStatus.SUCCESS, 100)
    assert done.submitted <= done.started <= done.finished
    assert toloka.client.find_unfinished_operation(pool_id=pool.id) is None
    assert toloka.client.get_settled_pool(pool.id).status == PoolStatus.OPEN
    listed = list(toloka.client.list_operations(type="POOL.OPEN", status="SUCCESS", submitted_gte=done.submitted))
    assert listed == [done]


def test_wait_operation_polls_until_the_end(toloka: Any) -> None:
    toloka.world.progressions.set(Progression(looks=3), type="POOL.OPEN")
    operation = toloka.client.open_pool(new_pool(toloka, tasks=1).id)
    seen: list[Operation] = []
    done = toloka.client.wait_operation(operation, timeout=10, poll_interval=0.01, on_poll=seen.append)
    assert done.status == OperationStatus.SUCCESS
    assert len(seen) == 3


def test_a_failing_operation(toloka: Any) -> None:
    failure = Progression(seconds=0, fail={"code": "OPERATION_EXECUTION_ERROR", "message": "It broke"})
    toloka.world.progressions.set(failure, type="POOL.OPEN")
    operation = toloka.client.open_pool(new_pool(toloka, tasks=1).id)
    with pytest.raises(TolokaOperationError, match="OPERATION_EXECUTION_ERROR"):
        toloka.client.ensure_success(operation)


@pytest.mark.parametrize(
    ("state", "call", "code", "advice"),
    [
        ("empty", "open_pool", "EMPTY_POOL", "Upload tasks"),
        ("open", "archive_pool", "INAPPROPRIATE_STATUS", "Allowed statuses: CLOSED"),
        ("archived", "open_pool", "INAPPROPRIATE_STATUS", "Allowed statuses"),
        ("archived", "close_pool", "INAPPROPRIATE_STATUS", "Allowed statuses"),
        ("broke", "open_pool", "NOT_ENOUGH_BALANCE", "Top up"),
    ],
)
def test_refusals(toloka: Any, state: str, call: str, code: str, advice: str) -> None:
    pool = new_pool(toloka, tasks=0 if state == "empty" else 1)
    if state == "open":
        toloka.world.crowd.change(size=0)
        finished(toloka, toloka.client.open_pool(pool.id))
    if state == "archived":
        finished(toloka, toloka.client.archive_pool(pool.id))
    if state == "broke":
        toloka.world.set_balance(0)
    with pytest.raises(TolokaConflictError, match=advice) as caught:
        getattr(toloka.client, call)(pool.id)
    assert (caught.value.status, caught.value.code) == (409, code)
    assert caught.value.request_id


def test_a_closed_pool_is_changed_as_a_whole(toloka: Any) -> None:
    pool = new_pool(toloka, tasks=1)
    changed = toloka.client.update_pool(pool.id, {**pool.raw, "will_expire": "2029-01-01T00:00:00.000"})
    assert changed == toloka.client.get_pool(pool.id)
    assert {**changed.raw, "will_expire": None} == {**pool.raw, "will_expire": None}
    assert changed.raw["will_expire"] == "2029-01-01T00:00:00.000"
    toloka.world.crowd.change(size=0)
    finished(toloka, toloka.client.open_pool(pool.id))
    with pytest.raises(TolokaConflictError):
        toloka.client.update_pool(pool.id, pool.raw)


def test_closing_for_update(toloka: Any) -> None:
    pool = new_pool(toloka, tasks=1)
    toloka.world.crowd.change(size=0)
    finished(toloka, toloka.client.open_pool(pool.id))
    finished(toloka, toloka.client.close_pool_for_update(pool.id))
    assert toloka.client.get_pool(pool.id).last_close_reason == "FOR_UPDATE"
    assert toloka.client.close_pool(pool.id) is None
    toloka.clock.advance(15 * 60)
    assert toloka.client.get_pool(pool.id).status == PoolStatus.OPEN


def test_tasks_at_once(toloka: Any) -> None:
    pool = new_pool(toloka)
    created = toloka.client.create_tasks(questions(pool.id, 3), allow_defaults=True)
    assert [task.input_values["text"] for task in created] == ["Is 0 even?", "Is 1 even?", "Is 2 even?"]
    assert [task.overlap for task in created] == [2, 2, 2]
    assert list(toloka.client.list_tasks(pool.id)) == created


def test_invalid_tasks_create_nothing(toloka: Any) -> None:
    pool = new_pool(toloka)
    wrong = {"pool_id": pool.id, "input_values": {"txt": "?"}, "overlap": 1}
    with pytest.raises(TolokaApiError, match=r"(?s)VALIDATION_ERROR.*txt.*VALUE_NOT_ALLOWED"):
        toloka.client.create_tasks([*questions(pool.id, 2), wrong], allow_defaults=True)
    assert list(toloka.client.list_tasks(pool.id)) == []


def test_tasks_are_created_once_for_each_operation_id(toloka: Any) -> None:
    pool = new_pool(toloka)
    operation_id = str(uuid.uuid4())
    for _ in range(3):
        operation = toloka.client.create_tasks_async(
            questions(pool.id, 4), operation_id=operation_id, allow_defaults=True
        )
        assert operation.id == operation_id
        toloka.clock.advance(60)
    done = finished(toloka, operation)
    assert done.details["success_count"] == 4
    log = toloka.client.get_operation_log(operation_id)
    assert [step["type"] for step in log] == ["TASK_CREATE"] * 4
    assert {step["output"]["task_id"] for step in log} == {task.id for task in toloka.client.list_tasks(pool.id)}
    assert toloka.client.read_operation_log(operation_id, json.loads) == log


def test_a_failed_upload_shows_its_log(toloka: Any) -> None:
    pool = new_pool(toloka)
    wrong = {"pool_id": pool.id, "input_values": {}, "overlap": 1}
    operation = toloka.client.create_tasks_async([*questions(pool.id, 1), wrong], allow_defaults=True)
    toloka.clock.advance(60)
    with pytest.raises(TolokaOperationError, match=r"FAIL.*failed_count.*VALUE_REQUIRED"):
        toloka.client.ensure_success(toloka.client.get_operation(operation.id))


def test_an_operation_without_a_log(toloka: Any) -> None:
    operation = finished(toloka, toloka.client.open_pool(new_pool(toloka, tasks=1).id))
    with pytest.raises(TolokaConflictError):
        toloka.client.get_operation_log(operation.id)


def test_people_answer_until_the_pool_is_completed(toloka: Any) -> None:
    pool = labelled(toloka)
    assert (pool.status, pool.last_close_reason) == (PoolStatus.CLOSED, "COMPLETED")
    answers = list(toloka.client.list_assignments(pool_id=pool.id, status=AssignmentStatus.ACCEPTED))
    assert sum(len(answer.tasks) for answer in answers) == 6 * 2
    for answer in answers:
        assert float(answer.reward) == 0.02
        assert all(solution["answer"] in ("yes", "no") for solution in answer.solutions)
    assert all(task.remaining_overlap == 0 for task in toloka.client.list_tasks(pool.id))
    assert toloka.client.get_requester().balance < 1000


def test_a_pool_that_expires(toloka: Any) -> None:
    toloka.world.crowd.change(size=1)
    pool = labelled(toloka, will_expire="2026-01-05T20:00:00")
    assert (pool.status, pool.last_close_reason) == (PoolStatus.CLOSED, "EXPIRED")


def test_answers_are_reviewed(toloka: Any) -> None:
    pool = labelled(toloka, auto_accept_solutions=False, auto_accept_period_day=21)
    first, second, *_ = toloka.client.list_assignments(pool_id=pool.id, status=[AssignmentStatus.SUBMITTED])
    accepted = toloka.client.patch_assignment(first.id, status=AssignmentStatus.ACCEPTED)
    assert accepted.status == AssignmentStatus.ACCEPTED
    assert toloka.client.get_assignment(first.id) == accepted
    rejected = toloka.client.patch_assignment(second.id, status=AssignmentStatus.REJECTED, public_comment="No")
    assert rejected.raw["public_comment"] == "No"
    with pytest.raises(TolokaConflictError):
        toloka.client.patch_assignment(first.id, status=AssignmentStatus.REJECTED, public_comment="No")
    with pytest.raises(TolokaConflictError, match=r"THERE_IS_REJECTED_ASSIGNMENT.*9 days"):
        toloka.client.archive_pool(pool.id)


def test_answers_are_aggregated(toloka: Any) -> None:
    pool = labelled(toloka)
    operation = toloka.client.aggregate_by_pool(pool.id, type="DAWID_SKENE", fields=["answer"])
    assert operation.type == "SOLUTION.AGGREGATE"
    finished(toloka, operation)
    solutions = list(toloka.client.list_aggregated_solutions(operation.id))
    assert [solution.task_id for solution in solutions] == [task.id for task in toloka.client.list_tasks(pool.id)]
    assert all(0 <= solution.confidence <= 1 for solution in solutions)
    assert {solution.output_values["answer"] for solution in solutions} <= {"yes", "no"}
    pages = list(toloka.client.aggregated_solution_pages(operation.id, page_size=4))
    assert [[row["task_id"] for row in page] for page in pages] == [
        [solution.task_id for solution in solutions[:4]],
        [solution.task_id for solution in solutions[4:]],
    ]


def test_pools_are_measured_together(toloka: Any) -> None:
    """By one operation, which a list names with its results."""
    done, fresh = labelled(toloka), new_pool(toloka, tasks=1)
    operation = finished(toloka, toloka.client.start_analytics_of([done.id, fresh.id], ["submitted_assignments_count"]))
    [listed] = [each for page in toloka.client.analytics_pages(operation.submitted) for each in page]
    assert listed.raw == operation.raw
    assert read_metrics(listed, done.id) == {"submitted_assignments_count": 6}
    assert read_metrics(listed, fresh.id) == {"submitted_assignments_count": 0}
    assert read_metrics(listed, "9") == {}


def test_a_pool_is_measured(toloka: Any) -> None:
    pool = labelled(toloka)
    metrics = ["completion_percentage", "submitted_assignments_count", "spent_budget"]
    operation = finished(toloka, toloka.client.start_analytics(pool.id, metrics))
    values = {value["request"]["name"]: value["result"] for value in operation.details["value"]}
    assert values["completion_percentage"]["value"] == 100
    measured = read_metrics(operation)
    assert measured == {
        "completion_percentage": 100,
        "submitted_assignments_count": 6,
        "spent_budget": pytest.approx(0.12),
    }
    toloka.world.progressions.set(Progression(seconds=0))
    assert toloka.client.measure(pool.id, metrics, timeout=5) == measured


def test_lists_are_read_page_by_page(toloka: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = new_pool(toloka, tasks=305)
    assert len({task.id for task in toloka.client.list_tasks(pool.id)}) == 305
    pages = [entry for entry in toloka.world.journal.requests("GET") if entry["path"] == "/api/v1/tasks"]
    assert len(pages) == 2


def test_tasks_are_read_in_pages_of_any_size(toloka: Any) -> None:
    pool = new_pool(toloka, tasks=305)
    pages = list(toloka.client.task_pages(pool.id, page_size=200))
    assert [len(page) for page in pages] == [200, 105]
    assert [raw["id"] for page in pages for raw in page] == [task.id for task in toloka.client.list_tasks(pool.id)]


def test_operations_are_read_500_at_a_time(toloka: Any) -> None:
    toloka.world.crowd.change(size=0)
    client, pool = toloka.client, new_pool(toloka, tasks=1)
    begun = client.get_pool(pool.id).created
    ids: list[str] = []
    for count in (300, 300, 1, 450):
        ids += [client.start_analytics(pool.id, ["spent_budget"]).id for _ in range(count)]
        unfinished = [page for status in ("PENDING", "RUNNING") for page in client.operation_pages(status=status)]
        assert sorted(operation.id for page in unfinished for operation in page) == sorted(ids[-count:])
        toloka.clock.advance(60)
    pages = list(client.finished_operation_pages(begun))
    assert max(map(len, pages)) == 500
    assert {operation.id for page in pages for operation in page} >= set(ids)
    ends = [operation.finished for page in pages for operation in page]
    assert ends == sorted(ends, reverse=True)
    [last] = client.finished_operation_pages(ends[0])
    assert {operation.id for operation in last} == set(ids[-450:])


def test_answers_are_read_from_one_on(toloka: Any) -> None:
    pool = labelled(toloka)
    ids = [answer.id for answer in toloka.client.list_assignments(pool_id=pool.id)]
    pages = toloka.client.assignment_pages(pool.id, page_size=2, after=ids[0])
    assert [[row["id"] for row in page] for page in pages] == [ids[i : i + 2] for i in range(1, len(ids), 2)]


def test_answers_are_read_up_to_one(toloka: Any) -> None:
    pool = labelled(toloka)
    ids = [answer.id for answer in toloka.client.list_assignments(pool_id=pool.id)]
    assert toloka.client.find_last_assignment(pool.id) == ids[-1]
    assert toloka.client.find_last_assignment(pool.id, status=["REJECTED"]) is None
    pages = toloka.client.read_assignments(pool.id, read_answers, page_size=2, after=ids[0], until=ids[-2])
    assert [name for page in pages for name in page.keys] == ids[1:-1]


def test_whether_there_are_answers(toloka: Any) -> None:
    pool = labelled(toloka)
    last = max(answer.raw["submitted"] for answer in toloka.client.list_assignments(pool_id=pool.id))
    assert toloka.client.has_answers(pool.id)
    assert toloka.client.has_answers(pool.id, since=read_date(last))
    assert not toloka.client.has_answers(pool.id, before=read_date("2000-01-01T00:00:00"))
    assert not toloka.client.has_answers(pool.id, since=toloka.client.server_time() + timedelta(days=1))
    assert not toloka.client.has_answers(new_pool(toloka, tasks=1).id)


def test_the_clock_of_an_answer_is_that_of_what_is_answered(toloka: Any) -> None:
    assert toloka.client.server_time() is None
    for _ in range(2):
        toloka.clock.advance(3600)
        operation = toloka.client.start_analytics(new_pool(toloka, tasks=1).id, ["spent_budget"])
        assert abs(toloka.client.server_time() - operation.submitted) < timedelta(seconds=1)


def test_what_is_not_reviewed_yet(toloka: Any) -> None:
    """The three numbers from which it follows how many answers are neither accepted nor rejected."""
    pool = labelled(toloka, auto_accept_solutions=False)
    ids = [answer.id for answer in toloka.client.list_assignments(pool_id=pool.id, status="SUBMITTED")]
    toloka.client.patch_assignment(ids[0], status="ACCEPTED")
    toloka.client.patch_assignment(ids[1], status="REJECTED")
    names = ["submitted_assignments_count", "approved_assignments_count", "rejected_assignments_count"]
    measured = read_metrics(finished(toloka, toloka.client.start_analytics(pool.id, names)))
    assert measured == dict(zip(names, [len(ids), 1, 1], strict=True))


def test_what_does_not_exist(toloka: Any) -> None:
    for call in (toloka.client.get_pool, toloka.client.get_training, toloka.client.get_project):
        with pytest.raises(TolokaApiError, match="404 DOES_NOT_EXIST"):
            call("404404")
    with pytest.raises(TolokaApiError, match="404 DOES_NOT_EXIST"):
        toloka.client.get_operation(str(uuid.uuid4()))
    assert toloka.client.find_operation(str(uuid.uuid4())) is None


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 503, "code": "REMOTE_SERVICE_UNAVAILABLE"}, TolokaRetryableError),
        ({"status": 429, "code": "TOO_MANY_REQUESTS", "payload": {"interval": "MIN"}}, TolokaRetryableError),
        ({"status": 429, "code": "TOO_MANY_REQUESTS", "payload": {"interval": "DAY"}}, TolokaQuotaError),
        ({"html": 502}, TolokaRetryableError),
    ],
)
def test_faults_are_understood(toloka: Any, fault: dict[str, Any], error: type[Exception]) -> None:
    pool = new_pool(toloka, tasks=1)
    toloka.world.faults.add("POST", "/api/v1/pools/{id}/open", **fault)
    with pytest.raises(error):
        toloka.client.open_pool(pool.id)
    assert toloka.client.open_pool(pool.id) is not None


# They return a client that sends the same, or send nothing.
SAME_CALLS = {
    "without_retries",
    "with_own_session",
    "assignment_web_url",
    "project_web_url",
    "skill_web_url",
    "in_currency",
}


def test_every_call_of_the_client_is_in_a_contract() -> None:
    """A method that nobody adds a contract for would be checked against our own reading only."""
    public = [name for name, _ in inspect.getmembers(TolokaClient, inspect.isfunction) if not name.startswith("_")]
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [name for name in public if name not in text and name not in SAME_CALLS] == []
