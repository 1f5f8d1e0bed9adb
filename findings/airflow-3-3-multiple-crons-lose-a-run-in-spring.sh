#!/usr/bin/env bash
# One would guess that `MultipleCronTriggerTimetable` runs whenever one of its expressions does by itself.
#
# In Airflow 3.1.8 and 3.3.2 it does so, but for the night in March in which the clock goes from 2 to 3. `30 2 * * *` by
# itself runs in that night, too, at 3:30. With `15 3 * * *` beside it, that run is lost, as the next one is searched
# from 3:15, and only a search that begins before the gap finds what was due in it. With `45 3 * * *` beside it, it is
# there. So a nightly run depends on which other expression has its turn in that hour.
#
# Seen on 2026-11-30 with apache-airflow-core 3.1.8 and 3.3.2, Python 3.11, Europe/Berlin.
# Output seen:
#   3.1.8, 30 2 * * *: 3:30
#   3.1.8, 15 3 * * *: 3:15
#   3.1.8, 30 2 * * * and 15 3 * * *: 3:15
#   3.1.8, 30 2 * * * and 45 3 * * *: 3:30, 3:45
#   3.3.2, 30 2 * * *: 3:30
#   3.3.2, 15 3 * * *: 3:15
#   3.3.2, 30 2 * * * and 15 3 * * *: 3:15
#   3.3.2, 30 2 * * * and 45 3 * * *: 3:30, 3:45
set -euo pipefail
constraints=$(cd "$(dirname "${BASH_SOURCE[0]}")/../constraints" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AIRFLOW_HOME="$work/home"

cat > "$work/runs.py" <<'PYTHON'
import sys

import pendulum
from airflow.timetables.base import TimeRestriction
from airflow.timetables.trigger import MultipleCronTriggerTimetable

BERLIN = "Europe/Berlin"
midnight = pendulum.datetime(2026, 3, 29, tz=BERLIN)
restriction = TimeRestriction(earliest=midnight, latest=midnight.add(days=1), catchup=True)
for crons in (["30 2 * * *"], ["15 3 * * *"], ["30 2 * * *", "15 3 * * *"], ["30 2 * * *", "45 3 * * *"]):
    timetable = MultipleCronTriggerTimetable(*crons, timezone=BERLIN)
    runs, last = [], None
    while info := timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction):
        last = info.data_interval
        runs.append(info.run_after.in_timezone(BERLIN).format("H:mm"))
    print(f"{sys.argv[1]}, {' and '.join(crons)}: {', '.join(runs)}")
PYTHON

for version in 3.1.8 3.3.2; do
    rm -rf "$AIRFLOW_HOME"
    python3 -m venv "$work/$version"
    "$work/$version/bin/pip" install --quiet --disable-pip-version-check \
        --constraint "$constraints/airflow-${version%.*}.txt" apache-airflow-core==$version
    "$work/$version/bin/python" -W ignore "$work/runs.py" "$version" 2> "$work/errors" \
        || { cat "$work/errors"; exit 1; }
done | grep '^3' | tee "$work/seen"
sed -n 's/^#   //p' "${BASH_SOURCE[0]}" | diff - "$work/seen"
