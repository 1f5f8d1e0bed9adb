#!/usr/bin/env bash
# One would guess that Krippendorff's alpha of a table of ratings is the same number from every library, as it is a
# formula, and that a library which is right for its own example is right for other tables of that kind.
#
# `kripp_alpha` of pyirr 0.84.1.2 is right, for nominal labels, for tables with four or five labels and at least one
# missing rating, as the example of the book has it. With two or three labels it counts the agreement on one label as a
# disagreement: people who agree on nearly every task get an alpha below 0. With six and more it raises IndexError:
# where the upper half of its table of coincidences begins depends on the number of labels. Without a gap each pair of
# ratings counts as if there were two people, whatever their number, so that alpha is off with four or five labels, too.
#
# Seen on 2026-11-30 with pyirr 0.84.1.2, krippendorff 0.9.0, numpy 1.26.4, pandas 2.3.3, scipy 1.12.0, Python 3.11.
# Output seen:
#   2 labels: with a gap -0.633, krippendorff 0.667; without -0.662, krippendorff 0.669
#   3 labels: with a gap -0.837, krippendorff 0.748; without -0.859, krippendorff 0.750
#   4 labels: with a gap 0.775, krippendorff 0.775; without 0.776, krippendorff 0.777
#   5 labels: with a gap 0.792, krippendorff 0.792; without 0.792, krippendorff 0.793
#   6 labels: with a gap IndexError, krippendorff 0.797; without IndexError, krippendorff 0.799
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    pyirr==0.84.1.2 krippendorff==0.9.0 numpy==1.26.4 pandas==2.3.3 scipy==1.12.0

cat > "$work/alphas.py" <<'PYTHON'
import krippendorff
import numpy as np
from pyirr import kripp_alpha


def of_pyirr(ratings):
    try:
        return f"{kripp_alpha(ratings).value:.3f}"
    except IndexError:
        return "IndexError"


for labels in (2, 3, 4, 5, 6):
    # 30 tasks of four people, who agree but for every third answer of the last.
    ratings = np.array([[task // 3 % labels] * 4 for task in range(30)], dtype=float)
    ratings[::3, 3] = (ratings[::3, 3] + 1) % labels
    alphas = []
    for gaps in ("with a gap", "without"):
        if gaps == "with a gap":
            ratings_seen = ratings.copy()
            ratings_seen[1, 0] = np.nan
        else:
            ratings_seen = ratings
        right = krippendorff.alpha(reliability_data=ratings_seen.T, level_of_measurement="nominal")
        alphas.append(f"{gaps} {of_pyirr(ratings_seen)}, krippendorff {right:.3f}")
    print(f"{labels} labels:", "; ".join(alphas))
PYTHON

"$work/venv/bin/python" "$work/alphas.py" | tee "$work/seen"
sed -n 's/^#   //p' "${BASH_SOURCE[0]}" | diff - "$work/seen"
