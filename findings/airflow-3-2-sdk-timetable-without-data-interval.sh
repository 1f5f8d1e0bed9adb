#!/usr/bin/env bash
# One would guess that the timetable that a DAG has for its schedule answers the same on all of Airflow 3: for a run at
# a given time, `infer_manual_data_interval` tells the data interval, as custom timetables are required to.
#
# It does on Airflow 3.1.8, where `DAG` of airflow.sdk makes the timetables of airflow.timetables. On 3.2.2 and 3.3.2 it
# makes classes of the same names out of airflow.sdk, which hold the arguments of the schedule and no more: asked for an
# interval, they raise an AttributeError. A task is given that DAG too, as `context["dag"]`. A timetable of
# airflow.timetables that is passed as the schedule stays what it is, so that there two DAGs with one schedule differ.
#
# Seen on 2026-11-28 with apache-airflow-core 3.1.8, 3.2.2 and 3.3.2 (task SDK 1.1.8, 1.2.2 and 1.3.2), Python 3.11.
# Output seen:
#   3.1.8: cron: ok, delta: ok, timetable: ok
#   3.2.2: cron: no attribute, delta: no attribute, timetable: ok
#   3.3.2: cron: no attribute, delta: no attribute, timetable: ok
set -euo pipefail
constraints=$(cd "$(dirname "${BASH_SOURCE[0]}")/../constraints" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AIRFLOW_HOME="$work/home"

cat > "$work/timetable.py" <<'PYTHON'
import datetime

import pendulum
from airflow.sdk import DAG
from airflow.timetables.trigger import CronTriggerTimetable

schedules = {
    "cron": "0 9 * * *",
    "delta": datetime.timedelta(days=1),
    "timetable": CronTriggerTimetable("0 9 * * *", timezone="UTC"),
}
noon = pendulum.datetime(2026, 1, 5, 12)


def ask(timetable):
    try:
        interval = timetable.infer_manual_data_interval(run_after=noon)
    except AttributeError as exc:
        assert str(exc) == f"'{type(timetable).__name__}' object has no attribute 'infer_manual_data_interval'", exc
        return "no attribute"
    assert interval.start <= interval.end <= noon, interval
    return "ok"


print(*(f"{name}: {ask(DAG(name, schedule=schedule).timetable)}" for name, schedule in schedules.items()), sep=", ")
PYTHON

expected=(
    "3.1.8: cron: ok, delta: ok, timetable: ok"
    "3.2.2: cron: no attribute, delta: no attribute, timetable: ok"
    "3.3.2: cron: no attribute, delta: no attribute, timetable: ok"
)
for expectation in "${expected[@]}"; do
    version=${expectation%%:*}
    python3 -m venv "$work/$version"
    "$work/$version/bin/pip" install --quiet --disable-pip-version-check \
        --constraint "$constraints/airflow-${version%.*}.txt" "apache-airflow-core==$version"
    seen="$version: $("$work/$version/bin/python" -W ignore "$work/timetable.py" 2>/dev/null | tail -n 1)"
    echo "$seen"
    [ "$seen" = "$expectation" ] || { echo "expected: $expectation" >&2; exit 1; }
done
