"""
Fit Dawid and Skene's method once, in a process of its own, and print what it took as JSON.

    python -m benchmarks.quality.fit ours 100000 labels.npy
    python -m benchmarks.quality.fit crowd-kit 100000 labels.npy

The second runs in an environment with crowd-kit, in which Airflow need not be. Both get the same votes, and stop by the
same rule: after 100 iterations, or when the bound grows by less than 1e-5 for each vote.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.label import crowds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Columns = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]

OVERLAP, ANSWERS_EACH = 3, 1_000
SEED = crowds.REPORTING_SEEDS[0]
ITERATIONS, TOLERANCE = 100, 1e-5


def many_votes(
    answers: int,
    crowd: crowds.Crowd = crowds.MIXED,
    *,
    seed: int = SEED,
    overlap: int = OVERLAP,
    answers_each: int = ANSWERS_EACH,
) -> tuple[crowds.Crowd, Columns, NDArray[np.int32]]:
    """
    Return votes of as many people as are needed; what each of them answers is that of the crowd.

    :param answers: How many votes.
    :param answers_each: How many votes of each person, about; there are 30 people at least.
    :return: The crowd; the task, the person and the label of each vote; and the right class of each task.
    """
    crowd = replace(crowd, people=max(answers // answers_each, 30), tasks=answers // overlap)
    tasks = np.repeat(np.arange(crowd.tasks), overlap)
    random = np.random.default_rng(seed)
    # The first person is any, and the others are others, as the steps to them are less than once around.
    first = random.integers(crowd.people, size=(crowd.tasks, 1))
    steps = 1 + random.integers((crowd.people - 1) // (overlap - 1), size=(crowd.tasks, overlap - 1))
    people = np.hstack([first, first + np.cumsum(steps, axis=1)]) % crowd.people
    people = np.sort(people, axis=1).reshape(-1)  # by task and person, as votes that are read from a file
    truth = crowds.true_classes(crowd, seed)
    labels = crowds.answer(crowd, seed, people, tasks, truth[tasks])
    return crowd, (tasks.astype(np.int32), people.astype(np.int32), labels), truth


def now() -> tuple[float, float]:
    """Return the seconds of the clock, and those for which this process had a processor."""
    return time.perf_counter(), time.process_time()


def passed(start: tuple[float, float], end: tuple[float, float]) -> dict[str, float]:
    return {"clock": end[0] - start[0], "fit": end[1] - start[1]}


def fit_ours(answers: int) -> tuple[dict[str, float], NDArray[np.int32]]:
    began = time.process_time()
    from toloka_airflow.quality.methods import Votes, dawid_skene, dawid_skene_map

    imported = time.process_time()
    crowd, columns, _ = many_votes(answers)
    votes = Votes(*columns, crowd.tasks, crowd.people, crowd.classes)
    start = now()
    found = dawid_skene(votes, iterations=ITERATIONS, tolerance=TOLERANCE)
    end = now()
    dawid_skene_map(votes)
    times = {"import": imported - began, **passed(start, end), "map": now()[1] - end[1]}
    return times, found.labels


def fit_crowd_kit(answers: int) -> tuple[dict[str, float], NDArray[np.int32]]:
    began = time.process_time()
    # It uses what pandas is going to change, and says so in each iteration.
    warnings.simplefilter("ignore")
    import pandas
    from crowdkit.aggregation import DawidSkene

    imported = time.process_time()
    _, columns, _ = many_votes(answers)
    frame = pandas.DataFrame(dict(zip(("task", "worker", "label"), columns, strict=True)))
    start = now()
    method = DawidSkene(n_iter=ITERATIONS, tol=TOLERANCE)
    found = method.fit_predict(frame)
    times = {"import": imported - began, **passed(start, now()), "iterations": len(method.loss_history_)}
    return times, found.sort_index().to_numpy(np.int32)


def main(which: str, answers: str, path: str) -> None:
    """Fit, and write the labels."""
    times, labels = {"ours": fit_ours, "crowd-kit": fit_crowd_kit}[which](int(answers))
    np.save(path, labels)
    print(json.dumps(times))


if __name__ == "__main__":
    main(*sys.argv[1:])
