#!/usr/bin/env bash
# A timetable that makes its DagRunInfo from `run_after` and `data_interval`, its only two fields until Airflow 3.1,
# works on Airflow 3.1.8 and 3.3.2, but not on 3.2.2: there, the named tuple has two more fields, `partition_date` and
# `partition_key`, without defaults, so the constructor is a TypeError. 3.3.2 has the fields with defaults.
# `DagRunInfo.interval(...)` with `_replace(run_after=...)` works on all of them.
#
# Seen on 2026-11-28 with apache-airflow-core 3.1.8, 3.2.2 and 3.3.2, Python 3.11.
# Output seen:
#   3.1.8: ok
#   3.2.2: TypeError: DagRunInfo.__new__() missing 2 required positional arguments: 'partition_date' and 'partition_key'
#   3.3.2: ok
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AIRFLOW_HOME="$work/home"

cat > "$work/timetable.py" <<'PYTHON'
import pendulum
from airflow.timetables.base import DagRunInfo, DataInterval

start, end = pendulum.datetime(2026, 1, 5, 9), pendulum.datetime(2026, 1, 5, 18)
window = DataInterval(start, end)
assert DagRunInfo.interval(start, end)._replace(run_after=start).run_after == start
try:
    DagRunInfo(run_after=start, data_interval=window)
except TypeError as exc:
    print(f"TypeError: {exc}")
else:
    print("ok")
PYTHON

expected=(
    "3.1.8: ok"
    "3.2.2: TypeError: DagRunInfo.__new__() missing 2 required positional arguments: 'partition_date' and 'partition_key'"
    "3.3.2: ok"
)
for expectation in "${expected[@]}"; do
    version=${expectation%%:*}
    python3 -m venv "$work/$version"
    "$work/$version/bin/pip" install --quiet --disable-pip-version-check "apache-airflow-core==$version"
    seen="$version: $("$work/$version/bin/python" -W ignore "$work/timetable.py" 2>/dev/null | tail -n 1)"
    echo "$seen"
    [ "$seen" = "$expectation" ] || { echo "expected: $expectation" >&2; exit 1; }
done
