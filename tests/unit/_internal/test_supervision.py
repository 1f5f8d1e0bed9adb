"""A task whose supervisor was killed alone sends nothing more that changes Toloka."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.execution_time import task_runner

from demo.airflow_api import wait_until
from tests.supervised_tasks import TIMEOUT, Supervisors, Task
from tests.support import TOKEN, ScriptedServer, operation
from toloka_airflow._internal.supervision import ensure_supervised
from toloka_airflow.api.errors import TolokaNotSentError

NOT_SENT = "TolokaNotSentError: Nothing more is sent to Toloka that changes it"


@pytest.fixture(scope="module")
def supervisors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisors]:
    with Supervisors(tmp_path_factory.mktemp("tasks")) as supervisors:
        yield supervisors


def start(supervisors: Supervisors, server: ScriptedServer, code: str) -> Task:
    return supervisors.start(code, {"conn_type": "toloka", "host": server.url, "password": TOKEN})


def await_call(server: ScriptedServer, call: str) -> None:
    wait_until(lambda: call in server.calls(), f"{call} was sent", TIMEOUT, 0.01)


class TestOrphan:
    def test_a_call_is_not_repeated_after_its_pause(self, supervisors: Supervisors, server: ScriptedServer) -> None:
        server.error("POST", "/pools/21/open", 429, "TOO_MANY_REQUESTS", headers={"Retry-After": "2"})
        task = start(supervisors, server, "client.open_pool('21')")
        await_call(server, "POST /pools/21/open")
        task.kill_supervisor()
        assert task.outcome().startswith(NOT_SENT)
        assert server.calls() == ["POST /pools/21/open"]

    def test_nothing_is_created_after_a_search_that_was_answered_late(
        self, supervisors: Supervisors, server: ScriptedServer
    ) -> None:
        answered = threading.Event()
        server.answer("GET", "/projects", json={"items": [], "has_more": False}, held=answered)
        task = start(supervisors, server, "list(client.list_projects()); client.create_project({})")
        await_call(server, "GET /projects")
        task.kill_supervisor()
        answered.set()
        assert task.outcome().startswith(NOT_SENT)
        assert server.calls() == ["GET /projects"]

    @pytest.mark.parametrize("own", ["with_own_session", "without_retries"])
    def test_threads_and_clients_without_retries_send_nothing_either(
        self, supervisors: Supervisors, server: ScriptedServer, own: str
    ) -> None:
        answered = threading.Event()
        server.answer("GET", "/pools/21", json={"id": "21", "project_id": "10", "status": "OPEN"}, held=answered)
        code = f"""
from concurrent.futures import ThreadPoolExecutor
def act():
    own = client.{own}()
    own.get_pool("21")
    own.close_pool("21")
with ThreadPoolExecutor() as pool:
    pool.submit(act).result()
"""
        task = start(supervisors, server, code)
        await_call(server, "GET /pools/21")
        task.kill_supervisor()
        answered.set()
        assert task.outcome().startswith(NOT_SENT)
        assert server.calls("POST") == []

    def test_a_process_that_the_task_has_forked_sends_nothing_when_the_task_is_gone(
        self, supervisors: Supervisors, server: ScriptedServer, tmp_path: Path
    ) -> None:
        answered = threading.Event()
        server.answer("GET", "/pools/21", json={"id": "21", "project_id": "10", "status": "OPEN"}, held=answered)
        code = f"""
import multiprocessing, pathlib
def act():
    try:
        client.get_pool("21")
        client.close_pool("21")
    except Exception as exc:
        pathlib.Path({str(tmp_path / "child")!r}).write_text(repr(exc))
child = multiprocessing.get_context("fork").Process(target=act)
child.start()
child.join()
"""
        task = start(supervisors, server, code)
        await_call(server, "GET /pools/21")
        task.kill()
        answered.set()
        wait_until((tmp_path / "child").exists, "the child has ended", TIMEOUT, 0.01)
        assert "TolokaNotSentError" in (tmp_path / "child").read_text()
        assert server.calls("POST") == []

    def test_a_killed_wait_does_not_close_its_pool_for_the_next_attempt(
        self, supervisors: Supervisors, server: ScriptedServer, tmp_path: Path
    ) -> None:
        """As when all processes of a worker get SIGTERM at once: nobody has ended the wait."""
        answered = threading.Event()
        pool = {"id": "21", "project_id": "10", "status": "OPEN"}
        server.answer("GET", "/pools/21", json=pool, held=answered)
        server.answer("GET", "/pools/21", json=pool, times=10)
        code = f"""
import logging
from toloka_airflow.api.pool_rules import PoolOpening
from toloka_airflow.triggers.close_on_kill import IN_WORKER, CloseOnKill, NewerAttempt, close_in_worker
log = logging.getLogger("close")
log.addHandler(logging.FileHandler({str(tmp_path / "log")!r}))
newer = NewerAttempt(None, log, timeout=0)
close = CloseOnKill("21", PoolOpening(), training_id=None, newer_attempt=newer, limits=IN_WORKER, log=log)
close_in_worker(client, close)
"""
        task = start(supervisors, server, code)
        await_call(server, "GET /pools/21")
        task.kill_supervisor()
        answered.set()
        assert task.outcome() == "done"
        assert server.calls("POST") == []
        assert (tmp_path / "log").read_text().count("Pool 21 was not closed: Nothing more is sent") == 1


class TestSupervised:
    def test_a_task_acts(self, supervisors: Supervisors, server: ScriptedServer) -> None:
        server.error("POST", "/pools/21/open", 429, "TOO_MANY_REQUESTS", headers={"Retry-After": "0"})
        server.answer("POST", "/pools/21/open", 202, operation("SUCCESS"))
        assert start(supervisors, server, "client.open_pool('21')").outcome() == "done"

    def test_so_does_a_process_that_it_has_forked(self, supervisors: Supervisors, server: ScriptedServer) -> None:
        """`multiprocessing` gives it another file in the place of the connection with the supervisor."""
        server.answer("POST", "/pools/21/open", 202, operation("SUCCESS"), times=2)
        code = """
import multiprocessing
child = multiprocessing.get_context("fork").Process(target=client.open_pool, args=("21",))
child.start()
child.join()
client.open_pool("21")
"""
        assert start(supervisors, server, code).outcome() == "done"
        assert len(server.calls("POST")) == 2


class Comms:
    """The part of Airflow's connection with the supervisor that matters."""

    def __init__(self, connection: Any) -> None:
        self.socket = connection


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection, of which the first is that of this process."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Comms(ours), raising=False)
        yield ours, theirs


class TestConnection:
    def test_an_answer_that_nobody_has_read_hides_nothing(self, ends: tuple[socket.socket, socket.socket]) -> None:
        ours, theirs = ends
        theirs.sendall(b"answer")
        ensure_supervised()
        theirs.close()
        with pytest.raises(TolokaNotSentError, match="Airflow tries the task again"):
            ensure_supervised()
        assert ours.recv(100) == b"answer"

    def test_a_thread_that_waits_for_an_answer_gets_it(self, ends: tuple[socket.socket, socket.socket]) -> None:
        ours, theirs = ends
        answers: list[bytes] = []
        reader = threading.Thread(target=lambda: answers.append(ours.recv(100)))
        reader.start()
        for _ in range(1000):
            ensure_supervised()
        theirs.sendall(b"answer")
        reader.join()
        assert answers == [b"answer"]

    def test_one_that_this_process_has_closed(self, ends: tuple[socket.socket, socket.socket]) -> None:
        ends[0].close()
        with pytest.raises(TolokaNotSentError):
            ensure_supervised()

    def test_without_a_supervisor_nothing_is_checked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As in `dag.test()`, and in plain Python."""
        monkeypatch.delattr(task_runner, "SUPERVISOR_COMMS", raising=False)
        ensure_supervised()
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", object(), raising=False)
        ensure_supervised()

    def test_what_is_in_its_place_is_no_reason(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with Path(os.devnull).open() as nothing:
            monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Comms(nothing), raising=False)
            ensure_supervised()
