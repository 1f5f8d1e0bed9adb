"""A configuration, rehearsed: several runs in virtual time, each with another seed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from toloka_airflow.checks.money import Fee
from toloka_airflow.rehearsal.crowds import Crowd
from toloka_airflow.rehearsal.plans import Config, make_plan
from toloka_airflow.rehearsal.results import Rehearsal
from toloka_airflow.rehearsal.running import run_once
from toloka_airflow.transfer.heap import frozen_heap

MAX_DAYS = 30.0


def rehearse(
    project: Config,
    pool: Config,
    training: Config | None = None,
    tasks: Any = None,
    *,
    training_tasks: Any = None,
    training_passing_skill_value: int | None = None,
    crowd: Crowd | None = None,
    runs: int = 20,
    seed: int = 0,
    start: datetime | None = None,
    max_days: float = MAX_DAYS,
    fee: Fee | None = None,
    on_run: Callable[[int], None] | None = None,
) -> Rehearsal:
    """
    Let a simulated crowd answer the tasks of a pool, several times, and return what it cost and how it went.

    Each run has a Toloka of its own in this process, without a network, an account or a real clock: the emulator, which
    gets the same calls. The same arguments give the same result, in any process. So that this holds on another
    day, too, for a pool that expires before it is complete, give the start.

    :param project: A mapping, the path of a JSON or YAML file, or a `Document`. So are the next two.
    :param pool: Its project_id may be missing, and its will_expire, which then is later than any run ends.
    :param training: That which the pool requires; its training_pool_id need not be known. Without it, everybody counts
        as having passed.
    :param tasks: Tasks as they are uploaded: a path, or a list.
    :param training_tasks: Those of the training; tasks of the pool stand for them if there are none.
    :param training_passing_skill_value: How well people must do in it, from 0 to 100, if the pool does not say so.
    :param crowd: The people.
    :param runs: How many runs.
    :param seed: Chooses the people, their answers and what is right, in each run other ones.
    :param start: When the pool is opened; now by default. It matters for will_expire only.
    :param max_days: After how many days of virtual time a run ends if the pool is still open.
    :param fee: What Toloka takes for an answer; by default what its guide says.
    :param on_run: Called with the number of each run, from 1, before it begins.
    :raises ValueError: If anything cannot be read, or would be refused; says what.
    """
    if runs < 1:
        raise ValueError(f"runs is {runs}; it must be at least 1")
    if not 0 < max_days <= 3650:
        raise ValueError(f"max_days is {max_days}; it must be above 0, and at most 3650")
    plan = make_plan(
        project,
        pool,
        training,
        tasks,
        training_tasks=training_tasks,
        passing=training_passing_skill_value,
        crowd=crowd or Crowd(),
        start=start,
        limit=timedelta(days=max_days),
        fee=fee or Fee(),
    )
    done = []
    with frozen_heap():
        for number in range(1, runs + 1):
            if on_run is not None:
                on_run(number)
            done.append(run_once(plan, _seed(seed, number)))
    return Rehearsal(tuple(done), tuple(plan.ungraded), plan.notes, max_days)


def _seed(seed: int, number: int) -> int:
    """Return the seed of a run: that of no other run of any other seed."""
    return int.from_bytes(blake2b(f"{seed}:{number}".encode(), digest_size=6).digest())
