"""
Which open pools the doctor takes for left behind, for each way in which a run may need one.

Whoever is advised to close a pool may do so. So what is certain is held against everything by which a run that is under
way, or about to begin, could need it. The rows are those that Airflow writes; nothing of it runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.airflow_home import airflow_home
from tests.support import TOKEN
from tests.unit.doctor.records import NOW, Rows, insert
from tests.unit.doctor.test_command import run
from toloka_airflow.emulator.server import EmulatorServer

OTHER_TOKEN = "another-token-of-the-account"
CASES = {
    # What some run needs.
    "deferred": None,
    "other_token": None,
    "watched": None,
    "running": None,
    "queued_with_it": None,
    "by_an_event": None,
    "in_an_xcom": None,
    "argument_of_a_function": None,
    "created": None,
    # What may be needed.
    "unreadable_connection": ("warn", "the connection 'only_there', which it has, cannot be read here"),
    "written_in_a_dag": ("warn", "the DAG next names it, and a run of that is under way"),
    "same_dag_again": ("warn", "another run of that DAG is under way"),
    "only_used": ("warn", "it was open before"),
    "by_hand": ("warn", "opened by hand or by another program"),
    "by_another_airflow": ("warn", "which this Airflow does not know"),
    "opened_again": ("warn", "but it was opened again"),
    # What certainly nobody needs.
    "left": ("fail", "which named it, ended as success"),
    "left_then_used": ("fail", "the run of opens / left_then_used / open, which named it, ended as success"),
    "left_beside": ("fail", "which named it, ended as success"),
    "created_and_left": ("fail", "the run creates / old, which created it, ended as failed"),
    "marked": ("fail", "which named it, ended as failed"),
    "unwatched": ("fail", "which named it, ended as success"),
}
NOT_OPENED = (
    *("created", "created_and_left", "same_dag_again", "only_used", "by_hand", "by_another_airflow", "opened_again"),
)
"""Those that no ended run of the DAG `opens` has opened."""


@pytest.fixture(scope="module")
def toloka() -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1) as server:
        server.crowd.change(size=0)
        yield server


@pytest.fixture(scope="module")
def pools(toloka: EmulatorServer) -> dict[str, str]:
    soon = {"will_expire": (NOW + timedelta(days=2)).replace(tzinfo=None).isoformat(timespec="seconds")}
    tags = {
        "created": "/creates/new/create/-1",
        "created_and_left": "/creates/old/create/-1",
        "by_another_airflow": "/creates/unknown/create/-1",
    }
    tagged = {name: {"metadata": {"airflow_task": [tag]}} for name, tag in tags.items()}
    return {name: toloka.add_pool(open=True, **soon, **tagged.get(name, {})) for name in CASES}


@pytest.fixture(scope="module")
def rows(pools: dict[str, str]) -> Rows:
    rows = Rows()
    for name in CASES:
        if name not in NOT_OPENED:
            # Each of the others was opened by a run that has ended: only what is added below can say that it is needed.
            rows.left(name, pools[name], state="failed" if name == "marked" else "success")
    rows.dag("next", {"dag": {"tasks": [{"__var": {"pool_id": pools["written_in_a_dag"]}}]}})
    rows.run("waits", "now", "running")
    rows.task("waits", "now", "wait", None, state="deferred", trigger_id=rows.trigger(pools["deferred"]))
    rows.task("waits", "now", "as", None, state="deferred", trigger_id=rows.trigger(pools["other_token"], "same"))
    rows.task("waits", "now", "running", {"pool_id": pools["running"]}, state="running")
    rows.task("waits", "now", "there", None, state="deferred",
              trigger_id=rows.trigger(pools["unreadable_connection"], "only_there"))  # fmt: skip
    rows.task("waits", "now", "function", None, state="up_for_retry")
    rows.add("rendered_task_instance_fields", dag_id="waits", run_id="now", task_id="function",
             rendered_fields={"op_kwargs": {"pool": pools["argument_of_a_function"]}})  # fmt: skip
    rows.task("waits", "now", "gives", None)
    rows.add("xcom", dag_run_id=rows.run("waits", "now", "running"), dag_id="waits", run_id="now", task_id="gives",
             key="return_value", value=json.dumps({"pool_id": pools["in_an_xcom"]}))  # fmt: skip
    rows.run("waits", "later", "queued", conf={"pool_id": pools["queued_with_it"]})
    rows.add("asset", id=1, name="pool", uri="toloka://pool")
    rows.add("asset_watcher", name="pool", asset_id=1, trigger_id=rows.trigger(pools["watched"]))
    rows.add("asset_event", id=1, asset_id=1, extra={"pool_id": pools["by_an_event"]})
    rows.add("dagrun_asset_event", dag_run_id=rows.run("waits", "event", "queued"), event_id=1)
    rows.run("creates", "new", "running")
    rows.run("creates", "old", "failed")
    rows.run("next", "now", "running")
    # The pool's id is not what the run was given, so the next run of the DAG may get it, too.
    rows.left("same_dag_again", pools["same_dag_again"], "daily", conf={})
    rows.run("daily", "today", "running")
    # Opened an hour and more before a run that then only read answers, or long after one.
    rows.left("only_used", pools["only_used"], "reads", hours=(0.5, 1))
    rows.left("opened_again", pools["opened_again"], "reads", hours=(-9, -8))
    rows.left("left_then_used", pools["left_then_used"], "reads", hours=(0.5, 2))
    rows.left("left_beside", pools["left_beside"], "opens_by_id")
    rows.run("opens_by_id", "of_another", "running", conf={"pool_id": "1"})
    # What waited for these was marked as failed while no triggerer lived to delete its trigger.
    rows.run("waits", "marked", "failed")
    rows.task("waits", "marked", "wait", None, state="failed", trigger_id=rows.trigger(pools["marked"]))
    rows.trigger(pools["unwatched"])
    return rows


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, rows: Rows) -> Path:
    home = airflow_home(tmp_path_factory)
    insert(home, rows.tables)
    return home


def of(toloka: EmulatorServer, token: str) -> str:
    return json.dumps({"conn_type": "toloka", "host": toloka.url, "password": token})


@pytest.fixture(scope="module")
def lines(home: Path, toloka: EmulatorServer, pools: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """What is said of each pool."""
    _, checks, _ = run(
        home, "--conn-id", "toloka_default", AIRFLOW_CONN_TOLOKA_DEFAULT=of(toloka, TOKEN),
        AIRFLOW_CONN_SAME=of(toloka, OTHER_TOKEN),
    )  # fmt: skip
    said = [line for line in checks if line["check"] == "open-pools"]
    return {name: [line for line in said if f"Pool {id_} " in line["message"]] for name, id_ in pools.items()}


@pytest.mark.parametrize("name", CASES)
def test_a_pool_is_judged_by_what_is_certain(lines: dict[str, list[dict[str, Any]]], name: str) -> None:
    wanted = CASES[name]
    found = [(line["status"], line["message"]) for line in lines[name]]
    if wanted is None:
        assert found == []
    else:
        assert [status for status, _ in found] == [wanted[0]], found
        assert wanted[1] in found[0][1]
