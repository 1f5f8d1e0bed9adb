#!/usr/bin/env bash
# One would guess that `aggregate_raters`, which makes the table for `fleiss_kappa` from the ratings of each person,
# leaves out a rating that is missing (nan, as a pivot of pandas gives it where somebody did not answer), or refuses
# it.
#
# In statsmodels 0.15.0 nan is a category like any other. Four tasks, two of three people each, all of one mind: the
# third person's silence is counted as a third opinion, and kappa is 0.0 where it should be 1.0. If everybody answered
# tasks of their own, people "agree" on not having answered. It is seen only in the list of categories that is
# returned.
#
# Seen on 2026-11-28 with statsmodels 0.15.0, numpy 2.4.6, Python 3.11.
# Output seen:
#   all of one mind: kappa 1.00, categories 0.0 1.0
#   the same with a column of nan: kappa 0.00, categories 0.0 1.0 nan
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check statsmodels==0.15.0 numpy==2.4.6

cat > "$work/kappa.py" <<'PYTHON'
import numpy as np
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

ratings = np.array([[0, 0], [1, 1], [0, 0], [1, 1]], dtype=float)
silent = np.full((4, 1), np.nan)
for what, table in {"all of one mind": ratings, "the same with a column of nan": np.hstack([ratings, silent])}.items():
    counts, categories = aggregate_raters(table)
    print(f"{what}: kappa {fleiss_kappa(counts):.2f}, categories {' '.join(map(str, categories.tolist()))}")
PYTHON

"$work/venv/bin/python" "$work/kappa.py" | tee "$work/seen"
sed -n 's/^#   //p' "${BASH_SOURCE[0]}" | diff - "$work/seen"
