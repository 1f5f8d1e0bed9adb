#!/usr/bin/env bash
# One would guess that an XCom is what was pushed, whatever backend stores it: a text stays that text, and a value that
# can no longer be read is an error. And that a backend deletes only files that it has written.
#
# `XComObjectStorageBackend` of the common.io provider 1.11.0 (Airflow 3.3.2) puts large values into files and keeps
# their paths in the database, with nothing that tells such a path from a text of a task. So any text that is a path
# below `xcom_objectstorage_path` is taken for one of its own. A task that writes a JSON file there and returns its path
# gives the next one the content; and the next attempt of a task begins by deleting the file that the XCom of the one
# before names, although the task wrote it. The other way round, if the file of a large value is gone, as by
# a rule for the age of files in a bucket, the next task is given its path, a text, and no error.
#
# A folder of its own for XComs, in which no task writes anything, avoids the first two.
#
# Seen on 2026-11-30 with apache-airflow-providers-common-io 1.11.0, apache-airflow-core 3.3.2, Python 3.11.
# Output seen:
#   returned the path of a JSON file of its own: the next task got {'labels': 5}
#   pushed such a path, then failed: in try 2 the file is gone
#   the file of a list is gone: the next task got a str, which is the path
set -euo pipefail
constraints=$(cd "$(dirname "${BASH_SOURCE[0]}")/../constraints" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AIRFLOW_HOME="$work/home" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__DAGS_FOLDER="$work/dags"
export AIRFLOW__CORE__XCOM_BACKEND=airflow.providers.common.io.xcom.backend.XComObjectStorageBackend
export AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH="file://$work/store"
export AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD=1000

mkdir -p "$work/dags" "$work/store/labels"
cat > "$work/dags/xcoms.py" <<'PYTHON'
import datetime
import os
from pathlib import Path

from airflow.sdk import DAG, ObjectStoragePath, task

STORE = os.environ["AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH"]


def tell(line):
    with open(os.environ["AIRFLOW_HOME"] + "/../seen", "a") as file:
        file.write(line + "\n")


def write_labels(name):
    path = ObjectStoragePath(f"{STORE}/labels/{name}.json")
    path.write_text('{"labels": 5}')
    return str(path)


@task
def return_path():
    return write_labels("returned")


@task
def next_of_path(value):
    tell(f"returned the path of a JSON file of its own: the next task got {value}")


@task(retries=1, retry_delay=datetime.timedelta(seconds=0))
def push_path(ti=None):
    if ti.try_number == 1:
        ti.xcom_push(key="labels", value=write_labels("pushed"))
        raise RuntimeError("The first attempt fails")
    there = ObjectStoragePath(f"{STORE}/labels/pushed.json").exists()
    tell(f"pushed such a path, then failed: in try 2 the file is {'there' if there else 'gone'}")


@task
def return_list():
    return ["a label"] * 1000


@task
def expire():
    """Do what a rule for the age of files does."""
    [file] = Path(STORE.removeprefix("file://")).glob("large/*/return_list/*")
    file.unlink()


@task
def next_of_list(value):
    path = ", which is the path" if str(value).startswith(STORE) else ""
    tell(f"the file of a list is gone: the next task got a {type(value).__name__}{path}")


with DAG("small", schedule=None) as small:
    next_of_path(return_path())
with DAG("retried", schedule=None) as retried:
    push_path()
with DAG("large", schedule=None) as large:
    labels = return_list()
    labels >> expire() >> next_of_list(labels)

if __name__ == "__main__":
    for dag in (small, retried, large):
        dag.test()
PYTHON

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --constraint "$constraints/airflow-3.3.txt" \
    apache-airflow-core==3.3.2 apache-airflow-providers-common-io==1.11.0
"$work/venv/bin/python" -W ignore -m airflow db migrate > "$work/log" 2>&1
"$work/venv/bin/python" -W ignore "$work/dags/xcoms.py" >> "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
cat "$work/seen"
sed -n 's/^#   //p' "${BASH_SOURCE[0]}" | diff - "$work/seen" || { cat "$work/log"; exit 1; }
