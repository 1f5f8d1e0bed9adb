#!/usr/bin/env bash
# A task that reads a connection logs "Skipping masking for a secret as it's too short (<5 chars)" if the extra of the
# connection is "{}", though there is no secret in it, and none is short: Airflow masks the extra of a connection as a
# whole, as text, besides the values in it. It is so for every type of connection; without an extra there is no warning.
# The warning comes once in a process, so not in each task.
#
# Seen on 2026-11-29 with apache-airflow-core 3.3.2, Python 3.11; also in the log of a task of a live Airflow.
# Output seen:
#   extra null: no warning
#   extra "{}": Skipping masking for a secret as it's too short (<5 chars)
set -euo pipefail
constraints=$(cd "$(dirname "${BASH_SOURCE[0]}")/../constraints" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AIRFLOW_HOME="$work/home" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__DAGS_FOLDER="$work/dags"

mkdir "$work/dags"
cat > "$work/dags/reads.py" <<'PYTHON'
from airflow.sdk import DAG, BaseHook, task

with DAG("reads", schedule=None) as dag:

    @task
    def read():
        BaseHook.get_connection("some_http")

    read()

if __name__ == "__main__":
    dag.test()
PYTHON

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --constraint "$constraints/airflow-3.3.txt" \
    apache-airflow-core==3.3.2 apache-airflow-providers-standard
"$work/venv/bin/python" -m airflow db migrate > "$work/migrate.log" 2>&1

for expectation in 'null: no warning' '"{}": Skipping masking for a secret as it'"'"'s too short (<5 chars)'; do
    extra=${expectation%%:*}
    export AIRFLOW_CONN_SOME_HTTP="{\"conn_type\": \"http\", \"password\": \"a-long-password\", \"extra\": $extra}"
    "$work/venv/bin/python" -W ignore "$work/dags/reads.py" > "$work/said" 2>&1
    warning=$(grep -oE "Skipping masking for a secret as it's too short \(<[0-9]+ chars\)" "$work/said" | head -n 1 || true)
    seen="$extra: ${warning:-no warning}"
    echo "extra $seen"
    [ "$seen" = "$expectation" ] || { echo "expected: $expectation" >&2; tail -n 5 "$work/said" >&2; exit 1; }
done
