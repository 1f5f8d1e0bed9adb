"""The 73 calls of the API reference, each once through the client against the emulator."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from tests.support import TOKEN
from tests.worlds import POOL, PROJECT
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.models import AssignmentStatus
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.http.openapi import document
from toloka_airflow.emulator.resources import attachments
from toloka_airflow.emulator.server import EmulatorServer

# As the reference has them, version of September 2023; that of Yandex Tasks has the same in 2026.
OPERATIONS = [
    tuple(line.split())
    for line in """
    POST   /aggregated-solutions/aggregate-by-pool
    POST   /aggregated-solutions/aggregate-by-task
    GET    /aggregated-solutions/{operationId}
    GET    /assignments
    GET    /assignments/{id}
    PATCH  /assignments/{id}
    GET    /attachments
    GET    /attachments/{id}
    GET    /attachments/{id}/download
    GET    /message-threads
    POST   /message-threads/compose
    POST   /message-threads/{id}/add-to-folders
    POST   /message-threads/{id}/remove-from-folders
    POST   /message-threads/{id}/reply
    GET    /operations
    GET    /operations/{id}
    GET    /operations/{id}/log
    GET    /pools
    POST   /pools
    GET    /pools/{id}
    PATCH  /pools/{id}
    PUT    /pools/{id}
    POST   /pools/{id}/archive
    POST   /pools/{id}/clone
    POST   /pools/{id}/close
    POST   /pools/{id}/close-for-update
    POST   /pools/{id}/open
    GET    /projects
    POST   /projects
    GET    /projects/{id}
    PUT    /projects/{id}
    POST   /projects/{id}/archive
    GET    /requester
    GET    /skills
    POST   /skills
    GET    /skills/{id}
    PUT    /skills/{id}
    GET    /task-suites
    POST   /task-suites
    GET    /task-suites/{id}
    PATCH  /task-suites/{id}
    PATCH  /task-suites/{id}/set-overlap-or-min
    GET    /tasks
    POST   /tasks
    GET    /tasks/{id}
    PATCH  /tasks/{id}
    PATCH  /tasks/{id}/set-overlap-or-min
    GET    /trainings
    POST   /trainings
    GET    /trainings/{id}
    PUT    /trainings/{id}
    POST   /trainings/{id}/archive
    POST   /trainings/{id}/clone
    POST   /trainings/{id}/close
    POST   /trainings/{id}/close-for-update
    POST   /trainings/{id}/open
    GET    /user-bonuses
    POST   /user-bonuses
    GET    /user-bonuses/{userBonusId}
    GET    /user-metadata/{user_id}
    GET    /user-restrictions
    PUT    /user-restrictions
    DELETE /user-restrictions/{id}
    GET    /user-restrictions/{id}
    GET    /user-skills
    PUT    /user-skills
    DELETE /user-skills/{id}
    GET    /user-skills/{id}
    GET    /webhook-subscriptions
    PUT    /webhook-subscriptions
    DELETE /webhook-subscriptions/{id}
    GET    /webhook-subscriptions/{id}
    POST   /webhook-subscriptions/{id}/test
    """.strip().splitlines()
]
TRAINING = {
    "private_name": "Training",
    "inherited_instructions": True,
    "training_tasks_in_task_suite_count": 2,
    "may_contain_adult_content": False,
}
MANUAL_POOL = {**POOL, "auto_accept_solutions": False, "auto_accept_period_day": 21}
SKILL = {"name": "reads well", "hidden": True}
NOWHERE = "http://127.0.0.1:9/hook"
Step = Callable[[TolokaClient, SimpleNamespace], Any]


def task(pool_id: str, number: int = 0) -> dict[str, Any]:
    return {"pool_id": pool_id, "input_values": {"text": f"Is {number} even?"}}


def suite(pool_id: str) -> dict[str, Any]:
    return {"pool_id": pool_id, "tasks": [{"input_values": {"text": "Is it?"}}], "overlap": 2}


def finished(c: TolokaClient, made: SimpleNamespace, operation: Any) -> None:
    made.clock.advance(60)
    c.ensure_success(c.get_operation(operation.id))


# In this order; what a step makes is in `made` for the next ones, under the name of the step.
STEPS: dict[str, tuple[str, Step]] = {
    "requester": ("GET /requester", lambda c, made: c.get_requester()),
    "project": ("POST /projects", lambda c, made: c.create_project(PROJECT)),
    "got_project": ("GET /projects/{id}", lambda c, made: c.get_project(made.project.id)),
    "projects": ("GET /projects", lambda c, made: list(c.list_projects())),
    "new_project": ("PUT /projects/{id}", lambda c, made: c.update_project(made.project.id, PROJECT)),
    "pool": ("POST /pools", lambda c, made: c.create_pool({**MANUAL_POOL, "project_id": made.project.id})),
    "got_pool": ("GET /pools/{id}", lambda c, made: c.get_pool(made.pool.id)),
    "pools": ("GET /pools", lambda c, made: list(c.list_pools())),
    "new_pool": (
        "PUT /pools/{id}",
        lambda c, made: c.update_pool(made.pool.id, {**MANUAL_POOL, "project_id": made.project.id}),
    ),
    "urgent_pool": ("PATCH /pools/{id}", lambda c, made: c.patch_pool(made.pool.id, {"priority": 5})),
    "training": ("POST /trainings", lambda c, made: c.create_training({**TRAINING, "project_id": made.project.id})),
    "got_training": ("GET /trainings/{id}", lambda c, made: c.get_training(made.training.id)),
    "trainings": ("GET /trainings", lambda c, made: list(c.list_trainings())),
    "new_training": (
        "PUT /trainings/{id}",
        lambda c, made: c.update_training(made.training.id, {**TRAINING, "project_id": made.project.id}),
    ),
    "tasks": (
        "POST /tasks",
        lambda c, made: c.create_tasks([task(made.pool.id, number) for number in range(6)], allow_defaults=True),
    ),
    "got_task": ("GET /tasks/{id}", lambda c, made: c.get_task(made.tasks[0].id)),
    "listed_tasks": ("GET /tasks", lambda c, made: list(c.list_tasks(made.pool.id))),
    "more_overlap": (
        "PATCH /tasks/{id}",
        lambda c, made: c.update_task(made.tasks[0].id, {"overlap": 3, "infinite_overlap": False}),
    ),
    "task_overlap": (
        "PATCH /tasks/{id}/set-overlap-or-min",
        lambda c, made: c.set_task_overlap_or_min(made.tasks[0].id, 2),
    ),
    "suites": ("POST /task-suites", lambda c, made: c.create_task_suites([suite(made.pool.id)])),
    "got_suite": ("GET /task-suites/{id}", lambda c, made: c.get_task_suite(made.suites[0].id)),
    "listed_suites": ("GET /task-suites", lambda c, made: list(c.list_task_suites(pool_id=made.pool.id))),
    "first_suite": (
        "PATCH /task-suites/{id}",
        lambda c, made: c.update_task_suite(made.suites[0].id, {"overlap": 3, "infinite_overlap": False}),
    ),
    "suite_overlap": (
        "PATCH /task-suites/{id}/set-overlap-or-min",
        lambda c, made: c.set_task_suite_overlap_or_min(made.suites[0].id, 2),
    ),
    "subscriptions": (
        "PUT /webhook-subscriptions",
        lambda c, made: c.set_webhook_subscriptions(
            [{"webhook_url": NOWHERE, "event_type": "POOL_CLOSED", "pool_id": made.pool.id}]
        ),
    ),
    "got_subscription": (
        "GET /webhook-subscriptions/{id}",
        lambda c, made: c.get_webhook_subscription(made.subscriptions.items[0].id),
    ),
    "listed_subscriptions": (
        "GET /webhook-subscriptions",
        lambda c, made: list(c.list_webhook_subscriptions(pool_id=made.pool.id)),
    ),
    "tested": (
        "POST /webhook-subscriptions/{id}/test",
        lambda c, made: c.test_webhook_subscription(made.subscriptions.items[0].id),
    ),
    "unsubscribed": (
        "DELETE /webhook-subscriptions/{id}",
        lambda c, made: c.delete_webhook_subscription(made.subscriptions.items[0].id),
    ),
    "opened": ("POST /pools/{id}/open", lambda c, made: c.open_pool(made.pool.id)),
    "got_operation": ("GET /operations/{id}", lambda c, made: finished(c, made, made.opened)),
    "operations": ("GET /operations", lambda c, made: list(c.list_operations())),
    "answers": ("GET /assignments", lambda c, made: answers(c, made)),
    "got_answer": ("GET /assignments/{id}", lambda c, made: c.get_assignment(made.answers[0].id)),
    "accepted": (
        "PATCH /assignments/{id}",
        lambda c, made: [c.patch_assignment(each.id, status=AssignmentStatus.ACCEPTED) for each in made.answers],
    ),
    "paused": ("POST /pools/{id}/close-for-update", lambda c, made: c.close_pool_for_update(made.pool.id)),
    "closed": ("POST /pools/{id}/close", lambda c, made: c.close_pool(made.pool.id)),
    "aggregation": (
        "POST /aggregated-solutions/aggregate-by-pool",
        lambda c, made: c.aggregate_by_pool(made.pool.id, type="DAWID_SKENE", fields=["answer"]),
    ),
    "solutions": (
        "GET /aggregated-solutions/{operationId}",
        lambda c, made: made.clock.advance(600) or list(c.list_aggregated_solutions(made.aggregation.id)),
    ),
    "solution": (
        "POST /aggregated-solutions/aggregate-by-task",
        lambda c, made: c.aggregate_by_task(
            made.solutions[0].task_id, pool_id=made.pool.id, type="DAWID_SKENE", fields=["answer"]
        ),
    ),
    "attachments": ("GET /attachments", lambda c, made: list(c.list_attachments(pool_id=made.pool.id))),
    "got_attachment": ("GET /attachments/{id}", lambda c, made: c.get_attachment(made.attachments[0].id)),
    "file": ("GET /attachments/{id}/download", lambda c, made: download(c, made.attachments[0].id)),
    "skill": ("POST /skills", lambda c, made: c.create_skill(SKILL)),
    "got_skill": ("GET /skills/{id}", lambda c, made: c.get_skill(made.skill.id)),
    "skills": ("GET /skills", lambda c, made: list(c.list_skills(name=SKILL["name"]))),
    "new_skill": ("PUT /skills/{id}", lambda c, made: c.update_skill(made.skill.id, {**SKILL, "name": "reads"})),
    "user_skill": (
        "PUT /user-skills",
        lambda c, made: c.set_user_skill({"skill_id": made.skill.id, "user_id": made.user_id, "value": 81.5}),
    ),
    "got_user_skill": ("GET /user-skills/{id}", lambda c, made: c.get_user_skill(made.user_skill.id)),
    "user_skills": ("GET /user-skills", lambda c, made: list(c.list_user_skills(skill_id=made.skill.id))),
    "no_user_skill": ("DELETE /user-skills/{id}", lambda c, made: c.delete_user_skill(made.user_skill.id)),
    "restriction": (
        "PUT /user-restrictions",
        lambda c, made: c.set_user_restriction({"scope": "ALL_PROJECTS", "user_id": made.user_id}),
    ),
    "got_restriction": ("GET /user-restrictions/{id}", lambda c, made: c.get_user_restriction(made.restriction.id)),
    "restrictions": ("GET /user-restrictions", lambda c, made: list(c.list_user_restrictions(user_id=made.user_id))),
    "no_restriction": (
        "DELETE /user-restrictions/{id}",
        lambda c, made: c.delete_user_restriction(made.restriction.id),
    ),
    "bonuses": (
        "POST /user-bonuses",
        lambda c, made: c.create_user_bonuses([{"user_id": made.user_id, "amount": 0.5, "without_message": True}]),
    ),
    "got_bonus": ("GET /user-bonuses/{userBonusId}", lambda c, made: c.get_user_bonus(made.bonuses.items[0].id)),
    "listed_bonuses": ("GET /user-bonuses", lambda c, made: list(c.list_user_bonuses(user_id=made.user_id))),
    "log": ("GET /operations/{id}/log", lambda c, made: c.get_operation_log(made.paid.id)),
    "metadata": ("GET /user-metadata/{user_id}", lambda c, made: c.get_user_metadata(made.user_id)),
    "thread": (
        "POST /message-threads/compose",
        lambda c, made: c.compose_message(
            {
                "topic": {"EN": "Thanks"},
                "text": {"EN": "Well done"},
                "recipients_select_type": "DIRECT",
                "recipients_ids": [made.user_id],
                "answerable": True,
            }
        ),
    ),
    "reply": ("POST /message-threads/{id}/reply", lambda c, made: c.reply_to_message(made.thread.id, {"EN": "Again"})),
    "in_folder": (
        "POST /message-threads/{id}/add-to-folders",
        lambda c, made: c.add_message_to_folders(made.thread.id, ["IMPORTANT"]),
    ),
    "out_of_folder": (
        "POST /message-threads/{id}/remove-from-folders",
        lambda c, made: c.remove_message_from_folders(made.thread.id, ["IMPORTANT"]),
    ),
    "threads": ("GET /message-threads", lambda c, made: list(c.list_message_threads(folder="OUTBOX"))),
    "cloned": ("POST /pools/{id}/clone", lambda c, made: c.clone_pool(made.pool.id)),
    "cloned_training": ("POST /trainings/{id}/clone", lambda c, made: c.clone_training(made.training.id)),
    "opened_training": (
        "POST /trainings/{id}/open",
        lambda c, made: (
            c.create_tasks([task(made.training.id)], allow_defaults=True) and c.open_training(made.training.id)
        ),
    ),
    "paused_training": (
        "POST /trainings/{id}/close-for-update",
        lambda c, made: made.clock.advance(60) or c.close_training_for_update(made.training.id),
    ),
    "closed_training": (
        "POST /trainings/{id}/close",
        lambda c, made: made.clock.advance(60) or c.close_training(made.training.id),
    ),
    "archived_training": (
        "POST /trainings/{id}/archive",
        lambda c, made: made.clock.advance(60) or c.archive_training(made.training.id),
    ),
    "archived_pool": ("POST /pools/{id}/archive", lambda c, made: c.archive_pool(made.pool.id)),
    "archived_project": ("POST /projects/{id}/archive", lambda c, made: archive_project(c, made)),
}


def answers(c: TolokaClient, made: SimpleNamespace) -> list[Any]:
    """Let people answer, and give one of their answers a file."""
    made.clock.advance(1800)
    found = list(c.list_assignments(pool_id=made.pool.id, status=AssignmentStatus.SUBMITTED))
    made.user_id = found[0].user_id
    assignment = made.world.assignments[found[0].id]
    attachments.add(made.world, assignment, "a.txt", "text/plain", b"what people upload")
    return found


def download(c: TolokaClient, attachment_id: str) -> bytes:
    with c.download_attachment(attachment_id) as chunks:
        return b"".join(chunks)


def archive_project(c: TolokaClient, made: SimpleNamespace) -> Any:
    made.clock.advance(60)
    for copy in c.list_pools(status="CLOSED"):
        c.archive_pool(copy.id)
    for training in c.list_trainings(status="CLOSED"):
        c.archive_training(training.id)
    made.clock.advance(60)
    return c.archive_project(made.project.id)


@pytest.fixture
def server() -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1, frozen=True, start="2026-01-05T09:00:00") as server:
        yield server


def name(method: str, path: str) -> str:
    """Return a call in the same words, whatever its id is called."""
    return f"{method} {re.sub(r'{[^}]*}', '{}', path.removeprefix('/api/v1'))}"


def test_there_are_73() -> None:
    assert len({name(*operation) for operation in OPERATIONS}) == 73


def test_the_emulator_has_all() -> None:
    paths = document()["paths"]
    emulated = {
        name(method.upper(), path) for path, calls in paths.items() for method in calls if method != "parameters"
    }
    assert [call for call in (name(*operation) for operation in OPERATIONS) if call not in emulated] == []


def test_the_client_sends_each_once() -> None:
    steps = sorted(name(*call.split()) for call, _ in STEPS.values())
    assert steps == sorted(name(*operation) for operation in OPERATIONS)


def test_each_works(server: EmulatorServer) -> None:
    sent: list[str] = []
    made = SimpleNamespace(clock=server.clock, world=server.world)
    with requests.Session() as session:
        session.hooks["response"].append(
            lambda answer, **_: sent.append(f"{answer.request.method} {answer.request.path_url.partition('?')[0]}")
        )
        c = TolokaClient(ClientSettings(TOKEN, base_url=server.url, retry_budget=0), session=session)
        for step, (call, run) in STEPS.items():
            if step == "log":
                bonus = {"user_id": made.user_id, "amount": 0.25, "without_message": True}
                made.paid = c.create_user_bonuses_async([bonus], operation_id=str(uuid.uuid4()))
                finished(c, made, made.paid)
            del sent[:]
            setattr(made, step, run(c, made))
            method, path = call.split()
            wanted = re.compile(f"{method} /api/v1{re.sub(r'{[^}]*}', '[^/]+', path)}")
            assert any(wanted.fullmatch(each) for each in sent), f"{step} sent {sent}"
    assert made.requester.balance == 1000
    assert made.urgent_pool.raw["priority"] == 5
    assert (made.more_overlap.overlap, made.task_overlap.overlap) == (3, 2)
    assert made.file == b"what people upload"
    assert [each.id for each in made.skills] == [made.skill.id]
    assert made.new_skill.name == "reads"
    assert float(made.got_user_skill.exact_value) == 81.5
    assert [each.id for each in made.restrictions] == [made.restriction.id]
    assert str(made.got_bonus.amount) == "0.5"
    assert made.log[0]["output"]["user_bonus_id"]
    assert made.tested.success is False
    assert {"EN": "Again"} in [message["text"] for message in made.threads[0].messages]
    assert made.in_folder.folders != made.out_of_folder.folders


def test_pages_and_what_is_written_by_hand(server: EmulatorServer) -> None:
    """The other ways to the same calls."""
    made = SimpleNamespace(clock=server.clock, world=server.world)
    c = TolokaClient(ClientSettings(TOKEN, base_url=server.url, retry_budget=0))
    made.pool = c.create_pool({**MANUAL_POOL, "project_id": c.create_project(PROJECT).id})
    finished(c, made, c.create_task_suites_async([suite(made.pool.id)] * 6, operation_id=str(uuid.uuid4())))
    finished(c, made, c.open_pool(made.pool.id))
    found = answers(c, made)
    for number in range(150):
        attachments.add(made.world, made.world.assignments[found[0].id], f"{number}.txt", "text/plain", b"x")
    pages = list(c.attachment_pages(pool_id=made.pool.id))
    assert [len(page) for page in pages] == [100, 51]
    bonuses = [{"user_id": made.user_id, "amount": 0.01 * number, "without_message": True} for number in range(1, 100)]
    c.create_user_bonuses(bonuses)
    assert [len(page) for page in c.user_bonus_pages()] == [99]
    assert c.call("GET", f"/pools/{made.pool.id}")["id"] == made.pool.id
    assert len(c.call("GET", "/user-bonuses", params={"limit": 2, "user_id": made.user_id})["items"]) == 2
    assert c.call("PUT", "/user-restrictions", json={"scope": "ALL_PROJECTS", "user_id": made.user_id})["id"]
