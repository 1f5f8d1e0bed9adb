"""What an estimate says a pool will cost, and what the emulator takes for it once people have answered everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from tests.support import TOKEN
from tests.worlds import PROJECT
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.models import AssignmentStatus, PoolStatus
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.checks.estimate import Estimate, estimate
from toloka_airflow.checks.money import Range
from toloka_airflow.checks.task_counts import CannotEstimateError
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.operators.pool_contents import read_contents

DAY = 24 * 3600
KNOWN = {"known_solutions": [{"output_values": {"answer": "yes"}}], "infinite_overlap": True}
HINT = KNOWN | {"message_on_unknown_solution": "It is yes."}
MIXER = {"real_tasks_count": 5, "golden_tasks_count": 0, "training_tasks_count": 0}
REJECTIONS_AGAIN = {
    "configs": [
        {
            "collector_config": {"type": "ASSIGNMENTS_ASSESSMENT"},
            "rules": [
                {
                    "conditions": [{"key": "assessment_event", "operator": "EQ", "value": "REJECT"}],
                    "action": {"type": "CHANGE_OVERLAP", "parameters": {"delta": 1, "open_pool": True}},
                }
            ],
        }
    ]
}
INTERVALS = [
    {"from": 50, "to": 79, "reward_per_assignment": 0.05},
    {"from": 80, "reward_per_assignment": 0.1},
]
DYNAMIC = {
    "type": "BASIC",
    "max_overlap": 5,
    "answer_weight_skill_id": "7",
    "fields": [{"name": "answer"}],
}


def tasks(count: int, **values: Any) -> list[dict[str, Any]]:
    return [{"input_values": {"text": f"{number}"}, **values} for number in range(count)]


def suites(count: int, size: int, **values: Any) -> list[dict[str, Any]]:
    return [{"tasks": tasks(size), **values} for _ in range(count)]


@dataclass(frozen=True)
class Case:
    """
    A pool, its tasks, and who works there.

    :param takes: Which of the totals that were estimated the emulator takes.
    :param rejects: How many of the answers the requester rejects; each of them once.
    :param skill: What all people have of the skill that the price depends on; ``None`` for nothing.
    """

    pool: dict[str, Any]
    tasks: list[dict[str, Any]] = field(default_factory=list)
    suites: list[dict[str, Any]] = field(default_factory=list)
    crowd: CrowdSettings = field(default_factory=lambda: CrowdSettings(size=20, skip_rate=0, expire_rate=0))
    takes: Callable[[Estimate], Decimal] = lambda told: told.total.most
    rejected_share: Decimal = Decimal(0)
    rejects: int = 0
    skill: float | None = None
    is_completed: bool = True
    total: str = ""


RESTLESS = CrowdSettings(size=20, skip_rate=0.2, expire_rate=0.1)
"""People who skip and forget pages: what they leave is done by others."""
AGREE = CrowdSettings(size=20, accuracy=(1, 1), skip_rate=0, expire_rate=0)

CASES = {
    "one task on a page, and people who skip": Case(
        {"mixer_config": MIXER | {"real_tasks_count": 1}}, tasks(17), crowd=RESTLESS, total="1.326"
    ),
    "full pages": Case({"mixer_config": MIXER}, tasks(20), total="0.312"),
    "a last page that is not full": Case({"mixer_config": MIXER}, tasks(12), total="0.234"),
    "a last page that is held back": Case(
        {"mixer_config": MIXER | {"force_last_assignment": False}},
        tasks(12),
        is_completed=False,
        takes=lambda told: told.total.least,
        total="0.156",
    ),
    "a last page that is held back if it is too small": Case(
        {"mixer_config": MIXER | {"force_last_assignment": False, "min_real_tasks_count": 2}}, tasks(12), total="0.234"
    ),
    "control tasks": Case(
        {"mixer_config": MIXER | {"golden_tasks_count": 2}}, [*tasks(23), *tasks(10, **KNOWN)], total="0.390"
    ),
    "control tasks that are used up": Case(
        {"mixer_config": MIXER | {"golden_tasks_count": 1}},
        [*tasks(50), *tasks(4, **KNOWN | {"infinite_overlap": False, "overlap": 3})],
        is_completed=False,
        total="0.312",
    ),
    "control tasks of which a page may have fewer": Case(
        {"mixer_config": MIXER | {"real_tasks_count": 1, "golden_tasks_count": 2, "min_golden_tasks_count": 1}},
        [*tasks(5), *tasks(1, **KNOWN | {"infinite_overlap": False, "overlap": 3})],
        is_completed=False,
        total="0.078",
    ),
    "control tasks of which not all are for everybody": Case(
        {"mixer_config": MIXER | {"real_tasks_count": 1, "golden_tasks_count": 2}},
        [*tasks(5), *tasks(1, **KNOWN), *tasks(1, **KNOWN | {"infinite_overlap": False, "overlap": 4})],
        is_completed=False,
        total="0.104",
    ),
    "a last page that has too few control tasks": Case(
        {"mixer_config": MIXER | {"golden_tasks_count": 2, "min_golden_tasks_count": 0}},
        [*tasks(12), *tasks(1, **KNOWN)],
        is_completed=False,
        takes=lambda told: told.total.least,
        total="0.156",
    ),
    "training tasks in the mixer": Case(
        {"mixer_config": MIXER | {"golden_tasks_count": 1, "training_tasks_count": 1}},
        [*tasks(20), *tasks(4, **KNOWN), *tasks(5, **HINT)],
        total="0.312",
    ),
    "own overlaps, pages that are full": Case(
        {"mixer_config": MIXER},
        [*tasks(5, overlap=6), *tasks(10, overlap=3), *tasks(5, overlap=1)],
        # Uploaded in another order, pages are not full: see below.
        takes=lambda told: told.total.least,
        total="0.338",
    ),
    "own overlaps, one task on a page": Case(
        {"mixer_config": MIXER | {"real_tasks_count": 1}},
        [*tasks(3, overlap=1), *tasks(4, overlap=6), *tasks(7)],
        crowd=RESTLESS,
        total="1.248",
    ),
    "task suites as they were uploaded": Case(
        {}, suites=[*suites(4, 3, overlap=2), *suites(5, 1)], crowd=RESTLESS, total="0.338"
    ),
    "task suites and single tasks": Case({"mixer_config": MIXER}, tasks(9), suites(3, 2, overlap=4), total="0.468"),
    "the highest of the dynamic prices": Case(
        {"mixer_config": MIXER, "dynamic_pricing_config": {"type": "SKILL", "skill_id": "7", "intervals": INTERVALS}},
        tasks(10),
        skill=95,
        total="0.78",
    ),
    "the lowest of the dynamic prices": Case(
        {"mixer_config": MIXER, "dynamic_pricing_config": {"type": "SKILL", "skill_id": "7", "intervals": INTERVALS}},
        tasks(10),
        takes=lambda told: told.total.least,
        total="0.156",
    ),
    "dynamic overlap that ends at once": Case(
        {
            "mixer_config": MIXER | {"real_tasks_count": 1},
            "dynamic_overlap_config": DYNAMIC | {"min_confidence": 0.5},
            "auto_close_after_complete_delay_seconds": 60,
        },
        tasks(6, overlap=2),
        crowd=AGREE,
        takes=lambda told: told.total.least,
        total="0.312",
    ),
    "dynamic overlap that goes on to the end": Case(
        {
            "mixer_config": MIXER | {"real_tasks_count": 1},
            "dynamic_overlap_config": DYNAMIC | {"min_confidence": 1.0},
            "auto_close_after_complete_delay_seconds": 60,
        },
        tasks(6, overlap=2),
        crowd=AGREE,
        total="0.780",
    ),
    "a review that rejects": Case(
        {"mixer_config": MIXER, "auto_accept_solutions": False},
        tasks(20),
        rejects=3,
        rejected_share=Decimal("0.25"),
        total="0.234",
    ),
    "a review that rejects, and a rule that asks for answers instead": Case(
        {"mixer_config": MIXER, "auto_accept_solutions": False, "quality_control": REJECTIONS_AGAIN},
        tasks(20),
        rejects=3,
        rejected_share=Decimal("0.25"),
        total="0.312",
    ),
    "the least fee": Case({"mixer_config": MIXER, "reward_per_assignment": 0.011}, tasks(12), total="0.144"),
    "no reward": Case({"mixer_config": MIXER, "reward_per_assignment": 0}, tasks(12), total="0"),
}


@contextmanager
def toloka(crowd: CrowdSettings) -> Iterator[tuple[EmulatorServer, TolokaClient, str]]:
    """Serve a Toloka with a project and a skill; return the project's id, too."""
    with EmulatorServer(seed=1, frozen=True, start="2026-01-05T09:00:00", crowd=crowd) as server:
        server.load({"skills": [{"id": "7", "name": "Skill"}]})
        client = TolokaClient(ClientSettings(TOKEN, base_url=server.url, retry_budget=0))
        yield server, client, client.create_project(PROJECT).id


def pool_of(case: Case, project_id: str) -> dict[str, Any]:
    return {
        "project_id": project_id,
        "private_name": "Pool",
        "may_contain_adult_content": False,
        "will_expire": "2026-12-01T00:00:00",
        "reward_per_assignment": 0.02,
        "assignment_max_duration_seconds": 600,
        "defaults": {"default_overlap_for_new_task_suites": 1, "default_overlap_for_new_tasks": 3},
        **case.pool,
    }


def balance(client: TolokaClient) -> Decimal:
    money = client.get_requester().balance
    assert money is not None
    return money


def upload(client: TolokaClient, pool_id: str, case: Case) -> None:
    for path, items in (("/tasks", case.tasks), ("/task-suites", case.suites)):
        if items:
            body = [{"pool_id": pool_id, **item} for item in items]
            created = client.call("POST", path, json=body, params={"allow_defaults": "true"})
            assert len(created["items"]) == len(items)


def review(client: TolokaClient, pool_id: str, rejects: int) -> bool:
    """Reject so many of the answers, accept the others; say whether there was anything to review."""
    found = list(client.list_assignments(pool_id=pool_id, status=AssignmentStatus.SUBMITTED))
    for number, assignment in enumerate(found):
        status = "REJECTED" if number < rejects else "ACCEPTED"
        client.call("PATCH", f"/assignments/{assignment.id}", json={"status": status, "public_comment": "So it is."})
    return bool(found)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_the_emulator_takes_what_was_estimated(case: Case) -> None:
    with toloka(case.crowd) as (server, client, project_id):
        for user_id in server.crowd.user_ids if case.skill is not None else ():
            client.call("PUT", "/user-skills", json={"user_id": user_id, "skill_id": "7", "value": case.skill})
        body = pool_of(case, project_id)
        told = estimate(body, [*case.tasks, *case.suites], rejected_share=case.rejected_share)
        assert case.takes(told) == Decimal(case.total)

        before = balance(client)
        pool_id = client.create_pool(body).id
        upload(client, pool_id, case)
        client.open_pool(pool_id)
        server.clock.advance(10 * DAY)
        rejects = case.rejects
        while review(client, pool_id, rejects):
            rejects = 0
            server.clock.advance(10 * DAY)
        assert client.get_pool(pool_id).status is (PoolStatus.CLOSED if case.is_completed else PoolStatus.OPEN)
        assert before - balance(client) == case.takes(told)

        # Nothing is left to pay, and what is there at Toloka says so.
        if case.is_completed:
            assert estimate(client.get_pool(pool_id).raw, read_contents(client, pool_id)).total.least == 0


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_what_was_uploaded_costs_what_was_to_be_uploaded(case: Case) -> None:
    with toloka(case.crowd) as (_, client, project_id):
        body = pool_of(case, project_id)
        pool_id = client.create_pool(body).id
        upload(client, pool_id, case)
        there = read_contents(client, pool_id)
        assert estimate(client.get_pool(pool_id).raw, there) == estimate(body, [*case.tasks, *case.suites])


@pytest.mark.parametrize(
    ("size", "overlaps", "answers"),
    [
        (5, [*[6] * 4, *[3] * 7, *[1] * 9], Range(11, 15)),
        # Of the next, the emulator takes the most.
        (2, [5, 2, 2, 2, 2, 1, 5], Range(10, 12)),
        (2, [2, 5, 2, 2, 1, 1, 5], Range(9, 11)),
        (2, [5, 1, 2, 5, 5, 2, 5], Range(13, 15)),
    ],
)
def test_the_emulator_is_within_the_range_where_pages_may_be_more_or_less_full(
    size: int, overlaps: list[int], answers: Range[int]
) -> None:
    uneven = [task for overlap in overlaps for task in tasks(1, overlap=overlap)]
    case = Case({"mixer_config": MIXER | {"real_tasks_count": size}}, uneven)
    with toloka(case.crowd) as (server, client, project_id):
        body = pool_of(case, project_id)
        told = estimate(body, case.tasks)
        assert told.assignments == answers
        pool_id = client.create_pool(body).id
        upload(client, pool_id, case)
        client.open_pool(pool_id)
        server.clock.advance(DAY)
        assert client.get_pool(pool_id).status is PoolStatus.CLOSED
        assert told.total.least <= 1000 - balance(client) <= told.total.most


def test_pages_of_control_tasks_alone_have_no_end() -> None:
    mixer = MIXER | {"real_tasks_count": 1, "golden_tasks_count": 1, "min_real_tasks_count": 0}
    case = Case({"mixer_config": mixer}, [*tasks(1, overlap=1), *tasks(3, **KNOWN)])
    with toloka(case.crowd) as (server, client, project_id):
        body = pool_of(case, project_id)
        with pytest.raises(CannotEstimateError, match=r"min_real_tasks_count is 0.*control tasks alone.*Set it to 1"):
            estimate(body, case.tasks)
        pool_id = client.create_pool(body).id
        upload(client, pool_id, case)
        client.open_pool(pool_id)
        server.clock.advance(DAY)
        assert len(list(client.list_assignments(pool_id=pool_id))) == 60


ENDLESS = Case({"mixer_config": MIXER}, tasks(5, infinite_overlap=True))


def test_without_an_end_there_is_no_estimate_and_no_end() -> None:
    with toloka(ENDLESS.crowd) as (server, client, project_id):
        body = pool_of(ENDLESS, project_id)
        with pytest.raises(
            CannotEstimateError, match=r"5 of 5 tasks have an infinite overlap.*max_spend of PoolSensor"
        ):
            estimate(body, ENDLESS.tasks)
        pool_id = client.create_pool(body).id
        upload(client, pool_id, ENDLESS)
        client.open_pool(pool_id)
        server.clock.advance(DAY)
        assert len(list(client.list_assignments(pool_id=pool_id))) == 20
        server.crowd.change(size=40)
        server.clock.advance(DAY)
        # Each person who comes answers once more.
        assert len(list(client.list_assignments(pool_id=pool_id))) == 40
