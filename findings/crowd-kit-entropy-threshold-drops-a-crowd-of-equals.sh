#!/usr/bin/env bash
# One would guess that `entropy_threshold`, which is to find people who click one button, leaves a crowd alone in which
# everybody answers alike and right: at the default percentile of 10, at most a tenth of the people could go.
#
# In crowd-kit 1.4.2 whoever is *at* the percentile goes as well, although its documentation says "below". Where all
# have the same entropy, all of them are at every percentile, so nobody's answers are left. Ten tasks of two kinds,
# answered by three people without one mistake, come back as an empty table; with one slip of one person, that person
# goes at a percentile of 1, and everybody at 50. A newcomer with one answer is the only one who is never dropped.
#
# Seen on 2026-11-28 with crowd-kit 1.4.2, pandas 3.1.1, Python 3.11.
# Output seen:
#   no mistake, percentile 1: nobody is left
#   no mistake, percentile 10: nobody is left
#   no mistake and a newcomer, percentile 10: newcomer
#   one slip of w2, percentile 1: w0 w1
#   one slip of w2, percentile 50: nobody is left
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    crowd-kit==1.4.2 pandas==3.1.1 scikit-learn==1.7.2 numpy==2.4.6

cat > "$work/threshold.py" <<'PYTHON'
import pandas as pd
from crowdkit.postprocessing import entropy_threshold

COLUMNS = ["task", "worker", "label"]
TRUTH = {f"t{number}": "cat" if number % 2 else "dog" for number in range(10)}
right = pd.DataFrame([(task, f"w{n}", label) for task, label in TRUTH.items() for n in range(3)], columns=COLUMNS)
slip = right.copy()
slip.loc[(slip.task == "t3") & (slip.worker == "w2"), "label"] = "dog"
newcomer = pd.DataFrame([("t1", "newcomer", "cat")], columns=COLUMNS)


def tell(what, answers, percentile):
    left = sorted(set(entropy_threshold(answers, percentile=percentile).worker))
    print(f"{what}, percentile {percentile}: {' '.join(left) or 'nobody is left'}")


tell("no mistake", right, 1)
tell("no mistake", right, 10)
tell("no mistake and a newcomer", pd.concat([right, newcomer]), 10)
tell("one slip of w2", slip, 1)
tell("one slip of w2", slip, 50)
PYTHON

"$work/venv/bin/python" -W ignore "$work/threshold.py" | tee "$work/seen"
sed -n 's/^#   //p' "${BASH_SOURCE[0]}" | diff - "$work/seen"
