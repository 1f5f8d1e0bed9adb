#!/usr/bin/env bash
# One would guess that a daily run at 9 o'clock whose data interval is a day, `relativedelta(days=1)` and not 24 hours,
# has the day from 9 to 9 by the clock of its time zone, so that the intervals of two runs meet, whatever day it is: a
# `relativedelta` is there for calendar arithmetic, and the cron expression follows the clock.
#
# `CronTriggerTimetable` of Airflow 3.1.8 and 3.3.2 subtracts the interval from an instant in UTC, so a day is 24 hours,
# be it a `timedelta` or a `relativedelta`. After the day of 25 hours, an hour is in the interval of no run: what is
# read by `data_interval_start` and `data_interval_end` never has it. After the day of 23 hours, an hour is in two of
# them, so that what is paid or counted by interval is so twice. `CronDataIntervalTimetable` has neither.
#
# Seen on 2026-11-30 with apache-airflow-core 3.1.8 and 3.3.2, Python 3.11, Europe/Berlin.
# Output seen:
#   3.1.8, timedelta: March 28 08:00 to 28 09:00 in two runs; October 24 09:00 to 24 10:00 in no run
#   3.1.8, relativedelta: March 28 08:00 to 28 09:00 in two runs; October 24 09:00 to 24 10:00 in no run
#   3.1.8, CronDataIntervalTimetable: March seamless; October seamless
#   3.3.2, timedelta: March 28 08:00 to 28 09:00 in two runs; October 24 09:00 to 24 10:00 in no run
#   3.3.2, relativedelta: March 28 08:00 to 28 09:00 in two runs; October 24 09:00 to 24 10:00 in no run
#   3.3.2, CronDataIntervalTimetable: March seamless; October seamless
set -euo pipefail
constraints=$(cd "$(dirname "${BASH_SOURCE[0]}")/../constraints" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AIRFLOW_HOME="$work/home"

cat > "$work/seams.py" <<'PYTHON'
import datetime
import sys

import pendulum
from airflow.timetables.base import TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow.timetables.trigger import CronTriggerTimetable
from dateutil.relativedelta import relativedelta

BERLIN = "Europe/Berlin"


def clock(instant):
    return instant.in_timezone(BERLIN).format("D HH:mm")


def seams(timetable, first_day):
    """Return what is between the intervals of runs around the change of the clock."""
    earliest = pendulum.datetime(*first_day, tz=BERLIN)
    restriction = TimeRestriction(earliest=earliest, latest=None, catchup=True)
    interval, found = None, []
    for _ in range(5):
        before = interval
        interval = timetable.next_dagrun_info(
            last_automated_data_interval=before, restriction=restriction
        ).data_interval
        if before is None or before.end == interval.start:
            continue
        gap = before.end < interval.start
        start, end = sorted((before.end, interval.start))
        found.append(f"{clock(start)} to {clock(end)} {'in no run' if gap else 'in two runs'}")
    return ", ".join(found) or "seamless"


nine = "0 9 * * *"
for name, timetable in {
    "timedelta": CronTriggerTimetable(nine, timezone=BERLIN, interval=datetime.timedelta(days=1)),
    "relativedelta": CronTriggerTimetable(nine, timezone=BERLIN, interval=relativedelta(days=1)),
    "CronDataIntervalTimetable": CronDataIntervalTimetable(nine, timezone=BERLIN),
}.items():
    march, october = seams(timetable, (2026, 3, 27)), seams(timetable, (2026, 10, 23))
    print(f"{sys.argv[1]}, {name}: March {march}; October {october}")
PYTHON

for version in 3.1.8 3.3.2; do
    rm -rf "$AIRFLOW_HOME"
    python3 -m venv "$work/$version"
    "$work/$version/bin/pip" install --quiet --disable-pip-version-check \
        --constraint "$constraints/airflow-${version%.*}.txt" apache-airflow-core==$version
    "$work/$version/bin/python" -W ignore "$work/seams.py" "$version" 2> "$work/errors" \
        || { cat "$work/errors"; exit 1; }
done | grep '^3' | tee "$work/seen"
sed -n 's/^#   //p' "${BASH_SOURCE[0]}" | diff - "$work/seen"
