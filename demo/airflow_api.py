"""The few calls of Airflow's REST API (v2) that the demo and the system tests make."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Any
from urllib.parse import quote

import requests

TERMINAL_RUN_STATES = {"success", "failed"}
TIMEOUT, PATIENT_TIMEOUT = (3.0, 30.0), (3.0, 150.0)
"""For what changes nothing, and for what does, which is not sent twice: a busy machine may take long to answer."""
READ_ATTEMPTS = 5


@dataclass(frozen=True)
class Health:
    """What the API server knows of a component; it has no heartbeat of itself."""

    status: str | None
    heartbeat: str | None = None

    def is_well(self, since: datetime) -> bool:
        """Whether the component is healthy, by a heartbeat that is not older than a time."""
        if self.heartbeat is not None and datetime.fromisoformat(self.heartbeat) < since:
            return False
        return self.status == "healthy"


class AirflowApi:
    """
    Talk to an Airflow with a simple auth manager.

    :param url: The address of its API server.
    :param interval: Seconds between two questions while waiting for something.
    :param user: A name and a password; none where everybody is an admin.
    """

    def __init__(self, url: str, interval: float = 0.3, user: tuple[str, str] | None = None) -> None:
        self.url = url
        self.interval = interval
        self.user = user

    def health(self) -> dict[str, Health]:
        """The state of each component by the name of the command that starts it."""
        parts = self.call("GET", "/monitor/health")
        heartbeats = {
            name: Health(parts[key]["status"], parts[key][f"latest_{key}_heartbeat"])
            for name, key in [
                ("scheduler", "scheduler"),
                ("triggerer", "triggerer"),
                ("dag-processor", "dag_processor"),
            ]
        }
        return {"api-server": Health(parts["metadatabase"]["status"]), **heartbeats}

    def import_errors(self) -> dict[str, str]:
        """The stack trace of each DAG file that could not be imported."""
        answer = self.call("GET", "/importErrors")
        return {error["filename"]: error["stack_trace"] for error in answer["import_errors"]}

    def wait_for_dag(self, dag_id: str, timeout: float = 60) -> None:
        """Wait until a DAG was parsed; fail at once when a file has an import error."""

        def parsed() -> bool:
            if errors := self.import_errors():
                raise RuntimeError("\n".join(f"{file}:\n{trace}" for file, trace in errors.items()))
            return self._get(f"/dags/{dag_id}").status_code == 200

        wait_until(parsed, f"DAG {dag_id} is known to Airflow", timeout)

    def sorted_task_ids(self, dag_id: str) -> list[str]:
        """The tasks of a DAG, each after the ones it waits for."""
        tasks = self.call("GET", f"/dags/{dag_id}/tasks")["tasks"]
        sorter = TopologicalSorter[str]({task["task_id"]: () for task in tasks})
        for task in tasks:
            for downstream in task["downstream_task_ids"]:
                sorter.add(downstream, task["task_id"])
        return list(sorter.static_order())

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run and return its id."""
        body = {"logical_date": None, "conf": conf or {}}
        run_id: str = self.call("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"]
        return run_id

    def run_state(self, dag_id: str, run_id: str) -> str:
        """``queued``, ``running``, ``success`` or ``failed``."""
        state: str = self.call("GET", _run(dag_id, run_id))["state"]
        return state

    def set_run_state(self, dag_id: str, run_id: str, state: str) -> None:
        """Mark a run as ``success`` or ``failed``; what it runs is ended by Airflow."""
        self.call("PATCH", _run(dag_id, run_id), json={"state": state})

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run, as the API gives them: ``task_id``, ``state``, ``try_number``, ..."""
        answer = self.call("GET", f"{_run(dag_id, run_id)}/taskInstances")
        tasks: list[dict[str, Any]] = answer["task_instances"]
        return tasks

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """The state of each task of a run; ``None`` until Airflow schedules it. Not for mapped tasks."""
        return {task["task_id"]: task["state"] for task in self.tasks(dag_id, run_id)}

    def set_task_state(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Mark a task as ``success``, ``failed`` or ``skipped``, as a person does in the UI."""
        self.call("PATCH", _task(dag_id, run_id, task_id), json={"new_state": state})

    def clear(self, dag_id: str, run_id: str, *task_ids: str, downstream: bool = False) -> None:
        """Have tasks of a run done again."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": list(task_ids),
            "only_failed": False,
            "include_downstream": downstream,
        }
        self.call("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)

    def clear_run(self, dag_id: str, run_id: str) -> None:
        """Have all tasks of a run done again."""
        self.call("POST", f"{_run(dag_id, run_id)}/clear", json={"dry_run": False, "only_failed": False})

    def delete(self, dag_id: str, run_id: str | None = None) -> None:
        """Delete what Airflow knows of a run, or of a DAG; it refuses to delete runs that are running."""
        self.call("DELETE", f"/dags/{dag_id}" if run_id is None else _run(dag_id, run_id))

    def pause(self, dag_id: str, paused: bool = True) -> None:
        """Have nothing of a DAG started, or everything again."""
        self.call("PATCH", f"/dags/{dag_id}", json={"is_paused": paused})

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """The value of an XCom entry; ``None`` where there is none."""
        answer = self._get(f"{_task(dag_id, run_id, task_id)}/xcomEntries/{key}")
        if answer.status_code == 404:
            return None
        return _checked(answer).json()["value"]

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1) -> str:
        """The log of one try of a task as plain text."""
        path = f"{_task(dag_id, run_id, task_id)}/logs/{try_number}"
        answer = _checked(self._get(path))
        return "\n".join(_lines(answer.json()["content"]))

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = 120) -> str:
        """Wait for the end of a run and return its state."""

        def ended() -> bool:
            return self.run_state(dag_id, run_id) in TERMINAL_RUN_STATES

        try:
            wait_until(ended, f"run {run_id} of {dag_id} ended", timeout, self.interval)
        except TimeoutError as exc:
            unfinished = [task for task in self.tasks(dag_id, run_id) if task["end_date"] is None]
            logs = "\n".join(self._described(dag_id, run_id, task) for task in unfinished)
            raise TimeoutError(f"{exc}. What has not ended:\n{logs}") from exc
        return self.run_state(dag_id, run_id)

    def _described(self, dag_id: str, run_id: str, task: dict[str, Any], lines: int = 20) -> str:
        """What is known of a task instance, and the end of its log."""
        name = f"{task['task_id']}: {task['state']}, attempt {task['try_number']}, process {task['pid']}"
        try:
            log = self.log(dag_id, run_id, task["task_id"], task["try_number"])
        except requests.HTTPError as exc:
            log = str(exc)
        return "\n".join((name, *log.splitlines()[-lines:]))

    def wait_for_task(self, dag_id: str, run_id: str, task_id: str, *states: str, timeout: float = 120) -> None:
        """Wait until a task is in one of the states."""

        def there() -> bool:
            return self.task_states(dag_id, run_id).get(task_id) in states

        wait_until(there, f"task {task_id} is {' or '.join(states)}", timeout, self.interval)

    def call(self, method: str, path: str, json: dict[str, Any] | None = None) -> Any:
        """Make a call to ``/api/v2`` and return the decoded answer."""
        if method == "GET":
            answer = self._get(path)
        else:
            answer = self._session.request(method, f"{self.url}/api/v2{path}", json=json, timeout=PATIENT_TIMEOUT)
        return answer.json() if _checked(answer).content else None

    def _get(self, path: str) -> requests.Response:
        return _read(self._session, f"{self.url}/api/v2{path}")

    @cached_property
    def token(self) -> str:
        """The token of a session, as a header or the cookie ``_token`` has it."""
        with _local_session() as session:
            if self.user is None:
                answer = _read(session, f"{self.url}/auth/token")
            else:
                name, password = self.user
                body = {"username": name, "password": password}
                answer = session.post(f"{self.url}/auth/token", json=body, timeout=PATIENT_TIMEOUT)
        token: str = _checked(answer).json()["access_token"]
        return token

    @cached_property
    def _session(self) -> requests.Session:
        session = _local_session()
        session.headers.update({"Authorization": f"Bearer {self.token}", "Accept": "application/json"})
        return session


def wait_until(condition: Callable[[], bool], what: str, timeout: float, interval: float = 0.3) -> None:
    """Poll until the condition holds; `TimeoutError` names what did not happen."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Not true after {timeout:.0f} s: {what}")
        time.sleep(interval)


def _local_session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # a proxy for the outside world cannot reach our loopback
    return session


def _read(session: requests.Session, url: str) -> requests.Response:
    """Fetch something, and again if there is no answer in time."""
    for _ in range(READ_ATTEMPTS - 1):
        with suppress(requests.Timeout):
            return session.get(url, timeout=TIMEOUT)
    return session.get(url, timeout=TIMEOUT)


def _run(dag_id: str, run_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"


def _task(dag_id: str, run_id: str, task_id: str) -> str:
    return f"{_run(dag_id, run_id)}/taskInstances/{task_id}"


def _checked(answer: requests.Response) -> requests.Response:
    if not answer.ok:
        call = f"{answer.request.method} {answer.url}"
        raise requests.HTTPError(f"{call}: {answer.status_code} {answer.text[:500]}", response=answer)
    return answer


def _lines(content: list[dict[str, Any]]) -> Iterator[str]:
    """The lines of a structured log: time, level, message, and the stack trace of an error."""
    for entry in content:
        yield " ".join(str(entry[key]) for key in ("timestamp", "level", "event") if entry.get(key))
        for error in entry.get("error_detail") or ():
            yield f"{error['exc_type']}: {error['exc_value']}"
