#!/usr/bin/env bash
# One would guess that a date with more digits than a datetime can hold is read alike by msgspec and by Python: digits
# behind microseconds, as services in Java and Go write them, are cut off, and a day stays that day.
#
# Python cuts them off. msgspec 0.22.0 rounds, so that the last instant of a year is read as the first of the next: an
# answer is in another day, or partition, than by `fromisoformat` of the same text, and a filter "before midnight"
# misses it.
#
# Seen on 2026-11-28 with msgspec 0.22.0, Python 3.11.
# Output seen:
#   2019-12-31T23:59:59.9999994Z: msgspec 2019, Python 2019
#   2019-12-31T23:59:59.9999999Z: msgspec 2020, Python 2019
#   2019-12-31T23:59:59.999999999Z: msgspec 2020, Python 2019
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check msgspec==0.22.0

cat > "$work/dates.py" <<'PYTHON'
from datetime import datetime

import msgspec

for digits in ("9999994", "9999999", "999999999"):
    text = f"2019-12-31T23:59:59.{digits}Z"
    read = msgspec.json.decode(f'"{text}"', type=datetime)
    print(f"{text}: msgspec {read.year}, Python {datetime.fromisoformat(text).year}")
PYTHON

"$work/venv/bin/python" "$work/dates.py" | tee "$work/seen"
sed -n 's/^#   //p' "${BASH_SOURCE[0]}" | diff - "$work/seen"
