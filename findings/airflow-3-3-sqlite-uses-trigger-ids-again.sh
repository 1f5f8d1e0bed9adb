#!/usr/bin/env bash
# One would guess that the event of a trigger reaches the task that was deferred for it, or nobody.
#
# Airflow 3.3.2 gives an event to whichever tasks have the id of the trigger by the time it comes. A row of the table
# `trigger` is deleted when no task waits for it any more, such as after its task was marked as failed, while its
# triggerer may still run it. On SQLite the next trigger gets the id of the row that is gone, if that was the last one:
# the table is made without AUTOINCREMENT. A late event then resumes another task, of another DAG, as a wait that ended.
# The sequences of PostgreSQL give no number twice.
#
# Seen on 2026-11-29 with apache-airflow-core 3.3.2, Python 3.11, SQLite.
# Output seen:
#   the trigger of one has the id 1
#   one was marked as failed, and its trigger is gone
#   the trigger of other has the id 1
#   the event of one's trigger came: other is scheduled, to resume with "what one waited for"
set -euo pipefail
constraints=$(cd "$(dirname "${BASH_SOURCE[0]}")/../constraints" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AIRFLOW_HOME="$work/home" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__DAGS_FOLDER="$work/dags"
export AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION=False

mkdir "$work/dags"
cat > "$work/dags/waits.py" <<'PYTHON'
from airflow.sdk import DAG, task


@task
def wait():
    pass


for name in ("one", "other"):
    with DAG(name, schedule=None):
        wait()
PYTHON

cat > "$work/events.py" <<'PYTHON'
import datetime

from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.triggers.base import TriggerEvent
from airflow.utils.session import create_session
from sqlalchemy import select


def defer(session, dag_id):
    """Do what the server does for a task that defers; return the id of the trigger."""
    trigger = Trigger(classpath="of.no.account", kwargs={}, created_date=datetime.datetime.now(datetime.timezone.utc))
    session.add(trigger)
    session.flush()
    waits = session.scalar(select(TaskInstance).where(TaskInstance.dag_id == dag_id))
    waits.state, waits.trigger_id, waits.next_method, waits.next_kwargs = "deferred", trigger.id, "execute_complete", {}
    return trigger.id


with create_session() as session:
    first = defer(session, "one")
print("the trigger of one has the id", first)
with create_session() as session:
    session.scalar(select(TaskInstance).where(TaskInstance.dag_id == "one")).state = "failed"
    session.flush()
    Trigger.clean_unused(session=session)
    gone = session.get(Trigger, first) is None
print("one was marked as failed, and its trigger", "is gone" if gone else "is there")
with create_session() as session:
    print("the trigger of other has the id", defer(session, "other"))
with create_session() as session:
    Trigger.submit_event(first, TriggerEvent("what one waited for"), session=session)
with create_session() as session:
    other = session.scalar(select(TaskInstance).where(TaskInstance.dag_id == "other"))
    event = "what one waited for" if "what one waited for" in str(other.next_kwargs) else other.next_kwargs
    print(f'the event of one\'s trigger came: other is {other.state}, to resume with "{event}"')
PYTHON

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    --constraint "$constraints/airflow-3.3.txt" apache-airflow-core==3.3.2
airflow() { "$work/venv/bin/python" -W ignore -m airflow "$@"; }
airflow db migrate > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
airflow dags reserialize >> "$work/log" 2>&1
airflow dags trigger one >> "$work/log" 2>&1
airflow dags trigger other >> "$work/log" 2>&1

"$work/venv/bin/python" -W ignore "$work/events.py" 2> "$work/errors" | grep trigger | tee "$work/seen"
sed -n 's/^#   //p' "${BASH_SOURCE[0]}" | diff - "$work/seen" || { cat "$work/errors"; exit 1; }
