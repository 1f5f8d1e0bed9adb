"""How the tasks of a `label_until` hang together, and how the group ends, in virtual time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, TaskGroup, task_group

from tests.simulated_troubles import pass_time
from tests.small_airflow import SmallAirflow, Troubles, supervised
from tests.small_airflow_tasks import Run
from tests.support import TOKEN, connect
from tests.virtual_time import VirtualTime, sleep_until
from tests.worlds import POOL, PROJECT
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.label_until import MAX_ROUNDS, label_until
from toloka_airflow.timetables import PoolWindowTimetable
from toloka_airflow.windows import pool_window

START = datetime(2026, 1, 6, tzinfo=UTC)
HOUR = 3600.0
TASKS = 12
ROUND = ["assess", "raise_overlap", "check", "open", "wait", "close", "result"]


def group_dag(**arguments: Any) -> DAG:
    with DAG("dag", schedule=None, default_args=arguments.pop("default_args", {})) as dag:
        before, behind = EmptyOperator(task_id="before"), EmptyOperator(task_id="behind")
        group = label_until(
            pool_id="21", fields=["label"], folder="/tmp/x", group_id="g", **{"max_rounds": 2, **arguments}
        )
        before >> group >> behind
    return dag


def edges(dag: DAG) -> set[str]:
    short = {task.task_id: task.task_id.removeprefix("g.").replace("round_", "") for task in dag.tasks}
    return {f"{short[task.task_id]} > {short[below]}" for task in dag.tasks for below in task.downstream_task_ids}


class TestStructure:
    def test_all_arrows(self) -> None:
        of_windows = {"check > open", "check > close", "open > wait", "wait > close", "open > close", "close > result"}
        within = of_windows | {"assess > raise_overlap", "raise_overlap > check"}
        assert edges(group_dag()) == {
            "before > 1.assess",
            *(
                f"{n}.{' > '.join([arrow.split(' > ')[0], f'{n}.' + arrow.split(' > ')[1]])}"
                for n in (1, 2)
                for arrow in within
            ),
            "1.result > 2.assess",
            "2.result > labels",
            "labels > behind",
            "labels > end",
        }

    def test_only_the_last_task_runs_after_a_stop_and_only_it_is_waited_for(self) -> None:
        dag = group_dag(training_id="7")
        rules = {task.task_id: task.trigger_rule.value for task in dag.tasks if not task.is_teardown}
        assert {name for name, rule in rules.items() if rule != "all_success"} == {"g.labels"}
        assert rules["g.labels"] == "none_failed"
        assert dag.get_task("behind").upstream_task_ids == {"g.labels"}
        assert {task.label for task in dag.tasks if task.is_teardown} == {"close", "close_training", "end"}
        # What a person marks as failed must not end as a success, only because its last tasks are skipped.
        assert [task.label for task in dag.tasks if task.is_teardown and task.on_failure_fail_dagrun] == ["end"]

    def test_what_it_relies_on_is_its_own(self) -> None:
        defaults = {"retries": 1, "trigger_rule": "all_done", "wait_for_completion": False, "queue": "q"}
        dag = group_dag(default_args=defaults)
        for name in ("assess", "raise_overlap"):
            task = dag.get_task(f"g.round_1.{name}")
            assert (task.retries, task.trigger_rule.value, task.queue) == (20, "all_success", "q")
        assert dag.get_task("g.labels").retries == 20

    def test_the_connection_of_the_tasks_around_it_reaches_all_that_have_one(self) -> None:
        dag = group_dag(default_args={"toloka_conn_id": "other"})
        found = {task.label: getattr(task, "toloka_conn_id", "other") for task in dag.tasks}
        assert set(found.values()) == {"other"}
        assert set(ROUND) < found.keys()

    def test_what_a_round_decides_is_what_its_tasks_get(self) -> None:
        dag: Any = group_dag(max_total=5)
        pulled = "{{{{ ti.xcom_pull(task_ids='g.round_2.assess', key='{}', map_indexes=ti.map_index) }}}}"
        assert dag.get_task("g.round_2.raise_overlap").tasks == pulled.format("overlaps")
        assert dag.get_task("g.round_2.check").closes_at == pulled.format("closes_at")
        assert dag.get_task("g.round_2.wait").max_spend == pulled.format("max_spend")
        dag = group_dag()
        assert dag.get_task("g.round_2.wait").max_spend is None

    def test_a_round_of_more_than_a_week_ends_by_its_own_time(self) -> None:
        dag: Any = group_dag(timeout=timedelta(days=10))
        assert dag.get_task("g.round_1.wait").timeout > timedelta(days=10).total_seconds()
        dag = group_dag(default_args={"timeout": timedelta(days=20).total_seconds()})
        assert dag.get_task("g.round_1.wait").timeout == timedelta(days=20).total_seconds()

    def test_it_can_be_in_a_group_and_its_result_be_given_to_a_task(self) -> None:
        dag: Any = DAG("dag", schedule=None)
        with dag, TaskGroup("outer"):
            group: Any = label_until(pool_id="21", fields=["label"], folder="/tmp/x", max_rounds=1)
            plain = label_until(pool_id="22", fields=["label"], folder="/tmp/x", group_id="p", prefix_group_id=False)
            group >> plain
        assert group.result.operator.task_id == "outer.label_until.labels"
        assert "{{ ti.xcom_pull(task_ids='round_1.assess'," in dag.get_task("round_1.raise_overlap").tasks
        assert dag.get_task("round_2.assess").result_task_id in dag.task_dict

    @pytest.mark.parametrize("number", [0, MAX_ROUNDS + 1, "3", True])
    def test_the_number_of_rounds_is_checked(self, number: Any) -> None:
        with DAG("dag", schedule=None), pytest.raises(ValueError, match="max_rounds is"):
            label_until(pool_id="21", fields=["label"], folder="/tmp/x", max_rounds=number)

    @pytest.mark.parametrize(
        ("make", "name", "near"),
        [
            (label_until, "max_budget", ""),
            (label_until, "max_totl", "did you mean 'max_total'"),
            (pool_window, "max_total", ""),
            (pool_window, "parent_grop", "did you mean 'parent_group'"),
        ],
    )
    def test_an_argument_that_there_is_not_is_named_with_those_there_are(
        self, make: Callable[..., Any], name: str, near: str
    ) -> None:
        given = {"fields": ["label"], "folder": "/tmp/x"} if make is label_until else {}
        with DAG("dag", schedule=None) as dag, pytest.raises(TypeError) as caught:
            make(pool_id="21", **given, **{name: 5})
        words = rf"{make.__name__} has no argument '{name}'.*{near}.* There are pool_id, .*closes_at"
        assert re.match(words, str(caught.value))
        assert not dag.tasks

    def test_the_arguments_of_task_groups_are_taken(self) -> None:
        dag = group_dag(tooltip="Labels", prefix_group_id=False, default_args={})
        assert dag.has_task("round_1.assess")

    @pytest.mark.parametrize(
        ("name", "value"),
        [("timeout", timedelta(0)), ("timeout", timedelta(minutes=5)), ("fee", "much"), ("in_flight", 0)],
    )
    def test_arguments_that_are_no_templates_are_checked(self, name: str, value: Any) -> None:
        with DAG("dag", schedule=None), pytest.raises(ValueError, match=f"{name} is"):
            label_until(pool_id="21", fields=["label"], folder="/tmp/x", **{name: value})


class Labelling:
    """Pools with a training, and a DAG that labels them; one run of it, in virtual time."""

    def __init__(self, server: EmulatorServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.client = TolokaClient(ClientSettings(TOKEN, base_url=server.url))

    def add_pool(self, **settings: Any) -> str:
        project_id = self.client.create_project(PROJECT).id
        pool_id = self.client.create_pool({**POOL, "project_id": project_id, **settings}).id
        rows = [{"pool_id": pool_id, "input_values": {"text": f"question {n}"}} for n in range(TASKS)]
        self.client.create_tasks([{**row, "overlap": 2} for row in rows])
        return pool_id

    def run(
        self,
        pools: list[str],
        after_hours: Callable[[], Any] = lambda: None,
        clears: Sequence[float] = (),
        **arguments: Any,
    ) -> Run:
        """
        Label the pools, in a mapped group; something happens after two hours.

        :param clears: After how many hours the run is cleared.
        """
        schedule = PoolWindowTimetable(opens="09:00", closes="18:00", days="sun", timezone="UTC")
        with DAG("dag", schedule=schedule, max_active_runs=1, default_args={"retries": 5}) as dag:

            @task_group
            def each(pool_id: str) -> None:
                options: dict[str, Any] = {"target": 1, "sure_at": 0.97, "max_rounds": 3, "in_flight": 1}
                options |= {"timeout": timedelta(hours=5), **arguments}
                label_until(pool_id=pool_id, fields=["answer"], folder=str(self.folder), **options)

            each.expand(pool_id=pools)
        with VirtualTime(self.server, START) as virtual:
            cleared = [virtual.now + hours * HOUR for hours in clears]
            airflow = SmallAirflow(dag, virtual, troubles=Troubles(started=[virtual.now + 1], clears=cleared))

            async def happens() -> None:
                await sleep_until(virtual.now + 2 * HOUR)
                after_hours()

            with supervised(airflow):
                virtual.run(pass_time(virtual.now + 60 * HOUR, [airflow.schedule(), happens()]))
        [run] = airflow.runs
        return run


def states(run: Run, index: int = 0) -> dict[str, list[str | None]]:
    """Return the states of the tasks of a run, round by round, and of the last one."""
    prefix = "each.label_until."
    found = {
        f"round_{number}": [run.states.get((f"{prefix}round_{number}.{name}", index)) for name in ROUND]
        for number in (1, 2, 3)
    }
    return {**found, "labels": [run.states[f"{prefix}labels", index]]}


DONE, SKIPPED = ["success"] * 7, ["skipped"] * 7


@pytest.fixture
def labelling(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Labelling]:
    crowd = CrowdSettings(size=20, accuracy=(0.55, 0.9), skip_rate=0, expire_rate=0)
    start = START.replace(tzinfo=None).isoformat()
    with EmulatorServer(seed=1, frozen=True, start=start, quotas=False, crowd=crowd) as server:
        connect(monkeypatch, server.url)
        yield Labelling(server, tmp_path)


def test_each_pool_of_a_mapped_group_has_its_own_rounds(labelling: Labelling) -> None:
    pools = [labelling.add_pool() for _ in range(2)]
    # So sure is nobody: what ends is the number of rounds.
    run = labelling.run(pools, max_total=100, sure_at=0.999)
    assert [states(run, index) for index in (0, 1)] == [
        {"round_1": DONE, "round_2": DONE, "round_3": DONE, "labels": ["success"]}
    ] * 2
    results = [run.xcoms["each.label_until.labels", index]["return_value"] for index in (0, 1)]
    assert [(result["pool_id"], result["stopped_by"], result["rounds"]) for result in results] == [
        (pool_id, "rounds", 3) for pool_id in pools
    ]
    for pool_id in pools:
        opened = [each for each in labelling.server.journal.events("pool.opened") if each["pool_id"] == pool_id]
        assert len(opened) == 3
    folders = list(labelling.folder.glob("rounds-*"))
    assert len(folders) == 2


def test_the_rounds_that_are_not_needed_are_skipped(labelling: Labelling) -> None:
    labelling.server.crowd.change(accuracy=(1, 1))
    run = labelling.run([labelling.add_pool()], target=0.9, sure_at=0.8)
    assert states(run) == {"round_1": DONE, "round_2": SKIPPED, "round_3": SKIPPED, "labels": ["success"]}
    assert run.states["each.label_until.end", 0] == "success"
    result = run.xcoms["each.label_until.labels", 0]["return_value"]
    assert (result["stopped_by"], result["rounds"], result["tasks"]) == ("target", 1, TASKS)
    rows = [json.loads(line) for line in Path(result["path"]).read_text().splitlines()]
    assert len(rows) == result["labels"] == TASKS


def test_a_round_whose_time_is_up_is_the_last(labelling: Labelling) -> None:
    labelling.server.crowd.change(size=1)
    run = labelling.run([pool_id := labelling.add_pool()])
    assert states(run) == {"round_1": DONE, "round_2": SKIPPED, "round_3": SKIPPED, "labels": ["success"]}
    result = run.xcoms["each.label_until.labels", 0]["return_value"]
    assert (result["stopped_by"], result["sure"]) == ("time", 0)
    assert labelling.server.pool(pool_id)["status"] == "CLOSED"


def test_a_run_that_is_cleared_in_a_round_decides_nothing_anew(
    labelling: Labelling, capsys: pytest.CaptureFixture[str]
) -> None:
    labelling.server.crowd.change(size=0)
    pool_id = labelling.add_pool()

    def people_come() -> None:
        labelling.server.crowd.change(size=20)

    def decided() -> list[dict[str, Any]]:
        files = labelling.folder.glob("rounds-*/round_1.decision.json")
        return [{**json.loads(file.read_text()), "modified": file.stat().st_mtime_ns} for file in files]

    before: list[dict[str, Any]] = []
    run = labelling.run([pool_id], lambda: (before.extend(decided()), people_come()), clears=[1], max_total=3)
    assert "Round 1 was decided before, and is not decided anew" in "".join(capsys.readouterr())
    assert decided() == before
    assert len(before) == 1
    assert states(run) == {"round_1": DONE, "round_2": DONE, "round_3": DONE, "labels": ["success"]}
    result = run.xcoms["each.label_until.labels", 0]["return_value"]
    assert (result["stopped_by"], result["rounds"]) == ("rounds", 3)
    assert 0 < result["spent"] <= 3
    assert labelling.server.pool(pool_id)["status"] == "CLOSED"


def test_a_round_that_fails_fails_the_group_and_leaves_all_closed(labelling: Labelling) -> None:
    known = [{"output_values": {"label": "yes"}}]
    hint = {"tasks": [{"input_values": {"text": "?"}, "known_solutions": known}]}
    [training_id] = labelling.server.load({"projects": [{"trainings": [hint]}]})["trainings"]
    pool_id = labelling.add_pool()
    labelling.server.crowd.change(size=0)

    def spend_all() -> None:
        labelling.server.set_balance(0)
        labelling.server.crowd.change(size=20)

    run = labelling.run([pool_id], spend_all, training_id=training_id)
    failed = dict(zip(ROUND, states(run)["round_1"], strict=True))
    assert (failed["wait"], failed["close"], failed["result"]) == ("failed", "success", "failed")
    assert states(run)["labels"] == ["upstream_failed"]
    assert run.states["each.label_until.end", 0] == "failed"
    assert not {"success", "skipped"} & set(states(run)["round_2"])
    assert [labelling.server.pool(each)["status"] for each in (pool_id, training_id)] == ["CLOSED", "CLOSED"]
