#!/usr/bin/env bash
# One would guess that an aggregation of two labels takes any table of answers, also of people who answered once, as
# most of a crowd do; and that where two of three people agree on every task, the result is theirs, whatever the seed.
#
# `KOS` of crowd-kit 1.4.2 raises KeyError 0.0 as soon as the only answer to a task comes from somebody who gave no
# other: what counts for a task is what people said of *other* tasks, the sum of nothing is 0, and 0 is no label.
# And the labels of the whole table may come out swapped: of the seeds 0 to 19, two give for six tasks the opposite of
# what two of the three people said of each, as the method starts from random weights and which of the two consistent
# solutions it settles on is a matter of their sum.
#
# Seen on 2026-11-28 with crowd-kit 1.4.2, pandas 3.1.1, numpy 2.4.6, Python 3.11.
# Output seen:
#   each task has somebody with another answer: a a
#   one task has an answer of a newcomer only: KeyError 0.0
#   majority: a b a b a b
#   seeds with the majority: 0 1 2 3 4 5 6 7 8 10 11 12 13 14 16 17 18 19
#   seeds with its opposite: 9 15
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    crowd-kit==1.4.2 pandas==3.1.1 scikit-learn==1.7.2 numpy==2.4.6

cat > "$work/kos.py" <<'PYTHON'
from collections import defaultdict

import pandas as pd
from crowdkit.aggregation import KOS

COLUMNS = ["task", "worker", "label"]


def labels(answers, seed):
    try:
        return " ".join(KOS(random_state=seed).fit_predict(pd.DataFrame(answers, columns=COLUMNS)).sort_index())
    except KeyError as error:
        return f"KeyError {error}"


pair = [("t1", "w1", "a"), ("t1", "w2", "b"), ("t2", "w1", "a"), ("t2", "w2", "a")]
print("each task has somebody with another answer:", labels(pair, 0))
print("one task has an answer of a newcomer only:", labels([*pair, ("t3", "newcomer", "a")], 0))

truth = ["ab"[number % 2] for number in range(6)]
other = {"a": "b", "b": "a"}
answers = [(f"t{n}", worker, label) for n, label in enumerate(truth) for worker in ("w1", "w2")]
answers += [(f"t{n}", "w3", other[label]) for n, label in enumerate(truth)]
seeds = defaultdict(list)
for seed in range(20):
    seeds[labels(answers, seed)].append(str(seed))
print("majority:", " ".join(truth))
print("seeds with the majority:", " ".join(seeds.pop(" ".join(truth))))
print("seeds with its opposite:", " ".join(seeds.pop(" ".join(other[label] for label in truth))))
assert not seeds, seeds
PYTHON

"$work/venv/bin/python" -W ignore "$work/kos.py" | tee "$work/seen"
sed -n 's/^#   //p' "${BASH_SOURCE[0]}" | diff - "$work/seen"
