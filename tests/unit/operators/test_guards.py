"""What must hold before a pool is opened, and what never hinders its closing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.triggers.base import BaseTrigger

from tests.support import NO_OPERATIONS, TOKEN, ScriptedServer, TaskInstance, connect, operation, pool, run_task
from toloka_airflow._internal.identity import TAG
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.operators.estimates import EstimateOperator
from toloka_airflow.operators.lifecycle import (
    ClosePoolOperator,
    CloseTrainingOperator,
    OpenPoolOperator,
    OpenTrainingOperator,
)
from toloka_airflow.operators.pools import ClonePoolOperator
from toloka_airflow.sensors import PoolSensor

HOUR = timedelta(hours=1)
NO_TIMES = ["", "None", "tomorrow", "2030-01-31T18:00:00", datetime(2030, 1, 31), 1893456000]


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    """A Toloka where nobody works, and operations are done at once."""
    with EmulatorServer(seed=1, crowd=CrowdSettings(size=0)) as server:
        connect(monkeypatch, server.url)
        server.progressions.set(Progression(seconds=0))
        yield server


@pytest.fixture
def client(toloka: EmulatorServer) -> TolokaClient:
    return TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))


def changes(toloka: EmulatorServer) -> list[str]:
    """Return the calls that change something, without the ids."""
    calls = [*toloka.journal.requests("POST"), *toloka.journal.requests("PUT")]
    return [call["path"].rpartition("/")[2] if call["method"] == "POST" else "PUT" for call in calls]


def opening(pool_id: str, **guards: Any) -> Any:
    return run_task(OpenPoolOperator(task_id="open", pool_id=pool_id, poll_interval=0.01, **guards))


def status(client: TolokaClient, pool_id: str) -> str:
    return client.get_pool(pool_id).status.value


def will_expire(client: TolokaClient, pool_id: str) -> datetime:
    return datetime.fromisoformat(client.get_pool(pool_id).raw["will_expire"]).replace(tzinfo=UTC)


def estimate(result: Any) -> dict[str, Any]:
    """Return a value of analytics as the API answers it."""
    return {"request": {"name": "estimated_assignments_count"}, "result": result}


class TestLate:
    def test_a_pool_is_opened_in_time(self, toloka: EmulatorServer, client: TolokaClient) -> None:
        pool_id = toloka.add_pool()
        assert opening(pool_id, not_after=(now() + HOUR).isoformat()).result
        assert status(client, pool_id) == "OPEN"

    def test_a_late_task_is_skipped_and_changes_nothing(self, toloka: EmulatorServer) -> None:
        pool_id = toloka.add_pool()
        late = {"not_after": now() - HOUR, "will_expire": now() + HOUR, "min_balance": 5000, "check_budget": True}
        with pytest.raises(AirflowSkipException, match=f"Pool {pool_id} was not opened: it is too late, not_after is"):
            opening(pool_id, **late)
        assert changes(toloka) == []

    @pytest.mark.parametrize("noun", ["pool", "training"])
    def test_what_is_too_late_by_the_clock_of_toloka_only_fails(
        self, server: ScriptedServer, connection: str, noun: str
    ) -> None:
        """Not skipped: nobody would look for the clock that is wrong."""
        server.date = "Wed, 01 Jan 2098 12:00:00 GMT"
        server.default("GET", "/operations", NO_OPERATIONS)
        server.default("GET", f"/{noun}s/21", pool("CLOSED", None))
        operator = OpenPoolOperator if noun == "pool" else OpenTrainingOperator
        task = operator(task_id="open", not_after=now() + HOUR, **{f"{noun}_id": "21"})
        with pytest.raises(AirflowFailException, match=r"21 was not opened: not_after is .*shows 2098-01-01T12:00:0"):
            run_task(task)
        assert server.calls("POST") == []

    def test_what_is_open_already_is_a_success(self, toloka: EmulatorServer, client: TolokaClient) -> None:
        pool_id = toloka.add_pool(open=True)
        assert opening(pool_id, not_after=now() - HOUR, min_balance=5000).result is None
        assert status(client, pool_id) == "OPEN"

    def test_an_opening_under_way_is_waited_for(self, toloka: EmulatorServer, client: TolokaClient) -> None:
        pool_id = toloka.add_pool()
        toloka.progressions.set(Progression(looks=3), type="POOL.OPEN")
        operation = client.open_pool(pool_id)
        assert operation is not None
        assert opening(pool_id, not_after=now() - HOUR).result == operation.id

    def test_a_training(self, toloka: EmulatorServer, client: TolokaClient) -> None:
        training_id = add_training(client, toloka.add_pool())
        operator = OpenTrainingOperator(task_id="open", training_id=training_id, not_after=now() - HOUR)
        with pytest.raises(AirflowSkipException, match=f"Training {training_id} was not opened"):
            run_task(operator)
        operation = client.open_training(training_id)
        assert operation is not None
        assert run_task(operator).result is None

    @pytest.mark.parametrize("value", NO_TIMES)
    @pytest.mark.parametrize("name", ["not_after", "will_expire"])
    def test_no_time_is_an_error(self, toloka: EmulatorServer, name: str, value: Any) -> None:
        with pytest.raises(ValueError, match=f"{name} is .*(zone|must be a time)"):
            opening(toloka.add_pool(), **{name: value})
        assert changes(toloka) == []


class TestExpiry:
    def test_it_is_moved_before_the_opening(self, toloka: EmulatorServer, client: TolokaClient) -> None:
        pool_id = toloka.add_pool()
        before, wanted = client.get_pool(pool_id), now() + HOUR
        opening(pool_id, will_expire=wanted)
        assert abs(will_expire(client, pool_id) - wanted) < timedelta(seconds=1)
        own = {"will_expire", "status", "last_started"}
        after = client.get_pool(pool_id)
        assert {**after.raw, **dict.fromkeys(own)} == {**before.raw, **dict.fromkeys(own)}
        calls = [entry["path"] for entry in toloka.journal.requests() if entry["method"] in ("PUT", "POST")]
        assert calls == [f"/api/v1/pools/{pool_id}", f"/api/v1/pools/{pool_id}/open"]

    def test_an_expired_pool_can_be_opened_again(self, toloka: EmulatorServer, client: TolokaClient) -> None:
        pool_id = toloka.add_pool(will_expire="2020-01-01T00:00:00")
        opening(pool_id, will_expire=now() + HOUR)
        assert status(client, pool_id) == "OPEN"

    def test_one_that_is_right_is_left_alone(self, toloka: EmulatorServer) -> None:
        opening(toloka.add_pool(will_expire="2030-01-01T00:00:00"), will_expire="2030-01-01T01:00:00+01:00")
        assert changes(toloka) == ["open"]

    def test_an_open_pool_cannot_be_changed(self, toloka: EmulatorServer, capsys: pytest.CaptureFixture[str]) -> None:
        opening(toloka.add_pool(open=True), will_expire=now() + HOUR)
        assert changes(toloka) == ["open"]
        assert "is open, so it still expires at" in capsys.readouterr().out

    def test_it_must_be_in_the_future(self, toloka: EmulatorServer) -> None:
        with pytest.raises(ValueError, match=r"will_expire is .* in the past"):
            opening(toloka.add_pool(), will_expire=now() - HOUR)
        assert changes(toloka) == []

    def test_it_must_be_in_the_future_by_the_clock_of_toloka(self, toloka: EmulatorServer) -> None:
        pool_id = toloka.add_pool()
        toloka.clock.advance(7200)
        here, there = now().strftime("%Y-%m-%dT%H:"), (now() + 2 * HOUR).strftime("%Y-%m-%dT%H:")
        with pytest.raises(AirflowFailException, match=f"will_expire is .* It shows {there}.* this worker {here}"):
            opening(pool_id, will_expire=now() + HOUR)
        assert changes(toloka) == []

    def test_a_retry_does_not_open_what_has_expired_at_once(self, toloka: EmulatorServer) -> None:
        expires = now() + HOUR
        pool_id = toloka.add_pool(will_expire=expires.replace(tzinfo=None).isoformat(timespec="milliseconds"))
        toloka.clock.advance(7200)
        for guards in ({"will_expire": expires}, {"not_after": now() + 24 * HOUR}):
            with pytest.raises(AirflowFailException, match="over by Toloka's clock"):
                opening(pool_id, **guards)
        assert changes(toloka) == []

    @pytest.mark.parametrize("date", ["", "soon"])
    def test_a_server_without_a_clock_is_taken_at_its_word(
        self, server: ScriptedServer, connection: str, date: str
    ) -> None:
        server.date = date
        server.default("GET", "/operations", NO_OPERATIONS)
        server.default("GET", "/pools/21", pool("CLOSED", None))
        server.default("PUT", "/pools/21", pool("CLOSED", None))
        server.answer("POST", "/pools/21/open", 202, operation("SUCCESS"))
        assert opening("21", will_expire=now() + HOUR).result == "op-1"

    def test_a_lost_answer_is_repeated(self, toloka: EmulatorServer, client: TolokaClient) -> None:
        pool_id = toloka.add_pool()
        toloka.faults.add("PUT", "/api/v1/pools/{id}", lost_answer=True)
        opening(pool_id, will_expire=now() + HOUR)
        assert changes(toloka).count("PUT") == 2
        assert status(client, pool_id) == "OPEN"


class TestExpiresIn:
    """The pool's own date is never lengthened, and counts again at the next opening."""

    OWN = datetime(2030, 1, 1, tzinfo=UTC)

    @pytest.mark.parametrize("span", [HOUR, 3600, "3600", "3600.0"])
    def test_a_later_date_is_replaced_before_the_opening(
        self, toloka: EmulatorServer, client: TolokaClient, span: Any
    ) -> None:
        pool_id = toloka.add_pool(metadata={"owner": ["us"]})
        before = client.get_pool(pool_id).raw
        opening(pool_id, expires_in=span)
        assert abs(will_expire(client, pool_id) - now() - HOUR) < timedelta(minutes=1)
        assert changes(toloka) == ["open", "PUT"]
        after = client.get_pool(pool_id).raw
        own = {"will_expire", "status", "last_started", "metadata"}
        assert {**after, **dict.fromkeys(own)} == {**before, **dict.fromkeys(own)}
        assert after["metadata"]["owner"] == ["us"]

    def test_it_closes_the_pool(self, toloka: EmulatorServer, client: TolokaClient) -> None:
        pool_id = toloka.add_pool(will_expire="2090-01-01T00:00:00")
        opening(pool_id, expires_in=HOUR)
        toloka.clock.advance(3500)
        assert status(client, pool_id) == "OPEN"
        toloka.clock.advance(200)
        assert client.get_pool(pool_id).last_close_reason == "EXPIRED"

    @pytest.mark.parametrize("year", [2001, 2090])
    def test_the_clock_of_toloka_counts(self, monkeypatch: pytest.MonkeyPatch, year: int) -> None:
        with EmulatorServer(seed=1, crowd=CrowdSettings(size=0), start=f"{year}-01-01T12:00:00") as toloka:
            connect(monkeypatch, toloka.url)
            client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
            pool_id = toloka.add_pool()
            opening(pool_id, expires_in=HOUR)
            wanted = datetime(year, 1, 1, 13, tzinfo=UTC)
            assert abs(will_expire(client, pool_id) - wanted) < timedelta(minutes=1)
            assert status(client, pool_id) == "OPEN"

    def test_an_earlier_date_is_kept(self, toloka: EmulatorServer, client: TolokaClient) -> None:
        own = now() + HOUR
        pool_id = toloka.add_pool(will_expire=own.replace(tzinfo=None).isoformat())
        opening(pool_id, expires_in=2 * HOUR)
        assert abs(will_expire(client, pool_id) - own) < timedelta(seconds=1)
        assert changes(toloka) == ["open"]

    def test_each_opening_has_its_own_time(self, toloka: EmulatorServer, client: TolokaClient) -> None:
        """What one opening was limited to neither shortens the next one, nor is forgotten what it replaced."""
        pool_id = toloka.add_pool(will_expire=(now() + 3 * HOUR).replace(tzinfo=None).isoformat())
        for wanted, hours in ((1, 1), (2, 2), (4, 3), (1, 1)):
            opening(pool_id, expires_in=wanted * HOUR)
            assert abs(will_expire(client, pool_id) - now() - hours * HOUR) < timedelta(minutes=1)
            client.close_pool(pool_id)

    def test_what_was_limited_and_is_over_can_be_opened_again(
        self, toloka: EmulatorServer, client: TolokaClient
    ) -> None:
        pool_id = toloka.add_pool(will_expire="2090-01-01T00:00:00")
        opening(pool_id, expires_in=60)
        toloka.clock.advance(61)
        assert client.get_pool(pool_id).last_close_reason == "EXPIRED"
        opening(pool_id, expires_in=HOUR)
        assert status(client, pool_id) == "OPEN"

    def test_a_date_that_somebody_sets_meanwhile_is_the_pools_own(
        self, toloka: EmulatorServer, client: TolokaClient
    ) -> None:
        pool_id = toloka.add_pool(will_expire="2090-01-01T00:00:00")
        opening(pool_id, expires_in=HOUR)
        client.close_pool(pool_id)
        own = now() + 2 * HOUR
        client.update_pool(pool_id, {**client.get_pool(pool_id).raw, "will_expire": own.isoformat()})
        opening(pool_id, expires_in=3 * HOUR)
        assert abs(will_expire(client, pool_id) - own) < timedelta(seconds=1)

    @pytest.mark.parametrize("metadata", [None, {"owner": ["us"]}])
    def test_a_copy_is_not_limited(self, toloka: EmulatorServer, client: TolokaClient, metadata: Any) -> None:
        pool_id = toloka.add_pool(will_expire="2090-01-01T00:00:00", metadata=metadata)
        opening(pool_id, expires_in=HOUR)
        copy = client.get_pool(run_task(ClonePoolOperator(task_id="copy", pool_id=pool_id)).result).raw
        assert copy["will_expire"].startswith("2090-01-01T00:00:00")
        assert {name: value for name, value in copy["metadata"].items() if name != TAG} == (metadata or {})

    def test_the_pools_own_end_is_not_passed(self, toloka: EmulatorServer) -> None:
        pool_id = toloka.add_pool(will_expire="2020-01-01T00:00:00")
        with pytest.raises(ValueError, match=r"its own expiry date, 2020-01-01T00:00:00\+00:00, is in the past"):
            opening(pool_id, expires_in=HOUR)
        assert changes(toloka) == []

    def test_a_retry_changes_nothing_about_an_open_pool(
        self, toloka: EmulatorServer, client: TolokaClient, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pool_id = toloka.add_pool()
        opening(pool_id, expires_in=HOUR)
        first = will_expire(client, pool_id)
        opening(pool_id, expires_in=HOUR)
        assert will_expire(client, pool_id) == first
        assert changes(toloka) == ["open", "open", "PUT"]
        assert "still expires at" not in capsys.readouterr().out

    def test_an_open_pool_cannot_be_limited(self, toloka: EmulatorServer, capsys: pytest.CaptureFixture[str]) -> None:
        opening(toloka.add_pool(open=True), expires_in=HOUR)
        assert changes(toloka) == ["open"]
        assert "is open, so it still expires at" in capsys.readouterr().out

    @pytest.mark.parametrize("value", ["", "None", "soon", 0, -1, True, timedelta(0)])
    def test_no_time_is_an_error(self, toloka: EmulatorServer, value: Any) -> None:
        with pytest.raises(ValueError, match=r"expires_in is .*; it must be a positive number of seconds"):
            opening(toloka.add_pool(), expires_in=value)
        assert changes(toloka) == []

    def test_too_long_is_an_error(self, toloka: EmulatorServer) -> None:
        with pytest.raises(ValueError, match=r"expires_in is 1e\+20 seconds, which is too far away"):
            opening(toloka.add_pool(), expires_in=1e20)
        assert changes(toloka) == []

    def test_one_date_is_enough(self) -> None:
        with pytest.raises(ValueError, match="will_expire and expires_in say both"):
            opening("21", will_expire=now() + HOUR, expires_in=HOUR)


class TestRunTimeout:
    """A run that ``dagrun_timeout`` ends runs no teardown."""

    def opened(self, pool_id: str, timeout: timedelta | None = HOUR, sensor: Any = None, **arguments: Any) -> None:
        with DAG("dag", schedule=None, dagrun_timeout=timeout) as dag:
            task = OpenPoolOperator(task_id="open", pool_id=pool_id, **arguments)
            if sensor:
                task >> sensor()
        run = SimpleNamespace(start_date=now())
        context: Any = {"ti": TaskInstance(task_id="open"), "dag": dag, "dag_run": run}
        task.prepare_for_execution().execute(context)

    def test_a_pool_that_expires_later_is_warned_of(
        self, toloka: EmulatorServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.opened(toloka.add_pool(will_expire="2090-01-01T00:00:00"))
        warning = re.search(r"may stay open until it expires, at (\S+ \S+): .* not done at (\S+ \S+),", said(capsys))
        assert warning
        assert warning[1] == "2090-01-01 00:00:00+00:00"
        assert abs(datetime.fromisoformat(warning[2]) - now() - HOUR) < timedelta(minutes=1)

    @pytest.mark.parametrize(("hours", "warned"), [(0.5, False), (2, True)])
    def test_the_date_that_the_task_sets_counts(
        self, toloka: EmulatorServer, capsys: pytest.CaptureFixture[str], hours: float, warned: bool
    ) -> None:
        self.opened(toloka.add_pool(), expires_in=hours * HOUR)
        assert ("may stay open" in said(capsys)) == warned

    def test_without_a_limit_nothing_is_asked(self, toloka: EmulatorServer, capsys: pytest.CaptureFixture[str]) -> None:
        self.opened(toloka.add_pool(will_expire="2090-01-01T00:00:00"), timeout=None)
        assert "may stay open" not in said(capsys)

    @pytest.mark.parametrize(
        ("arguments", "closes"),
        [
            ({"deferrable": False}, True),
            ({"deferrable": True}, hasattr(BaseTrigger, "on_kill")),
            ({"deferrable": False, "mode": "reschedule"}, False),
            ({"deferrable": False, "close_on_kill": False}, False),
            ({"deferrable": False, "pool_id": "22"}, False),
        ],
    )
    def test_a_wait_that_closes_on_kill_is_enough(
        self, toloka: EmulatorServer, capsys: pytest.CaptureFixture[str], arguments: dict[str, Any], closes: bool
    ) -> None:
        pool_id = toloka.add_pool(will_expire="2090-01-01T00:00:00")
        wait = {"task_id": "wait", "pool_id": pool_id, "close_on_kill": True, **arguments}
        self.opened(pool_id, sensor=lambda: PoolSensor(**wait))
        assert ("may stay open" in said(capsys)) != closes

    @pytest.mark.parametrize("arguments", [[], ["pool_id"]])
    def test_nor_does_a_task_of_another_kind_fail_the_opening(
        self, toloka: EmulatorServer, capsys: pytest.CaptureFixture[str], arguments: list[str]
    ) -> None:
        pool_id = toloka.add_pool(will_expire="2090-01-01T00:00:00")

        def other() -> EmptyOperator:
            task = EmptyOperator(task_id="other")
            vars(task).update(close_on_kill=True, **dict.fromkeys(arguments, pool_id))
            return task

        self.opened(pool_id, sensor=other)
        assert "may stay open" in said(capsys)

    def test_an_opening_does_not_fail_because_the_date_is_not_known(
        self, server: ScriptedServer, connection: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        server.answer("POST", "/pools/21/open", 202, operation())
        server.error("GET", "/pools/21", 503, "REMOTE_SERVICE_UNAVAILABLE", times=9)
        self.opened("21")
        assert "When pool 21 expires did not become known" in said(capsys)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


class TestMoney:
    BUDGET: dict[str, Any] = {"tasks": 10, "overlap": 2, "reward_per_assignment": 1.0}
    """20 answers for 1.30 each."""

    def test_enough(self, toloka: EmulatorServer, client: TolokaClient) -> None:
        toloka.set_balance(31)
        pool_id = toloka.add_pool(**self.BUDGET)
        opening(pool_id, min_balance="5", check_budget=True)
        assert status(client, pool_id) == "OPEN"

    def test_too_little_for_min_balance(self, toloka: EmulatorServer) -> None:
        toloka.set_balance(12.5)
        with pytest.raises(AirflowException, match=r"has 12.5 and needs 13 \(min_balance is 13\)") as caught:
            opening(toloka.add_pool(), min_balance=13)
        assert not isinstance(caught.value, AirflowFailException | AirflowSkipException)
        assert changes(toloka) == []

    def test_too_little_for_the_budget(self, toloka: EmulatorServer) -> None:
        toloka.set_balance(30.99)
        why = r"min_balance is 5; about 20 more answers for 1.0 and a fee of 30% are 26.00"
        with pytest.raises(AirflowException, match=rf"has 30.99 and needs 31.00 \({why}\)"):
            opening(toloka.add_pool(**self.BUDGET), min_balance=5, check_budget=True)
        assert changes(toloka) == ["analytics-2"]

    def test_the_highest_reward_counts(self, toloka: EmulatorServer) -> None:
        prices = [{"from": 0, "to": 50, "reward_per_assignment": 0.5}, {"from": 51, "reward_per_assignment": 2.5}]
        toloka.load({"skills": [{"id": "1", "name": "Skill"}]})
        pricing = {"type": "SKILL", "skill_id": "1", "intervals": prices}
        with pytest.raises(AirflowException, match=r"about 20 more answers for 2.5 and a fee of 0% are 50.0"):
            opening(
                toloka.add_pool(**self.BUDGET, dynamic_pricing_config=pricing),
                min_balance=1000,
                check_budget=True,
                fee=0,
            )

    def test_the_fee_has_a_least_amount(self, toloka: EmulatorServer, client: TolokaClient) -> None:
        cheap = {**self.BUDGET, "reward_per_assignment": 0.01}
        toloka.set_balance(0.299)
        with pytest.raises(
            AirflowException, match=r"needs 0\.300 \(about 20 more answers for 0\.01 and a fee of 0\.005"
        ):
            opening(toloka.add_pool(**cheap), check_budget=True)
        pool_id = toloka.add_pool(**cheap)
        toloka.set_balance(0.3)
        opening(pool_id, check_budget=True)
        assert status(client, pool_id) == "OPEN"

    @pytest.mark.parametrize(
        ("tasks", "overlap", "real", "reward"),
        [(10, 2, 1, 1.0), (10, 3, 4, 0.02), (12, 5, 5, 0.01), (7, 1, 10, 0.005)],
    )
    def test_it_is_what_an_estimate_says(
        self, toloka: EmulatorServer, client: TolokaClient, tasks: int, overlap: int, real: int, reward: float
    ) -> None:
        mixer = {"real_tasks_count": real, "golden_tasks_count": 0, "training_tasks_count": 0}
        pool_id = toloka.add_pool(tasks, overlap=overlap, reward_per_assignment=reward, mixer_config=mixer)
        estimated = run_task(EstimateOperator(task_id="estimate", pool_id=pool_id)).result["total"]["most"]
        toloka.set_balance(round(estimated - 0.001, 6))
        with pytest.raises(AirflowException, match=f"needs {estimated}"):
            opening(pool_id, check_budget=True)
        toloka.set_balance(estimated)
        opening(pool_id, check_budget=True)
        assert status(client, pool_id) == "OPEN"

    def test_what_is_paid_already_does_not_count(self, toloka: EmulatorServer, client: TolokaClient) -> None:
        pool_id = toloka.add_pool(**self.BUDGET)
        toloka.world.crowd.change(size=1, skip_rate=0, expire_rate=0)  # so one of both answers to each task
        client.open_pool(pool_id)
        toloka.clock.advance(24 * 3600)
        assert toloka.pool(pool_id)["answers"] == 10
        client.close_pool(pool_id)
        with pytest.raises(AirflowException, match=r"about 10 more answers .* are 13.00"):
            opening(pool_id, min_balance=1000, check_budget=True)

    @pytest.mark.parametrize(
        "value",
        [
            [estimate({"type": "INFINITE", "value": 0, "infinite": True, "approximate": False})],
            [estimate(result) for result in ("20", True, None, [20], {"value": {}}, float("nan"), float("inf"))],
            [{"result": 20}],
            [{"request": "estimated_assignments_count", "result": 20}],
            [20, None, []],
            {"estimated_assignments_count": 20},
            [],
            None,
        ],
        ids=["infinite overlap", "no numbers", "nameless", "text", "no objects", "an object", "empty", "nothing"],
    )
    def test_without_an_estimate_nothing_is_checked(
        self, server: ScriptedServer, connection: str, capsys: pytest.CaptureFixture[str], value: Any
    ) -> None:
        details = {"value": value}
        server.default("GET", "/pools/21", pool(reward_per_assignment=0.05))
        server.default("GET", "/operations", NO_OPERATIONS)
        server.answer("POST", "/api/staging/analytics-2", json=operation(type="ANALYTICS", details=details))
        server.answer("POST", "/pools/21/open", 202, operation())
        opening("21", check_budget=True)
        assert "check_budget checks nothing" in capsys.readouterr().out

    def test_skipping(self, toloka: EmulatorServer) -> None:
        with pytest.raises(AirflowSkipException, match="needs 5000"):
            opening(toloka.add_pool(), min_balance=5000, on_low_balance="skip")
        assert changes(toloka) == []

    def test_what_costs_nothing_needs_nothing(self, toloka: EmulatorServer, client: TolokaClient) -> None:
        toloka.set_balance(0)
        pool_id = toloka.add_pool(reward_per_assignment=0)
        opening(pool_id, check_budget=True)
        assert status(client, pool_id) == "OPEN"
        assert changes(toloka) == ["open"]

    @pytest.mark.parametrize("value", ["", "a lot", -1, True, "nan", "inf"])
    def test_no_amount_is_an_error(self, toloka: EmulatorServer, value: Any) -> None:
        with pytest.raises(ValueError, match="min_balance is"):
            opening(toloka.add_pool(), min_balance=value)

    def test_an_unknown_way_out_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="on_low_balance is 'ask'; it must be fail or skip"):
            opening("21", on_low_balance="ask")


class TestClosing:
    def test_it_needs_no_money_and_is_never_late(self, toloka: EmulatorServer, client: TolokaClient) -> None:
        pool_id = toloka.add_pool(open=True)
        toloka.set_balance(0)
        run_task(ClosePoolOperator(task_id="close", pool_id=pool_id, opened_before=now() + HOUR, poll_interval=0.01))
        assert status(client, pool_id) == "CLOSED"

    def test_what_was_opened_later_is_not_closed(
        self, toloka: EmulatorServer, client: TolokaClient, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pool_id = toloka.add_pool(open=True)
        training_id = add_training(client, pool_id)
        client.open_training(training_id)
        limit = (now() - HOUR).isoformat()
        assert run_task(ClosePoolOperator(task_id="a", pool_id=pool_id, opened_before=limit)).result is None
        assert run_task(CloseTrainingOperator(task_id="b", training_id=training_id, opened_before=limit)).result is None
        assert "close" not in changes(toloka)
        assert capsys.readouterr().out.count("was not closed: another run opened it at") == 2

    def test_a_training_is_closed_by_the_last_of_the_pools_that_share_it(
        self, toloka: EmulatorServer, client: TolokaClient, capsys: pytest.CaptureFixture[str]
    ) -> None:
        training_id = add_training(client, toloka.add_pool())
        first, last = (toloka.add_pool(quality_control=requiring(training_id), open=True) for _ in range(2))
        client.open_training(training_id)
        for pool_id in (first, last):
            run_task(ClosePoolOperator(task_id="close", pool_id=pool_id, poll_interval=0.01))
            operation_id = run_task(CloseTrainingOperator(task_id="close_training", training_id=training_id)).result
            assert client.get_training(training_id).status.value == ("OPEN" if pool_id == first else "CLOSED")
            assert (operation_id is None) == (pool_id == first)
        assert f"was not closed: pool {last}, which requires it, is OPEN" in capsys.readouterr().out

    def test_a_training_stays_open_for_a_pool_that_is_being_opened(
        self, toloka: EmulatorServer, client: TolokaClient
    ) -> None:
        training_id = add_training(client, toloka.add_pool())
        pool_id = toloka.add_pool(quality_control=requiring(training_id))
        client.open_training(training_id)
        toloka.progressions.set(Progression(looks=100), type="POOL.OPEN")
        client.open_pool(pool_id)
        assert run_task(CloseTrainingOperator(task_id="close", training_id=training_id)).result is None
        assert client.get_training(training_id).status.value == "OPEN"

    def test_a_training_does_not_stay_open_for_a_pool_that_is_being_archived(
        self, toloka: EmulatorServer, client: TolokaClient
    ) -> None:
        training_id = add_training(client, toloka.add_pool())
        pool_id = toloka.add_pool(quality_control=requiring(training_id))
        client.open_training(training_id)
        toloka.progressions.set(Progression(looks=100), type="POOL.ARCHIVE")
        client.archive_pool(pool_id)
        assert status(client, pool_id) == "LOCKED"
        assert run_task(CloseTrainingOperator(task_id="close", training_id=training_id)).result
        assert client.get_training(training_id).status.value == "CLOSED"

    def test_what_toloka_reopened_after_an_update_is_closed(self, server: ScriptedServer, connection: str) -> None:
        """It was open before, and closed for update right before the time that counts."""
        limit = datetime(2026, 3, 2, 18, tzinfo=UTC)
        times = {"last_stopped": "2026-03-02T17:59:57.000", "last_started": "2026-03-02T18:14:57.000"}
        server.default("GET", "/pools/21", pool("CLOSED", "MANUAL", **times))
        server.answer("POST", "/pools/21/close", 202, operation("SUCCESS", "POOL.CLOSE"))
        server.answer("GET", "/pools/21", json=pool("OPEN", "FOR_UPDATE", **times))
        run_task(ClosePoolOperator(task_id="close", pool_id="21", opened_before=limit, poll_interval=0.01))
        assert server.calls("POST") == ["POST /pools/21/close"]

    def test_what_was_opened_later_and_updated_since_is_not_closed(
        self, server: ScriptedServer, connection: str
    ) -> None:
        limit = datetime(2026, 3, 2, 18, tzinfo=UTC)
        times = {"last_stopped": "2026-03-02T18:10:00.000", "last_started": "2026-03-02T18:10:09.000"}
        server.default("GET", "/pools/21", pool("LOCKED", "FOR_UPDATE", **times))
        server.answer("GET", "/pools/21", json=pool("OPEN", "FOR_UPDATE", **times))
        task = ClosePoolOperator(task_id="close", pool_id="21", opened_before=limit, poll_interval=0.01)
        server.default("GET", "/operations", NO_OPERATIONS)
        assert run_task(task).result is None
        assert server.calls("POST") == []

    @pytest.mark.parametrize("limit", [None, "", "None"])
    def test_a_missing_limit_does_not_keep_it_open(
        self, toloka: EmulatorServer, client: TolokaClient, limit: str | None
    ) -> None:
        pool_id = toloka.add_pool(open=True)
        run_task(ClosePoolOperator(task_id="close", pool_id=pool_id, opened_before=limit, poll_interval=0.01))
        assert status(client, pool_id) == "CLOSED"


def requiring(training_id: str) -> dict[str, Any]:
    """Return the quality control of a main pool of a training."""
    needs = {"training_pool_id": training_id, "training_passing_skill_value": 60}
    return {"training_requirement": needs, "configs": []}


def add_training(client: TolokaClient, pool_id: str) -> str:
    """Create a training with a task, in the project of a pool."""
    training = client.create_training(
        {
            "private_name": "Training",
            "inherited_instructions": True,
            "training_tasks_in_task_suite_count": 1,
            "may_contain_adult_content": False,
            "project_id": client.get_pool(pool_id).project_id,
        }
    )
    client.create_tasks(
        [
            {
                "pool_id": training.id,
                "input_values": {"text": "?"},
                "known_solutions": [{"output_values": {"label": "yes"}}],
                "infinite_overlap": True,
            }
        ]
    )
    return training.id
