"""How the tasks of a window hang together, and what the first and the last of them decide."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, TaskGroup

from tests.support import TOKEN, ScriptedServer, TaskInstance, connect, pool, run_task
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.operators.windows import CheckWindowOperator, WindowResultOperator
from toloka_airflow.windows import pool_window

HOUR = timedelta(hours=1)
OWN = {"check", "open_training", "open", "wait", "close", "close_training", "result"}


def window_dag(training_id: str | None = "7", **arguments: Any) -> DAG:
    with DAG("dag", schedule=None) as dag:
        before, behind = EmptyOperator(task_id="before"), EmptyOperator(task_id="behind")
        with pool_window(pool_id="21", training_id=training_id, group_id="w", **arguments) as window:
            first, second = EmptyOperator(task_id="first"), EmptyOperator(task_id="second")
            with TaskGroup("nested"):
                EmptyOperator(task_id="third")
            first >> second
        before >> window >> behind
    return dag


def edges(dag: DAG) -> set[str]:
    return {f"{task.label} > {dag.task_dict[below].label}" for task in dag.tasks for below in task.downstream_task_ids}


class TestStructure:
    def test_all_arrows(self) -> None:
        assert edges(window_dag(training_id=None)) == {
            "before > check",
            # It may be skipped, and is why the closing runs when the opening failed, but has succeeded at Toloka.
            "check > open",
            "check > close",
            "open > wait",
            "wait > close",
            "open > close",
            "close > result",
            "result > behind",
            # What is inside needs the open pool, and nothing needs it.
            "open > first",
            "open > third",
            "first > second",
        }

    def test_a_training_is_around_the_pool(self) -> None:
        more = edges(window_dag()) - edges(window_dag(training_id=None))
        assert more == {
            "check > open_training",
            "check > close_training",
            "open_training > open",
            "open_training > close_training",
            "close > close_training",
            "close_training > result",
        }

    def test_setups_and_teardowns(self) -> None:
        dag = window_dag()
        assert {task.label for task in dag.tasks if task.is_setup} == {"check", "open_training", "open"}
        teardowns = {task.label: task for task in dag.tasks if task.is_teardown}
        assert set(teardowns) == {"close", "close_training"}
        # So the waiting decides how the run ends, also when it was marked as failed; and the closing by the result.
        assert not any(task.on_failure_fail_dagrun for task in teardowns.values())

    def test_the_closing_is_persistent_and_needs_no_triggerer(self) -> None:
        dag = window_dag(default_args={"retries": 0, "deferrable": True})
        for name in ("w.close", "w.close_training"):
            task: Any = dag.get_task(name)
            assert (task.retries, task.deferrable) == (20, False)
            assert task.retries * task.retry_delay > timedelta(minutes=15)
        assert (dag.get_task("w.open").retries, dag.get_task("w.wait").retries) == (0, 3)

    def test_clearing_the_wait_opens_and_closes_again(self) -> None:
        relevant = window_dag().get_task("w.wait").get_upstreams_only_setups_and_teardowns()
        assert {task.label for task in relevant} == {"check", "open_training", "open", "close", "close_training"}

    def test_clearing_what_is_inside_opens_nothing(self) -> None:
        assert list(window_dag().get_task("w.second").get_upstreams_only_setups_and_teardowns()) == []

    def test_a_group_can_be_in_a_group_and_there_can_be_two(self) -> None:
        with DAG("dag", schedule=None) as dag, TaskGroup("outer"):
            with pool_window(pool_id="21", group_id="day") as day, pool_window(pool_id="22", group_id="other"):
                pass
            night = pool_window(pool_id="21", group_id="night", closes_at="{{ dag_run.conf.closes_at }}")
            day >> night
        assert "outer.day.result > outer.night.check" not in edges(dag)
        assert dag.get_task("outer.day.result").downstream_task_ids == {"outer.night.check"}
        assert dag.get_task("outer.day.open").downstream_task_ids >= {"outer.day.other.check"}

    def test_its_result_can_be_given_to_a_task(self) -> None:
        with DAG("dag", schedule=None):
            window = pool_window(pool_id="21")
            after = EmptyOperator(task_id="after", doc=str(window.result))
        assert window.result.operator.task_id == "window.result"
        assert after.doc == "{{ task_instance.xcom_pull(task_ids='window.result', dag_id='dag', key='return_value') }}"

    def test_a_broken_block_is_reported_as_it_is(self) -> None:
        with pytest.raises(ZeroDivisionError), DAG("dag", schedule=None), pool_window(pool_id="21"):
            _ = 1 / 0

    @pytest.mark.parametrize("name", ["min_open", "grace"])
    @pytest.mark.parametrize("span", [-HOUR, 60])
    def test_spans_are_checked(self, name: str, span: Any) -> None:
        with DAG("dag", schedule=None), pytest.raises(ValueError, match=f"{name} is"):
            pool_window(pool_id="21", **{name: span})

    def test_expected_reasons_are_checked(self) -> None:
        with DAG("dag", schedule=None), pytest.raises(ValueError, match="expected_reasons is"):
            pool_window(pool_id="21", expected_reasons=["LUNCH"])

    def test_the_last_task_knows_the_others_by_their_ids(self) -> None:
        result: Any = window_dag().get_task("w.result")
        assert (result.check_task_id, result.wait_task_id) == ("w.check", "w.wait")


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1, crowd=CrowdSettings(size=0)) as server:
        connect(monkeypatch, server.url)
        yield server


class EndOfWindow(TaskInstance):
    """The last task instance of a window, which reads what the others left."""

    left: ClassVar[dict[tuple[str, str], Any]] = {
        ("decide", "spent"): 1.5,
        ("watch", "return_value"): {"stopped_by": "until", "progress": {"spent": 2.75}},
    }

    def xcom_pull(self, task_ids: str, key: str = "return_value") -> Any:
        return self.left.get((task_ids, key))


def test_the_result_is_put_together_from_tasks_of_any_name(toloka: EmulatorServer) -> None:
    pool_id = toloka.add_pool()
    operator = WindowResultOperator(
        task_id="result",
        pool_id=pool_id,
        check_task_id="decide",
        wait_task_id="watch",
        toloka_conn_id="toloka_default",
    )
    result = run_task(operator, EndOfWindow()).result
    assert {key: result[key] for key in ("pool_id", "stopped_by", "spent")} == {
        "pool_id": pool_id,
        "stopped_by": "until",
        "spent": 1.25,
    }


def test_a_pool_in_a_state_that_is_not_known_is_no_result(server: ScriptedServer, connection: str) -> None:
    server.answer("GET", "/pools/21", json=pool("FROZEN", "EXPIRED"))
    operator = WindowResultOperator(
        task_id="result", pool_id="21", check_task_id="decide", wait_task_id="watch", toloka_conn_id=connection
    )
    with pytest.raises(AirflowFailException, match="The window has no result: pool 21 is in the state 'FROZEN'"):
        run_task(operator, EndOfWindow())


def check(pool_id: str, closes_at: Any, **arguments: Any) -> dict[str, Any]:
    defaults = {"min_open": timedelta(minutes=5), "grace": HOUR, "measure_spending": False}
    operator = CheckWindowOperator(
        task_id="check", pool_id=pool_id, closes_at=closes_at, toloka_conn_id="toloka_default", **defaults | arguments
    )
    return run_task(operator, TaskInstance(task_id="check")).xcoms


def now() -> datetime:
    return datetime.now(UTC)


class TestCheck:
    def test_the_times(self, toloka: EmulatorServer) -> None:
        xcoms = check(toloka.add_pool(), "2030-01-31T18:00:00+01:00")
        del xcoms["toloka_link"]
        assert xcoms == {
            "not_after": "2030-01-31T17:55:00+01:00",
            "closes_at": "2030-01-31T18:00:00+01:00",
            "over_at": "2030-01-31T19:00:00+01:00",
        }

    def test_what_was_spent_before(self, toloka: EmulatorServer) -> None:
        assert check(toloka.add_pool(), now() + HOUR, measure_spending=True)["spent"] == 0

    @pytest.mark.parametrize("left", [-HOUR, timedelta(minutes=4)])
    def test_too_late(self, toloka: EmulatorServer, left: timedelta) -> None:
        pool_id = toloka.add_pool()
        with pytest.raises(
            AirflowSkipException, match=f"Pool {pool_id} was not opened: it is too late, as the window closes at"
        ):
            check(pool_id, now() + left)
        assert toloka.journal.requests("POST") == []

    def test_what_is_open_must_be_closed_however_late_it_is(self, toloka: EmulatorServer) -> None:
        assert check(toloka.add_pool(open=True), now() - HOUR / 2)["closes_at"]

    def test_what_is_being_opened_must_be_closed_however_late_it_is(self, toloka: EmulatorServer) -> None:
        pool_id = toloka.add_pool()
        toloka.progressions.set(Progression(looks=100), type="POOL.OPEN")
        TolokaClient(ClientSettings(TOKEN, base_url=toloka.url)).open_pool(pool_id)
        assert check(pool_id, now() - HOUR / 2)["closes_at"]

    def test_what_toloka_will_reopen_must_be_closed_however_late_it_is(self, toloka: EmulatorServer) -> None:
        pool_id = toloka.add_pool(open=True)
        client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
        operation = client.close_pool_for_update(pool_id)
        assert operation is not None
        client.ensure_success(client.wait_operation(operation, timeout=30, poll_interval=0.05))
        assert check(pool_id, now() - HOUR / 2)["closes_at"]

    def test_what_another_run_opened_is_not_closed(self, toloka: EmulatorServer) -> None:
        pool_id = toloka.add_pool(open=True)
        with pytest.raises(AirflowSkipException, match=r"another run opened pool .* again at"):
            check(pool_id, now() - 2 * HOUR)

    @pytest.mark.parametrize("value", [None, "", "None", "2030-01-31T18:00:00", datetime(2030, 1, 31)])
    def test_it_needs_a_closing_time(self, toloka: EmulatorServer, value: Any) -> None:
        with pytest.raises(ValueError, match="closes_at is"):
            check(toloka.add_pool(), value)
