"""What a snapshot consists of: every class, every constant and every function that it may name."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from random import Random

from toloka_airflow.emulator.people import crowd
from toloka_airflow.emulator.people.crowd import CrowdSettings, Person
from toloka_airflow.emulator.resources import (
    analytics,
    assignments,
    operations,
    projects,
    solutions,
    uploads,
    user_bonuses,
    user_restrictions,
    user_skills,
    webhooks,
)
from toloka_airflow.emulator.resources.pools import pools
from toloka_airflow.emulator.resources.pools.pools import TRANSITIONS, Transition
from toloka_airflow.emulator.resources.suites import SUITES
from toloka_airflow.emulator.resources.tasks import TASKS
from toloka_airflow.emulator.resources.uploads import Kind, Options
from toloka_airflow.emulator.simulation.codecs import Part, Shape, Table
from toloka_airflow.emulator.simulation.scalars import Whole
from toloka_airflow.emulator.world.entities import Json, Lesson, Notification, Operation, Pool, Project, Subscription
from toloka_airflow.emulator.world.faults import Fault
from toloka_airflow.emulator.world.items import Assignment, Item, Suite, Task
from toloka_airflow.emulator.world.people import (
    Attachment,
    MessageThread,
    Profile,
    Skill,
    UserBonus,
    UserRestriction,
    UserSkill,
)
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.emulator.world.quotas import Window


class Plan:
    """Stands for what the world does at some moment: a function that is called with the world."""


class Effect:
    """Stands for what an operation does at its end: a function that is called with the world and the operation."""


TABLE = Table(
    shared={
        kind.__name__: kind
        for kind in (Project, Pool, Task, Suite, Assignment, Operation, Subscription, Notification, Person)
    },
    fields={Operation: {"effect": Effect}},
    constants={Kind: {kind.name: kind for kind in (TASKS, SUITES)}, Transition: TRANSITIONS},
    functions={
        Plan: (
            1,
            {
                "begin": crowd._begin,
                "look_for_work": crowd._look_for_work,
                "submit": crowd._submit,
                "skip": crowd._skip,
                "expire": crowd._expire,
                "expire_restriction": user_restrictions._expire,
                "expire_user_skill": user_skills._expire,
                "accept": assignments._accept_by_default,
                "run_operation": operations._run,
                "finish_operation": operations.finish,
                "complete_pool": pools._complete,
                "expire_pool": pools._expire,
                "reopen_pool": pools._reopen,
                "repeat_notification": webhooks._repeat,
            },
        ),
        Effect: (
            2,
            {
                "aggregate": solutions._aggregate,
                "archive_project": projects._archived,
                "clone_pool": pools._clone,
                "create_batch": uploads._create_batch,
                "measure": analytics._measure,
                "move_pool": pools._moved,
                "pay_bonuses": user_bonuses._pay_batch,
            },
        ),
    },
    names={
        **{kind.__name__: kind for kind in (Project, Pool, Task, Suite, Assignment, Operation, Subscription)},
        **{kind.__name__: kind for kind in (Notification, Person, Lesson, Kind, Transition, Options)},
        "Callable": Callable,
        "Item": Item,
        "Json": Json,
        "World": object,
        "PeopledWorld": object,
    },
)

IDS = Part(
    TABLE,
    {
        "_random": Random,
        "_requests": Random,
        "_events": Random,
        "_number": int,
        "_claimed": str | None,
        "_mark": int,
        "_count": int,
    },
)
TRUTH = Part(TABLE, {"_seed": Whole, "_told": dict[tuple[str, ...], dict[tuple[str, ...], Json]]})
CROWD = Part(
    TABLE,
    {"_random": Random, "settings": CrowdSettings, "truth": TRUTH, "_people": list[Person], "_begin": int | None},
    lasting=("_world", "_answers", "_by_id"),
)
QUOTAS = Part(
    TABLE,
    {"enabled": bool, "_windows": dict[tuple[str, str], Window]},
    lasting=("_monotonic", "_second"),
)
WORLD = Part(
    TABLE,
    {
        "now": int,
        "seed": Whole,
        "ids": IDS,
        "requester_id": str,
        "account": Part(TABLE, {"balance": Decimal, "reserved": Decimal, "_accepted": list[str]}),
        "progressions": Part(TABLE, {"_settings": dict[tuple[str | None, str | None], Progression]}),
        "quotas": QUOTAS,
        "projects": dict[str, Project],
        "pools": dict[str, Pool],
        "tasks": dict[str, Task],
        "suites": dict[str, Suite],
        "assignments": dict[str, Assignment],
        "operations": dict[str, Operation],
        "subscriptions": dict[str, Subscription],
        "people": dict[str, Profile],
        "skills": dict[str, Skill],
        "user_skills": dict[str, UserSkill],
        "user_restrictions": dict[str, UserRestriction],
        "user_bonuses": dict[str, UserBonus],
        "attachments": dict[str, Attachment],
        "message_threads": dict[str, MessageThread],
        "_plans": list[tuple[int, int, Plan]],
        "_turns": int,
        "crowd": CROWD,
    },
    lasting=(
        *("lock", "clock", "faults", "news", "journal", "courier", "operations_by_id"),
        *("_crowd_settings", "_balance", "_quotas", "_data", "_alarm", "_listeners"),
        *("user_skill_of", "restrictions_of", "attachments_of"),
    ),
)
STATE = Shape(
    TABLE,
    {
        "world": WORLD,
        "faults": Shape(TABLE, {"_seed": Whole, "_queue": list[Fault], "_random": Random}),
        "journal": Shape(TABLE, {"forgotten": int, "kept": list[tuple[int, str, Json]]}),
    },
)
