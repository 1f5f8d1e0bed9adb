"""Simulated Tolokers: they take suites from open pools and answer them in their own time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator import assignments, pools
from toloka_airflow.emulator.clock import SECOND
from toloka_airflow.emulator.truth import Truth, wrong

if TYPE_CHECKING:
    from toloka_airflow.emulator.entities import Assignment, Json, Pool, Task
    from toloka_airflow.emulator.world import Action, World

MAX_SIZE = 100_000
DAY_IN_SECONDS = 24 * 3600


@dataclass(frozen=True)
class CrowdSettings:
    """
    Describe the crowd.

    :param size: How many people there are.
    :param accuracy: Lowest and highest share of right answers of a person.
    :param seconds_per_task: Lowest and highest pace of a person.
    :param skip_rate: Share of suites that are left unanswered on purpose.
    :param expire_rate: Share of suites that are forgotten until their time is over.
    """

    size: int = 40
    accuracy: tuple[float, float] = (0.75, 0.98)
    seconds_per_task: tuple[float, float] = (4.0, 20.0)
    skip_rate: float = 0.02
    expire_rate: float = 0.01

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE:
            raise ValueError(f"size must be between 0 and {MAX_SIZE}, not {self.size}")
        _check_range("accuracy", self.accuracy, 1)
        _check_range("seconds_per_task", self.seconds_per_task, DAY_IN_SECONDS)
        for name in ("skip_rate", "expire_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)}")
        if self.skip_rate + self.expire_rate > 1:
            raise ValueError("skip_rate and expire_rate together must not be greater than 1")


def _check_range(name: str, bounds: tuple[float, float], highest: float) -> None:
    low, high = bounds
    if not (math.isfinite(low) and 0 <= low <= high <= highest):
        raise ValueError(f"{name} must be [low, high] with 0 <= low <= high <= {highest}, not {list(bounds)}")


@dataclass(slots=True)
class Person:
    """A Toloker; `skill` and `slowness` are places between the lowest and the highest of the settings."""

    number: int
    user_id: str
    skill: float
    slowness: float
    idle: bool = True


class Crowd:
    """
    Let people work.

    Nobody polls: a person without work is idle until an event makes work.
    """

    def __init__(self, world: World, settings: CrowdSettings) -> None:
        self._world = world
        self._random = Random(f"{world.seed}:crowd")
        self.settings = settings
        self.truth = Truth(world.seed)
        self._people: list[Person] = []
        self._grow()
        for event in ("pool.opened", "training.opened", "tasks.created", "operation.finished"):
            world.listen(event, self._work_appeared)
        for event in ("assignment.skipped", "assignment.expired"):
            world.listen(event, self._work_appeared)

    def change(self, **settings: Any) -> None:
        """Change some settings; who is surplus then ends the suite at hand and takes no other."""
        with self._world.up_to_date():
            self.settings = replace(self.settings, **settings)
            self._grow()
            self._wake()

    def _grow(self) -> None:
        for number in range(len(self._people), self.settings.size):
            # One generator per person: a larger crowd has the same people in it, and some more.
            random = Random(f"{self._world.seed}:person:{number}")
            user_id = f"{random.getrandbits(128):032x}"
            self._people.append(Person(number, user_id, random.random(), random.random()))

    def _work_appeared(self, facts: Json) -> None:
        pool = self._world.pools.get(facts.get("pool_id", ""))
        if pool is not None and pool.hands_out:
            self._wake()

    def _wake(self) -> None:
        for person in self._people[: self.settings.size]:
            if person.idle:
                person.idle = False
                delay = self._random.random() * self._pace(person)
                self._world.at(self._world.now + round(delay * SECOND), _look_for_work, person)

    def look_for_work(self, person: Person) -> None:
        """Take a suite from the first open pool that has one for this person, else be idle."""
        if person.number < self.settings.size:
            for pool in self._open_pools():
                if self._take_suite(person, pool):
                    return
        person.idle = True

    def _open_pools(self) -> list[Pool]:
        open_pools = [pool for pool in self._world.pools.values() if pool.hands_out]
        return sorted(open_pools, key=lambda pool: -pool.body.get("priority", 0))

    def _take_suite(self, person: Person, pool: Pool) -> bool:
        tasks = _compose(person, pool)
        if not tasks:
            return False
        if not self._world.account.can_pay(pool.price):
            _put_back(person, pool, tasks)
            pools.close_now(self._world, pool, "NOT_ENOUGH_BALANCE")
            return False
        self._plan(person, assignments.hand_out(self._world, pool, person.user_id, tasks))
        return True

    def _plan(self, person: Person, assignment: Assignment) -> None:
        limit = assignment.pool.body.get("assignment_max_duration_seconds", DAY_IN_SECONDS)
        seconds = self._pace(person) * len(assignment.tasks) * self._random.uniform(0.6, 1.4)
        # Whoever is too slow for the limit hurries; expire_rate alone says how many suites expire.
        seconds = min(seconds, 0.95 * limit)
        luck = self._random.random()
        if luck < self.settings.skip_rate:
            self._later(seconds * 0.3, _skip, person, assignment)
        elif luck < self.settings.skip_rate + self.settings.expire_rate:
            self._later(limit, _expire, person, assignment)
        else:
            self._later(seconds, _submit, person, assignment)

    def _later(self, seconds: float, action: Action, person: Person, assignment: Assignment) -> None:
        self._world.at(self._world.now + max(1, round(seconds * SECOND)), action, person, assignment)

    def answers(self, person: Person, assignment: Assignment) -> list[Json]:
        """Return a person's answers, right as often as the person's accuracy says."""
        project = self._world.projects[assignment.pool.body["project_id"]]
        spec = project.body["task_spec"]["output_spec"]
        return [self._answer(person, task, spec) for task in assignment.tasks]

    def _answer(self, person: Person, task: Task, output_spec: Json) -> Json:
        accuracy = _between(self.settings.accuracy, person.skill)
        truth = self.truth.of(task, output_spec)
        return {
            name: truth[name] if self._random.random() < accuracy else wrong(spec, truth[name], self._random)
            for name, spec in output_spec.items()
        }

    def _pace(self, person: Person) -> float:
        return _between(self.settings.seconds_per_task, person.slowness)


def _between(bounds: tuple[float, float], share: float) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * share


def _compose(person: Person, pool: Pool) -> list[Task]:
    real, golden, hints = _mix(pool)
    tasks = pool.real.take(person.number, real)
    if real and not tasks:
        return []
    return tasks + pool.golden.take(person.number, golden) + pool.hints.take(person.number, hints)


def _mix(pool: Pool) -> tuple[int, int, int]:
    if pool.is_training:
        return pool.body["training_tasks_in_task_suite_count"], 0, 0
    mixer = pool.body.get("mixer_config")
    if mixer is None:
        return 0, 0, 0
    return mixer["real_tasks_count"], mixer["golden_tasks_count"], mixer["training_tasks_count"]


def _put_back(person: Person, pool: Pool, tasks: list[Task]) -> None:
    for task in tasks:
        task.takers.remove(person.number)
        pool.supply(task).add(task)


def _look_for_work(world: World, person: Person) -> None:
    world.crowd.look_for_work(person)


def _submit(world: World, person: Person, assignment: Assignment) -> None:
    assignments.submit(world, assignment, world.crowd.answers(person, assignment))
    world.crowd.look_for_work(person)


def _skip(world: World, person: Person, assignment: Assignment) -> None:
    assignments.skip(world, assignment)
    world.crowd.look_for_work(person)


def _expire(world: World, person: Person, assignment: Assignment) -> None:
    assignments.expire(world, assignment)
    world.crowd.look_for_work(person)
