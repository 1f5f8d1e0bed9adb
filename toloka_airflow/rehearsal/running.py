"""One run: a Toloka of its own in this process, in virtual time, from the first call until the pool is closed."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from decimal import Decimal
from functools import partial
from typing import Any

from toloka_airflow.checks.money import cost_of
from toloka_airflow.emulator.calls.handling import Answer, Call
from toloka_airflow.emulator.quality import audience
from toloka_airflow.emulator.resources import user_skills
from toloka_airflow.emulator.resources.routes import HANDLERS
from toloka_airflow.emulator.simulation import seed as seed_data
from toloka_airflow.emulator.simulation.simulation import Simulation
from toloka_airflow.emulator.world.clock import MINUTE, SECOND, Clock, format_date
from toloka_airflow.emulator.world.entities import AssignmentStatus, Pool, PoolStatus
from toloka_airflow.emulator.world.errors import Refusal
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.rehearsal.plans import Json, Plan, refused
from toloka_airflow.rehearsal.results import Run

# More than any pool takes: whether the account can pay is no question of a rehearsal.
BALANCE = 10**12
# Now, or when they are reviewed.
PAID = (AssignmentStatus.ACCEPTED, AssignmentStatus.SUBMITTED)
# How long the clock runs until the pool is polled again; what happens in between happens at its own moment.
STEP = 10 * MINUTE


def run_once(plan: Plan, seed: int) -> Run:
    """
    Create everything by the calls that a DAG makes, let the crowd work until the pool is closed, and measure.

    :raises RehearsalError: If a call is refused.
    """
    world = Simulation(
        seed=seed,
        clock=Clock(start=format_date(plan.start), frozen=True),
        crowd=plan.crowd,
        balance=BALANCE,
        quotas=False,
    )
    # Whatever takes Toloka a moment is no part of the time.
    world.progressions.set(Progression(seconds=0))
    history = _History(world)
    pool = _set_up(world, plan)
    with world.up_to_date():
        eligible = [user_id for user_id in world.people if audience.matches(world, pool.body.get("filter"), user_id)]
    _work(world, pool, history, plan.limit)
    people = list(pool.people)
    labels = _Labels(world, pool, plan.graded)
    return Run(
        seed=seed,
        completed=pool.close_reason == "COMPLETED" and pool.status is PoolStatus.CLOSED,
        close_reason=pool.close_reason if pool.status is PoolStatus.CLOSED else None,
        idle=pool.status is PoolStatus.OPEN and not pool.active,
        seconds=history.seconds,
        money=sum(
            (cost_of(1, Decimal(str(had.reward)), plan.fee).total for had in pool.assignments if had.status in PAID),
            Decimal(0),
        ),
        pages=sum(had.submitted is not None for had in pool.assignments),
        eligible=len(eligible),
        people=len(people),
        banned=sum(user_id in history.banned for user_id in people),
        tasks=labels.tasks,
        labelled=labels.labelled,
        right=labels.right,
    )


class _History:
    """What happened in a run that the world does not keep: openings, closings and bans."""

    def __init__(self, world: Simulation) -> None:
        self.banned: set[str] = set()
        self.opened: int | None = None
        self.closed = 0
        world.listen("pool.opened", partial(self._opened, world))
        world.listen("pool.closed", partial(self._closed, world))
        world.listen("user_restriction.set", self._banned)

    def _opened(self, world: Simulation, facts: Json) -> None:
        if self.opened is None:
            self.opened = world.now

    def _closed(self, world: Simulation, facts: Json) -> None:
        self.closed = world.now

    def _banned(self, facts: Json) -> None:
        self.banned.add(facts["user_id"])

    @property
    def seconds(self) -> float:
        """Return the virtual seconds from the first opening to the last closing."""
        return (self.closed - (self.opened or 0)) / SECOND


def _set_up(world: Simulation, plan: Plan) -> Pool:
    with world.up_to_date():
        skills = [{"id": skill_id, "name": f"Skill {skill_id}"} for skill_id in plan.skills]
        try:
            seed_data.load(world, {"skills": skills})
        except Refusal as refusal:
            raise refused("A skill that the configuration names", refusal) from refusal
        for person in world.crowd.people():
            for skill_id, value in plan.given.items():
                exact = round(100 * person["accuracy"], 6) if value is None else value
                user_skills.assign(world, person["user_id"], skill_id, exact)
    project = _call(world, "The project", "POST", "/projects", plan.project)
    body = dict(plan.pool, project_id=project["id"])
    training_id = None
    if plan.training is not None:
        training = _call(world, "The training", "POST", "/trainings", dict(plan.training, project_id=project["id"]))
        training_id = training["id"]
        requirement = {**body["quality_control"]["training_requirement"], "training_pool_id": training_id}
        body["quality_control"] = {**body["quality_control"], "training_requirement": requirement}
        _upload(world, "The tasks of the training", training_id, plan.training_tasks)
    pool_id = _call(world, "The pool", "POST", "/pools", body)["id"]
    _upload(world, "The tasks", pool_id, plan.tasks)
    if training_id is not None:
        _call(world, "Opening the training", "POST", "/trainings/{id}/open", id=training_id)
    _call(world, "Opening the pool", "POST", "/pools/{id}/open", id=pool_id)
    return world.pools[pool_id]


def _upload(world: Simulation, what: str, pool_id: str, batches: tuple[str, ...]) -> None:
    done = 0
    for batch in batches:
        tasks = [{**task, "pool_id": pool_id} for task in json.loads(batch)]
        part = what if len(batches) == 1 else f"{what} {done + 1} to {done + len(tasks)}"
        _call(world, part, "POST", "/tasks", tasks, query={"allow_defaults": "true"})
        done += len(tasks)


def _call(
    world: Simulation, what: str, method: str, path: str, body: Any = None, *, query: Json | None = None, **ids: str
) -> Json:
    """Make a call of the API, by the handler that answers it over HTTP, too."""
    try:
        with world.up_to_date():
            answer = HANDLERS[method, path](world, Call(ids, query or {}, body))
    except Refusal as refusal:
        raise refused(what, refusal) from refusal
    return answer.body if isinstance(answer, Answer) and isinstance(answer.body, dict) else {}


def _work(world: Simulation, pool: Pool, history: _History, limit: int) -> None:
    """Let time pass until the pool is closed and nobody works on a page of it any more, or until the limit."""
    now = world.clock.now()
    end = now + limit
    while now < end:
        # Over a time in which nothing happens at once: nobody may be left to work.
        until = min(end, max(now + STEP, end if world.upcoming is None else world.upcoming))
        world.clock.advance((until - now) / SECOND)
        now = until
        with world.up_to_date():
            if pool.status is PoolStatus.CLOSED and not pool.active:
                return
    history.closed = world.now


class _Labels:
    """
    Labels of the real tasks, by the majority of the answers that are not rejected, beside what is right.

    :param graded: The output fields.
    """

    def __init__(self, world: Simulation, pool: Pool, graded: list[str]) -> None:
        real = [task for task in pool.tasks if task.is_real]
        votes: defaultdict[str, list[Json]] = defaultdict(list)
        for assignment in sorted(pool.assignments, key=lambda had: (had.submitted or 0, had.id)):
            if assignment.status in PAID:
                for task, values in zip(assignment.tasks, assignment.solutions or [], strict=True):
                    votes[task.id].append(values)
        spec = world.projects[pool.body["project_id"]].body["task_spec"]["output_spec"]
        self.tasks, self.labelled = len(real), sum(task.id in votes for task in real)
        self.right = dict.fromkeys(graded, 0)
        for task in real:
            truth = world.crowd.truth.of(task, spec)
            for name in graded if task.id in votes else ():
                # The most common, and of those the one that came first.
                ((label, _),) = Counter(json.dumps(values.get(name)) for values in votes[task.id]).most_common(1)
                self.right[name] += label == json.dumps(truth[name])
