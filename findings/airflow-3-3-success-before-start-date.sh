#!/usr/bin/env bash
# One would guess that a run that is triggered with a logical date before the start date of its DAG runs its tasks, as a
# start date is about the schedule, or else that it is refused.
#
# `airflow dags trigger` of Airflow 3.3.2 refuses it only if the start date is one of the `default_args`. If it is the
# DAG's own argument, the run is created without task instances, and the scheduler ends it as a success, even of a DAG
# whose only task always fails. With the start date as its logical date, a run has its task instance. The command sets
# no logical date unless told to, but TriggerDagRunOperator sets the current time: with a start date in the future, what
# it triggers is a success of nothing. Of Airflow 2, https://github.com/apache/airflow/issues/38513 tells the same.
#
# Seen on 2026-11-28 with apache-airflow-core 3.3.2, Python 3.11, SQLite.
# Output seen:
#   default_args, a day before: ValueError: Logical date [2026-01-04T00:00:00+00:00] should be >= start_date [2026-01-05T00:00:00+00:00] from Dag's default_args
#   own argument, a day before: success, task instances: 0
#   own argument, that day: queued, task instances: 1
set -euo pipefail
constraints=$(cd "$(dirname "${BASH_SOURCE[0]}")/../constraints" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AIRFLOW_HOME="$work/home" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__DAGS_FOLDER="$work/dags"
export AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION=False AIRFLOW__CORE__PARALLELISM=1

mkdir "$work/dags"
cat > "$work/dags/always_fails.py" <<'PYTHON'
import datetime

from airflow.sdk import DAG, task

start = datetime.datetime(2026, 1, 5, tzinfo=datetime.timezone.utc)


@task
def fail():
    raise RuntimeError("No run of this task succeeds")


with DAG("own_argument", schedule=None, start_date=start):
    fail()

with DAG("default_args", schedule=None, default_args={"start_date": start}):
    fail()
PYTHON

cat > "$work/outcome.py" <<'PYTHON'
import sqlite3
import sys

with sqlite3.connect(sys.argv[1]) as database:
    [(state,)] = database.execute("SELECT state FROM dag_run WHERE run_id = ?", sys.argv[2:])
    [(count,)] = database.execute("SELECT count(*) FROM task_instance WHERE run_id = ?", sys.argv[2:])
print(f"{state}, task instances: {count}")
PYTHON

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    --constraint "$constraints/airflow-3.3.txt" apache-airflow-core==3.3.2
airflow() { "$work/venv/bin/python" -W ignore -m airflow "$@"; }
outcome() { "$work/venv/bin/python" "$work/outcome.py" "$AIRFLOW_HOME/airflow.db" "$1"; }
check() {
    echo "$1: $2"
    [ "$2" = "$3" ] || { echo "expected: $3" >&2; exit 1; }
}

airflow db migrate > "$work/migrate.log" 2>&1
airflow dags reserialize > "$work/reserialize.log" 2>&1

airflow dags trigger default_args --run-id refused --logical-date 2026-01-04 > "$work/refused.log" 2>&1 || true
check "default_args, a day before" "$(tail -n 1 "$work/refused.log")" \
    "ValueError: Logical date [2026-01-04T00:00:00+00:00] should be >= start_date [2026-01-05T00:00:00+00:00] from Dag's default_args"

airflow dags trigger own_argument --run-id before --logical-date 2026-01-04 > "$work/before.log" 2>&1
airflow scheduler --num-runs 10 --skip-serve-logs > "$work/scheduler.log" 2>&1
check "own argument, a day before" "$(outcome before)" "success, task instances: 0"

airflow dags trigger own_argument --run-id that_day --logical-date 2026-01-05 > "$work/that_day.log" 2>&1
check "own argument, that day" "$(outcome that_day)" "queued, task instances: 1"
