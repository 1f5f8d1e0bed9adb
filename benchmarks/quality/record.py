"""
Write what crowd-kit makes of some votes, for the tests, which do without it.

    python -m benchmarks.quality.record > tests/unit/quality/methods/crowd_kit_1.4.2.json
"""

from __future__ import annotations

import json
import warnings
from dataclasses import replace

from benchmarks.label import crowds

GUESSING = replace(crowds.MIXED, name="guessing", low=0.3, high=0.4, people=12, classes=3)
CASES = [(crowds.MIXED, 2), (crowds.MIXED, 3), (crowds.GOOD, 3), (crowds.SPAMMERS, 5), (GUESSING, 4)]
TASKS = 600


def record(crowd: crowds.Crowd, overlap: int, seed: int) -> dict[str, object]:
    import pandas
    from crowdkit.aggregation import DawidSkene

    answers = crowds.simulate(crowd.sized(TASKS), seed)
    columns = dict(zip(("task", "worker", "label"), answers.given(overlap), strict=True))
    probabilities = DawidSkene(n_iter=100, tol=1e-5).fit_predict_proba(pandas.DataFrame(columns))
    probabilities = probabilities.sort_index().sort_index(axis="columns")
    return {
        "crowd": crowd.name,
        "tasks": TASKS,
        "overlap": overlap,
        "seed": seed,
        "labels": "".join(map(str, probabilities.idxmax(axis="columns"))),
        "probabilities": probabilities.head(20).to_numpy().tolist(),
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    seeds = iter(crowds.REPORTING_SEEDS)
    print(json.dumps([record(crowd, overlap, next(seeds)) for crowd, overlap in CASES], separators=(",", ":")))
