"""The emulator's answers have the keys and the types of the bodies in the official documentation."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests

from toloka_airflow.emulator.resources import attachments
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression

# Copies of the documentation's bodies, which are not part of this repository.
BODIES = Path(__file__).resolve().parents[2].parent / "shared" / "examples"
# Requests, and parts of bodies.
OUT_OF_SCOPE = re.compile(
    r"pools\.(filter|quality_control)\."
    r"|webhook-subscriptions\.(event|notification)\."
    r"|[a-z-]+\.[a-z-]+\.request(\.|$)"
)
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T")

Json = dict[str, Any]
Case = Callable[["Scene", Any], Any]

_PRIVATE_ACCOUNT = "the emulator's account is a private one, and these have no company (section 18)"
_OPERATION_BEGINS = "the example is of an operation that runs already; the emulator's begins as PENDING (section 8)"
_LOG_IS_A_LIST = "the API reference shows one step; the pages and the clients have a list of them (section 8)"
_IDS_ARE_TEXT = "the page has a number; ids are text everywhere else (section 3)"
_NO_OWNER = "the page leaves the owner out; the API reference has it (section 22)"
_ONLY_ONE_IS_ME = "the requester is one of the two; the example's second one has no such field either"
_FULL_TASKS = "the page shortens the tasks; the API reference shows them in full (section 14)"
_MOCK_IS_SHORT = "the mock of the client's tests shows less than the API reference (section 12.1)"
_NO_DETAILS = "the Russian page has no details, the API reference has empty ones (section 8)"
_WHOLE_OBJECT = "the Russian page shows what was changed, the API reference the whole object (section 25)"
_TOO_FEW_KEYS = "an error always has the id of the request (section 4.1); the page leaves it out"
_EMPTY_ERRORS = "the example does not say what is wrong with the items; the text does (section 12.2)"

TASK_IN_FULL = (
    "created",
    "infinite_overlap",
    "overlap",
    "pool_id",
    "remaining_overlap",
    "reserved_for",
    "unavailable_for",
)
ASSIGNMENT_IN_FULL = (
    "accepted",
    "automerged",
    "created",
    "id",
    "mixed",
    "owner",
    "pool_id",
    "reward",
    "solutions",
    "submitted",
    "task_suite_id",
    "tasks",
    "user_id",
)
# By body: where the answer is another, and why. Nothing else may differ.
DIFFERENCES: dict[str, dict[str, str]] = {
    "requester.get.200": {"company missing": _PRIVATE_ACCOUNT},
    "projects.archive.202.page": {"details more": _NO_DETAILS},
    "trainings.create.201": {
        f"{name} missing": "the example is of a training that was opened and closed before; a new one was not"
        for name in ("last_close_reason", "last_started", "last_stopped")
    },
    "tasks.create.201.multiple_tasks": {
        f"items.0.{name} more": _MOCK_IS_SHORT
        for name in ("infinite_overlap", "remaining_overlap", "reserved_for", "unavailable_for")
    },
    "tasks.create.201.multiple_tasks_async": {"progress more": "the mock has none; the other examples do (section 8)"},
    "task-suites.create.201.multiple_task_suites": {
        f"validation_errors.{position}.tasks more": _EMPTY_ERRORS for position in (1, 3)
    },
    "task-suites.create.201.async.page": {
        f"{name} more": "the Russian page shortens the operation; the API reference has it in full (section 8)"
        for name in (
            "parameters",
            "progress",
            "details.total_count",
            "details.valid_count",
            "details.not_valid_count",
        )
    },
    "assignments.get.200.page": {
        "bonus_ids is array, not string": "the page says in words what is there",
        **{f"tasks.0.{name} more": _FULL_TASKS for name in TASK_IN_FULL},
    },
    "assignments.patch.200.page": {
        "bonus_ids.0 is string, not number": _IDS_ARE_TEXT,
        **{f"{name} more": _WHOLE_OBJECT for name in ASSIGNMENT_IN_FULL},
    },
    "aggregated-solutions.aggregate-by-pool.201.dawid_skene": {"started missing": _OPERATION_BEGINS},
    "aggregated-solutions.aggregate-by-pool.201.weighted_dynamic_overlap": {
        "details more": "one example has empty details, the other none (section 15); the emulator always has them"
    },
    "webhook-subscriptions.upsert.200.single.page": {
        "body is object, not array": "the Russian page has a list, the API reference an object (section 25)"
    },
    "user-bonuses.create.201.sync_bonus": {
        f"validation_errors.{position}.amount more": _EMPTY_ERRORS for position in (1, 3)
    },
    "operations.log.200.fail": {"body is array, not object": _LOG_IS_A_LIST},
    "operations.log.200.success": {"body is array, not object": _LOG_IS_A_LIST},
    "attachments.get.200.page": {"owner more": _NO_OWNER},
    **{
        f"message-threads.{name}": {f"{at}interlocutors.0.myself missing": _ONLY_ONE_IS_ME}
        for name, at in (
            ("compose.201", ""),
            ("list.200", "items.0."),
            ("reply.201", ""),
            ("add-to-folders.201", ""),
            ("remove-from-folders.201", ""),
        )
    },
    "errors.400.VALIDATION_ERROR": {
        "request_id more": _TOO_FEW_KEYS,
        "payload more": "the page leaves out what is wrong; the payload tells it (section 4.6)",
    },
    "errors.403.ACCESS_DENIED": {"request_id more": _TOO_FEW_KEYS},
    "errors.404.DOES_NOT_EXIST": {"request_id more": _TOO_FEW_KEYS},
    "errors.409.CONFLICT_STATE": {"request_id more": _TOO_FEW_KEYS},
    "errors.429.TOO_MANY_REQUESTS": {"request_id more": _TOO_FEW_KEYS},
    "errors.500.INTERNAL_ERROR": {"request_id more": _TOO_FEW_KEYS},
    "errors.503.REMOTE_SERVICE_UNAVAILABLE": {"request_id more": _TOO_FEW_KEYS},
}

PROJECT = {
    "public_name": "Animals",
    "public_description": "Which animal is it?",
    "assignments_issuing_type": "AUTOMATED",
    "task_spec": {
        "input_spec": {"image": {"type": "url", "required": False}, "image_url": {"type": "url", "required": False}},
        "output_spec": {"result": {"type": "string", "allowed_values": ["OK", "BAD"]}},
    },
}
# The tasks of the documentation have solutions with one field more than its assignments.
LIKED = {
    **PROJECT["task_spec"],  # type: ignore[dict-item]
    "output_spec": {**PROJECT["task_spec"]["output_spec"], "like": {"type": "boolean"}},  # type: ignore[index]
}
POOL = {
    "private_name": "Pool",
    "will_expire": "2031-01-01T00:00:00",
    "reward_per_assignment": 0.02,
    "assignment_max_duration_seconds": 600,
    "defaults": {"default_overlap_for_new_task_suites": 1, "default_overlap_for_new_tasks": 3},
    "mixer_config": {"real_tasks_count": 1, "golden_tasks_count": 0, "training_tasks_count": 0},
}
READ_ONLY = ("id", "owner", "status", "created", "type", "last_close_reason", "last_started", "last_stopped")
READ_ONLY_OF_TASKS = ("id", "created", "remaining_overlap", "mixed", "automerged")


class Scene:
    """The emulator, and what has to happen before the call that an example is about."""

    def __init__(self, server: EmulatorServer) -> None:
        self.server = server
        self.session = requests.Session()
        self.session.headers["Authorization"] = "OAuth secret"
        self.server.crowd.change(size=0)

    def __call__(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Send a request and return the body of its answer, whatever it is."""
        root = "/api" if path.startswith("/staging") else "/api/v1"
        url = f"{self.server.url}{root}{path}"
        return self.session.request(method, url, json=body, params=query, timeout=10).json()

    def done(self, operation: Json) -> Json:
        """Let an operation end."""
        self.server.clock.advance(60)
        ended: Json = self("GET", f"/operations/{operation['id']}")
        assert ended["status"] in ("SUCCESS", "FAIL"), ended
        return ended

    def made(self, path: str, body: Json, **query: Any) -> str:
        answer = self("POST", path, body, **query)
        assert "id" in answer, answer
        made_id: str = answer["id"]
        return made_id

    def person(self) -> str:
        """Return the id of somebody."""
        return next(iter(self.server.world.people))

    def project(self, **changes: Any) -> str:
        return self.made("/projects", PROJECT | changes)

    def pool(self, *, tasks: int = 0, **changes: Any) -> str:
        pool_id = self.made("/pools", POOL | {"project_id": self.project()} | changes)
        for i in range(tasks):
            self.task(pool_id, image=f"u{i}")
        return pool_id

    def training(self, **changes: Any) -> str:
        body = {"private_name": "School", "inherited_instructions": True, "training_tasks_in_task_suite_count": 1}
        training_id = self.made("/trainings", body | {"project_id": self.project()} | changes)
        self.task(training_id, image="u")
        return training_id

    def task(self, pool_id: str, **values: str) -> str:
        return self.made("/tasks", {"pool_id": pool_id, "input_values": values}, allow_defaults="true")

    def answered(self, *, image: str = "u", **changes: Any) -> str:
        """Return a pool in which one task has all its answers."""
        self.server.crowd.change(size=10, skip_rate=0, expire_rate=0)
        pool_id = self.pool(**changes)
        self.task(pool_id, image=image)
        self.done(self("POST", f"/pools/{pool_id}/open"))
        self.server.clock.advance(24 * 3600)
        return pool_id

    def finished(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Send a request that starts an operation which ends at once."""
        self.server.progressions.set(Progression(seconds=0))
        return self(method, path, body, **query)


def sent(example: Json, *leave_out: str, **changes: Any) -> Json:
    """Return what a client would have sent to get this."""
    return {name: value for name, value in example.items() if name not in leave_out} | changes


def _echo(path: str, make: Callable[[Scene, Json], Json]) -> dict[str, Case]:
    """Return the cases of things that are created, read, listed and replaced."""

    def create(scene: Scene, example: Json) -> Any:
        return scene("POST", path, make(scene, example))

    def get(scene: Scene, example: Json) -> Any:
        return scene("GET", f"{path}/{_used(scene, path, make, example)}")

    def list_(scene: Scene, example: Json) -> Any:
        _used(scene, path, make, example["items"][0])
        return scene("GET", path)

    def update(scene: Scene, example: Json) -> Any:
        return scene("PUT", f"{path}/{_used(scene, path, make, example)}", make(scene, example))

    return {"create.201": create, "get.200": get, "list.200": list_, "update.200": update}


def _used(scene: Scene, path: str, make: Callable[[Scene, Json], Json], example: Json) -> str:
    made: str = scene("POST", path, make(scene, example))["id"]
    if "last_stopped" in example:
        scene.task(made, image="u")
        for call in ("open", "close"):
            scene.done(scene("POST", f"{path}/{made}/{call}"))
    return made


def _project(scene: Scene, example: Json) -> Json:
    return sent(example, *READ_ONLY)


def _of_project(scene: Scene, example: Json) -> Json:
    expires = {"will_expire": "2031-03-09T00:00:00"} if "will_expire" in example else {}
    return sent(example, *READ_ONLY, project_id=scene.project(), **expires)


def _move(kind: str, call: str) -> Case:
    def move(scene: Scene, example: Json) -> Any:
        made = scene.pool(tasks=1) if kind == "pools" else scene.training()
        if call.startswith("close"):
            scene.done(scene("POST", f"/{kind}/{made}/open"))
        return scene.finished("POST", f"/{kind}/{made}/{call}")

    return move


def _patch_pool(scene: Scene, example: Json) -> Any:
    pool_id = scene("POST", "/pools", _of_project(scene, example))["id"]
    return scene("PATCH", f"/pools/{pool_id}", {"priority": 0})


def _create_task(scene: Scene, example: Json) -> Any:
    pool_id = scene.pool(project_id=scene.project(task_spec=LIKED))
    return scene("POST", "/tasks", sent(example, *READ_ONLY_OF_TASKS, pool_id=pool_id))


def _get_task(scene: Scene, example: Json) -> Any:
    return scene("GET", f"/tasks/{_create_task(scene, example)['id']}")


def _list_tasks(scene: Scene, example: Json) -> Any:
    return scene("GET", "/tasks", pool_id=_create_task(scene, example["items"][0])["pool_id"])


SKIP = {"skip_invalid_items": "true"}
WRONG = {"input_values": {}, "overlap": 3}


def _strict(scene: Scene) -> str:
    """Return a pool whose tasks must have an image."""
    spec = PROJECT["task_spec"] | {"input_spec": {"image": {"type": "url"}}}  # type: ignore[operator]
    return scene.pool(project_id=scene.project(task_spec=spec))


def _create_tasks(scene: Scene, example: Json) -> Any:
    pool_id = _strict(scene)
    good = sent(example["items"]["0"], *READ_ONLY_OF_TASKS, pool_id=pool_id)
    return scene("POST", "/tasks", [good, WRONG | {"pool_id": pool_id}], skip_invalid_items="true")


def _start_upload(scene: Scene, example: Json) -> Any:
    task = {"pool_id": scene.pool(), "input_values": {"image": "u"}, "overlap": 1}
    return scene("POST", "/tasks", task, async_mode="true")


def _failing_upload(scene: Scene, example: Json) -> Any:
    pool_id = _strict(scene)
    tasks = [{"pool_id": pool_id, "input_values": {"image": "u"}, "overlap": 1}, WRONG | {"pool_id": pool_id}]
    return scene.finished("POST", "/tasks", tasks, async_mode="true")


def _change_task(path: str, body: Json) -> Case:
    def change(scene: Scene, example: Json) -> Any:
        return scene("PATCH", path.format(id=_create_task(scene, example)["id"]), body)

    return change


def _suite(scene: Scene, example: Json) -> Json:
    tasks = [{"input_values": task["input_values"]} for task in example["tasks"]]
    return sent(example, *READ_ONLY_OF_TASKS, pool_id=scene.pool(), tasks=tasks)


def _create_suite(scene: Scene, example: Json) -> Any:
    return scene("POST", "/task-suites", _suite(scene, example))


def _create_suites(scene: Scene, example: Json) -> Any:
    good = _suite(scene, example["items"]["0"])
    bad = good | {"tasks": []}
    return scene("POST", "/task-suites", [good, bad, good, bad], skip_invalid_items="true")


def _get_suite(scene: Scene, example: Json) -> Any:
    return scene("GET", f"/task-suites/{_create_suite(scene, example)['id']}")


def _list_suites(scene: Scene, example: Json) -> Any:
    return scene("GET", "/task-suites", pool_id=_create_suite(scene, example["items"][0])["pool_id"])


def _change_suite(path: str, body: Json) -> Case:
    def change(scene: Scene, example: Json) -> Any:
        return scene("PATCH", path.format(id=_create_suite(scene, example)["id"]), body)

    return change


def _failing_suites(scene: Scene, example: Json) -> Any:
    bad = {"pool_id": scene.pool(), "tasks": [], "overlap": 1}
    return scene.finished("POST", "/task-suites", [bad, bad], async_mode="true")


def _get_failing_suites(scene: Scene, example: Json) -> Any:
    return scene("GET", f"/operations/{_failing_suites(scene, example)['id']}")


def _assignments(scene: Scene, *, review: bool = False) -> list[Json]:
    pool_id = scene.answered(auto_accept_solutions=not review)
    found: list[Json] = scene("GET", "/assignments", pool_id=pool_id)["items"]
    return found


def _get_assignment(scene: Scene, example: Json) -> Any:
    return scene("GET", f"/assignments/{_assignments(scene)[0]['id']}")


def _get_praised(scene: Scene, example: Json) -> Any:
    return scene("GET", f"/assignments/{_patch_assignment(scene, example)['id']}")


def _for_work(scene: Scene, example: Json) -> Json:
    """Return a bonus for an assignment; the only things of it that are not as in the example are the ids."""
    found = _assignments(scene)[0]
    return sent(example, *READ_ONLY, user_id=found["user_id"], assignment_id=found["id"])


def _pay(scene: Scene, example: Json) -> Any:
    return scene("POST", "/user-bonuses", _for_work(scene, example))


def _pay_some(scene: Scene, example: Json) -> Any:
    first, last = (_for_work(scene, example["items"][position]) for position in ("0", "2"))
    return scene("POST", "/user-bonuses", [first, first | {"amount": 0}, last, {**last, "amount": 0}], **SKIP)


def _pay_later(scene: Scene, example: Json) -> Any:
    items = [{"user_id": scene.person(), "amount": amount, "without_message": True} for amount in (1, 2)]
    return scene.finished("POST", "/user-bonuses", items, async_mode="true", **SKIP)


def _pay_twice(scene: Scene, example: Json) -> Any:
    item = {"user_id": scene.person(), "amount": 1, "without_message": True}
    return scene("POST", "/user-bonuses", [item, item])


def _log_of_bonus(scene: Scene, example: Any) -> Any:
    step = example[0] if isinstance(example, list) else example
    user_id = scene.person() if step["success"] else "nobody"
    operation = scene.finished("POST", "/user-bonuses", step["input"] | {"user_id": user_id}, async_mode="true")
    return scene("GET", f"/operations/{operation['id']}/log")


def _get_bonus(scene: Scene, example: Json) -> Any:
    return scene("GET", f"/user-bonuses/{_pay(scene, example)['id']}")


def _list_bonuses(scene: Scene, example: Json) -> Any:
    _pay(scene, example["items"][0])
    return scene("GET", "/user-bonuses")


def _skill(scene: Scene, example: Json) -> Json:
    return sent(example, *READ_ONLY, "global")


def _set_skill(scene: Scene, example: Json) -> Any:
    skill_id = scene.made("/skills", {"name": "Cats"})
    body = {"skill_id": skill_id, "user_id": scene.person(), "value": example["exact_value"]}
    return scene("PUT", "/user-skills", body)


def _restrict(scene: Scene, example: Json) -> Any:
    later = {"will_expire": "2031-04-10T18:08:07", "user_id": scene.person(), "project_id": scene.project()}
    return scene("PUT", "/user-restrictions", sent(example, *READ_ONLY, **later))


def _put(path: str, put: Case) -> dict[str, Case]:
    """Return the cases of things that are put, read and listed."""

    def get(scene: Scene, example: Json) -> Any:
        return scene("GET", f"{path}/{put(scene, example)['id']}")

    def list_(scene: Scene, example: Json) -> Any:
        put(scene, example["items"][0])
        return scene("GET", path)

    return {"upsert.200": put, "get.200": get, "list.200": list_}


def _attached(scene: Scene) -> Json:
    """Return an attachment."""
    found = _assignments(scene)[0]
    with scene.server.world.up_to_date() as world:
        attachments.add(world, world.assignments[found["id"]], "cat.jpg", "image/jpeg", b"cat")
    listed: Json = scene("GET", "/attachments", assignment_id=found["id"])
    return listed


def _get_attachment(scene: Scene, example: Json) -> Any:
    return scene("GET", f"/attachments/{_attached(scene)['items'][0]['id']}")


def _compose(scene: Scene, example: Json) -> Any:
    body = {"topic": {"EN": "a"}, "text": {"EN": "b"}, "recipients_select_type": "DIRECT", "answerable": False}
    return scene("POST", "/message-threads/compose", body | {"recipients_ids": [scene.person()]})


def _change_thread(call: str, body: Json) -> Case:
    def change(scene: Scene, example: Json) -> Any:
        return scene("POST", f"/message-threads/{_compose(scene, example)['id']}/{call}", body)

    return change


def _list_threads(scene: Scene, example: Json) -> Any:
    _compose(scene, example)
    return scene("GET", "/message-threads")


def _list_assignments(scene: Scene, example: Json) -> Any:
    return scene("GET", "/assignments", pool_id=scene.answered())


def _accept(scene: Scene, example: Json) -> Any:
    found = _assignments(scene, review=True)[0]
    return scene("PATCH", f"/assignments/{found['id']}", {"status": "ACCEPTED"})


def _patch_assignment(scene: Scene, example: Json) -> Any:
    found = _assignments(scene, review=True)[0]
    bonus = {"user_id": found["user_id"], "assignment_id": found["id"], "amount": 1, "without_message": True}
    scene("POST", "/user-bonuses", bonus)
    body = {"status": "ACCEPTED", "public_comment": "Well done!"}
    return scene("PATCH", f"/assignments/{found['id']}", body)


def _aggregation(pool_id: str, type: str) -> Json:
    more = {"answer_weight_skill_id": "12648"} if type == "WEIGHTED_DYNAMIC_OVERLAP" else {}
    return {"pool_id": pool_id, "type": type, "fields": [{"name": "result"}], **more}


def _aggregate(type: str) -> Case:
    def aggregate(scene: Scene, example: Json) -> Any:
        return scene("POST", "/aggregated-solutions/aggregate-by-pool", _aggregation(scene.answered(), type))

    return aggregate


def _aggregate_task(scene: Scene, example: Json) -> Any:
    pool_id = scene.answered()
    task_id = scene("GET", "/tasks", pool_id=pool_id)["items"][0]["id"]
    body = _aggregation(pool_id, "WEIGHTED_DYNAMIC_OVERLAP") | {"task_id": task_id}
    return scene("POST", "/aggregated-solutions/aggregate-by-task", body)


def _list_solutions(scene: Scene, example: Json) -> Any:
    operation = scene.done(_aggregate("DAWID_SKENE")(scene, example))
    return scene("GET", f"/aggregated-solutions/{operation['id']}")


def _analysed(scene: Scene) -> Json:
    metrics = [{"name": "completion_percentage", "subject": "POOL", "subject_id": scene.answered()}]
    return scene.done(scene("POST", "/staging/analytics-2", metrics))


def _get_operation(scene: Scene, example: Json) -> Any:
    return _analysed(scene)


def _list_operations(scene: Scene, example: Json) -> Any:
    _analysed(scene)
    return scene("GET", "/operations", type="ANALYTICS")


def _subscription(scene: Scene, example: Json, pool_id: str | None = None) -> Json:
    return sent(example, *READ_ONLY, pool_id=pool_id or scene.pool())


def _subscribe(scene: Scene, example: Any) -> Any:
    return scene("PUT", "/webhook-subscriptions", _subscription(scene, example))


def _subscribe_many(scene: Scene, example: Json) -> Any:
    wanted = [_subscription(scene, item) for item in example["items"].values()]
    return scene("PUT", "/webhook-subscriptions", wanted)


def _get_subscription(scene: Scene, example: Json) -> Any:
    return scene("GET", f"/webhook-subscriptions/{_subscribe(scene, example)['id']}")


def _list_subscriptions(scene: Scene, example: Json) -> Any:
    pool_id = scene.pool()
    for item in example["items"]:
        scene("PUT", "/webhook-subscriptions", _subscription(scene, item, pool_id))
    return scene("GET", "/webhook-subscriptions", pool_id=pool_id)


class _Refusing(BaseHTTPRequestHandler):
    """A receiver that answers each notification with an error."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""


def _test_subscription(scene: Scene, example: Json) -> Any:
    receiver = HTTPServer(("127.0.0.1", 0), _Refusing)
    thread = Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        wanted = {"event_type": "POOL_CLOSED", "webhook_url": f"http://127.0.0.1:{receiver.server_port}/hook"}
        subscription = _subscribe(scene, wanted)
        return scene("POST", f"/webhook-subscriptions/{subscription['id']}/test")
    finally:
        receiver.shutdown()
        receiver.server_close()
        thread.join()


def _faulty(status: int, code: str) -> Case:
    def ask(scene: Scene, example: Json) -> Any:
        scene.server.faults.add("GET", "/api/v1/requester", status=status, code=code)
        return scene("GET", "/requester")

    return ask


def _too_early(scene: Scene, example: Json) -> Any:
    operation = _aggregate("DAWID_SKENE")(scene, example)
    return scene("GET", f"/aggregated-solutions/{operation['id']}")


def _open_archived(scene: Scene, example: Json) -> Any:
    pool_id = scene.pool(tasks=1)
    scene.done(scene("POST", f"/pools/{pool_id}/archive"))
    return scene("POST", f"/pools/{pool_id}/open")


CASES: dict[str, Case] = {
    "requester.get.200": lambda scene, example: scene("GET", "/requester"),
    **{f"projects.{name}": case for name, case in _echo("/projects", _project).items()},
    "projects.archive.202": lambda scene, example: scene.finished("POST", f"/projects/{scene.project()}/archive"),
    **{f"pools.{name}": case for name, case in _echo("/pools", _of_project).items()},
    "pools.patch.200": _patch_pool,
    **{f"trainings.{name}": case for name, case in _echo("/trainings", _of_project).items()},
    **{
        f"{kind}.{call}.202": _move(kind, call)
        for kind in ("pools", "trainings")
        for call in ("open", "close", "close-for-update", "archive", "clone")
    },
    "tasks.create.201.single_task": _create_task,
    "tasks.create.201.multiple_tasks": _create_tasks,
    "tasks.create.201.single_task_async": _start_upload,
    "tasks.create.201.multiple_tasks_async": _failing_upload,
    "tasks.get.200": _get_task,
    "tasks.list.200": _list_tasks,
    "tasks.patch.200": _change_task("/tasks/{id}", {"overlap": 5, "infinite_overlap": False}),
    "tasks.set-overlap-or-min.200": _change_task("/tasks/{id}/set-overlap-or-min", {"overlap": 1}),
    "task-suites.create.201.single_task_suite": _create_suite,
    "task-suites.create.201.multiple_task_suites": _create_suites,
    "task-suites.create.201.async": _failing_suites,
    "task-suites.get.200": _get_suite,
    "task-suites.list.200": _list_suites,
    "task-suites.patch.200": _change_suite("/task-suites/{id}", {"overlap": 5, "infinite_overlap": False}),
    "task-suites.set-overlap-or-min.200": _change_suite("/task-suites/{id}/set-overlap-or-min", {"overlap": 1}),
    "operations.get.200": _get_operation,
    "operations.get.200.task_suite_fail": _get_failing_suites,
    "operations.list.200": _list_operations,
    "assignments.get.200": _get_assignment,
    "assignments.get.200.page": _get_praised,
    "assignments.list.200": _list_assignments,
    "assignments.patch.200": _accept,
    "assignments.patch.200.page": _patch_assignment,
    "aggregated-solutions.aggregate-by-pool.201.dawid_skene": _aggregate("DAWID_SKENE"),
    "aggregated-solutions.aggregate-by-pool.201.weighted_dynamic_overlap": _aggregate("WEIGHTED_DYNAMIC_OVERLAP"),
    "aggregated-solutions.aggregate-by-task.200": _aggregate_task,
    "aggregated-solutions.aggregate-by-task.201": _aggregate_task,
    "aggregated-solutions.list.200": _list_solutions,
    "webhook-subscriptions.upsert.200": _subscribe,
    "webhook-subscriptions.upsert.200.list": _subscribe_many,
    "webhook-subscriptions.upsert.200.single": lambda scene, example: _subscribe(scene, example[0]),
    "webhook-subscriptions.get.200": _get_subscription,
    "webhook-subscriptions.list.200": _list_subscriptions,
    "webhook-subscriptions.test.201": _test_subscription,
    **{f"skills.{name}": case for name, case in _echo("/skills", _skill).items()},
    **{f"user-skills.{name}": case for name, case in _put("/user-skills", _set_skill).items()},
    **{f"user-restrictions.{name}": case for name, case in _put("/user-restrictions", _restrict).items()},
    "user-bonuses.create.201.single_bonus": _pay,
    "user-bonuses.create.201.sync_bonus": _pay_some,
    "user-bonuses.create.201.async_bonus": _pay_later,
    "user-bonuses.create.409": _pay_twice,
    "user-bonuses.get.200": _get_bonus,
    "user-bonuses.list.200": _list_bonuses,
    **{f"operations.log.200.{name}": _log_of_bonus for name in ("bonus_fail", "bonus_success", "fail", "success")},
    "attachments.get.200": _get_attachment,
    "attachments.list.200": lambda scene, example: _attached(scene),
    "message-threads.compose.201": _compose,
    "message-threads.list.200": _list_threads,
    "message-threads.reply.201": _change_thread("reply", {"text": {"EN": "c"}}),
    "message-threads.add-to-folders.201": _change_thread("add-to-folders", {"folders": ["UNREAD"]}),
    "message-threads.remove-from-folders.201": _change_thread("remove-from-folders", {"folders": ["UNREAD"]}),
    "user-metadata.get.200": lambda scene, example: scene("GET", f"/user-metadata/{scene.person()}"),
    "errors.400.VALIDATION_ERROR": lambda scene, example: scene("POST", "/projects", {}),
    "errors.404.DOES_NOT_EXIST": lambda scene, example: scene("GET", "/pools/1"),
    "errors.409.CONFLICT_STATE": _too_early,
    "errors.409.INAPPROPRIATE_STATUS": _open_archived,
    **{
        f"errors.{status}.{code}": _faulty(status, code)
        for status, code in (
            (403, "ACCESS_DENIED"),
            (429, "TOO_MANY_REQUESTS"),
            (500, "INTERNAL_ERROR"),
            (503, "REMOTE_SERVICE_UNAVAILABLE"),
        )
    },
}


def case_of(name: str) -> Case:
    """Return the case of a body; another source of the same body has the same one."""
    plain = _plain(name)
    return CASES[name] if name in CASES else CASES[plain]


def kind_of(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(type(value).__name__)
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "date" if DATE.match(value) else "string"
    return "object" if isinstance(value, dict) else "array"


def differences(example: Any, answer: Any, at: str = "") -> Iterator[str]:
    """Name what is missing, what is more, and what is of another type."""
    wanted, got = kind_of(example), kind_of(answer)
    if wanted != got:
        yield f"{at or 'body'} is {got}, not {wanted}"
    elif wanted == "object":
        for name in sorted(example.keys() | answer.keys()):
            path = f"{at}.{name}" if at else name
            if name not in answer:
                yield f"{path} missing"
            elif name not in example:
                yield f"{path} more"
            else:
                yield from differences(example[name], answer[name], path)
    elif wanted == "array":
        if example and not answer:
            yield f"{at or 'body'} is empty"
        # All items of a list are alike.
        for item in answer if example else []:
            yield from differences(example[0], item, f"{at}.0" if at else "0")


def _names() -> list[str]:
    return sorted(name for path in BODIES.glob("*.json") if not OUT_OF_SCOPE.match(name := path.stem))


@pytest.fixture
def scene() -> Iterator[Scene]:
    with EmulatorServer(seed=1, frozen=True, start="2030-01-01T00:00:00") as server:
        scene = Scene(server)
        yield scene
        scene.session.close()


@pytest.mark.skipif(not BODIES.is_dir(), reason=f"the bodies of the documentation are not here: no folder {BODIES}")
@pytest.mark.parametrize("name", _names())
def test_an_answer_looks_like_the_documented_one(name: str, scene: Scene) -> None:
    example = json.loads((BODIES / f"{name}.json").read_text())
    answer = case_of(name)(scene, example)
    found = set(differences(example, answer))
    explained = DIFFERENCES.get(name, {})
    assert found == explained.keys(), json.dumps(answer)


@pytest.mark.skipif(not BODIES.is_dir(), reason=f"the bodies of the documentation are not here: no folder {BODIES}")
def test_every_explained_difference_is_of_a_body_that_exists() -> None:
    assert DIFFERENCES.keys() <= set(_names())
    assert all(name in map(_plain, _names()) or name in _names() for name in CASES)


def _parts() -> list[str]:
    names = (path.stem for path in BODIES.glob("*.json"))
    return sorted(
        name for name in names if re.match(r"pools\.(filter|quality_control)|(pools|projects)\.create\.request", name)
    )


@pytest.mark.skipif(not BODIES.is_dir(), reason=f"the bodies of the documentation are not here: no folder {BODIES}")
@pytest.mark.parametrize("name", _parts())
def test_documented_rules_filters_and_requests_are_taken_and_kept(name: str, scene: Scene) -> None:
    example = json.loads((BODIES / f"{name}.json").read_text())
    skills = {str(skill_id): {"id": str(skill_id), "name": "Skill"} for skill_id in _skills(example)}
    scene.server.load({"skills": list(skills.values())})
    if name.startswith("projects."):
        made = scene("GET", f"/projects/{scene.made('/projects', example)}")
    else:
        body = {"quality_control": example} if name.startswith("pools.quality_control.") else example
        # Of another account, or places for what a user has to fill in.
        kept = {part: value for part, value in body.items() if part not in ("project_id", "will_expire")}
        if "training_requirement" in kept.get("quality_control", {}):
            kept["quality_control"]["training_requirement"]["training_pool_id"] = scene.training()
        example = kept
        made = scene("GET", f"/pools/{scene.pool(**kept)}")
    assert {part: made[part] for part in example} == example


def _skills(part: Any) -> Iterator[str | int]:
    """Return the ids of the skills that a part of a body names."""
    if isinstance(part, list):
        for item in part:
            yield from _skills(item)
    elif isinstance(part, dict):
        if part.get("category") == "skill":
            yield part["key"]
        elif part.get("key") == "skill_id":
            yield part["value"]
        for name, value in part.items():
            if name.endswith("skill_id"):
                yield value
            yield from _skills(value)


def _plain(name: str) -> str:
    return re.sub(r"\.(page|reference|quickstart)$", "", name)
