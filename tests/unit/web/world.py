"""
Two DAGs, their pools at an emulator, and what Airflow's database says of them.

As a program, ``python -m tests.unit.web.world FOLDER``, it serves all of that until its standard input ends, and prints
a line of JSON when it is ready: what `tests.unit.web.served` writes, with the ids of the pools and the address of the
emulator.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from tests.airflow_home import clean_environment
from tests.unit.doctor.records import NOW, Rows, insert
from tests.unit.web.served import served
from toloka_airflow.emulator.server import EmulatorServer

POOLS = "open", "left", "closed", "hidden", "to_close", "reopened", "shared", "measured_once"
BOTH = "reopened", "shared", "measured_once"
"""Those that both DAGs name."""


def add_pools(toloka: EmulatorServer) -> dict[str, str]:
    """Add all pools, open but for one, and return their ids by name."""
    return {name: toloka.add_pool(open=name != "closed", private_name=f"Pool {name}") for name in POOLS}


def rows_of(pools: dict[str, str]) -> Rows:
    """Return what the database says of them."""
    rows = Rows()
    rows.run("shown", "manual__2026-01-01T00:00:00+00:00", "running", hours=(-1, 1))
    rows.run("shown", "old", "success", hours=(-3, -2))
    rows.run("hidden", "secret-run", "running")
    run = "manual__2026-01-01T00:00:00+00:00"
    # The pools are opened after this module is imported, which may be some minutes ago.
    times = {"start_date": NOW.isoformat(), "end_date": (NOW + timedelta(hours=1)).isoformat()}
    opened = {"operator": "OpenPoolOperator", **times}
    arguments = {"until": (NOW + timedelta(hours=3)).timestamp()}
    rows.task("shown", run, "open", {"pool_id": pools["open"]}, **opened)
    trigger = rows.trigger(pools["open"])
    rows.tables["trigger"][trigger - 1]["kwargs"] |= arguments
    rows.task("shown", run, "wait", {"pool_id": pools["open"]}, operator="PoolSensor", state="deferred",
              trigger_id=trigger, start_date=NOW.isoformat())  # fmt: skip
    measured = {"at": NOW.isoformat(), "percent": 40, "answers": 8, "spent": 0.2, "committed": 0.1,
                "answers_per_hour": 4.0, "cost_per_hour": 0.1, "ends_at": None, "last_answer_at": None}  # fmt: skip
    number = rows.run("shown", run, "running")
    start = (NOW - timedelta(minutes=10)).timestamp()
    for key, value in {
        "toloka_measured": measured,
        "toloka_progress": [[start, 10, 2, 0.05, 0.0], [start + 300, 40, 8, 0.2, 0.1], ["x", None], "y"],
        "operation_id": "no-such-operation",
    }.items():
        rows.add("xcom", dag_run_id=number, dag_id="shown", run_id=run, task_id="wait", key=key, value=value)
    for name in ("left", "closed", "to_close", *BOTH):
        rows.task("shown", "old", f"wait_{name}", {"pool_id": pools[name]}, operator="PoolSensor", **times)
    rows.task("shown", "old", "open_to_close", {"pool_id": pools["to_close"]}, **opened)
    rows.add("xcom", dag_run_id=rows.run("shown", "old", "success"), dag_id="shown", run_id="old", task_id="wait_left",
             key="toloka_link", value="javascript:alert(1)")  # fmt: skip
    rows.add("xcom", dag_run_id=rows.run("shown", "old", "success"), dag_id="shown", run_id="old",
             task_id="wait_closed", key="progress",
             value={"percent": 100, "answers": 18, "spent": 0.9, "committed": 0.0})  # fmt: skip
    rows.task("hidden", "secret-run", "wait", {"pool_id": pools["hidden"], "toloka_conn_id": "hidden_conn"},
              operator="PoolSensor", state="running")  # fmt: skip
    # Only one of the DAGs says when it closes a pool that both name.
    for dag_id, name, hours in (("hidden", "reopened", 2), ("shown", "shared", 3)):
        run_id = "secret-run" if dag_id == "hidden" else "under-way"
        task_id = "secret-closes" if dag_id == "hidden" else "closes"
        number = rows.run(dag_id, run_id, "running")
        rows.task(dag_id, run_id, task_id, {"pool_id": pools[name]}, operator="PoolSensor")
        rows.add("xcom", dag_run_id=number, dag_id=dag_id, run_id=run_id, task_id=task_id,
                 key="closes_at", value=(NOW + timedelta(hours=hours)).isoformat())  # fmt: skip
    # Pools of both, each measured by both, and the last time by another one; and one that only one has measured.
    for name in BOTH:
        rows.task("hidden", "secret-run", f"secret-{name}", {"pool_id": pools[name]}, **opened)
    for name, dag_id, ago, spent in (
        ("reopened", "shown", 20, 0.3),
        ("reopened", "hidden", 10, 0.5),
        ("shared", "shown", 10, 0.7),
        ("shared", "hidden", 20, 0.4),
        ("measured_once", "shown", 10, 1.1),
    ):
        run_id, task_id = ("old", f"wait_{name}") if dag_id == "shown" else ("secret-run", f"secret-{name}")
        at = (NOW - timedelta(minutes=ago)).isoformat()
        rows.add("xcom", dag_run_id=rows.run(dag_id, run_id, "success"), dag_id=dag_id, run_id=run_id, task_id=task_id,
                 key="toloka_measured", value={"at": at, "spent": spent, "committed": 0.0})  # fmt: skip
    return rows


def main() -> None:
    """Serve the page, until the standard input ends."""
    home = Path(sys.argv[1])
    env = clean_environment(AIRFLOW_HOME=str(home), AIRFLOW__CORE__LOAD_EXAMPLES="False")
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=env, check=True, capture_output=True)
    with EmulatorServer(seed=1) as toloka:
        toloka.crowd.change(size=0)
        pools = add_pools(toloka)
        insert(home, rows_of(pools).tables)
        with served(home, AIRFLOW_CONN_TOLOKA_DEFAULT=toloka.connection) as airflow:
            print(json.dumps({**airflow, "pools": pools, "toloka": toloka.url}), flush=True)
            sys.stdin.read()


if __name__ == "__main__":
    main()
