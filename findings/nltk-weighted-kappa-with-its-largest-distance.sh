#!/usr/bin/env bash
# One would guess that `weighted_kappa(max_distance=...)` wants to be told the largest distance that two ratings may
# have, and that its default of 1.0 is wrong for a scale with larger ones: kappa is 1 for equal ratings, about 0 for
# two people who rate at random, and never below -1.
#
# In NLTK 3.10.4 it is the other way round. With distances of up to 16 (squares, on a scale of 1 to 5), two people who
# rate at random get about 0 with the default, and -13.9 if the largest distance is told: what was seen is divided by
# it, what was to be expected is not. For equal ratings both give 1.0, so that a check with a perfect crowd does not
# show it.
#
# Seen on 2026-11-28 with nltk 3.10.4, Python 3.11.
# Output seen:
#   equal ratings: default 1.00, max_distance=16 1.00
#   random ratings: default 0.07, max_distance=16 -13.91
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check nltk==3.10.4

cat > "$work/kappa.py" <<'PYTHON'
import random

from nltk.metrics import interval_distance
from nltk.metrics.agreement import AnnotationTask

rng = random.Random(0)
at_random = [(person, task, rng.randint(1, 5)) for task in range(200) for person in ("p1", "p2")]
equal = [(person, task, 1 + task % 5) for task in range(200) for person in ("p1", "p2")]
for what, ratings in {"equal ratings": equal, "random ratings": at_random}.items():
    table = AnnotationTask(data=ratings, distance=interval_distance)
    print(f"{what}: default {table.weighted_kappa():.2f}, max_distance=16 {table.weighted_kappa(max_distance=16):.2f}")
PYTHON

"$work/venv/bin/python" "$work/kappa.py" | tee "$work/seen"
sed -n 's/^#   //p' "${BASH_SOURCE[0]}" | diff - "$work/seen"
