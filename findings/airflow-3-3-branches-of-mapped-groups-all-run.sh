#!/usr/bin/env bash
# One would guess that a task behind `@task.branch` in a mapped task group is skipped if its map index took the other
# branch, as everywhere else, and as in Airflow 3.1.8.
#
# In Airflow 3.3.2 both branches run, for each map index. A branch that has a map index leaves it to NotPreviouslySkippedDep
# to skip what it did not choose (`SkipMixin._set_state_to_skipped`), and that reads the choice of the branch with the
# map index -1, as a task in a mapped group is none that `is_mapped`. No package but Airflow and its standard provider is
# involved. `@task.short_circuit` in such a group goes by the same lines.
#
# Seen on 2026-11-29 with apache-airflow-core 3.1.8 and 3.3.2, Python 3.11; also in a live Airflow with the scheduler.
# Output seen:
#   3.1.8: group.a of 0 success, of 1 skipped; group.b of 0 skipped, of 1 success
#   3.3.2: group.a of 0 success, of 1 success; group.b of 0 success, of 1 success
set -euo pipefail
constraints=$(cd "$(dirname "${BASH_SOURCE[0]}")/../constraints" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__DAGS_FOLDER="$work/dags"

mkdir "$work/dags"
cat > "$work/dags/branch.py" <<'PYTHON'
from airflow.sdk import DAG, task, task_group

with DAG("branch", schedule=None) as dag:

    @task_group
    def group(number):
        @task.branch
        def choose(number):
            return "group.a" if number == 0 else "group.b"

        @task
        def a(): ...

        @task
        def b(): ...

        choose(number) >> [a(), b()]

    group.expand(number=[0, 1])

if __name__ == "__main__":
    run = dag.test()
    states = {(each.task_id, each.map_index): str(each.state) for each in run.get_task_instances()}
    said = (
        f"{name} of 0 {states[name, 0].split('.')[-1].lower()}, of 1 {states[name, 1].split('.')[-1].lower()}"
        for name in ("group.a", "group.b")
    )
    print("\nstates:", "; ".join(said))
PYTHON

for expectation in \
    "3.1.8: group.a of 0 success, of 1 skipped; group.b of 0 skipped, of 1 success" \
    "3.3.2: group.a of 0 success, of 1 success; group.b of 0 success, of 1 success"; do
    version=${expectation%%:*}
    export AIRFLOW_HOME="$work/home-$version"
    python3 -m venv "$work/venv-$version"
    "$work/venv-$version/bin/pip" install --quiet --disable-pip-version-check \
        --constraint "$constraints/airflow-${version%.*}.txt" "apache-airflow-core==$version" \
        apache-airflow-providers-standard
    "$work/venv-$version/bin/python" -m airflow db migrate > "$work/migrate.log" 2>&1
    states=$("$work/venv-$version/bin/python" -W ignore "$work/dags/branch.py" 2> "$work/said" | sed -n 's/^states: //p')
    seen="$version: $states"
    echo "$seen"
    [ "$seen" = "$expectation" ] || { echo "expected: $expectation" >&2; tail -n 5 "$work/said" >&2; exit 1; }
done
