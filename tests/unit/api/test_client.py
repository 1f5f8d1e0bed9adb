"""What each method of the client asks Toloka, and what it makes of the answers."""

from __future__ import annotations

import inspect
import json
import logging
import math
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import TOKEN, ScriptedServer, operation, pool
from tests.virtual_time import VirtualTime
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.client.operations import read_steps
from toloka_airflow.api.errors import (
    TolokaApiError,
    TolokaConflictError,
    TolokaConnectionError,
    TolokaError,
    TolokaOperationError,
    TolokaTimeoutError,
)
from toloka_airflow.api.models import (
    Assignment,
    AssignmentStatus,
    Operation,
    Pool,
    PoolStatus,
    Project,
    Task,
    Training,
)
from toloka_airflow.api.models.account import Requester
from toloka_airflow.api.models.aggregation import AggregatedSolution
from toloka_airflow.api.models.attachments import Attachment
from toloka_airflow.api.models.messages import MessageThread
from toloka_airflow.api.models.people import Skill, UserBonus, UserMetadata, UserRestriction, UserSkill
from toloka_airflow.api.models.suites import TaskSuite
from toloka_airflow.api.models.webhooks import WebhookSubscription, WebhookTest
from toloka_airflow.api.pages import Page, read_page
from toloka_airflow.api.settings import SANDBOX, ClientSettings

UUID = "281073ea-ab34-416e-a028-47421ff1b166"
PROJECT = {"id": "10", "status": "ACTIVE"}
TASK = {"id": "0015--1", "pool_id": "21"}
ASSIGNMENT = {"id": "0015--a", "pool_id": "21", "status": "SUBMITTED"}
SOLUTION = {"task_id": "0015--1", "pool_id": "21"}
SUITE = {"id": "0015--s", "pool_id": "21"}
SKILL = {"id": "5", "name": "reads well"}
USER_SKILL = {"id": "6", "skill_id": "5", "user_id": "u1", "value": 50}
RESTRICTION = {"id": "7", "user_id": "u1", "scope": "PROJECT", "project_id": "10"}
BONUS = {"id": "8", "user_id": "u1", "amount": 0.5}
ATTACHMENT = {"id": "f1", "name": "a.png", "details": {"pool_id": "21"}}
THREAD = {"id": "643933af", "topic": {"EN": "Hello"}}
SUBSCRIPTION = {"id": "w1", "pool_id": "21", "event_type": "POOL_CLOSED", "webhook_url": "https://example.com/hook"}


def read_the_steps(content: bytes) -> list[dict[str, Any]]:
    return read_steps("op-1", json.loads(content))


def read_answers_as_they_are(content: bytes) -> Page[Any]:
    return read_page("/assignments", json.loads(content), "id")


BAD_IDS = [
    "",
    " ",
    "None",
    "1/../../projects/2",
    "..",
    "1?x=1",
    "1#x",
    "1%2F2",
    "21\n",
    "21 ",
    "1,2",
    "21\x00",
    "١٢",
    "²",
    "\uff12\uff11",
    True,
    False,
    2.0,
    ["21"],
    {"id": "21"},
    b"21",
]


def one(item: Any) -> dict[str, Any]:
    return {"items": [item], "has_more": False}


# method: call, request, body sent, status, answer, type of the result or of its items
SENT: dict[str, tuple[Callable[[TolokaClient], Any], str, Any, int, Any, type]] = {
    "get_requester": (lambda c: c.get_requester(), "GET /requester", None, 200, {"id": "r"}, Requester),
    "create_project": (lambda c: c.create_project({"a": 1}), "POST /projects", {"a": 1}, 201, PROJECT, Project),
    "get_project": (lambda c: c.get_project("10"), "GET /projects/10", None, 200, PROJECT, Project),
    "list_projects": (lambda c: c.list_projects(), "GET /projects", None, 200, one(PROJECT), Project),
    "archive_project": (
        lambda c: c.archive_project("10"),
        "POST /projects/10/archive",
        None,
        202,
        operation(),
        Operation,
    ),
    "create_pool": (lambda c: c.create_pool({"a": 1}), "POST /pools", {"a": 1}, 201, pool(), Pool),
    "get_pool": (lambda c: c.get_pool("21"), "GET /pools/21", None, 200, pool(), Pool),
    "update_pool": (lambda c: c.update_pool("21", {"a": 1}), "PUT /pools/21", {"a": 1}, 200, pool(), Pool),
    "list_pools": (lambda c: c.list_pools(), "GET /pools", None, 200, one(pool()), Pool),
    "open_pool": (lambda c: c.open_pool("21"), "POST /pools/21/open", None, 202, operation(), Operation),
    "close_pool": (lambda c: c.close_pool("21"), "POST /pools/21/close", None, 202, operation(), Operation),
    "close_pool_for_update": (
        lambda c: c.close_pool_for_update("21"),
        "POST /pools/21/close-for-update",
        None,
        202,
        operation(),
        Operation,
    ),
    "archive_pool": (lambda c: c.archive_pool("21"), "POST /pools/21/archive", None, 202, operation(), Operation),
    "clone_pool": (lambda c: c.clone_pool("21"), "POST /pools/21/clone", None, 202, operation(), Operation),
    "create_training": (lambda c: c.create_training({"a": 1}), "POST /trainings", {"a": 1}, 201, pool(), Training),
    "get_training": (lambda c: c.get_training("7"), "GET /trainings/7", None, 200, pool(), Training),
    "list_trainings": (lambda c: c.list_trainings(), "GET /trainings", None, 200, one(pool()), Training),
    "open_training": (lambda c: c.open_training("7"), "POST /trainings/7/open", None, 202, operation(), Operation),
    "close_training": (lambda c: c.close_training("7"), "POST /trainings/7/close", None, 202, operation(), Operation),
    "close_training_for_update": (
        lambda c: c.close_training_for_update("7"),
        "POST /trainings/7/close-for-update",
        None,
        202,
        operation(),
        Operation,
    ),
    "archive_training": (
        lambda c: c.archive_training("7"),
        "POST /trainings/7/archive",
        None,
        202,
        operation(),
        Operation,
    ),
    "clone_training": (lambda c: c.clone_training("7"), "POST /trainings/7/clone", None, 202, operation(), Operation),
    "create_tasks": (
        lambda c: c.create_tasks([{"a": 1}]),
        "POST /tasks",
        [{"a": 1}],
        201,
        {"items": {"0": TASK}},
        Task,
    ),
    "create_tasks_async": (
        lambda c: c.create_tasks_async([{"a": 1}]),
        "POST /tasks",
        [{"a": 1}],
        202,
        operation(),
        Operation,
    ),
    "list_tasks": (lambda c: c.list_tasks("21"), "GET /tasks", None, 200, one(TASK), Task),
    "task_pages": (lambda c: next(c.task_pages("21")), "GET /tasks", None, 200, one(TASK), dict),
    "find_operation": (lambda c: c.find_operation("op-1"), "GET /operations/op-1", None, 200, operation(), Operation),
    "get_operation": (lambda c: c.get_operation("op-1"), "GET /operations/op-1", None, 200, operation(), Operation),
    "list_operations": (lambda c: c.list_operations(), "GET /operations", None, 200, one(operation()), Operation),
    "get_operation_log": (
        lambda c: c.get_operation_log("op-1"),
        "GET /operations/op-1/log",
        None,
        200,
        [{"type": "TASK_CREATE"}],
        dict,
    ),
    "read_operation_log": (
        lambda c: c.read_operation_log("op-1", read_the_steps),
        "GET /operations/op-1/log",
        None,
        200,
        [{"type": "TASK_CREATE"}],
        dict,
    ),
    "find_unfinished_operation": (
        lambda c: c.find_unfinished_operation(pool_id="21"),
        "GET /operations",
        None,
        200,
        one(operation("RUNNING")),
        Operation,
    ),
    "list_assignments": (
        lambda c: c.list_assignments(pool_id="21"),
        "GET /assignments",
        None,
        200,
        one(ASSIGNMENT),
        Assignment,
    ),
    "assignment_pages": (
        lambda c: next(c.assignment_pages("21")),
        "GET /assignments",
        None,
        200,
        one(ASSIGNMENT),
        dict,
    ),
    "read_assignments": (
        lambda c: list(next(c.read_assignments("21", read_answers_as_they_are)).items),
        "GET /assignments",
        None,
        200,
        one(ASSIGNMENT),
        dict,
    ),
    "find_last_assignment": (
        lambda c: {"id": c.find_last_assignment("21")},
        "GET /assignments",
        None,
        200,
        one({"id": "0015--a"}),
        dict,
    ),
    "get_assignment": (
        lambda c: c.get_assignment("a-1"),
        "GET /assignments/a-1",
        None,
        200,
        ASSIGNMENT,
        Assignment,
    ),
    "patch_assignment": (
        lambda c: c.patch_assignment("a-1", status=AssignmentStatus.REJECTED, public_comment="No"),
        "PATCH /assignments/a-1",
        {"status": "REJECTED", "public_comment": "No"},
        200,
        ASSIGNMENT,
        Assignment,
    ),
    "aggregate_by_pool": (
        lambda c: c.aggregate_by_pool("21", type="DAWID_SKENE", fields=["result"]),
        "POST /aggregated-solutions/aggregate-by-pool",
        {"pool_id": "21", "type": "DAWID_SKENE", "fields": [{"name": "result"}]},
        202,
        operation(),
        Operation,
    ),
    "list_aggregated_solutions": (
        lambda c: c.list_aggregated_solutions("op-1"),
        "GET /aggregated-solutions/op-1",
        None,
        200,
        one(SOLUTION),
        AggregatedSolution,
    ),
    "aggregated_solution_pages": (
        lambda c: next(c.aggregated_solution_pages("op-1")),
        "GET /aggregated-solutions/op-1",
        None,
        200,
        one(SOLUTION),
        dict,
    ),
    "start_analytics": (
        lambda c: c.start_analytics("21", ["spent_budget"]),
        "POST /api/staging/analytics-2",
        [{"name": "spent_budget", "subject": "POOL", "subject_id": "21"}],
        200,
        operation(type="ANALYTICS"),
        Operation,
    ),
    "start_analytics_of": (
        lambda c: c.start_analytics_of(["21", "22"], ["spent_budget"]),
        "POST /api/staging/analytics-2",
        [{"name": "spent_budget", "subject": "POOL", "subject_id": each} for each in ("21", "22")],
        200,
        operation(type="ANALYTICS"),
        Operation,
    ),
}
SENT |= {
    name: (call, request, body, status, answer, kind)
    for name, call, request, body, status, answer, kind in [
        (
            "update_project",
            lambda c: c.update_project("10", {"a": 1}),
            "PUT /projects/10",
            {"a": 1},
            200,
            PROJECT,
            Project,
        ),
        ("patch_pool", lambda c: c.patch_pool("21", {"a": 1}), "PATCH /pools/21", {"a": 1}, 200, pool(), Pool),
        (
            "update_training",
            lambda c: c.update_training("7", {"a": 1}),
            "PUT /trainings/7",
            {"a": 1},
            200,
            pool(),
            Training,
        ),
        ("get_task", lambda c: c.get_task("0015--1"), "GET /tasks/0015--1", None, 200, TASK, Task),
        (
            "update_task",
            lambda c: c.update_task("0015--1", {"a": 1}),
            "PATCH /tasks/0015--1",
            {"a": 1},
            200,
            TASK,
            Task,
        ),
        (
            "set_task_overlap_or_min",
            lambda c: c.set_task_overlap_or_min("0015--1", 0),
            "PATCH /tasks/0015--1/set-overlap-or-min",
            {"overlap": 0, "infinite_overlap": False},
            200,
            TASK,
            Task,
        ),
        (
            "create_task_suites",
            lambda c: c.create_task_suites([{"a": 1}]),
            "POST /task-suites",
            [{"a": 1}],
            201,
            {"items": {"0": SUITE}},
            TaskSuite,
        ),
        (
            "create_task_suites_async",
            lambda c: c.create_task_suites_async([{"a": 1}]),
            "POST /task-suites",
            [{"a": 1}],
            202,
            operation(),
            Operation,
        ),
        (
            "list_task_suites",
            lambda c: c.list_task_suites(pool_id="21"),
            "GET /task-suites",
            None,
            200,
            one(SUITE),
            TaskSuite,
        ),
        ("get_task_suite", lambda c: c.get_task_suite("s-1"), "GET /task-suites/s-1", None, 200, SUITE, TaskSuite),
        (
            "update_task_suite",
            lambda c: c.update_task_suite("s-1", {"a": 1}),
            "PATCH /task-suites/s-1",
            {"a": 1},
            200,
            SUITE,
            TaskSuite,
        ),
        (
            "set_task_suite_overlap_or_min",
            lambda c: c.set_task_suite_overlap_or_min("s-1", 2),
            "PATCH /task-suites/s-1/set-overlap-or-min",
            {"overlap": 2},
            200,
            SUITE,
            TaskSuite,
        ),
        (
            "aggregate_by_task",
            lambda c: c.aggregate_by_task("0015--1", pool_id="21", type="DAWID_SKENE", fields=["result"]),
            "POST /aggregated-solutions/aggregate-by-task",
            {"task_id": "0015--1", "pool_id": "21", "type": "DAWID_SKENE", "fields": [{"name": "result"}]},
            200,
            SOLUTION,
            AggregatedSolution,
        ),
        ("create_skill", lambda c: c.create_skill({"a": 1}), "POST /skills", {"a": 1}, 201, SKILL, Skill),
        ("get_skill", lambda c: c.get_skill("5"), "GET /skills/5", None, 200, SKILL, Skill),
        ("list_skills", lambda c: c.list_skills(name="x"), "GET /skills", None, 200, one(SKILL), Skill),
        ("update_skill", lambda c: c.update_skill("5", {"a": 1}), "PUT /skills/5", {"a": 1}, 200, SKILL, Skill),
        (
            "set_user_skill",
            lambda c: c.set_user_skill({"a": 1}),
            "PUT /user-skills",
            {"a": 1},
            201,
            USER_SKILL,
            UserSkill,
        ),
        ("get_user_skill", lambda c: c.get_user_skill("6"), "GET /user-skills/6", None, 200, USER_SKILL, UserSkill),
        ("list_user_skills", lambda c: c.list_user_skills(), "GET /user-skills", None, 200, one(USER_SKILL), UserSkill),
        (
            "set_user_restriction",
            lambda c: c.set_user_restriction({"a": 1}),
            "PUT /user-restrictions",
            {"a": 1},
            200,
            RESTRICTION,
            UserRestriction,
        ),
        (
            "get_user_restriction",
            lambda c: c.get_user_restriction("7"),
            "GET /user-restrictions/7",
            None,
            200,
            RESTRICTION,
            UserRestriction,
        ),
        (
            "list_user_restrictions",
            lambda c: c.list_user_restrictions(),
            "GET /user-restrictions",
            None,
            200,
            one(RESTRICTION),
            UserRestriction,
        ),
        (
            "get_user_metadata",
            lambda c: c.get_user_metadata("u1"),
            "GET /user-metadata/u1",
            None,
            200,
            {"id": "u1", "country": "IN"},
            UserMetadata,
        ),
        (
            "create_user_bonuses_async",
            lambda c: c.create_user_bonuses_async([{"a": 1}]),
            "POST /user-bonuses",
            [{"a": 1}],
            202,
            operation(),
            Operation,
        ),
        ("get_user_bonus", lambda c: c.get_user_bonus("8"), "GET /user-bonuses/8", None, 200, BONUS, UserBonus),
        ("list_user_bonuses", lambda c: c.list_user_bonuses(), "GET /user-bonuses", None, 200, one(BONUS), UserBonus),
        ("user_bonus_pages", lambda c: next(c.user_bonus_pages()), "GET /user-bonuses", None, 200, one(BONUS), dict),
        (
            "list_attachments",
            lambda c: c.list_attachments(pool_id="21"),
            "GET /attachments",
            None,
            200,
            one(ATTACHMENT),
            Attachment,
        ),
        (
            "attachment_pages",
            lambda c: next(c.attachment_pages(assignment_id="a-1")),
            "GET /attachments",
            None,
            200,
            one(ATTACHMENT),
            dict,
        ),
        ("get_attachment", lambda c: c.get_attachment("f1"), "GET /attachments/f1", None, 200, ATTACHMENT, Attachment),
        (
            "list_message_threads",
            lambda c: c.list_message_threads(folder=["INBOX", "UNREAD"]),
            "GET /message-threads",
            None,
            200,
            one(THREAD),
            MessageThread,
        ),
        (
            "compose_message",
            lambda c: c.compose_message({"a": 1}),
            "POST /message-threads/compose",
            {"a": 1},
            201,
            THREAD,
            MessageThread,
        ),
        (
            "reply_to_message",
            lambda c: c.reply_to_message("t1", {"EN": "Yes"}),
            "POST /message-threads/t1/reply",
            {"text": {"EN": "Yes"}},
            200,
            THREAD,
            MessageThread,
        ),
        *(
            (
                f"{word}_message_{preposition}_folders",
                lambda c, word=word, preposition=preposition: getattr(c, f"{word}_message_{preposition}_folders")(
                    "t1", ["UNREAD"]
                ),
                f"POST /message-threads/t1/{word}-{preposition}-folders",
                {"folders": ["UNREAD"]},
                200,
                THREAD,
                MessageThread,
            )
            for word, preposition in (("add", "to"), ("remove", "from"))
        ),
        (
            "get_webhook_subscription",
            lambda c: c.get_webhook_subscription("w1"),
            "GET /webhook-subscriptions/w1",
            None,
            200,
            SUBSCRIPTION,
            WebhookSubscription,
        ),
        (
            "list_webhook_subscriptions",
            lambda c: c.list_webhook_subscriptions(pool_id="21"),
            "GET /webhook-subscriptions",
            None,
            200,
            one(SUBSCRIPTION),
            WebhookSubscription,
        ),
        (
            "test_webhook_subscription",
            lambda c: c.test_webhook_subscription("w1"),
            "POST /webhook-subscriptions/w1/test",
            None,
            200,
            {"success": True},
            WebhookTest,
        ),
    ]
}
DELETIONS = {
    "delete_user_skill": "/user-skills/6",
    "delete_user_restriction": "/user-restrictions/6",
    "delete_webhook_subscription": "/webhook-subscriptions/6",
}
BATCHES: dict[str, tuple[str, str, Any]] = {
    "create_user_bonuses": ("POST", "/user-bonuses", BONUS),
    "set_webhook_subscriptions": ("PUT", "/webhook-subscriptions", SUBSCRIPTION),
}
ONLY_AN_ID = {"get_requester", "get_attachment", "get_user_metadata"} | {name for name in SENT if "message" in name}
NOT_ONE_REQUEST = {
    "download_attachment",
    "call",
    *DELETIONS,
    *BATCHES,
    "analytics_pages",
    "operation_pages",
    "finished_operation_pages",
    "with_own_session",
    "without_retries",
    "has_answers",
    "server_time",
    "assignment_web_url",
    "project_web_url",
    "skill_web_url",
    "in_currency",
    "web_url",
    "get_settled_pool",
    "pools_requiring",
    "find_open_pool_requiring",
    "wait_operation",
    "ensure_success",
    "measure",
}
ACTIONS = [name for name, row in SENT.items() if row[1].endswith(("/open", "/close", "/close-for-update", "/archive"))]
LISTS = [name for name in SENT if name.startswith("list_")]


NAMES = st.sampled_from(["spent_budget", "estimated_assignments_count"])
KEYS = NAMES | st.sampled_from(["value", "request", "name", "result", "infinite"])


def client(server: ScriptedServer) -> TolokaClient:
    return TolokaClient(ClientSettings(TOKEN, base_url=server.url, first_pause=0.01, retry_budget=5.0))


def public_methods() -> dict[str, inspect.Signature]:
    methods = inspect.getmembers(TolokaClient, inspect.isfunction)
    return {name: inspect.signature(method) for name, method in methods if not name.startswith("_")}


def query(server: ScriptedServer, index: int = -1) -> dict[str, str]:
    """Return the query of a request, each value once."""
    parts = parse_qs(server.seen[index].query, keep_blank_values=True, strict_parsing=True)
    assert all(len(values) == 1 for values in parts.values())
    return {name: values[0] for name, values in parts.items()}


class TestMethods:
    def test_all_are_listed_here(self) -> None:
        assert set(public_methods()) == set(SENT) | NOT_ONE_REQUEST

    @pytest.mark.parametrize("name", SENT)
    def test_request_and_result(self, server: ScriptedServer, name: str) -> None:
        call, request, body, status, answer, kind = SENT[name]
        method, path = request.split(" ")
        server.answer(method, path, status, answer)
        result = call(client(server))
        if isinstance(result, Iterator | list):
            [result] = result
        assert type(result) is kind
        assert getattr(result, "raw", result) == only_item(answer)
        assert server.calls() == [request]
        assert server.seen[0].body == body

    @pytest.mark.parametrize("name", ACTIONS)
    def test_nothing_to_do(self, server: ScriptedServer, name: str) -> None:
        method, path = SENT[name][1].split(" ")
        server.answer(method, path, 204)
        assert SENT[name][0](client(server)) is None

    def test_actions_are_found(self) -> None:
        assert len(ACTIONS) == 9

    @pytest.mark.parametrize("name", [name for name in SENT if name not in ACTIONS])
    def test_an_empty_answer_is_no_success(self, server: ScriptedServer, name: str) -> None:
        method, path = SENT[name][1].split(" ")
        server.answer(method, path, 204)
        with pytest.raises(TolokaError):
            list_or_value(SENT[name][0](client(server)))

    @pytest.mark.parametrize("name", [name for name in SENT if "operation_log" not in name and name not in ONLY_AN_ID])
    def test_an_answer_of_another_shape_is_no_success(self, server: ScriptedServer, name: str) -> None:
        method, path = SENT[name][1].split(" ")
        for answer in ({}, [], {"id": "x"}, "OK", 5, True, [operation()], {"status": "SUCCESS"}):
            server.answer(method, path, 200, answer)
            with pytest.raises(TolokaError):
                list_or_value(SENT[name][0](client(server)))


class TestCall:
    def test_request_and_answer(self, server: ScriptedServer) -> None:
        server.answer("PUT", "/user-skills", 201, USER_SKILL)
        answer = client(server).call(
            "put", "user-skills", json={"value": 50}, params={"a": True, "b": [1, 2], "c": None}
        )
        assert answer == USER_SKILL
        assert server.calls() == ["PUT /user-skills"]
        assert server.seen[0].body == {"value": 50}
        assert server.seen[0].headers["Authorization"] == f"OAuth {TOKEN}"
        assert server.seen[0].headers["Content-Type"] == "application/json"
        assert query(server) == {"a": "true", "b": "1,2"}

    def test_an_empty_answer(self, server: ScriptedServer) -> None:
        server.answer("DELETE", "/user-skills/6", 204)
        assert client(server).call("DELETE", "/user-skills/6") is None

    def test_a_full_path(self, server: ScriptedServer) -> None:
        server.answer("GET", "/api/new/requester/pools/21/validate", json=[])
        assert client(server).call("GET", "/api/new/requester/pools/21/validate") == []

    def test_an_error(self, server: ScriptedServer) -> None:
        server.error("GET", "/pools/21", 404, "DOES_NOT_EXIST")
        with pytest.raises(TolokaApiError, match="DOES_NOT_EXIST"):
            client(server).call("GET", "/pools/21")

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/pools"),
            ("PUT", "/pools/21"),
            ("PATCH", "/pools/21"),
            ("DELETE", "/user-skills/6"),
            ("POST", "/pools/21/open"),
            ("POST", "/trainings/21/close-for-update"),
            ("POST", "/projects/10/archive"),
            ("POST", "/api/v1/pools/21/close"),
        ],
    )
    def test_safe_calls_are_repeated(self, server: ScriptedServer, method: str, path: str) -> None:
        server.answer(method, path, drop=True)
        server.answer(method, path, 204)
        client(server).call(method, path)
        assert len(server.seen) == 2

    @pytest.mark.parametrize(
        "path",
        ["/pools", "/user-bonuses", "/pools/21/clone", "/projects/open/close", "/open", "/api/new/pools/21/close"],
    )
    def test_others_only_if_they_were_not_received(self, server: ScriptedServer, path: str) -> None:
        server.error("POST", path, 429, "TOO_MANY_REQUESTS")
        server.answer("POST", path, drop=True)
        with pytest.raises(TolokaConnectionError):
            client(server).call("POST", path, json={})
        assert len(server.seen) == 2

    @pytest.mark.parametrize(
        "path",
        [
            "",
            "/",
            "//evil.example/pools",
            "https://evil.example/pools",
            "/https://evil.example",
            "/pools/../projects",
            "/pools/./21",
            "/pools/..",
            "/pools//open",
            "/pools/ /open",
            "/attachments/8/download",
            "/api/v1/attachments/8/download",
            "/pools/None/open",
            "/pools/",
            "/pools?status=OPEN",
            "/pools#x",
            "\\\\evil.example\\x",
            None,
            21,
        ],
    )
    def test_a_bad_path(self, server: ScriptedServer, path: Any) -> None:
        with pytest.raises(ValueError, match=r"^path is "):
            client(server).call("GET", path)
        assert server.seen == []

    @pytest.mark.parametrize(
        ("part", "sent"),
        [
            ("a b", "a%20b"),
            ("%2e%2e", "%252e%252e"),
            ("%2F", "%252F"),
            ("@evil.example", "%40evil.example"),
            (":8080", "%3A8080"),
            ("a\r\nHost: b", "a%0D%0AHost%3A%20b"),
            ("\u00e9", "%C3%A9"),
            ("a;b", "a%3Bb"),
        ],
    )
    def test_parts_are_quoted(self, server: ScriptedServer, part: str, sent: str) -> None:
        server.answer("GET", f"/skills/{sent}", json={})
        assert client(server).call("GET", f"/skills/{part}") == {}
        assert [each.path for each in server.seen] == [f"/api/v1/skills/{sent}"]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"method": "HEAD"}, "^method is 'HEAD'"),
            ({"method": None}, "^method is None"),
            ({"json": {"a": float("nan")}}, "^json cannot be written"),
            ({"json": {"a": object()}}, "^json cannot be written"),
            ({"params": {"a": {"b": 1}}}, "^params is "),
            ({"params": ["a"]}, "^params is "),
            ({"params": {"a": datetime(2026, 1, 1)}}, "no time zone"),
        ],
    )
    def test_other_bad_arguments(self, server: ScriptedServer, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            client(server).call(**{"method": "GET", "path": "/pools", **arguments})
        assert server.seen == []


class TestDeletions:
    @pytest.mark.parametrize(("name", "path"), DELETIONS.items())
    def test_request(self, server: ScriptedServer, name: str, path: str) -> None:
        server.answer("DELETE", path, 204)
        assert getattr(client(server), name)("6") is None
        assert server.calls() == [f"DELETE {path}"]

    def test_what_is_not_there_is_an_error(self, server: ScriptedServer) -> None:
        server.error("DELETE", "/user-skills/6", 404, "DOES_NOT_EXIST")
        with pytest.raises(TolokaApiError, match="DOES_NOT_EXIST"):
            client(server).delete_user_skill("6")

    @pytest.mark.parametrize("lost", [{"drop": True}, {"status": 503}, {"status": 500}])
    def test_what_is_not_there_any_more_was_deleted(self, server: ScriptedServer, lost: dict[str, Any]) -> None:
        server.answer("DELETE", "/user-skills/6", **lost)
        server.error("DELETE", "/user-skills/6", 404, "DOES_NOT_EXIST")
        client(server).delete_user_skill("6")
        assert len(server.seen) == 2

    def test_what_was_refused_before_was_not_deleted(self, server: ScriptedServer) -> None:
        server.error("DELETE", "/user-skills/6", 429, "TOO_MANY_REQUESTS")
        server.error("DELETE", "/user-skills/6", 404, "DOES_NOT_EXIST")
        with pytest.raises(TolokaApiError, match="DOES_NOT_EXIST"):
            client(server).delete_user_skill("6")

    def test_a_get_that_finds_nothing_after_a_lost_answer_is_an_error(self, server: ScriptedServer) -> None:
        server.answer("GET", "/user-skills/6", drop=True)
        server.error("GET", "/user-skills/6", 404, "DOES_NOT_EXIST")
        with pytest.raises(TolokaApiError, match="DOES_NOT_EXIST"):
            client(server).get_user_skill("6")


class TestBatches:
    @pytest.mark.parametrize("name", BATCHES)
    def test_each_item_has_an_answer(self, server: ScriptedServer, name: str) -> None:
        method, path, item = BATCHES[name]
        error = {"user_id": {"code": "VALUE_REQUIRED", "message": "Value must be present"}}
        server.answer(method, path, json={"items": {"1": item}, "validation_errors": {"0": error}})
        answer = getattr(client(server), name)([{"a": 1}, {"a": 2}])
        assert answer.items[1].raw == item
        assert answer.errors == {0: error}
        assert server.seen[0].body == [{"a": 1}, {"a": 2}]

    @pytest.mark.parametrize("name", BATCHES)
    @pytest.mark.parametrize(
        "answer",
        [{}, [], {"items": {}}, {"items": {"0": 1, "1": {}}}, {"items": {"0": {}, "2": {}}}, {"id": "8"}],
    )
    def test_an_answer_that_leaves_an_item_out_is_no_success(
        self, server: ScriptedServer, name: str, answer: Any
    ) -> None:
        method, path, _ = BATCHES[name]
        server.answer(method, path, json=answer)
        with pytest.raises(TolokaError):
            getattr(client(server), name)([{"a": 1}, {"a": 2}])

    def test_bonuses_are_not_paid_twice(self, server: ScriptedServer) -> None:
        server.answer("POST", "/user-bonuses", drop=True)
        with pytest.raises(TolokaConnectionError) as caught:
            client(server).create_user_bonuses([{"a": 1}])
        assert caught.value.may_have_been_received
        assert len(server.seen) == 1
        assert query(server) == {"skip_invalid_items": "false"}

    @pytest.mark.parametrize("name", ["create_user_bonuses_async", "create_task_suites_async"])
    def test_an_operation_id_makes_it_repeatable(self, server: ScriptedServer, name: str) -> None:
        path = SENT[name][1].split(" ")[1]
        server.answer("POST", path, drop=True)
        server.error("POST", path, 409, "OPERATION_ALREADY_EXISTS")
        server.answer("GET", f"/operations/{UUID}", json=operation(id=UUID))
        assert getattr(client(server), name)([{"a": 1}], operation_id=UUID).id == UUID
        assert [query(server, index)["operation_id"] for index in (0, 1)] == [UUID, UUID]
        assert query(server, 0)["async_mode"] == "true"

    def test_equal_bonuses_are_refused_without_an_envelope(self, server: ScriptedServer) -> None:
        refusal = {"user_id": {"code": "ENTITY_CONFLICT", "message": "It is not allowed to apply multiple bonuses"}}
        server.answer("POST", "/user-bonuses", 409, refusal)
        with pytest.raises(TolokaConflictError, match="user_id: ENTITY_CONFLICT: It is not allowed") as caught:
            client(server).create_user_bonuses([{"a": 1}, {"a": 1}])
        assert caught.value.payload == refusal


class TestDownloads:
    PATH = "/attachments/f1/download"

    def download(self, server: ScriptedServer) -> bytes:
        with client(server).download_attachment("f1") as chunks:
            return b"".join(chunks)

    @pytest.mark.parametrize("size", [0, 1, 1_000_000])
    def test_bytes(self, server: ScriptedServer, size: int) -> None:
        content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        server.answer("GET", self.PATH, body=content, headers={"Content-Type": "image/png"})
        assert self.download(server) == content
        assert server.seen[0].headers["Accept"] == "*/*"

    def test_a_large_file_comes_in_chunks(self, server: ScriptedServer) -> None:
        server.answer("GET", self.PATH, body=b"x" * 1_000_000)
        with client(server).download_attachment("f1") as chunks:
            assert max(map(len, chunks)) <= 2**16

    def test_json_is_a_file_as_well(self, server: ScriptedServer) -> None:
        server.answer("GET", self.PATH, json={"id": "f1"})
        assert json.loads(self.download(server)) == {"id": "f1"}

    def test_it_is_requested_again_until_it_begins(self, server: ScriptedServer) -> None:
        server.answer("GET", self.PATH, drop=True)
        server.answer("GET", self.PATH, 503)
        server.answer("GET", self.PATH, body=b"", headers={"Content-Length": "5", "Connection": "close"})
        server.answer("GET", self.PATH, body=b"12345")
        assert self.download(server) == b"12345"
        assert len(server.seen) == 4

    @pytest.mark.parametrize("media_type", ["image/png", None])
    def test_what_it_is(self, server: ScriptedServer, media_type: str | None) -> None:
        server.answer("GET", self.PATH, body=b"x", headers={"Content-Type": media_type} if media_type else {})
        with client(server).download_attachment("f1") as content:
            assert content.media_type == media_type

    def test_a_file_whose_end_could_not_be_known(self, server: ScriptedServer) -> None:
        server.answer("GET", self.PATH, body=b"half", headers={"Content-Length": None, "Connection": "close"})
        with pytest.raises(TolokaError, match="answered a file without its length"):
            self.download(server)

    def test_what_breaks_off_later_is_an_error(self, server: ScriptedServer) -> None:
        half = b"x" * 100_000
        server.answer("GET", self.PATH, body=half, headers={"Content-Length": "200000", "Connection": "close"})
        with client(server).download_attachment("f1") as chunks:
            got = next(chunks)
            with pytest.raises(TolokaConnectionError, match="GET /attachments/f1/download got no answer"):
                got += b"".join(chunks)
        assert got == half[: len(got)]
        assert len(server.seen) == 1

    def test_refused(self, server: ScriptedServer) -> None:
        server.error("GET", self.PATH, 404, "DOES_NOT_EXIST")
        with pytest.raises(TolokaApiError, match="DOES_NOT_EXIST"):
            self.download(server)

    def test_nothing_is_no_file(self, server: ScriptedServer) -> None:
        server.answer("GET", self.PATH, 204)
        with pytest.raises(TolokaError, match="answered 204 instead of a file"):
            self.download(server)

    def test_a_chunk_that_takes_too_long(self, server: ScriptedServer) -> None:
        server.answer("GET", self.PATH, body=b"x" * 100, drip=0.05)
        settings = ClientSettings(TOKEN, base_url=server.url, total_timeout=0.3, retry_budget=0)
        with (
            pytest.raises(TolokaConnectionError, match=r"no complete answer in 0\.3 s"),
            TolokaClient(settings).download_attachment("f1") as chunks,
        ):
            list(chunks)

    def test_whoever_stops_early_leaves_the_client_usable(self, server: ScriptedServer) -> None:
        server.answer("GET", self.PATH, body=b"x" * 1_000_000)
        server.answer("GET", "/pools/21", json=pool())
        toloka = client(server)
        with toloka.download_attachment("f1") as chunks:
            next(chunks)
        assert toloka.get_pool("21").id == "21"


def only_item(answer: Any) -> Any:
    items = answer.get("items", answer) if isinstance(answer, dict) else answer
    if isinstance(items, list):
        return items[0]
    return items.get("0", items)


def list_or_value(result: Any) -> Any:
    return list(result) if isinstance(result, Iterator) else result


class TestIds:
    """An id comes from a template, so anything may be in it; nothing is sent unless it is an id."""

    OTHERS = {
        "metrics": ["spent_budget"],
        "timeout": 1.0,
        "pool": {},
        "tasks": [{}],
        "type": "DAWID_SKENE",
        "status": AssignmentStatus.ACCEPTED,
        "read": read_answers_as_they_are,
        **dict.fromkeys(("project", "training", "skill", "fields", "text", "message"), PROJECT),
        "suites": [],
        "bonuses": [],
        "folders": [],
        "overlap": 1,
    }
    TAKEN = [
        (name, parameter.name)
        for name, signature in public_methods().items()
        for parameter in signature.parameters.values()
        if parameter.name.endswith("_id")
    ]

    def call(self, server: ScriptedServer, method: str, argument: str, value: Any) -> Any:
        """Call a method with everything that it needs besides one id."""
        arguments: dict[str, Any] = {}
        for parameter in public_methods()[method].parameters.values():
            needed = parameter.default is parameter.empty and parameter.kind not in (
                parameter.VAR_KEYWORD,
                parameter.VAR_POSITIONAL,
            )
            if needed and parameter.name not in ("self", argument):
                arguments[parameter.name] = "21" if parameter.name.endswith("_id") else self.OTHERS[parameter.name]
        return list_or_value(getattr(client(server), method)(**arguments, **{argument: value}))

    def test_methods_that_take_an_id_are_found(self) -> None:
        assert ("open_pool", "pool_id") in self.TAKEN
        assert ("pools_requiring", "training_id") in self.TAKEN
        assert ("aggregate_by_pool", "answer_weight_skill_id") in self.TAKEN
        assert len(self.TAKEN) >= 24

    @pytest.mark.parametrize(("method", "argument"), TAKEN)
    def test_bad(self, server: ScriptedServer, method: str, argument: str) -> None:
        for value in BAD_IDS:
            with pytest.raises(ValueError, match=rf"^{argument} is (?!empty)| is needed to list "):
                self.call(server, method, argument, value)
            assert server.seen == [], value

    @pytest.mark.parametrize(
        ("method", "argument"),
        [pair for pair in TAKEN if pair[1] != "answer_weight_skill_id" and not pair[0].endswith("_async")],
    )
    def test_none(self, server: ScriptedServer, method: str, argument: str) -> None:
        with pytest.raises(ValueError, match=argument):
            self.call(server, method, argument, None)
        assert server.seen == []

    @pytest.mark.parametrize("value", ["", "None", "1/../2", "1,2", "21\n"])
    @pytest.mark.parametrize(
        ("method", "argument"),
        [
            ("list_pools", "project_id"),
            ("list_trainings", "project_id"),
            ("list_assignments", "task_id"),
            ("list_assignments", "task_suite_id"),
            ("list_assignments", "user_id"),
            ("find_unfinished_operation", "pool_id"),
        ],
    )
    def test_bad_in_a_filter(self, server: ScriptedServer, method: str, argument: str, value: str) -> None:
        needed = {"pool_id": "21"} if argument == "user_id" else {}
        with pytest.raises(ValueError, match="_id"):
            list_or_value(getattr(client(server), method)(**needed, **{argument: value}))
        assert server.seen == []

    def test_lists_are_refused_when_they_are_made(self, server: ScriptedServer) -> None:
        """An iterator that is never looped over must not hide the mistake."""
        for method in ("list_tasks", "list_aggregated_solutions", "pools_requiring"):
            with pytest.raises(ValueError, match="_id is 'None'"):
                getattr(client(server), method)("None")

    @pytest.mark.parametrize("value", ["21", 21, "fadfe3jk-fdafue2-fda32890-fdafdi23", "00022cfa46--637cf3fb6e"])
    def test_good(self, server: ScriptedServer, value: Any) -> None:
        server.answer("POST", f"/pools/{value}/open", 204)
        assert client(server).open_pool(value) is None

    def test_a_number_in_a_filter(self, server: ScriptedServer) -> None:
        server.answer("GET", "/pools", json=one(pool()))
        list(client(server).list_pools(project_id=10))
        assert query(server)["project_id"] == "10"


class TestLists:
    @pytest.mark.parametrize(
        ("method", "arguments", "path", "key", "item"),
        [
            ("list_projects", {}, "/projects", "id", PROJECT),
            ("list_pools", {}, "/pools", "id", pool()),
            ("list_trainings", {}, "/trainings", "id", pool()),
            ("list_tasks", {"pool_id": "21"}, "/tasks", "id", TASK),
            ("list_operations", {}, "/operations", "id", operation()),
            ("list_assignments", {"pool_id": "21"}, "/assignments", "id", ASSIGNMENT),
            ("list_aggregated_solutions", {"operation_id": "op-1"}, "/aggregated-solutions/op-1", "task_id", SOLUTION),
            ("list_task_suites", {"pool_id": "21"}, "/task-suites", "id", SUITE),
            ("list_skills", {}, "/skills", "id", SKILL),
            ("list_user_skills", {}, "/user-skills", "id", USER_SKILL),
            ("list_user_restrictions", {}, "/user-restrictions", "id", RESTRICTION),
            ("list_user_bonuses", {}, "/user-bonuses", "id", BONUS),
            ("list_attachments", {"pool_id": "21"}, "/attachments", "id", ATTACHMENT),
            ("list_message_threads", {}, "/message-threads", "id", THREAD),
            ("list_webhook_subscriptions", {}, "/webhook-subscriptions", "id", SUBSCRIPTION),
        ],
    )
    def test_pages(
        self, server: ScriptedServer, method: str, arguments: dict[str, str], path: str, key: str, item: dict[str, Any]
    ) -> None:
        for page, more in ((("1", "2"), True), (("3",), True), ((), False)):
            server.answer("GET", path, json={"items": [{**item, key: value} for value in page], "has_more": more})
        found = [item.raw[key] for item in getattr(client(server), method)(**arguments)]
        assert found == ["1", "2", "3"]
        sent = [query(server, index) for index in range(3)]
        assert [page.get(f"{key}_gt") for page in sent] == [None, "2", "3"]
        for page in sent:
            assert page["sort"] == key
            assert page["limit"] == ("100" if path in ("/skills", "/attachments") else "300")
            assert page.get("pool_id") == arguments.get("pool_id")

    @pytest.mark.parametrize(
        "refused",
        [
            {"payload": {"limit": {"code": "VALUE_GREATER_THAN_MAX", "message": "Value must be less or equal to 300"}}},
            {"payload": [{"path": "query.limit"}]},
            {"payload": None},
            {},
            None,
        ],
    )
    def test_larger_pages(self, server: ScriptedServer, refused: dict[str, Any] | None) -> None:
        if refused is not None:
            server.error("GET", "/assignments", 400, "VALIDATION_ERROR", **refused)
        for more in (True, False):
            server.answer("GET", "/assignments", json={"items": [{**ASSIGNMENT, "id": f"a-{more}"}], "has_more": more})
        found = list(client(server).assignment_pages("21", page_size=1000, after="a-1", status=["ACCEPTED"]))
        assert [[item["id"] for item in page] for page in found] == [["a-True"], ["a-False"]]
        assert [query(server, index)["limit"] for index in (-2, -1)] == ["1000" if refused is None else "300"] * 2
        assert [query(server, index)["id_gt"] for index in (-2, -1)] == ["a-1", "a-True"]

    def test_another_refusal_is_not_taken_for_one_of_the_page_size(self, server: ScriptedServer) -> None:
        server.error("GET", "/assignments", 400, "VALIDATION_ERROR", payload={"sort": {"code": "INVALID_VALUE"}})
        with pytest.raises(TolokaApiError, match="INVALID_VALUE"):
            list(client(server).assignment_pages("21", page_size=1000))

    def test_all_lists_are_here(self) -> None:
        assert len(LISTS) == 15

    def test_nothing_is_asked_before_it_is_needed(self, server: ScriptedServer) -> None:
        server.answer("GET", "/pools", json={"items": [pool(), pool(id="22")], "has_more": True})
        found = client(server).list_pools()
        assert server.seen == []
        assert [next(found).id, next(found).id] == ["21", "22"]
        assert len(server.seen) == 1

    def test_filters(self, server: ScriptedServer) -> None:
        server.answer("GET", "/assignments", json={"items": [], "has_more": False})
        list(
            client(server).list_assignments(
                pool_id="21",
                status=[AssignmentStatus.SUBMITTED, "ACCEPTED"],
                user_id=None,
                created_gte=datetime(2024, 1, 1, 2, 30, tzinfo=timezone(timedelta(hours=3))),
                submitted_lt=datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC),
                accepted_gt=date(2024, 2, 3),
                id_gt="0015--9",
            )
        )
        assert query(server) == {
            "sort": "id",
            "limit": "300",
            "pool_id": "21",
            "status": "SUBMITTED,ACCEPTED",
            "created_gte": "2023-12-31T23:30:00.000",
            "submitted_lt": "2024-05-06T07:08:09.123",
            "accepted_gt": "2024-02-03",
            "id_gt": "0015--9",
        }

    def test_a_filter_of_one_status(self, server: ScriptedServer) -> None:
        server.answer("GET", "/pools", json={"items": [], "has_more": False})
        list(client(server).list_pools(status=PoolStatus.OPEN, project_id="10"))
        assert query(server) == {"sort": "id", "limit": "300", "status": "OPEN", "project_id": "10"}

    def test_filters_stay_on_every_page(self, server: ScriptedServer) -> None:
        server.answer("GET", "/pools", json={"items": [pool()], "has_more": True})
        server.answer("GET", "/pools", json={"items": [], "has_more": False})
        list(client(server).list_pools(status=PoolStatus.OPEN, id_gt="3"))
        assert [query(server, 0)["id_gt"], query(server, 1)["id_gt"]] == ["3", "21"]
        assert query(server, 1)["status"] == "OPEN"

    def test_values_are_escaped(self, server: ScriptedServer) -> None:
        server.answer("GET", "/operations", json={"items": [], "has_more": False})
        list(client(server).list_operations(type="POOL.OPEN&limit=1#x +ä"))
        assert query(server)["type"] == "POOL.OPEN&limit=1#x +ä"

    @pytest.mark.parametrize("name", ["state", "pool", "limit", "sort", "pool_id_gt", "created", "id", "Status"])
    def test_an_unknown_filter(self, server: ScriptedServer, name: str) -> None:
        with pytest.raises(ValueError, match=rf"^{name}: no filter of /pools; known are created_gt, .*status"):
            client(server).list_pools(**{name: "OPEN"})
        assert server.seen == []

    def test_a_filter_of_statuses_that_are_made_on_the_way(self, server: ScriptedServer) -> None:
        server.answer("GET", "/assignments", json=one(ASSIGNMENT))
        list(client(server).list_assignments(pool_id="21", status=(status for status in AssignmentStatus)))
        assert query(server)["status"] == "ACTIVE,SUBMITTED,ACCEPTED,REJECTED,SKIPPED,EXPIRED"

    @pytest.mark.parametrize("value", ["", [], ()])
    def test_an_empty_filter(self, server: ScriptedServer, value: Any) -> None:
        """An API that ignored it would list everything."""
        with pytest.raises(ValueError, match="status is empty"):
            client(server).list_pools(status=value)

    def test_a_date_without_zone(self, server: ScriptedServer) -> None:
        with pytest.raises(ValueError, match="2024-01-01T00:00:00 has no time zone"):
            client(server).list_pools(created_gt=datetime(2024, 1, 1))
        assert server.seen == []

    def test_more_of_nothing(self, server: ScriptedServer) -> None:
        server.answer("GET", "/pools", json={"items": [], "has_more": True})
        with pytest.raises(TolokaError, match="does not get further than None"):
            list(client(server).list_pools())

    @pytest.mark.parametrize("items", [[{"status": "ACCEPTED"}], [None], ["a-1"], [[]]])
    def test_a_page_of_what_has_no_id(self, server: ScriptedServer, items: list[Any]) -> None:
        server.answer("GET", "/assignments", json={"items": items, "has_more": False})
        with pytest.raises(TolokaError, match="answered an item without id"):
            list(client(server).assignment_pages("21"))

    @pytest.mark.parametrize("ids", [["9", "10", "9"], ["12", "11"], ["9", "9"], ["a-2", "a-1"], ["a-1", "b", "a-1"]])
    def test_a_page_in_another_order(self, server: ScriptedServer, ids: list[str]) -> None:
        """It would lose rows or double them without a word."""
        page = {"items": [{**TASK, "id": "1"}], "has_more": True}
        for path, method in (("/assignments", "assignment_pages"), ("/tasks", "list_tasks")):
            server.answer("GET", path, json=page)
            server.answer("GET", path, json={"items": [{**TASK, "id": name} for name in ids], "has_more": False})
            with pytest.raises(
                TolokaError, match=f"GET {path}, the page of 300 behind 1 (is not sorted by id: it has|has)"
            ):
                list(getattr(client(server), method)("21"))

    @pytest.mark.parametrize("ids", [["9", "10"], ["10", "9"]])
    def test_ids_in_the_order_of_numbers_or_of_text(self, server: ScriptedServer, ids: list[str]) -> None:
        """Nothing documents which of them is the API's."""
        server.answer("GET", "/pools", json={"items": [pool(id=name) for name in ids], "has_more": False})
        assert [found.id for found in client(server).list_pools()] == ids

    def test_a_page_that_goes_back_behind_the_one_before(self, server: ScriptedServer) -> None:
        server.answer("GET", "/pools", json={"items": [pool(id="11"), pool(id="12")], "has_more": True})
        server.answer("GET", "/pools", json={"items": [pool(id="10")], "has_more": False})
        with pytest.raises(TolokaError, match="the page of 300 behind 12 is not sorted by id: it has 10 behind 12"):
            list(client(server).list_pools())

    def test_a_page_that_goes_beyond_what_was_requested(self, server: ScriptedServer) -> None:
        """So would a server do that does not know the filter."""
        answer = {"items": [{"id": "a-1"}, {"id": "a-4"}], "has_more": False}
        server.answer("GET", "/assignments", json=answer)
        with pytest.raises(TolokaError, match="at the beginning has a-4, though only what is up to a-3 was requested"):
            list(client(server).read_assignments("21", read_answers_as_they_are, until="a-3"))
        assert query(server)["id_lte"] == "a-3"

    def test_ids_whose_order_nobody_documents(self, server: ScriptedServer) -> None:
        """Of operations they are UUIDs; closing a pool must not fail for how a store sorts them."""
        ids = ["f" + UUID[1:], UUID]
        server.answer("GET", "/operations", json={"items": [operation(id=name) for name in ids], "has_more": False})
        assert [found.id for found in client(server).list_operations()] == ids

    @pytest.mark.parametrize("has_more", ["false", 0, 1, None, []])
    def test_whether_there_is_more_is_said_clearly(self, server: ScriptedServer, has_more: Any) -> None:
        server.answer("GET", "/tasks", json={"items": [TASK], "has_more": has_more})
        with pytest.raises(
            TolokaError, match="GET /tasks answered a page with 1 item, 0015--1 to 0015--1, whose has_more"
        ):
            list(client(server).list_tasks("21"))

    @pytest.mark.parametrize("more", [[], [pool(id="22")]])
    @pytest.mark.parametrize("has_more", [True, False])
    def test_a_page_with_the_end_of_the_one_before(
        self, server: ScriptedServer, more: list[Any], has_more: bool
    ) -> None:
        server.answer("GET", "/pools", json={"items": [pool()], "has_more": True})
        server.answer("GET", "/pools", json={"items": [pool(), *more], "has_more": has_more})
        pools = client(server).list_pools()
        assert next(pools).id == "21"
        with pytest.raises(TolokaError, match="answered 21 again"):
            next(pools)
        assert len(server.seen) == 2

    @pytest.mark.parametrize("items", [None, {}, "x", {"0": pool()}, [None], ["21"], [[]], [{"id": "1"}]])
    def test_items_that_are_no_list_of_objects(self, server: ScriptedServer, items: Any) -> None:
        server.answer("GET", "/pools", json={"items": items, "has_more": False})
        with pytest.raises(TolokaError):
            list(client(server).list_pools())

    def test_a_page_is_asked_again(self, server: ScriptedServer) -> None:
        server.answer("GET", "/pools", json={"items": [pool()], "has_more": True})
        server.error("GET", "/pools", 503, "REMOTE_SERVICE_UNAVAILABLE")
        server.answer("GET", "/pools", drop=True)
        server.answer("GET", "/pools", json={"items": [pool(id="22")], "has_more": False})
        assert [pool.id for pool in client(server).list_pools()] == ["21", "22"]
        assert [query(server, index).get("id_gt") for index in range(4)] == [None, "21", "21", "21"]

    @pytest.mark.parametrize("arguments", [{}, {"user_id": "u"}, {"status": "ACCEPTED"}, {"pool_id": None}])
    def test_assignments_of_nothing(self, server: ScriptedServer, arguments: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="pool_id, task_id or task_suite_id is needed"):
            client(server).list_assignments(**arguments)

    @pytest.mark.parametrize("name", ["pool_id", "task_id", "task_suite_id"])
    def test_assignments_of_something(self, server: ScriptedServer, name: str) -> None:
        server.answer("GET", "/assignments", json=one(ASSIGNMENT))
        assert len(list(client(server).list_assignments(**{name: "21"}))) == 1  # type: ignore[arg-type]
        assert query(server)[name] == "21"


class TestTasks:
    def test_parameters(self, server: ScriptedServer) -> None:
        server.answer("POST", "/tasks", 201, {"items": {"0": TASK}})
        client(server).create_tasks([{}], allow_defaults=True, open_pool=False)
        assert query(server) == {"allow_defaults": "true", "open_pool": "false"}

    def test_the_order_is_that_of_the_request(self, server: ScriptedServer) -> None:
        items = {str(index): {**TASK, "id": f"t-{index}"} for index in reversed(range(12))}
        server.answer("POST", "/tasks", 201, {"items": items})
        created = client(server).create_tasks([{}] * 12)
        assert [task.id for task in created] == [f"t-{index}" for index in range(12)]

    @pytest.mark.parametrize(
        "items",
        [None, {}, {"0": TASK}, {"1": TASK}, {"0": TASK, "2": TASK}, {"0": TASK, "1": TASK, "2": TASK}, [TASK, TASK]],
    )
    def test_fewer_tasks_than_asked_for(self, server: ScriptedServer, items: Any) -> None:
        server.answer("POST", "/tasks", 201, {"items": items, "validation_errors": {"1": {}}})
        with pytest.raises(TolokaError, match="to create 2 tasks"):
            client(server).create_tasks([{}, {}])
        assert len(server.seen) == 1

    def test_asynchronously(self, server: ScriptedServer) -> None:
        server.answer("POST", "/tasks", 202, operation(type="TASK.BATCH_CREATE"))
        client(server).create_tasks_async([{}], operation_id=UUID.upper(), skip_invalid_items=True)
        assert query(server) == {
            "operation_id": UUID,
            "async_mode": "true",
            "allow_defaults": "false",
            "open_pool": "false",
            "skip_invalid_items": "true",
        }

    def test_a_lost_answer_is_followed_up_with_the_same_id(self, server: ScriptedServer) -> None:
        server.answer("POST", "/tasks", drop=True)
        server.error("POST", "/tasks", 409, "OPERATION_ALREADY_EXISTS")
        server.answer("POST", "/tasks", 202, operation())  # must not be asked for
        with pytest.raises(TolokaApiError, match="NOT_SCRIPTED"):
            client(server).create_tasks_async([{}])
        server.unexpected.clear()  # the id is made by the client, so its operation cannot be scripted
        first, second = query(server, 0), query(server, 1)
        assert first == second
        assert uuid.UUID(first["operation_id"])
        assert server.calls() == ["POST /tasks", "POST /tasks", f"GET /operations/{first['operation_id']}"]

    def test_an_operation_that_exists_is_attached_to(self, server: ScriptedServer) -> None:
        server.error("POST", "/tasks", 409, "OPERATION_ALREADY_EXISTS")
        server.answer("GET", f"/operations/{UUID}", json=operation("RUNNING", "TASK.BATCH_CREATE", id=UUID))
        found = client(server).create_tasks_async([{}], operation_id=UUID)
        assert (found.id, found.status) == (UUID, "RUNNING")
        assert server.calls() == ["POST /tasks", f"GET /operations/{UUID}"]

    def test_another_conflict_is_raised(self, server: ScriptedServer) -> None:
        server.error("POST", "/tasks", 409, "POOL_LOCKED_BY_ANOTHER_OPERATION")
        with pytest.raises(TolokaConflictError, match="POOL_LOCKED"):
            client(server).create_tasks_async([{}], operation_id=UUID)
        assert len(server.seen) == 1

    def test_every_call_has_an_id_of_its_own(self, server: ScriptedServer) -> None:
        server.answer("POST", "/tasks", 202, operation(), times=2)
        client(server).create_tasks_async([{}])
        client(server).create_tasks_async([{}])
        assert query(server, 0)["operation_id"] != query(server, 1)["operation_id"]

    @pytest.mark.parametrize("value", ["", "None", "1", "op-1", UUID + "0", UUID[:-1] + "g", f"{{{UUID}}}", 5])
    def test_an_operation_id_that_is_no_uuid(self, server: ScriptedServer, value: Any) -> None:
        with pytest.raises(ValueError, match=r"^operation_id is ") as caught:
            client(server).create_tasks_async([{}], operation_id=value)
        assert caught.value.__cause__ is None
        assert server.seen == []


class TestWaiting:
    def wait(self, server: ScriptedServer, *, status: str = "PENDING", timeout: float = 10.0, **more: Any) -> Operation:
        start = Operation.from_api(operation(status))
        return client(server).wait_operation(start, timeout=timeout, **{"poll_interval": 0.01, **more})

    @pytest.mark.parametrize("status", ["SUCCESS", "FAIL", "A_STATUS_OF_THE_FUTURE"])
    def test_what_is_done_is_not_asked_for(self, server: ScriptedServer, status: str) -> None:
        assert self.wait(server, status=status).status == status
        assert server.seen == []

    @pytest.mark.parametrize("end", ["SUCCESS", "FAIL", "A_STATUS_OF_THE_FUTURE"])
    def test_until_it_is_done(self, server: ScriptedServer, end: str) -> None:
        for status in ("PENDING", "RUNNING", end):
            server.answer("GET", "/operations/op-1", json=operation(status))
        looks: list[str] = []
        assert self.wait(server, on_poll=lambda seen: looks.append(seen.status.value)).status == end
        assert looks[:2] == ["PENDING", "RUNNING"]
        assert len(server.seen) == 3

    def test_a_finish_date_is_no_end(self, server: ScriptedServer) -> None:
        server.answer(
            "GET", "/operations/op-1", json=operation("PENDING", finished="2016-04-07T16:06:15", progress=100)
        )
        server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))
        self.wait(server)
        assert len(server.seen) == 2

    def test_what_may_pass_is_tolerated(self, server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
        path = "/operations/op-1"
        server.answer("GET", path, drop=True)
        server.error("GET", path, 503, "REMOTE_SERVICE_UNAVAILABLE", headers={"Retry-After": "3600"})
        server.error("GET", path, 429, "TOO_MANY_REQUESTS", payload={"interval": "HOUR"})
        server.answer("GET", path, 502, body=b"<html>")
        server.answer("GET", path, body=b'{"id": ', headers={"Content-Length": "99", "Connection": "close"})
        server.answer("GET", path, json=operation("SUCCESS"))
        assert self.wait(server).status == "SUCCESS"
        assert len(server.seen) == 6
        warnings = [record for record in caplog.records if "Operation op-1 could not be polled" in record.message]
        assert len(warnings) == 5
        assert {record.levelno for record in warnings} == {logging.WARNING}

    @pytest.mark.parametrize("status", [401, 403, 404])
    def test_what_will_not_pass_is_raised(self, server: ScriptedServer, status: int) -> None:
        server.error("GET", "/operations/op-1", status, "SOME_CODE", times=3)
        with pytest.raises(TolokaApiError, match="SOME_CODE"):
            self.wait(server)
        assert len(server.seen) == 3

    @pytest.mark.parametrize("status", [401, 403, 404])
    def test_a_wrong_answer_now_and_then_is_not_believed(self, server: ScriptedServer, status: int) -> None:
        for _ in range(3):
            server.error("GET", "/operations/op-1", status, "NOT_MEANT", times=2)
            server.answer("GET", "/operations/op-1", json=operation("RUNNING"))
        server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))
        assert self.wait(server).status == "SUCCESS"

    @pytest.mark.parametrize(("poll_interval", "polls"), [(2.0, 10), (3.0, 7), (60.0, 1)])
    def test_the_end_of_patience(
        self, server: ScriptedServer, virtual: VirtualTime, poll_interval: float, polls: int
    ) -> None:
        server.answer("GET", "/operations/op-1", json=operation("RUNNING"), times=polls)
        began = virtual.now
        with pytest.raises(TolokaTimeoutError, match=r"Operation op-1 \(POOL.OPEN\) was still RUNNING after 20 s"):
            self.wait(server, timeout=20.0, poll_interval=poll_interval)
        assert virtual.now - began == pytest.approx(20)
        assert len(server.seen) == polls

    def test_the_end_of_patience_without_any_pause(self, server: ScriptedServer, virtual: VirtualTime) -> None:
        server.answer("GET", "/operations/op-1", json=operation("RUNNING"), times=10)
        with pytest.raises(TolokaTimeoutError, match=r"Operation op-1 \(POOL.OPEN\) was still RUNNING after 20 s"):
            self.wait(server, timeout=20.0, poll_interval=0.0, on_poll=lambda _: virtual.advance(2))
        assert len(server.seen) == 10

    def test_an_unreachable_server_ends_as_a_timeout(self, server: ScriptedServer, virtual: VirtualTime) -> None:
        server.answer("GET", "/operations/op-1", drop=True, times=10)
        with pytest.raises(TolokaTimeoutError, match="was still PENDING"):
            self.wait(server, timeout=20.0, poll_interval=2.0)
        assert len(server.seen) == 10

    def test_no_patience_at_all(self, server: ScriptedServer) -> None:
        with pytest.raises(TolokaTimeoutError):
            self.wait(server, timeout=0.0)
        assert server.seen == []


class TestEnsureSuccess:
    def test_success(self, server: ScriptedServer) -> None:
        done = Operation.from_api(operation("SUCCESS"))
        assert client(server).ensure_success(done) is done
        assert server.seen == []

    @pytest.mark.parametrize("status", ["FAIL", "PENDING", "RUNNING", "success", "SUCCESS ", "PARTIAL_SUCCESS", ""])
    def test_anything_else_is_an_error(self, server: ScriptedServer, status: str) -> None:
        failed = Operation.from_api(operation(status, details={"why": "because"}))
        with pytest.raises(TolokaOperationError) as caught:
            client(server).ensure_success(failed)
        text = str(caught.value)
        assert text.startswith(f"Operation op-1 (POOL.OPEN) ended as {status}")
        assert ("does not know" in text) == (status not in ("FAIL", "PENDING", "RUNNING"))
        assert "{'pool_id': '21'}" in text
        assert "because" in text
        assert caught.value.operation is failed
        assert server.seen == []

    def batch(self, server: ScriptedServer) -> TolokaOperationError:
        failed = Operation.from_api(operation("FAIL", "TASK.BATCH_CREATE", details={"failed_count": 5}))
        with pytest.raises(TolokaOperationError, match="FAIL") as caught:
            client(server).ensure_success(failed)
        assert set(server.calls()) == {"GET /operations/op-1/log"}
        return caught.value

    def test_the_log_is_shown(self, server: ScriptedServer) -> None:
        wrong = {"input_values.image": {"code": "VALUE_REQUIRED", "message": "Value must be present"}}
        bad = {"type": "TASK_VALIDATE", "success": False, "input": {"secret": "input"}, "output": wrong}
        good = {"type": "TASK_CREATE", "success": True, "output": {"task_id": "fine"}}
        server.answer("GET", "/operations/op-1/log", json=[good, *[bad] * 5])
        error = self.batch(server)
        assert "first of 5 errors in its log" in str(error)
        assert "VALUE_REQUIRED" in str(error)
        assert "fine" not in str(error)
        assert error.log == [good, *[bad] * 5]
        assert len(str(error)) < 2000

    def test_a_log_of_one_step_as_the_reference_shows_it(self, server: ScriptedServer) -> None:
        step = {"type": "TASK_VALIDATE", "success": False, "output": {"code": "VALIDATION_ERROR"}}
        server.answer("GET", "/operations/op-1/log", json=step)
        assert "VALIDATION_ERROR" in str(self.batch(server))

    @pytest.mark.parametrize("log", [[], [{}], [{"success": False}], ["text"], [None], "text", 5])
    def test_a_strange_log_does_not_hide_the_failure(self, server: ScriptedServer, log: Any) -> None:
        server.answer("GET", "/operations/op-1/log", json=log)
        assert "failed_count" in str(self.batch(server))

    @pytest.mark.parametrize(
        "answer",
        [
            {"status": 409, "json": {"code": "OPERATION_LOGS_ARCHIVED"}},
            {"status": 404, "json": {"code": "DOES_NOT_EXIST"}},
            {"status": 429, "json": {"code": "TOO_MANY_REQUESTS", "payload": {"interval": "DAY"}}},
            {"status": 503, "json": {"code": "BUSY"}, "headers": {"Retry-After": "99"}},
            {"status": 204},
        ],
    )
    def test_an_unreadable_log_does_not_hide_the_failure(
        self, server: ScriptedServer, caplog: pytest.LogCaptureFixture, answer: dict[str, Any]
    ) -> None:
        server.answer("GET", "/operations/op-1/log", **answer)
        assert "failed_count" in str(self.batch(server))
        assert "The log of operation op-1 could not be read" in caplog.text

    @pytest.mark.parametrize("operation_type", ["POOL.OPEN", "SOLUTION.AGGREGATE", "TRAINING.ARCHIVE"])
    def test_other_types_have_no_log(self, server: ScriptedServer, operation_type: str) -> None:
        with pytest.raises(TolokaOperationError):
            client(server).ensure_success(Operation.from_api(operation("FAIL", operation_type)))
        assert server.seen == []


def measured(details: Any, status: str = "SUCCESS") -> dict[str, Any]:
    """Return an operation of analytics as the API answers it."""
    return operation(status, "ANALYTICS", details=details)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
RESULTS = st.lists(
    JSON | st.fixed_dictionaries({"request": JSON | st.fixed_dictionaries({"name": JSON | NAMES}), "result": JSON}),
    max_size=4,
)
DETAILS = JSON | st.fixed_dictionaries({"value": JSON | RESULTS})


class TestMeasuring:
    PATH = "/api/staging/analytics-2"
    TWO = "spent_budget", "estimated_assignments_count"

    def measure(self, server: ScriptedServer, details: Any) -> dict[str, float | None]:
        server.answer("POST", self.PATH, json=measured(details))
        return client(server).measure("21", self.TWO, timeout=5.0)

    def test_what_is_asked_for(self, server: ScriptedServer) -> None:
        server.answer("POST", self.PATH, json=measured({}, "RUNNING"))
        results = [
            {"request": {"name": "spent_budget"}, "result": 1.5},
            {"request": {"name": "not_asked_for"}, "result": 2},
            {"request": {"name": "estimated_assignments_count"}, "result": {"value": 30, "infinite": False}},
        ]
        server.answer("GET", "/operations/op-1", json=measured({"value": results}))
        metrics = client(server).measure("21", self.TWO, timeout=5.0)
        assert metrics == {"spent_budget": 1.5, "estimated_assignments_count": 30}
        assert [request["name"] for request in server.seen[0].body] == list(self.TWO)

    @pytest.mark.parametrize(
        "result",
        [
            None,
            True,
            "1.5",
            [1.5],
            float("nan"),
            float("inf"),
            -float("inf"),
            10**400,
            {},
            {"value": 0, "infinite": True},
            {"value": "1.5"},
            {"value": {"value": 1.5}},
            {"value": None},
        ],
        ids=repr,
    )
    def test_what_is_no_finite_number_is_unknown(self, server: ScriptedServer, result: Any) -> None:
        details = {"value": [{"request": {"name": "spent_budget"}, "result": result}]}
        assert self.measure(server, details) == dict.fromkeys(self.TWO)

    @pytest.mark.parametrize(
        "details",
        [
            None,
            {},
            {"value": None},
            {"value": {"spent_budget": 1.5}},
            {"value": [None, 5, [], {}]},
            {"value": [{"request": None, "result": 1.5}]},
            {"value": [{"request": {}, "result": 1.5}]},
            {"value": [{"request": {"name": ["spent_budget"]}, "result": 1.5}]},
            {"value": [{"request": "spent_budget", "result": 1.5}]},
            {"value": [{"result": 1.5}]},
            {"value": [{"request": {"name": "spent_budget"}}]},
        ],
        ids=repr,
    )
    def test_what_is_missing_is_unknown(self, server: ScriptedServer, details: Any) -> None:
        assert self.measure(server, details) == dict.fromkeys(self.TWO)

    @pytest.mark.parametrize("details", [5, "text", [1], True])
    def test_details_that_are_no_object(self, server: ScriptedServer, details: Any) -> None:
        with pytest.raises(TolokaError, match="'details' in the API's answer is"):
            self.measure(server, details)

    @pytest.mark.parametrize("status", ["FAIL", "A_STATUS_OF_THE_FUTURE"])
    def test_a_failed_operation(self, server: ScriptedServer, status: str) -> None:
        server.answer("POST", self.PATH, json=measured({}, status))
        with pytest.raises(TolokaOperationError, match=status):
            client(server).measure("21", self.TWO, timeout=5.0)

    def test_a_late_operation(self, server: ScriptedServer) -> None:
        server.answer("POST", self.PATH, json=measured({}, "RUNNING"))
        with pytest.raises(TolokaTimeoutError, match="was still RUNNING"):
            client(server).measure("21", self.TWO, timeout=0.0)

    def test_a_refusal(self, server: ScriptedServer) -> None:
        server.error("POST", self.PATH, 403, "ACCESS_DENIED")
        with pytest.raises(TolokaApiError, match="ACCESS_DENIED"):
            client(server).measure("21", self.TWO, timeout=5.0)

    @given(details=DETAILS)
    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_any_answer_gives_numbers_or_an_error_of_toloka(self, server: ScriptedServer, details: Any) -> None:
        try:
            metrics = self.measure(server, details)
        except TolokaError:
            assert details
            assert not isinstance(details, dict)
            return
        assert list(metrics) == list(self.TWO)
        for number in metrics.values():
            assert number is None or (type(number) in (int, float) and math.isfinite(number))


class TestSearches:
    def test_the_operation_of_a_pool(self, server: ScriptedServer) -> None:
        others = [operation("PENDING", parameters={"pool_id": "2"}), operation("PENDING", parameters={})]
        mine = operation("RUNNING", id="op-2", parameters={"pool_id": 21})
        server.answer("GET", "/operations", json={"items": others, "has_more": False})
        server.answer("GET", "/operations", json={"items": [*others, mine], "has_more": False})
        found = client(server).find_unfinished_operation(pool_id="21")
        assert found is not None
        assert found.id == "op-2"

    def test_one_that_starts_meanwhile_is_not_missed(self, server: ScriptedServer) -> None:
        """It is PENDING at the first look, and RUNNING at the second."""
        server.answer("GET", "/operations", json={"items": [], "has_more": False}, times=2)
        assert client(server).find_unfinished_operation(pool_id="21") is None
        assert [query(server, 0)["status"], query(server, 1)["status"]] == ["PENDING", "RUNNING"]

    def test_an_id_that_is_a_number(self, server: ScriptedServer) -> None:
        server.answer("GET", "/operations", json=one(operation("PENDING")))
        assert client(server).find_unfinished_operation(pool_id=21) is not None  # type: ignore[arg-type]

    def test_the_pools_that_need_a_training(self, server: ScriptedServer) -> None:
        def needs(training_id: Any) -> dict[str, Any]:
            return {"quality_control": {"training_requirement": {"training_pool_id": training_id}}}

        pages = [[pool(id="1", **needs("7")), pool(id="2")], [pool(id="3", **needs(7))], [pool(id="4", **needs("70"))]]
        for items in pages:
            server.answer("GET", "/pools", json={"items": items, "has_more": False})
        assert [found.id for found in client(server).pools_requiring("7")] == ["1", "3"]
        assert {query(server, index)["status"] for index in range(3)} == {"OPEN", "CLOSED", "LOCKED"}

    @pytest.mark.parametrize(
        ("listed", "found", "opening", "is_open"),
        [
            ("OPEN", pool("OPEN", id="1"), False, True),
            ("OPEN", pool("CLOSED", id="1"), False, False),  # the list is older
            ("OPEN", pool("CLOSED", "FOR_UPDATE", id="1"), False, True),
            ("CLOSED", pool("CLOSED", id="1"), False, False),
            ("CLOSED", pool("CLOSED", id="1"), True, True),
            ("CLOSED", pool("OPEN", id="1"), True, True),
        ],
    )
    def test_a_training_is_required_by_an_open_pool(
        self, server: ScriptedServer, listed: str, found: dict[str, Any], opening: bool, is_open: bool
    ) -> None:
        needs = {"quality_control": {"training_requirement": {"training_pool_id": "7"}}}
        under_way = [operation("RUNNING", parameters={"pool_id": "1"})] if opening else []
        server.default("GET", "/operations", {"items": under_way, "has_more": False})
        server.default("GET", "/pools", {"items": [], "has_more": False})
        server.answer("GET", "/pools", json={"items": [pool(listed, id="1", **needs)], "has_more": False})
        server.default("GET", "/pools/1", {**found, **needs})
        required_by = client(server).find_open_pool_requiring("7")
        assert (required_by.id if required_by else None) == ("1" if is_open else None)


class TestWebUrl:
    POOL = Pool.from_api(pool())
    TRAINING = Training.from_api(pool())

    def test_projects_and_skills(self) -> None:
        toloka = TolokaClient(ClientSettings(TOKEN))
        assert toloka.web_url(Project.from_api(PROJECT)) == "https://platform.toloka.ai/requester/project/10"
        assert toloka.project_web_url("10") == "https://platform.toloka.ai/requester/project/10"
        assert toloka.skill_web_url("5") == "https://platform.toloka.ai/requester/quality/skill/5"

    def test_production(self) -> None:
        url = TolokaClient(ClientSettings(TOKEN)).web_url(self.POOL)
        assert url == "https://platform.toloka.ai/requester/project/10/pool/21"
        page = TolokaClient(ClientSettings(TOKEN)).assignment_web_url("21", "a-1")
        assert page == "https://platform.toloka.ai/task/21/a-1"

    def test_sandbox(self) -> None:
        url = TolokaClient(ClientSettings(TOKEN, base_url=SANDBOX)).web_url(self.TRAINING)
        assert url == "https://platform.sandbox.toloka.ai/requester/project/10/training/21"

    def test_own_host(self) -> None:
        url = TolokaClient(ClientSettings(TOKEN, base_url="http://localhost:8000/")).web_url(self.POOL)
        assert url == "http://localhost:8000/requester/project/10/pool/21"


def test_the_next_page_of_ends_goes_on_where_dates_are_cut_off(server: ScriptedServer) -> None:
    """Dates have up to six digits, of which a filter gets three."""
    ends = [operation(id="op-2", finished="2026-03-02T09:00:00.123456")]
    server.answer("GET", "/operations", json={"items": ends, "has_more": True})
    server.answer("GET", "/operations", json={"items": [], "has_more": False})
    assert len(list(client(server).finished_operation_pages(datetime(2026, 3, 2, tzinfo=UTC)))) == 2
    assert query(server)["finished_lte"] == "2026-03-02T09:00:00.124"


def test_a_client_made_of_another_has_no_more_time(server: ScriptedServer) -> None:
    late = TolokaClient(ClientSettings(TOKEN, base_url=server.url), deadline=0.0)
    for client in (late.with_own_session(), late.without_retries(), late.without_retries(timeout=60)):
        with pytest.raises(TolokaConnectionError, match="the time is up"):
            client.get_pool("21")
    assert server.seen == []
