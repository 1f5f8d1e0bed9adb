"""Overlaps of single tasks: raised, lowered and stopped, once however often the task is tried."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from tests.support import TOKEN, ScriptedServer, connect, run_task
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.operators.overlap import ChangeOverlapOperator
from toloka_airflow.operators.tasks import CreateTasksOperator


class Toloka:
    """An emulator with a pool of six tasks that two people have answered, and what a test asks it."""

    def __init__(self, server: EmulatorServer) -> None:
        self.server = server
        self.client = TolokaClient(ClientSettings(TOKEN, base_url=server.url))
        self.pool_id = server.add_pool(6, overlap=2, open=True)
        server.clock.advance(24 * 3600)
        self.ids = [task.id for task in self.client.list_tasks(self.pool_id)]

    def overlaps(self) -> list[tuple[int | None, int | None]]:
        """Return the overlap of each task, and what remains of it."""
        return [(task.overlap, task.remaining_overlap) for task in self.client.list_tasks(self.pool_id)]

    def change(self, tasks: Any, **arguments: Any) -> dict[str, Any]:
        task = ChangeOverlapOperator(task_id="overlap", pool_id=self.pool_id, tasks=tasks, **arguments)
        result: dict[str, Any] = run_task(task).result
        return result

    def result(self, total: int, already: int = 0, higher: int = 0) -> dict[str, Any]:
        return {"pool_id": self.pool_id, "total": total, "already": already, "higher": higher}

    @property
    def sent(self) -> int:
        return len(self.server.journal.requests("PATCH"))

    @property
    def status(self) -> str:
        return str(self.client.get_pool(self.pool_id).status)


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[Toloka]:
    with EmulatorServer(seed=1, frozen=True) as server:
        server.progressions.set(Progression(seconds=0))
        connect(monkeypatch, server.url)
        yield Toloka(server)


def test_more_answers(toloka: Toloka) -> None:
    assert toloka.overlaps() == [(2, 0)] * 6
    assert toloka.change(toloka.ids[:4], overlap="5") == toloka.result(4)
    assert toloka.overlaps() == [(5, 3)] * 4 + [(2, 0)] * 2
    assert toloka.change(toloka.ids, overlap=5) == toloka.result(6, already=4)
    assert toloka.change(toloka.ids, overlap=5) == toloka.result(6, already=6)
    assert toloka.sent == 6
    assert toloka.status == "CLOSED"


def test_no_more_answers(toloka: Toloka) -> None:
    toloka.change(toloka.ids, overlap=4)
    assert toloka.change(toloka.ids[:2], overlap=0) == toloka.result(2, higher=2)
    assert toloka.change({toloka.ids[2]: 3, toloka.ids[3]: 1}) == toloka.result(2, higher=1)
    assert toloka.overlaps() == [(2, 0), (2, 0), (3, 1), (2, 0), (4, 2), (4, 2)]
    sent = toloka.sent
    again = dict(zip(toloka.ids, (0, 0, 3, 1, 4, 4), strict=True))
    assert toloka.change(again) == toloka.result(6, already=6, higher=3)
    assert toloka.sent == sent


def test_one_without_a_limit(toloka: Toloka) -> None:
    task_id = toloka.ids[0]
    toloka.client.update_task(task_id, {"overlap": None, "infinite_overlap": True})
    assert toloka.change([task_id], overlap=7) == toloka.result(1)
    assert toloka.overlaps()[0] == (7, 5)


@pytest.mark.parametrize("kind", ["rows", "ids file", "table", "labels"])
def test_where_tasks_come_from(toloka: Toloka, tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("tasks.tsv" if kind == "table" else "tasks.jsonl")
    rows: list[dict[str, Any]] = [{"task_id": task_id, "confidence": 0.5} for task_id in toloka.ids[:3]]
    overlap: int | None = 3
    if kind == "ids file":
        added = [{"input_values": {"text": str(number)}, "overlap": 1} for number in range(3)]
        run_task(CreateTasksOperator(task_id="up", pool_id=toloka.pool_id, tasks=added, ids_path=str(path)))
    elif kind == "table":
        path.write_text("task_id\toverlap\tnote\n" + "".join(f"{row['task_id']}\t3\tx\n" for row in rows))
        overlap = None
    elif kind == "labels":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    given: Any = [{**row, "overlap": 3} for row in rows] if kind == "rows" else str(path)
    assert toloka.change(given, overlap=overlap)["total"] == 3
    changed = toloka.overlaps()[-3:] if kind == "ids file" else toloka.overlaps()[:3]
    assert [overlap for overlap, _ in changed] == [3, 3, 3]


class TestOpening:
    def test_it_is_opened_with_the_last(self, toloka: Toloka) -> None:
        assert toloka.change(toloka.ids, overlap=4, open_pool=True) == toloka.result(6)
        assert toloka.status == "OPEN"
        queries = [entry["query"] for entry in toloka.server.journal.requests("PATCH")]
        assert ["open_pool=true" in str(query) or "'open_pool': 'true'" in str(query) for query in queries] == [
            False
        ] * 5 + [True]
        toloka.server.clock.advance(24 * 3600)
        assert (toloka.status, toloka.overlaps()) == ("CLOSED", [(4, 0)] * 6)

    def test_a_further_attempt_does_not_open_it_again(self, toloka: Toloka, capsys: pytest.CaptureFixture[str]) -> None:
        """People have completed it meanwhile, or somebody has closed it."""
        toloka.change(toloka.ids, overlap=4, open_pool=True)
        toloka.client.close_pool(toloka.pool_id)
        toloka.server.clock.advance(60)
        assert toloka.change(toloka.ids, overlap=4, open_pool=True) == toloka.result(6, already=6)
        assert toloka.status == "CLOSED"
        assert f"Pool {toloka.pool_id} was not opened, as no overlap rises" in "".join(
            capsys.readouterr().out.splitlines()
        )

    @pytest.mark.parametrize("after", range(6))
    def test_an_attempt_that_ended_before_is_made_up_for(self, toloka: Toloka, after: int) -> None:
        toloka.server.faults.add("PATCH", "/api/v1/tasks/{id}", skip=after, status=429, payload={"interval": "DAY"})
        with pytest.raises(AirflowException):
            toloka.change(toloka.ids, overlap=4, open_pool=True, in_flight=1)
        assert toloka.status == "CLOSED"
        assert toloka.change(toloka.ids, overlap=4, open_pool=True)["already"] == after
        assert (toloka.status, toloka.overlaps()) == ("OPEN", [(4, 2)] * 6)

    def test_stopping_opens_nothing(self, toloka: Toloka) -> None:
        toloka.change(toloka.ids, overlap=4)
        toloka.change(toloka.ids, overlap=0, open_pool=True)
        assert toloka.status == "CLOSED"


@pytest.mark.parametrize("fault", [{"lost_answer": True}, {"drop": True}, {"status": 503}, {"half_body": True}])
def test_lost_answers(toloka: Toloka, fault: dict[str, Any]) -> None:
    toloka.server.faults.add("PATCH", "/api/v1/tasks/{id}", skip=2, **fault)
    assert toloka.change(toloka.ids, overlap=4) == toloka.result(6)
    assert toloka.overlaps() == [(4, 2)] * 6


def test_nothing_is_changed_if_a_task_is_not_there_or_elsewhere(toloka: Toloka) -> None:
    other = toloka.server.add_pool(1)
    [elsewhere] = toloka.client.list_tasks(other)
    with pytest.raises(
        AirflowFailException, match=f"nothing was sent.*\n  task {elsewhere.id} is in pool {other}\nHelp: "
    ):
        toloka.change([*toloka.ids, elsewhere.id], overlap=4)
    with pytest.raises(AirflowFailException, match="6 of 7 tasks to fetch are done; 1 was refused:\n  nothing: GET"):
        toloka.change([*toloka.ids, "nothing"], overlap=4)
    assert toloka.sent == 0


@pytest.mark.parametrize(
    ("tasks", "overlap", "message"),
    [
        (["a"], None, "item 1: it has no overlap, and the argument overlap gives none"),
        (["a"], "many", "overlap is 'many'; it must be a whole number from 0 to 30000"),
        (["a"], -1, "overlap is -1"),
        (["a"], True, "overlap is True"),
        ([{"task_id": "a", "overlap": 2.5}], 1, "item 1: overlap is 2.5"),
        ([{"id": "a"}], 1, "item 1: it has no task_id"),
        (["a", "a"], 1, "item 2: task_id a is there twice"),
        ("nothing.jsonl", 1, "tasks is '/?nothing.jsonl', and there is no such file"),
    ],
)
@pytest.mark.usefixtures("connection")
def test_what_cannot_be_used(server: ScriptedServer, tasks: Any, overlap: Any, message: str) -> None:
    with pytest.raises(AirflowFailException, match=message):
        run_task(ChangeOverlapOperator(task_id="overlap", pool_id="21", tasks=tasks, overlap=overlap))
    assert server.seen == []
