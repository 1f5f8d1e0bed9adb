#!/usr/bin/env bash
# One would guess that the parts of an `ObjectStoragePath` are parts of it: `bucket` and `key` together are `path`,
# and the connection that is given as an argument is the one that is used.
#
# In Airflow 3.3.2 (task SDK 1.3.2) `key` ends before a question mark or a hash, which names in S3 may have and `path`
# and `name` keep: who copies by `bucket` and `key` reads or writes another object. A slash at the beginning of a key
# is lost from it, too. And `conn_id=` gives way without a word to a connection in the URL.
#
# Seen on 2026-11-28 with apache-airflow-core 3.3.2, universal-pathlib as its constraints have it, Python 3.11.
# Output seen:
#   s3://bucket/what?.csv: name what?.csv, path bucket/what?.csv, key what
#   s3://bucket/no#1.csv: name no#1.csv, path bucket/no#1.csv, key no
#   s3://bucket//a.csv: name a.csv, path bucket//a.csv, key a.csv
#   conn_id="argument" of s3://url@bucket/a.csv: url
set -euo pipefail
constraints=$(cd "$(dirname "${BASH_SOURCE[0]}")/../constraints" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AIRFLOW_HOME="$work/home"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    --constraint "$constraints/airflow-3.3.txt" apache-airflow-core==3.3.2

cat > "$work/parts.py" <<'PYTHON'
from airflow.sdk import ObjectStoragePath

for url in ("s3://bucket/what?.csv", "s3://bucket/no#1.csv", "s3://bucket//a.csv"):
    path = ObjectStoragePath(url)
    print(f"{url}: name {path.name}, path {path.path}, key {path.key}")
path = ObjectStoragePath("s3://url@bucket/a.csv", conn_id="argument")
print(f'conn_id="argument" of s3://url@bucket/a.csv: {path.conn_id}')
PYTHON

"$work/venv/bin/python" -W ignore "$work/parts.py" 2> "$work/log" | grep -v '\[info' | tee "$work/seen"
sed -n 's/^#   //p' "${BASH_SOURCE[0]}" | diff - "$work/seen"
