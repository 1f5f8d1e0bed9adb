"""How the tasks of a window hang together, and what the first and the last of them decide."""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any, ClassVar

import airflow.sdk
import jinja2
import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    BaseOperator,
)
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, TaskGroup, task_group
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import GetConnection, TaskStatesResult
from airflow.timetables.assets import AssetOrTimeSchedule

from tests.support import (
    NO_ANSWERS,
    NO_OPERATIONS,
    ONE_ANSWER,
    TOKEN,
    ScriptedServer,
    TaskInstance,
    connect,
    connection_result,
    pool,
    run_task,
)
from toloka_airflow import operators, sensors
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.operators.window_teardowns import CloseWindowPoolOperator
from toloka_airflow.operators.windows import CheckWindowOperator, OpenWindowPoolOperator, WindowResultOperator
from toloka_airflow.timetables import PoolWindowTimetable
from toloka_airflow.windows import INHERITED, OF_OPENING, pool_window

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
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

    def test_a_training_is_opened_and_closed_after_the_pool(self) -> None:
        more = edges(window_dag()) - edges(window_dag(training_id=None))
        assert more == {
            "check > close_training",
            # Another window that shares the training, and closes it, then finds that the pool is open.
            "open > open_training",
            "open_training > wait",
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

    def test_intervals_may_be_timedeltas(self) -> None:
        spans = {"poll_interval": timedelta(minutes=2), "progress_interval": timedelta(minutes=5)}
        with DAG("dag", schedule=None, default_args={"exponential_backoff": True, "max_wait": 60}) as dag:
            pool_window(pool_id="21", **spans)
        wait: Any = dag.get_task("window.wait")
        assert (wait.poke_interval, wait.progress_interval) == (120, 300)
        assert not wait.exponential_backoff

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
        ("decide", "began_at"): "2026-01-05T09:00:00+00:00",
        ("decide", "spent"): 1.5,
        ("decide", "over_at"): "2030-01-31T18:15:00+01:00",
        ("decide", "committed"): 0.5,
        ("watch", "return_value"): {"stopped_by": "until", "progress": {"spent": 2.75, "committed": 0.2}},
    }

    def xcom_pull(self, task_ids: str, key: str = "return_value", *, map_indexes: int) -> Any:
        return self.left.get((task_ids, key))


COST = "It cost 1.25 for accepted assignments, and -0.3 for those not yet decided"
ENDS: dict[str, Any] = {
    "check_task_id": "decide",
    "open_task_id": "begin",
    "wait_task_id": "watch",
    "toloka_conn_id": "toloka_default",
}


def result_task(pool_id: str) -> WindowResultOperator:
    return WindowResultOperator(task_id="result", pool_id=pool_id, **ENDS)


def test_the_closing_logs_how_the_window_ended(toloka: EmulatorServer, capsys: pytest.CaptureFixture[str]) -> None:
    pool_id = toloka.add_pool(open=True)
    toloka.progressions.set(Progression(seconds=0))
    close = CloseWindowPoolOperator(
        task_id="close", pool_id=pool_id, closes_at="2030-01-31T18:00:00+01:00", grace=HOUR, deferrable=False, **ENDS
    )
    assert run_task(close, EndOfWindow()).result
    assert toloka.pool(pool_id)["status"] == "CLOSED"
    words = f"The window of pool {pool_id} has ended: the time was up (stopped_by is until). {COST}"
    assert words in capsys.readouterr().out


class Unmeasured(EndOfWindow):
    """The same of a window that measured nothing."""

    left: ClassVar[dict[tuple[str, str], Any]] = {("watch", "return_value"): {"stopped_by": "closed"}}


def test_what_was_not_measured_is_not_known(toloka: EmulatorServer, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_task(result_task(toloka.add_pool()), Unmeasured()).result
    assert (result["stopped_by"], result["spent"], result["committed"]) == ("closed", None, None)
    assert "What it cost is not known; it is measured with max_spend or progress" in capsys.readouterr().out


def test_the_result_is_put_together_from_tasks_of_any_name(
    toloka: EmulatorServer, capsys: pytest.CaptureFixture[str]
) -> None:
    pool_id = toloka.add_pool()
    result = run_task(result_task(pool_id), EndOfWindow()).result
    assert {key: result[key] for key in ("pool_id", "stopped_by", "spent", "committed", "has_answers")} == {
        "pool_id": pool_id,
        "stopped_by": "until",
        "spent": 1.25,
        "committed": -0.3,
        "has_answers": False,
    }
    logged = capsys.readouterr().out
    assert f"The window of pool {pool_id} has ended: the time was up (stopped_by is until). {COST}" in logged
    assert f"Pool {pool_id} got no answers at all since 2026-01-05 09:00:00+00:00" in logged


def test_a_pool_in_a_state_that_is_not_known_is_no_result(server: ScriptedServer, connection: str) -> None:
    server.answer("GET", "/pools/21", json=pool("FROZEN", "EXPIRED"))
    with pytest.raises(AirflowFailException, match="The window has no result: pool 21 is in the state 'FROZEN'"):
        run_task(result_task("21"), EndOfWindow())


def test_a_window_has_not_ended_before_its_pool_is_closed(toloka: EmulatorServer) -> None:
    pool_id = toloka.add_pool(open=True)
    with pytest.raises(AirflowFailException, match=f"pool {pool_id} is not closed: it is OPEN by now, opened at"):
        run_task(result_task(pool_id), EndOfWindow())


def test_a_window_has_ended_when_another_run_has_opened_its_pool(server: ScriptedServer, connection: str) -> None:
    server.default("GET", "/assignments", NO_ANSWERS)
    server.answer("GET", "/pools/21", json=pool("OPEN", "MANUAL", last_started="2030-02-01T09:00:00.000"))
    assert run_task(result_task("21"), EndOfWindow()).result["stopped_by"] == "until"
    [asked] = [seen.query for seen in server.seen if seen.path.endswith("/assignments")]
    assert "submitted_lt=2030-01-31T17%3A15%3A00" in asked, "answers after the window are those of another one"


class TestAPersonEndsTheWait:
    """It has no result then, but a state."""

    def result(
        self, monkeypatch: pytest.MonkeyPatch, toloka: EmulatorServer, left: Any = None, **states: str | None
    ) -> Any:
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", States(manual__1=states), raising=False)
        ended = EndOfWindow()
        ended.left = left or {}  # type: ignore[misc]
        return run_task(result_task(toloka.add_pool()), ended).result

    @pytest.mark.parametrize("state", ["success", "skipped"])
    def test_by_hand(self, monkeypatch: pytest.MonkeyPatch, toloka: EmulatorServer, state: str) -> None:
        assert self.result(monkeypatch, toloka, begin="success", watch=state)["stopped_by"] == "person"

    def test_it_was_not_opened(self, monkeypatch: pytest.MonkeyPatch, toloka: EmulatorServer) -> None:
        with pytest.raises(AirflowSkipException, match="The window was not opened, the log of the task begin says why"):
            self.result(monkeypatch, toloka, begin="skipped", watch="skipped")

    def test_it_was_not_opened_as_too_little_was_left(
        self, monkeypatch: pytest.MonkeyPatch, toloka: EmulatorServer
    ) -> None:
        times = {"not_after": "2030-01-31T17:55:00+01:00", "closes_at": "2030-01-31T18:00:00+01:00"}
        left = {("decide", name): value for name, value in {**times, "min_open": "0:05:00"}.items()}
        why = "after 2030-01-31T17:55:00+01:00, as 0:05:00 must be left until 2030-01-31T18:00:00+01:00 (min_open)"
        with pytest.raises(AirflowSkipException, match=re.escape(why)):
            self.result(monkeypatch, toloka, left, begin="skipped", watch="skipped")

    def test_it_failed(self, monkeypatch: pytest.MonkeyPatch, toloka: EmulatorServer) -> None:
        with pytest.raises(AirflowFailException, match="the task watch is failed"):
            self.result(monkeypatch, toloka, begin="success", watch="failed")


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
        assert abs(datetime.fromisoformat(xcoms.pop("began_at")) - now()) < HOUR
        assert xcoms == {
            "not_after": "2030-01-31T17:55:00+01:00",
            "closes_at": "2030-01-31T18:00:00+01:00",
            "over_at": "2030-01-31T19:00:00+01:00",
            "min_open": "0:05:00",
        }

    def test_what_was_spent_before(self, toloka: EmulatorServer) -> None:
        xcoms = check(toloka.add_pool(), now() + HOUR, measure_spending=True)
        assert [xcoms[key] for key in ("spent", "committed", "spent_before")] == [0, 0, 0]

    def test_it_begins_by_the_clock_of_toloka(self, toloka: EmulatorServer) -> None:
        toloka.clock.advance(5 * 3600)
        began = datetime.fromisoformat(check(toloka.add_pool(), now() + 24 * HOUR)["began_at"])
        assert abs(began - now() - 5 * HOUR) < HOUR

    def test_a_window_that_is_over_by_the_clock_of_toloka_is_not_opened(self, toloka: EmulatorServer) -> None:
        pool_id = toloka.add_pool()
        toloka.clock.advance(7200)
        there, here = (now() + 2 * HOUR).strftime("%Y-%m-%dT%H:"), now().strftime("%Y-%m-%dT%H:")
        with pytest.raises(AirflowFailException, match=f"Toloka's clock. It shows {there}.* of this worker {here}"):
            check(pool_id, now() + HOUR)
        assert toloka.journal.requests("POST") == []

    def test_what_is_open_is_closed_whatever_the_clocks_show(self, toloka: EmulatorServer) -> None:
        pool_id = toloka.add_pool(open=True)
        toloka.clock.advance(7200)
        assert check(pool_id, now() + HOUR)["closes_at"]

    @pytest.mark.parametrize("left", [-HOUR, timedelta(minutes=4)])
    def test_too_late(self, toloka: EmulatorServer, left: timedelta) -> None:
        pool_id, closes_at = toloka.add_pool(), now() + left
        why = f"it is too late, as the window closes at {closes_at} and 0:05:00 of it must be left (min_open)"
        with pytest.raises(AirflowSkipException, match=re.escape(f"Pool {pool_id} was not opened: {why}")):
            check(pool_id, closes_at)
        assert toloka.journal.requests("POST") == []

    def test_what_is_open_must_be_closed_however_late_it_is(
        self, toloka: EmulatorServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert check(toloka.add_pool(open=True), now() - HOUR / 2)["closes_at"]
        assert "although less than 0:05:00 (min_open) is left until" in capsys.readouterr().out

    def test_what_became_too_late_after_the_check_names_what_must_be_left(self, toloka: EmulatorServer) -> None:
        late = {"pool_id": toloka.add_pool(), "not_after": now() - HOUR, "min_open": HOUR / 2}
        why = "it is too late, not_after, which is closes_at less min_open (0:30:00), is "
        with pytest.raises(AirflowSkipException, match=re.escape(why)):
            run_task(OpenWindowPoolOperator(task_id="open", check_task_id="decide", **late))
        assert toloka.journal.requests("POST") == []

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


class Unwanted:
    """What no task can do with; equal to nothing but itself."""


def classes() -> set[type[BaseOperator]]:
    """Return all operators and sensors of this package, and what of Airflow's they are derived from."""
    modules = [sensors, *(import_module(f"{operators.__name__}.{each.name}") for each in pkgutil.iter_modules(PATH))]
    own = {value for module in modules for value in vars(module).values() if inspect.isclass(value)}
    return {
        cls
        for value in own
        if issubclass(value, BaseOperator)
        for cls in value.__mro__
        if issubclass(cls, BaseOperator)
    }


PATH = operators.__path__
VARIADIC = inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL
ARGUMENTS = {
    name
    for cls in classes()
    for name, parameter in inspect.signature(cls.__init__).parameters.items()
    if name != "self" and parameter.kind not in VARIADIC
}


def attributes(dag: DAG) -> dict[str, dict[str, Any]]:
    """Return what the tasks of a window are, but for what they hang together with."""
    volatile = {"_dag", "task_group", "_BaseOperator__init_kwargs", "params", "_began"}
    return {
        task.label: {name: value for name, value in vars(task).items() if name not in volatile}
        for task in dag.task_group.children["w"]  # type: ignore[attr-defined]
        if task.label in OWN
    }


def differences(dag: DAG, other: DAG) -> set[tuple[str, str]]:
    """Return in which attributes tasks of two windows differ."""
    pairs = {name: (found, attributes(other)[name]) for name, found in attributes(dag).items()}
    return {(name, key) for name, (a, b) in pairs.items() for key in a.keys() | b.keys() if a.get(key) != b.get(key)}


class TestDefaultArgs:
    """What is in the ``default_args`` of a DAG for its other tasks."""

    def differences(self, **default_args: Any) -> set[tuple[str, str]]:
        """Return what is different in a window, by task and attribute, because of these."""
        return differences(self.dag(**default_args), self.dag())

    def dag(self, **default_args: Any) -> DAG:
        with DAG("dag", schedule=None, default_args=default_args) as dag:
            pool_window(pool_id="21", training_id="7", group_id="w")
        return dag

    # Airflow itself adds params to those of the DAG, and cannot do with default_args in default_args.
    OTHERS = ARGUMENTS - INHERITED - OF_OPENING - {"timeout", "toloka_conn_id", "params", "default_args"}

    @pytest.mark.parametrize("name", sorted(OTHERS))
    def test_does_not_reach_a_window(self, name: str) -> None:
        assert self.differences(**{name: Unwanted()}) == set()

    def test_all_that_does_is_an_argument(self) -> None:
        young = {"retry_policy"}  # since Airflow 3.3
        assert ARGUMENTS | young >= INHERITED | OF_OPENING
        assert {"wait_for_completion", "depends_on_past", "soft_fail", "trigger_rule", "pre_execute"} <= ARGUMENTS

    @pytest.mark.parametrize(
        ("default_args", "tasks"),
        [
            ({"retries": 200, "retry_delay": HOUR}, {"check", "open", "open_training", "result"}),
            ({"retry_exponential_backoff": True}, {"open", "open_training"}),
            ({"max_retry_delay": HOUR}, {"open", "open_training"}),
            ({"execution_timeout": HOUR}, {"open", "open_training"}),
            ({"deferrable": True}, {"open", "open_training"}),
            ({"timeout": 60}, {"wait"}),
        ],
    )
    def test_reaches_only(self, default_args: dict[str, Any], tasks: set[str]) -> None:
        found = self.differences(**default_args)
        assert {task for task, _ in found} == tasks
        assert {attribute for _, attribute in found} == set(default_args)

    def test_the_connection_of_the_tasks_around_it_reaches_all(self) -> None:
        found = self.differences(toloka_conn_id="other")
        assert found == {(task, "toloka_conn_id") for task in OWN}
        assert {getattr(task, "toloka_conn_id", None) for task in self.dag(toloka_conn_id="other").tasks} == {"other"}

    def test_the_connection_of_the_nearest_group_counts_and_before_it_one_that_is_given(self) -> None:
        with DAG("dag", schedule=None, default_args={"toloka_conn_id": "of_dag"}) as dag:
            with TaskGroup("outer", default_args={"toloka_conn_id": "of_outer"}):
                pool_window(pool_id="21", group_id="a")
                pool_window(pool_id="21", group_id="b", default_args={"toloka_conn_id": "of_group"})
            pool_window(pool_id="21", group_id="c", toloka_conn_id="given")
            pool_window(pool_id="21", group_id="d")
        found = {(task.task_id.split(".")[-2], getattr(task, "toloka_conn_id", None)) for task in dag.tasks}
        assert found == {("a", "of_outer"), ("b", "of_group"), ("c", "given"), ("d", "of_dag")}

    def test_a_window_of_more_than_a_week_ends_by_its_own_time(self) -> None:
        wait: Any = self.dag().get_task("w.wait")
        assert wait.timeout >= timedelta(days=366).total_seconds()
        assert self.dag(timeout=60.0).get_task("w.wait").timeout == 60  # type: ignore[attr-defined]

    def test_whom_it_concerns_and_where_it_runs_reaches_all(self) -> None:
        given = {
            **dict.fromkeys(("doc", "doc_md", "logger_name", "map_index_template", "queue", "pool", "owner"), "mine"),
            **dict.fromkeys(("pool_slots", "priority_weight"), 2),
            **dict.fromkeys(("start_date", "end_date"), datetime(2030, 1, 31, tzinfo=UTC)),
            "executor_config": {"a": 1},
            "run_as_user": "me",
            "weight_rule": "upstream",
            **{f"on_{end}_callback": [print] for end in ("failure", "success", "retry", "skipped", "execute")},
        }
        assert set(given) <= INHERITED
        assert self.differences(**given) == {
            (task, name.replace("logger", "_logger")) for task in OWN for name in given
        }

    @pytest.mark.parametrize("arguments", [{}, {"retries": 0}, {"retries": 3, "retry_exponential_backoff": True}])
    def test_the_first_and_the_last_are_tried_for_twenty_minutes(self, arguments: dict[str, Any]) -> None:
        dag = self.dag(**arguments)
        for name in ("w.check", "w.result"):
            task: Any = dag.get_task(name)
            assert (task.retries, task.retry_delay, bool(task.retry_exponential_backoff)) == (20, 60 * SECOND, False)

    def test_or_for_longer(self) -> None:
        task: Any = self.dag(retries=100, retry_delay=300 * SECOND).get_task("w.check")
        assert (task.retries, task.retry_delay) == (100, 300 * SECOND)

    def test_a_closing_that_fails_is_no_success(self, toloka: EmulatorServer) -> None:
        broken = {"code": "INTERNAL_ERROR", "message": "not now"}
        toloka.progressions.set(Progression(seconds=0, fail=broken), type="POOL.CLOSE")
        with DAG("dag", schedule=None, default_args={"wait_for_completion": False}) as dag:
            pool_window(pool_id=toloka.add_pool(open=True), closes_at=now() + HOUR, group_id="w")
        with pytest.raises(AirflowException, match="not now"):
            Run(dag).do("w.close")


@dataclass
class InGroup(TaskInstance):
    """A task instance of a run, mapped or not, which pulls XComs as Airflow does."""

    stored: dict[tuple[str, int, str], Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.stored[self.task_id, self.map_index, key] = value

    def xcom_pull(self, task_ids: str, key: str = "return_value", *, map_indexes: int | None = None) -> Any:
        if map_indexes is not None:
            return self.stored.get((task_ids, map_indexes, key))
        values = [value for (task_id, _, name), value in self.stored.items() if (task_id, name) == (task_ids, key)]
        return values[0] if len(values) == 1 else values


@dataclass
class Run:
    """A run of a DAG, started without a date, of which tasks are run one by one."""

    dag: DAG
    stored: dict[tuple[str, int, str], Any] = field(default_factory=dict)
    began: datetime = field(default_factory=lambda: now() - SECOND)
    facts: dict[str, Any] = field(default_factory=dict)

    def do(self, task_id: str, map_index: int = -1) -> Any:
        """Run a task, and return its result."""
        task = self.dag.get_task(task_id).prepare_for_execution()
        instance = InGroup("dag", "manual__1", task_id, map_index, stored=self.stored)
        facts = {"dag_run": SimpleNamespace(run_after=self.began, start_date=self.began), **self.facts}
        task.render_template_fields({"ti": instance, **facts}, self.dag.get_template_env())
        result = run_task(task, instance, **facts).result
        instance.xcom_push("return_value", result)
        return result


class TestMapped:
    """Windows in a mapped task group, for one element and many."""

    TASKS = "check", "open", "wait", "close", "result"

    @pytest.fixture(autouse=True)
    def _at_once(self, toloka: EmulatorServer) -> None:
        toloka.progressions.set(Progression(seconds=0))

    def run(self, pools: list[str], closes_at: Any) -> Run:
        with DAG("dag", schedule=None) as dag:

            @task_group
            def each(pool_id: str) -> None:
                pool_window(pool_id=pool_id, closes_at=closes_at, group_id="w", poll_interval=0.01)

            each.expand(pool_id=pools)
        return Run(dag)

    @pytest.mark.parametrize("number", [1, 2, 3])
    def test_each_has_its_own_times(self, toloka: EmulatorServer, number: int) -> None:
        pools = [toloka.add_pool(open=True) for _ in range(number)]
        run = self.run(pools, now() - HOUR / 60)
        for name in self.TASKS:
            results = [run.do(f"each.w.{name}", index) for index in range(number)]
        assert [result["pool_id"] for result in results] == pools
        assert {(result["status"], result["stopped_by"]) for result in results} == {("CLOSED", "until")}

    def test_the_checks_end_at_different_times(self, toloka: EmulatorServer) -> None:
        pools = [toloka.add_pool(open=True), toloka.add_pool(open=True)]
        run = self.run(pools, now() - HOUR / 60)
        run.do("each.w.check", 0)
        run.do("each.w.open", 0)
        run.do("each.w.check", 1)
        for name in self.TASKS[2:]:
            run.do(f"each.w.{name}", 0)
        assert [toloka.pool(pool_id)["status"] for pool_id in pools] == ["CLOSED", "OPEN"]

    def test_a_pool_that_need_not_be_closed_is_skipped(self, toloka: EmulatorServer) -> None:
        run = self.run([toloka.add_pool(), toloka.add_pool(open=True)], now() - HOUR / 60)
        with pytest.raises(AirflowSkipException, match="it is too late"):
            run.do("each.w.check", 0)
        for name in self.TASKS:
            result = run.do(f"each.w.{name}", 1)
        assert result["status"] == "CLOSED"


class TestResult:
    @pytest.mark.parametrize(
        ("status", "opens", "known"),
        [("CLOSED", "08:00", True), ("CLOSED", "20:00", False), ("OPEN", "20:00", False)],
    )
    def test_it_says_nothing_of_another_opening(
        self, server: ScriptedServer, connection: str, status: str, opens: str, known: bool
    ) -> None:
        dates = {"last_started": f"2030-01-31T{opens}:00", "last_stopped": "2030-01-31T18:00:00"}
        server.answer("GET", "/pools/21", json=pool(status, "MANUAL", **dates))
        server.answer("GET", "/assignments", json=ONE_ANSWER)
        with DAG("dag", schedule=None) as dag:
            pool_window(pool_id="21", group_id="w")
        run = Run(dag)
        run.stored["w.check", -1, "over_at"] = "2030-01-31T18:15:00+00:00"
        run.stored["w.wait", -1, "return_value"] = {"stopped_by": "until"}
        result = run.do("w.result")
        told = [result[key] for key in ("opened_at", "closed_at", "close_reason")]
        ends = ["2030-01-31T08:00:00+00:00", "2030-01-31T18:00:00+00:00", "MANUAL"]
        assert told == (ends if known else [None] * 3)
        assert (result["status"], result["stopped_by"]) == (status, "until")


class States:
    """Airflow's side of the line over which a task fetches the states of tasks in all runs."""

    def __init__(self, **runs: dict[str, str | None]) -> None:
        self.runs = runs

    def send(self, msg: Any) -> Any:
        if isinstance(msg, GetConnection):
            return connection_result(msg.conn_id)
        return TaskStatesResult(task_states=self.runs)


class TestTheClosingWithoutItsLimit:
    """What `check` has left is gone, or never was there."""

    @pytest.fixture(autouse=True)
    def _at_once(self, toloka: EmulatorServer) -> None:
        toloka.progressions.set(Progression(seconds=0))

    @pytest.fixture
    def other_runs(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, str | None]]:
        states = States()
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", states, raising=False)
        return states.runs

    def close(self, pool_id: str, closes_at: Any, *, began: datetime | None = None, **arguments: Any) -> str | None:
        with DAG("dag", schedule=None) as dag:
            pool_window(pool_id=pool_id, closes_at=closes_at, group_id="w", **arguments)
        closed: str | None = Run(dag, began=began or now() - HOUR).do("w.close")
        return closed

    def test_it_is_worked_out_anew(self, toloka: EmulatorServer) -> None:
        pool_id = toloka.add_pool(open=True)
        assert self.close(pool_id, "{{ dag_run.run_after.isoformat() }}", began=now() - HOUR) is None
        assert toloka.pool(pool_id)["status"] == "OPEN", "another run opened it, after the window and its grace"
        assert self.close(pool_id, "{{ dag_run.run_after.isoformat() }}", grace=2 * HOUR)
        assert toloka.pool(pool_id)["status"] == "CLOSED"

    @pytest.mark.parametrize("closes_at", ["{{ gone }}", "{{ ti.xcom_pull(task_ids='gone') }}"])
    def test_without_a_closing_time_what_was_opened_in_the_run_is_closed(
        self, toloka: EmulatorServer, other_runs: dict[str, dict[str, str | None]], closes_at: str
    ) -> None:
        pool_id = toloka.add_pool(open=True)
        other_runs["manual__0"] = {"w.check": "success", "w.close": "failed"}
        other_runs["manual__2"] = {"w.check": "skipped", "w.close": None}
        assert self.close(pool_id, closes_at)
        assert toloka.pool(pool_id)["status"] == "CLOSED"

    def test_what_was_opened_before_the_run_is_not_closed(self, toloka: EmulatorServer) -> None:
        pool_id = toloka.add_pool(open=True)
        assert self.close(pool_id, "{{ gone }}", began=now() + HOUR) is None
        assert toloka.pool(pool_id)["status"] == "OPEN"

    @pytest.mark.parametrize("states", [{"w.check": "success"}, {"w.check_3": "success", "w.close_3": "running"}])
    def test_what_another_run_may_have_opened_is_not_closed(
        self, toloka: EmulatorServer, other_runs: dict[str, Any], states: dict[str, str]
    ) -> None:
        pool_id = toloka.add_pool(open=True)
        other_runs["manual__2"] = states
        with pytest.raises(AirflowException, match=r"by this run or by another one \(manual__2\)") as caught:
            self.close(pool_id, "{{ gone }}")
        assert not isinstance(caught.value, AirflowFailException)
        assert toloka.pool(pool_id)["status"] == "OPEN"

    def test_what_is_being_opened_is_closed(
        self, toloka: EmulatorServer, other_runs: dict[str, dict[str, str | None]]
    ) -> None:
        """It does not say yet that it was opened in this run, only that it was closed before."""
        pool_id, client = toloka.add_pool(open=True), TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
        client.close_pool(pool_id)
        began = now()
        toloka.progressions.set(Progression(looks=3), type="POOL.OPEN")
        client.open_pool(pool_id)
        assert self.close(pool_id, "{{ gone }}", began=began)
        assert toloka.pool(pool_id)["status"] == "CLOSED"

    def test_an_xcom_that_cannot_be_read_is_no_reason_to_leave_it_open(self, toloka: EmulatorServer) -> None:
        pool_id = toloka.add_pool(open=True)
        with DAG("dag", schedule=None) as dag:
            pool_window(pool_id=pool_id, closes_at=now() + HOUR, group_id="w")
        run = Run(dag, stored={("w.check", -1, "over_at"): ["2030-01-31T18:00:00+01:00"] * 2})
        assert run.do("w.close")
        assert toloka.pool(pool_id)["status"] == "CLOSED"

    def test_what_is_closed_is_a_success(self, toloka: EmulatorServer) -> None:
        assert self.close(toloka.add_pool(), "{{ gone }}", began=now() + HOUR) is None


AROUND = PoolWindowTimetable(opens="03:00", closes="02:00", days="daily", timezone="UTC")
EVERY_DAY = datetime(2036, 5, 5, 12, tzinfo=UTC)


class TestWithoutADate:
    """Runs of a DAG with a timetable that were started without a date, and so have no data interval."""

    def check(self, schedule: Any, closes_at: str = "{{ data_interval_end }}", **facts: Any) -> str:
        with DAG("dag", schedule=schedule) as dag:
            pool_window(pool_id="21", closes_at=closes_at, group_id="w")
        run = Run(dag, began=EVERY_DAY, facts=facts)
        run.do("w.check")
        found: str = run.stored["w.check", -1, "closes_at"]
        return found

    @pytest.fixture(autouse=True)
    def _pool(self, server: ScriptedServer, connection: str) -> None:
        server.default("GET", "/pools/21", pool())
        server.default("GET", "/operations", NO_OPERATIONS)

    @pytest.mark.parametrize("closes_at", ["{{ data_interval_end }}", "{{ '' or data_interval_end }}"])
    def test_the_timetable_says_when_it_closes(self, closes_at: str) -> None:
        assert self.check(AROUND, closes_at) == "2036-05-06T02:00:00+00:00"

    def test_the_timetable_may_be_one_of_two_ways_to_start(self) -> None:
        schedule = asset_or_time(timetable=AROUND, assets=[Asset("answers")])
        assert self.check(schedule) == "2036-05-06T02:00:00+00:00"

    def test_what_a_run_has_is_taken(self) -> None:
        end = EVERY_DAY + HOUR
        assert self.check(AROUND, data_interval_end=end, data_interval_start=EVERY_DAY) == end.isoformat()

    def test_without_a_timetable_it_is_not_tried_again(self, server: ScriptedServer) -> None:
        with pytest.raises(AirflowFailException, match=r"give .* a PoolWindowTimetable"):
            self.check(None)
        assert server.calls() == []

    def test_another_mistake_in_a_template_is_not_explained_by_that(self) -> None:
        with pytest.raises(jinja2.UndefinedError, match="'closing_time' is undefined"):
            self.check(None, "{{ closing_time }}")

    @pytest.mark.parametrize("length", [0, 24])
    def test_a_data_interval_of_the_past_is_no_window(self, server: ScriptedServer, length: int) -> None:
        start = EVERY_DAY - length * HOUR
        with pytest.raises(AirflowFailException, match="The schedule of the DAG has no windows"):
            self.check(None, data_interval_end=EVERY_DAY, data_interval_start=start)
        assert server.calls() == []


def asset_or_time(**arguments: Any) -> Any:
    """Return what Airflow 3.1 has for the scheduler and for DAGs alike, and newer ones for DAGs."""
    schedule: Any = getattr(airflow.sdk, "AssetOrTimeSchedule", AssetOrTimeSchedule)
    return schedule(**arguments)


class SecondAttempt(TaskInstance):
    """A second attempt to open the pool of a window that was checked a second ago, by Toloka's clock."""

    checked_at = datetime.min

    def xcom_pull(self, task_ids: str, key: str = "return_value", *, map_indexes: int) -> Any:
        return {("decide", "began_at"): self.checked_at.isoformat()}.get((task_ids, key))


@pytest.mark.parametrize(("checked_after", "is_opened"), [(SECOND, True), (-HOUR, False)])
def test_a_further_attempt_knows_what_earlier_windows_of_its_run_have_opened(
    toloka: EmulatorServer, checked_after: timedelta, is_opened: bool
) -> None:
    """Before Airflow 3.3, which keeps nothing from one attempt to the next; so it is in these tests."""
    toloka.progressions.set(Progression(seconds=0))
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
    pool_id = toloka.add_pool()
    client.open_pool(pool_id)
    client.close_pool(pool_id)
    stopped = client.get_pool(pool_id).last_stopped
    assert stopped
    attempt = SecondAttempt(task_id="open", try_number=2, max_tries=1)
    attempt.checked_at = stopped + checked_after
    task = OpenWindowPoolOperator(task_id="open", pool_id=pool_id, min_open=HOUR, check_task_id="decide", retries=1)
    run_task(task, attempt, dag_run=SimpleNamespace(start_date=stopped - 2 * HOUR))
    assert toloka.pool(pool_id)["status"] == ("OPEN" if is_opened else "CLOSED")
