#!/usr/bin/env bash
# One would guess that a task which reads a file by a loop over its lines has read it, for Airflow's lineage too, as
# `ObjectStoragePath.open` reports what is read; and that lineage is about one task, so that the next one in the same
# process begins with none.
#
# With Airflow 3.3.2, the file that is opened reports itself when its `read` is called. A loop over it, `readlines` and
# `readline`, `read_text` and `read_bytes` are silent. And `dag.test()`, which runs all tasks in one process, has one
# collector for all of them: the second task seems to have read what the first one read.
#
# Seen on 2026-11-28 with apache-airflow-core 3.3.2, Python 3.11.
# Output seen:
#   read: 1, loop: 0, readlines: 0, read_text: 0
#   dag.test(), first task: 1 input, second task, which reads nothing: 1 input
set -euo pipefail
constraints=$(cd "$(dirname "${BASH_SOURCE[0]}")/../constraints" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AIRFLOW_HOME="$work/home" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__DAGS_FOLDER="$work/dags"

mkdir -p "$work/home/plugins" "$work/dags"
cat > "$work/home/plugins/reader.py" <<'PYTHON'
from airflow.sdk.lineage import HookLineageReader
from airflow.sdk.plugins_manager import AirflowPlugin


class ReaderPlugin(AirflowPlugin):
    """Has Airflow collect lineage."""

    name = "reader"
    hook_lineage_readers = [HookLineageReader]
PYTHON

cat > "$work/ways.py" <<'PYTHON'
import sys

from airflow.sdk import ObjectStoragePath
from airflow.sdk.lineage import get_hook_lineage_collector


def readlines(path):
    with path.open() as file:
        file.readlines()


def read(path):
    with path.open() as file:
        file.read()


def loop(path):
    with path.open() as file:
        for _ in file:
            pass


ways = {"read": read, "loop": loop, "readlines": readlines, "read_text": ObjectStoragePath.read_text}
collected = []
for name, way in ways.items():
    path = ObjectStoragePath(f"file://{sys.argv[1]}/{name}.txt")
    path.write_text("a line\n")
    way(path)
    inputs = [info.asset.uri for info in get_hook_lineage_collector().collected_assets.inputs]
    collected.append(f"{name}: {inputs.count(str(path))}")
print(", ".join(collected))
PYTHON

cat > "$work/dags/two_tasks.py" <<'PYTHON'
import os

from airflow.sdk import DAG, ObjectStoragePath, task
from airflow.sdk.lineage import get_hook_lineage_collector

WORK = os.path.dirname(os.environ["AIRFLOW_HOME"])


def inputs():
    return len(get_hook_lineage_collector().collected_assets.inputs)


@task
def first():
    path = ObjectStoragePath(f"file://{WORK}/first.txt")
    path.write_text("a line\n")
    with path.open() as file:
        file.read()
    return inputs()


@task
def second(of_first):
    with open(f"{WORK}/outcome", "w") as file:
        file.write(f"dag.test(), first task: {of_first} input, second task, which reads nothing: {inputs()} input\n")


with DAG("two_tasks", schedule=None) as dag:
    second(first())

if __name__ == "__main__":
    dag.test()
PYTHON

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    --constraint "$constraints/airflow-3.3.txt" apache-airflow-core==3.3.2
python() { "$work/venv/bin/python" -W ignore "$@" 2>> "$work/log"; }
check() {
    echo "$1"
    [ "$1" = "$2" ] || { echo "expected: $2" >&2; exit 1; }
}

python -m airflow db migrate > "$work/migrate.log"
check "$(python "$work/ways.py" "$work" | tail -n 1)" "read: 1, loop: 0, readlines: 0, read_text: 0"
python "$work/dags/two_tasks.py" > "$work/test.log"
check "$(cat "$work/outcome")" \
    "dag.test(), first task: 1 input, second task, which reads nothing: 1 input"
