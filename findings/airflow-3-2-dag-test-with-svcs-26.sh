#!/usr/bin/env bash
# `dag.test()` of Airflow 3.2.2 runs no task with svcs 26.2.0, which its requirements admit: the in-process API answers
# every task with a server error, "'State' object has no attribute 'svcs_registry'", and the run fails. With svcs 25.1.0
# the same DAG succeeds. Airflow 3.3.2 succeeds with svcs 26.2.0.
#
# Seen on 2026-11-28, Python 3.11, with cadwyn 7.0.0 and fastapi 0.136.3, as 3.2.2 does not start with newer ones.
# Output seen:
#   apache-airflow-core 3.2.2, svcs 26.2.0: failed
#   apache-airflow-core 3.2.2, svcs 25.1.0: success
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AIRFLOW_HOME="$work/home" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__DAGS_FOLDER="$work/dags"

mkdir "$work/dags"
cat > "$work/dags/one_task.py" <<'PYTHON'
from airflow.sdk import DAG, task

with DAG("one_task", schedule=None) as dag:

    @task
    def answer():
        return 42

    answer()

if __name__ == "__main__":
    print("\nstate:", dag.test().state)
PYTHON

python3 -m venv "$work/venv"
install=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${install[@]}" apache-airflow-core==3.2.2 cadwyn==7.0.0 fastapi==0.136.3
"$work/venv/bin/python" -m airflow db migrate > "$work/migrate.log" 2>&1

for expectation in "26.2.0: failed" "25.1.0: success"; do
    "${install[@]}" "svcs==${expectation%%:*}"
    state=$("$work/venv/bin/python" "$work/dags/one_task.py" 2>/dev/null | sed -n 's/^state: //p' | tail -n 1)
    seen="${expectation%%:*}: $state"
    echo "apache-airflow-core 3.2.2, svcs $seen"
    [ "$seen" = "$expectation" ] || { echo "expected: $expectation" >&2; exit 1; }
done
