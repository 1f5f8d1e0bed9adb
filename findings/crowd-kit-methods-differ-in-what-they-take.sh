#!/usr/bin/env bash
# One would guess that the aggregations of crowd-kit take the same tables: what one method labels, another does as well,
# and a column of labels may be of any type that pandas has for a small set of values.
#
# In crowd-kit 1.4.2 that depends on the method. Labels of pandas' type for categories, as Parquet with dictionaries is
# read, are refused by all but GLAD and MACE, with an AttributeError from within pandas' `eval` that names neither the
# column nor the type; for tasks and people that type is fine. True and False are labels for all but GLAD, which takes
# the column for a mask of rows. MMSR raises if there are two people and they agree on everything.
#
# Seen on 2026-11-28 with crowd-kit 1.4.2, pandas 3.1.1, Python 3.11.
# Output seen:
#   DawidSkene: text ok, categories AttributeError, booleans ok, two who agree ok
#   GLAD: text ok, categories ok, booleans ValueError, two who agree ok
#   MACE: text ok, categories ok, booleans ok, two who agree ok
#   MMSR: text ok, categories AttributeError, booleans ok, two who agree ValueError
#   MajorityVote: text ok, categories AttributeError, booleans ok, two who agree ok
#   OneCoinDawidSkene: text ok, categories AttributeError, booleans ok, two who agree ok
#   Wawa: text ok, categories AttributeError, booleans ok, two who agree ok
#   ZeroBasedSkill: text ok, categories AttributeError, booleans ok, two who agree ok
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    crowd-kit==1.4.2 pandas==3.1.1 scikit-learn==1.7.2 numpy==2.4.6

cat > "$work/labels.py" <<'PYTHON'
import pandas as pd
from crowdkit import aggregation

COLUMNS = ["task", "worker", "label"]
PEOPLE = ["w0", "w1", "w2", "w3"]
four = pd.DataFrame(
    [(f"t{n}", who, "ab"[(n + (n == at)) % 2]) for n in range(10) for at, who in enumerate(PEOPLE)], columns=COLUMNS
)
TABLES = {
    "text": four,
    "categories": four.astype({"label": "category"}),
    "booleans": four.assign(label=four.label == "a"),
    "two who agree": four[four.worker.isin(PEOPLE[:2]) & (four.task > "t1")],
}


def outcome(method, answers):
    try:
        labels = getattr(aggregation, method)().fit_predict(answers)
    except Exception as error:
        return type(error).__name__
    assert set(labels.index) == set(answers.task)
    return "ok"


for method in ("DawidSkene", "GLAD", "MACE", "MMSR", "MajorityVote", "OneCoinDawidSkene", "Wawa", "ZeroBasedSkill"):
    print(f"{method}: " + ", ".join(f"{what} {outcome(method, answers)}" for what, answers in TABLES.items()))
PYTHON

"$work/venv/bin/python" -W ignore "$work/labels.py" 2> "$work/warnings" | tee "$work/seen"
sed -n 's/^#   //p' "${BASH_SOURCE[0]}" | diff - "$work/seen"
