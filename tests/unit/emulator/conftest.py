from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer

PROJECT = {
    "public_name": "Cats",
    "public_description": "Which animal is it?",
    "assignments_issuing_type": "AUTOMATED",
    "task_spec": {
        "input_spec": {"image": {"type": "url"}},
        "output_spec": {"result": {"type": "string", "allowed_values": ["cat", "dog", "other"]}},
    },
}
POOL = {
    "private_name": "First",
    "will_expire": "2031-01-01T00:00:00",
    "reward_per_assignment": 0.02,
    "assignment_max_duration_seconds": 600,
    "defaults": {"default_overlap_for_new_task_suites": 1, "default_overlap_for_new_tasks": 3},
    "mixer_config": {"real_tasks_count": 2, "golden_tasks_count": 0, "training_tasks_count": 0},
}
TRAINING = {
    "private_name": "School",
    "inherited_instructions": True,
    "training_tasks_in_task_suite_count": 2,
    "assignment_max_duration_seconds": 600,
}
HANG = 60.0
"""After how many seconds a test is given up; nothing that works takes a tenth of it, however busy the machine is."""
STEADY = CrowdSettings(size=10, accuracy=(0.9, 0.9), seconds_per_task=(5, 15), skip_rate=0, expire_rate=0)


class Api:
    """The emulator as a client sees it, and a few steps that most tests begin with."""

    def __init__(self, server: EmulatorServer) -> None:
        self.server = server
        self.session = requests.Session()
        self.session.headers["Authorization"] = "OAuth secret"

    def __call__(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        base = self.server.url if path.startswith(("/_emulator", "/requester/")) else f"{self.server.url}/api/v1"
        return self.session.request(method, base + path, timeout=HANG, **kwargs)

    def get(self, path: str, **params: Any) -> Any:
        answer = self("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, **params: Any) -> Any:
        answer = self("POST", path, json=body, params=params)
        assert answer.status_code in (200, 201, 202), answer.text
        return answer.json()

    def code(self, method: str, path: str, body: Any = None, **params: Any) -> tuple[int, str | None]:
        answer = self(method, path, json=body, params=params)
        return answer.status_code, answer.json()["code"] if answer.content else None

    def add_project(self, **changes: Any) -> str:
        return self.post("/projects", PROJECT | changes)["id"]

    def add_pool(self, project_id: str | None = None, *, tasks: int = 0, **changes: Any) -> str:
        body = POOL | {"project_id": project_id or self.add_project()} | changes
        pool_id = self.post("/pools", body)["id"]
        self.add_tasks(pool_id, tasks)
        return pool_id

    def add_training(self, project_id: str | None = None, *, tasks: int = 0, **changes: Any) -> str:
        body = TRAINING | {"project_id": project_id or self.add_project()} | changes
        training_id = self.post("/trainings", body)["id"]
        self.add_tasks(training_id, tasks)
        return training_id

    def add_tasks(self, pool_id: str, count: int, **values: Any) -> Any:
        tasks = [{"pool_id": pool_id, "input_values": {"image": f"u{i}"}, **values} for i in range(count)]
        return self.post("/tasks", tasks, allow_defaults="true")["items"] if tasks else {}

    def move(self, pool_id: str, call: str, *, kind: str = "pools") -> None:
        """Make a transition and let its operation end."""
        operation = self.post(f"/{kind}/{pool_id}/{call}")
        self.server.clock.advance(1)
        assert self.get(f"/operations/{operation['id']}")["status"] == "SUCCESS"

    def status(self, pool_id: str) -> tuple[str, str | None]:
        pool = self.get(f"/pools/{pool_id}")
        return pool["status"], pool.get("last_close_reason")

    def assignments(self, pool_id: str, **params: Any) -> list[dict[str, Any]]:
        return self.get("/assignments", pool_id=pool_id, limit=100_000, **params)["items"]


@pytest.fixture
def make_api() -> Iterator[Callable[..., Api]]:
    """Start emulators with a frozen clock; stop them after the test."""
    apis: list[Api] = []

    def make(**options: Any) -> Api:
        defaults = {"seed": 1, "frozen": True, "start": "2030-01-01T00:00:00", "crowd": STEADY}
        apis.append(Api(EmulatorServer(**(defaults | options)).start()))
        return apis[-1]

    yield make
    for api in apis:
        api.session.close()
        api.server.stop()


@pytest.fixture
def stop_at_once(caplog: pytest.LogCaptureFixture) -> Callable[[EmulatorServer], None]:
    """Return a function that stops a server, and fails if that was at the expense of waiting for something in vain."""

    def stop(server: EmulatorServer) -> None:
        threads = [thread for thread in threading.enumerate() if thread.name.startswith("toloka-emulator")]
        with caplog.at_level(logging.ERROR):
            server.stop()
            for thread in threads:
                thread.join(HANG)
        assert not [thread.name for thread in threads if thread.is_alive()]
        # Uvicorn writes down what did not end by itself, and was cancelled some seconds later.
        assert caplog.text == ""
        # So does the journal: a receiver that did not answer within some seconds was waited for.
        assert "REQUEST_TIMEOUT" not in [entry.get("error") for entry in server.journal.deliveries()]

    return stop


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    return make_api()
