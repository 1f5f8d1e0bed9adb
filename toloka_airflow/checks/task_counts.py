"""How many tasks there are of which kind and overlap: all that matters of them for money."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

REMAINING, OVERLAP = "remaining_overlap", "overlap"


class CannotEstimateError(ValueError):
    """Say why nobody knows what a pool will cost."""


@dataclass(frozen=True)
class TaskCounts:
    """
    Count tasks that are to be answered.

    :param real: How many single tasks there are of each overlap; an overlap of 0 is none.
    :param suites: How many task suites there are of each overlap.
    :param golden: How many control tasks of each overlap among the single ones; ``None`` is an infinite one.
    :param training: How many training tasks, in the same way.
    :param endless: How many tasks and suites with an infinite overlap, without control and training tasks.
    """

    real: Mapping[int, int] = field(default_factory=dict)
    suites: Mapping[int, int] = field(default_factory=dict)
    golden: Mapping[int | None, int] = field(default_factory=dict)
    training: Mapping[int | None, int] = field(default_factory=dict)
    endless: int = 0

    @property
    def total(self) -> int:
        """Return how many single tasks and suites there are."""
        kinds = (self.real, self.suites, self.golden, self.training)
        return sum(sum(kind.values()) for kind in kinds) + self.endless

    @property
    def highest_overlap(self) -> int:
        """Return how many people the task needs that needs most."""
        return max((*self.real, *self.suites), default=0)


def count_tasks(
    tasks: Iterable[Mapping[str, Any]], pool: Mapping[str, Any], *, allow_defaults: bool = True
) -> TaskCounts:
    """
    Count tasks and task suites.

    A task without an overlap of its own has that of the pool's defaults. Where there is a ``remaining_overlap``, as in
    what the API answers, that counts: what is answered already is not to be paid once more.

    :param tasks: As the API takes or answers them; what has ``tasks`` is a suite.
    :param pool: As the API takes or answers it; if it is a training, its tasks are endless unless they say otherwise.
    :param allow_defaults: Whether tasks are uploaded so that those without an overlap get that of the pool's defaults.
    :raises CannotEstimateError: If a task has no overlap.
    """
    real: Counter[int] = Counter()
    suites: Counter[int] = Counter()
    golden: Counter[int | None] = Counter()
    training: Counter[int | None] = Counter()
    endless = 0
    defaults = pool.get("defaults") if allow_defaults else None
    for number, task in enumerate(tasks, start=1):
        overlap = None if is_training(pool) else _overlap(task, defaults, number)
        if "tasks" in task:
            endless += overlap is None
            suites.update(() if overlap is None else (overlap,))
        elif task.get("known_solutions") and not is_training(pool):
            (training if "message_on_unknown_solution" in task else golden)[overlap] += 1
        else:
            endless += overlap is None
            real.update(() if overlap is None else (overlap,))
    return TaskCounts(real, suites, golden, training, endless)


def is_training(pool: Mapping[str, Any]) -> bool:
    """Say whether something is a training, whose tasks are not paid: by itself, or fetched as a pool."""
    return "training_tasks_in_task_suite_count" in pool or pool.get("type") == "TRAINING"


def _overlap(task: Mapping[str, Any], defaults: object, number: int) -> int | None:
    """Return how many people are still to answer it; ``None`` if as many as there are."""
    if task.get("infinite_overlap"):
        return None
    given = task.get(REMAINING, task.get(OVERLAP))
    if given is not None:
        if isinstance(given, bool) or not isinstance(given, int) or given < 0:
            raise CannotEstimateError(f"Task {number} has the overlap {given!r}; it must be a whole number")
        return given
    name = "default_overlap_for_new_task_suites" if "tasks" in task else "default_overlap_for_new_tasks"
    default = defaults.get(name) if isinstance(defaults, Mapping) else None
    if isinstance(default, bool) or not isinstance(default, int) or default < 1:
        raise CannotEstimateError(
            f"Task {number} has no overlap, and the pool has no defaults.{name} for it, or the tasks are uploaded "
            "without allow_defaults: Toloka refuses it. Give an overlap in either place"
        )
    return default
