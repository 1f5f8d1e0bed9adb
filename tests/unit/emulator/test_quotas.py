from __future__ import annotations

import subprocess
import sys

import pytest
import requests

from toloka_airflow.emulator.world import quotas
from toloka_airflow.emulator.world.errors import Refusal
from toloka_airflow.emulator.world.quotas import QUOTAS, REQUESTS_PER_SECOND, Counters, Quota

HOUR = 3600


def refused(answer):
    assert (answer.status_code, answer.json()["code"]) == (429, "TOO_MANY_REQUESTS")
    return answer.json().get("payload")


def test_twenty_projects_a_minute_and_a_hundred_a_day(api):
    for _ in range(5):
        for _ in range(20):
            project_id = api.add_project()
        assert refused(api("POST", "/projects", json={})) in ({"interval": "MIN"}, {"interval": "DAY"})
        api.server.clock.advance(60)
    assert refused(api("POST", "/projects", json={})) == {"interval": "DAY"}
    assert api.get(f"/projects/{project_id}")["id"] == project_id
    api.server.clock.advance(24 * HOUR - 300)
    api.add_project()


def test_each_method_has_its_own_quota(api):
    project_id = api.add_project()
    for _ in range(20):
        pool_id = api.add_pool(project_id)
    assert refused(api("POST", "/pools", json={})) == {"interval": "MIN"}
    api.add_training(project_id)
    for _ in range(20):
        api.post(f"/pools/{pool_id}/clone")
    assert refused(api("POST", f"/pools/{pool_id}/clone")) == {"interval": "MIN"}


def test_aggregation(api):
    pool_id = api.add_pool(tasks=1)
    form = {"pool_id": pool_id, "type": "DAWID_SKENE", "fields": [{"name": "result"}]}
    for _ in range(6):
        for _ in range(5):
            operation_id = api.post("/aggregated-solutions/aggregate-by-pool", form)["id"]
            api.server.clock.advance(1)
        assert refused(api("POST", "/aggregated-solutions/aggregate-by-pool", json=form))["interval"] in ("MIN", "HOUR")
        api.server.clock.advance(60)
    assert refused(api("POST", "/aggregated-solutions/aggregate-by-pool", json=form)) == {"interval": "HOUR"}
    for _ in range(5):
        api.get(f"/aggregated-solutions/{operation_id}")
    assert refused(api("GET", f"/aggregated-solutions/{operation_id}")) == {"interval": "MIN"}


def test_changes_of_the_overlap_of_a_pool(api):
    pool = api.get(f"/pools/{api.add_pool()}")
    path = f"/pools/{pool['id']}"
    for overlap in range(2, 12):
        pool["defaults"] = {"default_overlap_for_new_task_suites": overlap}
        assert api("PUT", path, json=pool).status_code == 200
    assert api("PUT", path, json=pool | {"priority": 3}).status_code == 200
    pool["defaults"] = {"default_overlap_for_new_task_suites": 1}
    assert refused(api("PUT", path, json=pool)) == {"interval": "HOUR"}
    assert api.get(path)["defaults"] == {"default_overlap_for_new_task_suites": 11}
    api.server.clock.advance(HOUR)
    assert api("PUT", path, json=pool).status_code == 200


def test_tasks_count_one_by_one(api, monkeypatch):
    monkeypatch.setitem(quotas.QUOTAS, "POST /tasks", Quota({"MIN": 10, "DAY": 15}, per_item=True))
    pool_id = api.add_pool()
    tasks = [{"pool_id": pool_id, "input_values": {"image": "u"}, "overlap": 1}] * 7
    api.post("/tasks", tasks)
    assert refused(api("POST", "/tasks", json=tasks)) == {"interval": "MIN"}
    api.post("/tasks", tasks[:3])
    api.server.clock.advance(60)
    assert refused(api("POST", "/tasks", json=tasks)) == {"interval": "DAY"}
    assert len(api.get("/tasks", pool_id=pool_id)["items"]) == 10


def test_documented_quotas():
    tasks = {"MIN": 200_000, "DAY": 4_000_000}
    suites = {"MIN": 100_000, "DAY": 2_000_000}
    assert QUOTAS["POST /tasks"] == Quota(tasks, per_item=True)
    assert QUOTAS["POST /task-suites"] == Quota(suites, per_item=True)
    assert QUOTAS["POST /user-bonuses"] == Quota({"DAY": 10_000}, per_item=True)
    assert QUOTAS["PUT /user-skills"] == Quota({"DAY": 100_000})


def test_without_quotas(make_api):
    api = make_api(quotas=False)
    for _ in range(21):
        api.add_project()


def test_without_quotas_on_the_command_line():
    command = [sys.executable, "-m", "toloka_airflow.emulator", "--no-quotas", "--frozen"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().split()[-1]
        with requests.Session() as session:
            session.headers["Authorization"] = "OAuth x"
            statuses = {session.post(f"{url}/api/v1/projects", json={}, timeout=5).status_code for _ in range(21)}
        process.terminate()
    assert statuses == {400}


def test_reset_forgets_what_was_used(api):
    for _ in range(20):
        api.add_project()
    api.server.reset()
    api.add_project()


class Watch:
    """A real time that only the test moves."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_requests_per_real_second():
    watch = Watch()
    counters = Counters(enabled=True, monotonic=watch)
    for _ in range(REQUESTS_PER_SECOND):
        counters.charge_request(real_time=True)
    counters.charge_request(real_time=False)
    with pytest.raises(Refusal, match="Too many requests"):
        counters.charge_request(real_time=True)
    watch.seconds += 1
    counters.charge_request(real_time=True)


@pytest.mark.parametrize(("clock", "limited"), [({}, True), ({"speed": 60}, False), ({"frozen": True}, False)])
def test_requests_are_counted_while_the_clock_runs_at_real_speed(make_api, clock, limited):
    api = make_api(**{"frozen": False, **clock})
    # So all is in one second, however long it takes.
    api.server.world.quotas = counters = Counters(enabled=True, monotonic=Watch())
    for _ in range(REQUESTS_PER_SECOND):
        counters.charge_request(real_time=True)
    answer = api("GET", "/requester")
    assert answer.status_code == (429 if limited else 200)
    if limited:
        assert refused(answer) is None
