"""An upload to a Toloka that takes one operation after the other without waiting for any: when results are fetched."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from tests.support import ScriptedServer, TaskInstance, operation, pool, run_task, scripted_server
from toloka_airflow.operators.tasks import CreateTasksOperator

BATCHES = 6


@dataclass
class Script(ScriptedServer):
    """
    Takes tasks, and is done with each operation at its first poll after some number of them was sent.

    Requests must come one after the other.
    """

    done_from: int = 0
    has_more: bool = False
    """Whether there is an operation for whatever comes behind what was sent."""

    def next_answer(self, method: str, path: str) -> dict[str, Any]:
        """Return the answer to the last request."""
        content = self.answer_to(method, path.removeprefix("/api/v1"))
        status = 404 if content is None else 202 if method == "POST" else 200
        body = json.dumps(content or {"code": "DOES_NOT_EXIST", "message": "no"}).encode()
        return {"status": status, "json": None, "body": body, "headers": {}, "drop": False, "held": None}

    def answer_to(self, method: str, path: str) -> Any:
        """Return what is answered; ``None`` if there is no such thing."""
        sent = {parse_qs(seen.query)["operation_id"][0]: seen.body for seen in self.seen if seen.method == "POST"}
        if path == "/pools/21":
            return pool(reason=None)
        if method == "POST":
            return operation("RUNNING", "TASK.BATCH_CREATE", id=list(sent)[-1], details={})
        [found] = re.findall(r"/operations/([^/]+)", path)
        if found not in sent and not (self.has_more and len(sent) == BATCHES):
            return None
        if path.endswith("/log"):
            steps = enumerate(sent[found])
            return [{"success": True, "input": task, "output": {"task_id": f"{found}-{i}"}} for i, task in steps]
        return operation("SUCCESS" if len(sent) >= self.done_from else "RUNNING", "TASK.BATCH_CREATE", id=found)


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
@pytest.mark.parametrize(("done_from", "logs"), [(0, 3), (BATCHES, 0)], ids=["soon", "when all are sent"])
def test_results_are_fetched_while_others_are_sent_if_they_are_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, deferrable: bool, done_from: int, logs: int
) -> None:
    """Of those that take longer, nothing is lost: the source is read once more."""
    with scripted_server(Script(done_from=done_from)) as server:
        connection = json.dumps({"conn_type": "toloka", "host": server.url, "password": "secret"})
        monkeypatch.setenv("AIRFLOW_CONN_TOLOKA_DEFAULT", connection)
        tasks = [{"input_values": {"text": f"text {number}"}} for number in range(2 * BATCHES)]
        ids = tmp_path / "ids.jsonl"
        how: dict[str, Any] = {"deferrable": deferrable, "defer_after": 0, "poll_interval": 0.01}
        operator = CreateTasksOperator(
            task_id="upload", pool_id="21", tasks=tasks, ids_path=str(ids), chunk_size=2, in_flight=1, **how
        )
        outcome = run_task(operator, TaskInstance(task_id="upload"))
        calls = server.calls()
    assert outcome.result["created"] == 2 * BATCHES
    assert bool(outcome.triggers) == deferrable
    rows = [json.loads(line) for line in ids.read_text().splitlines()]
    assert [row["line"] for row in rows] == list(range(1, 2 * BATCHES + 1))
    assert len({row["task_id"] for row in rows}) == 2 * BATCHES
    before_the_last = calls[: len(calls) - calls[::-1].index("POST /tasks")]
    assert calls.count("POST /tasks") == BATCHES
    assert sum(call.endswith("/log") for call in before_the_last) == logs


def test_a_source_that_ends_before_what_is_there_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first batch was not there, so that nothing seemed to be."""
    with scripted_server(Script(has_more=True)) as server:
        connection = json.dumps({"conn_type": "toloka", "host": server.url, "password": "secret"})
        monkeypatch.setenv("AIRFLOW_CONN_TOLOKA_DEFAULT", connection)
        tasks = [{"input_values": {"text": f"text {number}"}} for number in range(2 * BATCHES)]
        operator = CreateTasksOperator(
            task_id="upload", pool_id="21", tasks=tasks, chunk_size=2, in_flight=1, poll_interval=0.01
        )
        with pytest.raises(AirflowFailException, match="is about tasks that came behind these"):
            run_task(operator, TaskInstance(task_id="upload"))
