#!/usr/bin/env bash
# One would guess that a backfill of a range in which the schedule has no run is refused and leaves nothing behind, or
# else that it is created and over at once.
#
# `airflow backfill create` of Airflow 3.2.2 fails with "No runs to create", but its backfill stays in the database
# without a run and without an end. So the next one for that DAG, of a range that has runs, is refused as another one
# "is running". Its REST API answers the first by 500. In 3.3.2 the check comes before the backfill is stored, so the
# next one is created.
#
# Seen on 2026-11-28 with apache-airflow-core 3.2.2 and 3.3.2, Python 3.11, SQLite.
# Output seen:
#   3.2.2, a year without a run: RuntimeError: No runs to create for Dag leap_day
#   3.2.2, then a year with one: AlreadyRunningBackfill
#   3.2.2, backfills without an end: 1
#   3.3.2, then a year with one: created
set -euo pipefail
constraints=$(cd "$(dirname "${BASH_SOURCE[0]}")/../constraints" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__DAGS_FOLDER="$work/dags"

mkdir "$work/dags"
cat > "$work/dags/leap_day.py" <<'PYTHON'
import datetime

from airflow.sdk import DAG, task


@task
def celebrate():
    print("It is the 29th of February")


with DAG("leap_day", schedule="0 0 29 2 *", start_date=datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc)):
    celebrate()
PYTHON

cat > "$work/unfinished.py" <<'PYTHON'
import sqlite3
import sys

with sqlite3.connect(sys.argv[1]) as database:
    [(count,)] = database.execute("SELECT count(*) FROM backfill WHERE completed_at IS NULL")
print(count)
PYTHON

prepare() {
    export AIRFLOW_HOME="$work/home-$1"
    python3 -m venv "$work/venv-$1"
    "$work/venv-$1/bin/pip" install --quiet --disable-pip-version-check \
        --constraint "$constraints/airflow-${1%.*}.txt" "apache-airflow-core==$1"
    airflow "$1" db migrate > "$work/migrate-$1.log" 2>&1
    airflow "$1" dags reserialize > "$work/reserialize-$1.log" 2>&1
}
airflow() { "$work/venv-$1/bin/python" -W ignore -m airflow "${@:2}"; }
backfill() {
    airflow "$1" backfill create --dag-id leap_day --from-date "$2-01-01" --to-date "$2-12-31" > "$work/said" 2>&1 \
        && echo created || grep -oE '(RuntimeError: No runs to create for Dag \w+|AlreadyRunningBackfill)' "$work/said" | tail -n 1
}
check() {
    echo "$1: $2"
    [ "$2" = "$3" ] || { echo "expected: $3" >&2; tail -n 5 "$work/said" >&2; exit 1; }
}

prepare 3.2.2
check "3.2.2, a year without a run" "$(backfill 3.2.2 2023)" "RuntimeError: No runs to create for Dag leap_day"
check "3.2.2, then a year with one" "$(backfill 3.2.2 2024)" "AlreadyRunningBackfill"
check "3.2.2, backfills without an end" "$(python3 "$work/unfinished.py" "$AIRFLOW_HOME/airflow.db")" 1

prepare 3.3.2
backfill 3.3.2 2023 > /dev/null || true
check "3.3.2, then a year with one" "$(backfill 3.3.2 2024)" created
