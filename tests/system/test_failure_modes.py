"""
Windows that are killed, cleared, timed out and restarted, in a real Airflow; docs/failure-modes.md tells of them.

Situations that disturb only a run of their own happen at the same time: each is a function that runs in a thread, and
a test of its name that asks how it ended.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import airflow as airflow_package
import pytest
import requests

from demo.airflow_api import wait_until
from demo.local_airflow import LocalAirflow
from tests.support import TOKEN
from tests.system.disturbed import CLOSED, MANY, OPENED, PATIENCE, Connect, Window, insist, worker
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression

IS_3_3 = tuple(map(int, airflow_package.__version__.split(".")[:2])) >= (3, 3)
DAGS = [
    "window",
    "window_with_retries",
    "window_with_timeouts",
    "window_to_pause",
    "impatient_wait",
]
SOON = 60

pytestmark = pytest.mark.live

Make = Callable[..., Window]
Situation = Callable[[Make], None]
BY_TIME: dict[str, Situation] = {}
BY_PEOPLE: dict[str, Situation] = {}
WITHOUT_TRIGGERER: dict[str, Situation] = {}


def among(group: dict[str, Situation]) -> Callable[[Situation], Situation]:
    def add(situation: Situation) -> Situation:
        return group.setdefault(situation.__name__, situation)

    return add


@pytest.fixture(scope="module")
def toloka(airflow: LocalAirflow, connect_to: Connect) -> Iterator[EmulatorServer]:
    """A Toloka where nobody works, so that pools stay open until somebody closes them."""
    with EmulatorServer(seed=1, crowd=CrowdSettings(size=0)) as server:
        connect_to("toloka_disturbed", server)
        for dag_id in DAGS:
            airflow.api.wait_for_dag(dag_id)
        yield server


@pytest.fixture(scope="module")
def make(airflow: LocalAirflow, toloka: EmulatorServer) -> Make:
    return partial(Window, airflow, toloka)


@pytest.fixture
def survivor(make: Make) -> Window:
    """A window that goes on while parts of Airflow are killed."""
    window = make()
    window.begin()
    return window


@pytest.fixture(scope="module")
def with_all(make: Make, toloka: EmulatorServer) -> dict[str, Future[None]]:
    """What has a time begins first, so that it is open before that time however slow the machine is."""

    def many_are_open() -> bool:
        return len(toloka.journal.events(OPENED)) >= len(BY_TIME)

    with ThreadPoolExecutor(len(BY_TIME)) as threads:
        first = submit(threads, BY_TIME, make)
        wait_until(many_are_open, "the first pools are open", PATIENCE)
        return first | at_once(BY_PEOPLE, make)


@pytest.fixture(scope="module")
def without_triggerer(airflow: LocalAirflow, make: Make) -> dict[str, Future[None]]:
    unwatched = make()
    unwatched.begin(SOON * 3 / 4)
    airflow.kill("triggerer")
    ends = at_once({**WITHOUT_TRIGGERER, "unwatched": lambda _: closes_unwatched(unwatched)}, make)
    airflow.start("triggerer")
    return ends


def at_once(situations: dict[str, Situation], make: Make) -> dict[str, Future[None]]:
    """Have everything happen, and return how each ended."""
    with ThreadPoolExecutor(len(situations)) as threads:
        return submit(threads, situations, make)


def submit(threads: ThreadPoolExecutor, situations: dict[str, Situation], make: Make) -> dict[str, Future[None]]:
    return {name: threads.submit(situation, make) for name, situation in situations.items()}


def it_is_late(window: Window) -> None:
    """Return some seconds after the window should have closed."""
    wait_until(lambda: datetime.now(UTC) > window.closes_at + timedelta(seconds=8), "it is late", PATIENCE)


@among(BY_TIME)
def the_dag_is_paused(make: Make) -> None:
    """Nothing is started any more, not even the closing."""
    window = make("window_to_pause")
    window.begin(1.5 * SOON)
    window.pause(True)
    wait_until(lambda: window.task("wait")["state"] == "scheduled", "the wait is over", PATIENCE, 1)
    it_is_late(window)
    window.is_open()
    window.pause(False)
    assert window.ended() == "success"
    window.has_closed_once()
    assert window.result()["stopped_by"] == "until"


@among(BY_TIME)
def the_worker_of_the_closing_is_killed(make: Make) -> None:
    window = make()
    window.signal_worker("close", "close", signal.SIGKILL, SOON)
    assert window.ended() == "success"
    window.has_closed_once()
    assert window.task("close")["try_number"] == 2


@among(BY_TIME)
def the_worker_of_the_closing_is_asked_to_stop(make: Make) -> None:
    window = make()
    window.signal_worker("close", "close", signal.SIGTERM, SOON)
    assert window.ended() == "success"
    window.has_closed_once()


@among(BY_TIME)
def toloka_is_away_when_it_is_time(make: Make) -> None:
    window = make()
    window.start(SOON)
    wait_until(lambda: window.happened() == [OPENED], f"pool {window.pool_id} is open", PATIENCE)
    away = window.toloka.faults.add("GET", window.path(""), status=503, times=MANY)
    window.toloka.faults.add("POST", window.path("close"), status=503, times=2)
    it_is_late(window)
    assert window.requests("close") == 0
    window.toloka.faults.remove(away)
    assert window.ended() == "success"
    window.has_closed_once()
    assert window.requests("close") >= 3
    assert window.result()["stopped_by"] == "until"


@among(BY_TIME)
def the_operation_of_the_closing_fails(make: Make) -> None:
    window = make()
    failing = Progression(seconds=0, fail={"code": "INTERNAL_ERROR", "message": "not now"})
    window.toloka.progressions.set(failing, type="POOL.CLOSE", pool_id=window.pool_id)
    window.start(SOON)
    window.is_in("close", "up_for_retry")
    assert window.happened() == [OPENED]
    window.toloka.progressions.set(Progression(seconds=0), type="POOL.CLOSE", pool_id=window.pool_id)
    assert window.ended() == "success"
    window.has_closed_once()


@among(BY_PEOPLE)
def the_wait_is_marked_as_failed(make: Make) -> None:
    window = make()
    window.begin()
    window.mark("failed")
    assert window.ended() == "failed"
    window.has_closed_once()
    assert window.states() | {"wait": "failed", "close": "success", "result": "failed"} == window.states()


@among(BY_PEOPLE)
def the_wait_is_marked_as_a_success(make: Make) -> None:
    window = make()
    window.begin()
    window.mark("success")
    assert window.ended() == "success"
    window.has_closed_once()
    assert window.result()["stopped_by"] == "person"


@among(BY_PEOPLE)
def the_run_is_marked_as_failed(make: Make) -> None:
    window = make()
    window.begin()
    with pytest.raises(requests.HTTPError, match="cannot be deleted in running state"):
        insist(partial(window.api.delete, window.dag_id, window.run_id))
    window.mark_run("failed")
    assert window.ended() == "failed"
    window.has_closed_once()
    assert window.states() | {"wait": "failed", "close": "success", "result": "skipped"} == window.states()


@among(BY_PEOPLE)
def the_run_is_marked_as_a_success(make: Make) -> None:
    window = make()
    window.begin()
    window.mark_run("success")
    assert window.ended() == "success"
    window.has_closed_once()
    assert window.states()["close"] == "success"


def begins_anew(window: Window) -> None:
    """The new attempt finds the pool open, and closes it at the end; the old one does not."""
    window.waits(attempt=2)
    window.stays_open()
    if IS_3_3:
        assert "was not closed: a newer attempt of this task is" in window.log_of_wait()
    window.mark("success")
    assert window.ended() == "success"
    window.has_closed_once()


@among(BY_PEOPLE)
def the_wait_is_cleared(make: Make) -> None:
    window = make()
    window.begin()
    window.clear("wait")
    begins_anew(window)


@among(BY_PEOPLE)
def the_wait_and_what_follows_are_cleared(make: Make) -> None:
    window = make()
    window.begin()
    window.clear("wait", downstream=True)
    begins_anew(window)


@among(BY_PEOPLE)
def the_run_is_cleared(make: Make) -> None:
    window = make()
    window.begin()
    window.clear_run()
    begins_anew(window)


@among(BY_PEOPLE)
def the_wait_times_out(make: Make) -> None:
    window = make("window_with_timeouts")
    window.start()
    assert window.ended() == "failed"
    window.has_closed_once()
    assert window.states() | {"wait": "failed", "close": "success", "result": "failed"} == window.states()
    assert "Timed out after 20 s" in window.log_of_wait()


@pytest.mark.parametrize("name", [*BY_TIME, *BY_PEOPLE])
def test_a_window_is_closed_once_if(name: str, with_all: dict[str, Future[None]]) -> None:
    with_all[name].result()


def test_a_window_survives_the_death_of_the_worker_that_opens_it(make: Make) -> None:
    window = make("window_with_retries")
    window.signal_worker("open", "open", signal.SIGKILL)
    window.waits()
    window.stays_open()
    window.mark("success")
    assert window.ended() == "success"
    window.has_closed_once()


def test_what_was_closed_before_the_next_attempt_is_not_opened_again(make: Make) -> None:
    """The worker that opens it is lost, and a person closes the pool before Airflow tries again."""
    window = make("window_with_retries")
    hold = window.toloka.faults.add("POST", window.path("open"), delay=600, times=MANY)
    window.start()
    wait_until(lambda: hold.times != MANY, f"pool {window.pool_id} is opened", PATIENCE, 0.2)
    window.pause(True)
    worker(window.airflow, window.task("open")["id"]).kill()
    window.toloka.faults.remove(hold)
    wait_until(lambda: OPENED in window.happened(), f"pool {window.pool_id} is open", PATIENCE)
    TolokaClient(ClientSettings(TOKEN, base_url=window.toloka.url)).close_pool(window.pool_id)
    wait_until(lambda: CLOSED in window.happened(), f"pool {window.pool_id} is closed", PATIENCE)
    window.pause(False)
    assert window.ended() == "success"  # as after any closing by a person
    assert window.task("open")["try_number"] == 2
    assert (window.happened(), window.requests("open")) == ([OPENED, CLOSED], 1)
    assert "is not opened again" in window.api.log(window.dag_id, window.run_id, "window.open", 2)


@among(WITHOUT_TRIGGERER)
def the_opening_takes_too_long(make: Make) -> None:
    window = make("window_with_timeouts")
    window.toloka.faults.add("POST", window.path("open"), delay=60)
    window.start()
    assert window.ended() == "failed"
    window.has_closed_once()
    assert window.states() | {"open": "failed", "wait": "upstream_failed", "close": "success"} == window.states()


@among(WITHOUT_TRIGGERER)
def the_worker_of_the_opening_is_killed(make: Make) -> None:
    window = make()
    window.signal_worker("open", "open", signal.SIGKILL)
    assert window.ended() == "failed"
    window.has_closed_once()
    assert window.states() | {"open": "failed", "wait": "upstream_failed", "close": "success"} == window.states()


@among(WITHOUT_TRIGGERER)
def the_worker_of_the_opening_is_asked_to_stop(make: Make) -> None:
    """It goes on, and whether it is in time or not, the pool is in the state that Airflow knows."""
    window = make()
    window.signal_worker("open", "open", signal.SIGTERM)
    window.is_in("wait", "deferred")
    window.mark("failed")
    assert window.ended() == "failed"
    window.has_closed_once()


@among(WITHOUT_TRIGGERER)
def a_wait_in_a_worker_takes_too_long(make: Make) -> None:
    window = make("impatient_wait")
    window.pool_id = window.toloka.add_pool(open=True)
    window.start()
    assert window.ended() == "failed"
    wait_until(lambda: CLOSED in window.happened(), "the pool is closed", PATIENCE)
    assert window.requests("close") == 1


def closes_unwatched(window: Window) -> None:
    assert window.ended() == "success"
    window.has_closed_once()
    assert window.result()["stopped_by"] == "until"
    assert "no triggerer said so" in window.log_of_wait()


@pytest.mark.parametrize("name", [*WITHOUT_TRIGGERER, "unwatched"])
def test_without_a_triggerer_a_window_is_closed_if(name: str, without_triggerer: dict[str, Future[None]]) -> None:
    without_triggerer[name].result()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_closes_nothing(airflow: LocalAirflow, survivor: Window, how: signal.Signals) -> None:
    for name in ("triggerer", "scheduler"):
        airflow.kill(name, how)
    airflow.start("triggerer", "scheduler")
    survivor.stays_open()
    assert survivor.states()["wait"] == "deferred"


def test_a_second_triggerer_takes_over(airflow: LocalAirflow, survivor: Window) -> None:
    airflow.start("triggerer.2")
    survivor.stays_open()
    airflow.kill("triggerer")
    survivor.stays_open()
    assert survivor.task("wait")["try_number"] == 1
    survivor.mark("success")
    assert survivor.ended() == "success"
    survivor.has_closed_once()
