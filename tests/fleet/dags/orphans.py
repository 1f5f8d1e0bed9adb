"""
A DAG for each operator that changes something at Toloka; `tests/fleet/test_orphans.py` kills their supervisors.

Each run is told in its configuration what to work on. Each DAG has a connection of its own, of the name of the DAG.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from toloka_airflow.operators.aggregation import AggregateSolutionsOperator
from toloka_airflow.operators.assignments import ReviewAssignmentsOperator
from toloka_airflow.operators.bonuses import PayBonusesOperator
from toloka_airflow.operators.calls import TolokaCallOperator
from toloka_airflow.operators.lifecycle import (
    ArchivePoolOperator,
    ArchiveTrainingOperator,
    ClosePoolOperator,
    CloseTrainingOperator,
    OpenPoolOperator,
    OpenTrainingOperator,
)
from toloka_airflow.operators.overlap import ChangeOverlapOperator
from toloka_airflow.operators.pools import (
    ClonePoolOperator,
    CloneTrainingOperator,
    CreatePoolOperator,
    CreateTrainingOperator,
)
from toloka_airflow.operators.projects import ArchiveProjectOperator, CreateProjectOperator, UpdateProjectOperator
from toloka_airflow.operators.restrictions import LiftRestrictionsOperator, RestrictUsersOperator
from toloka_airflow.operators.skills import CreateSkillOperator, SetUserSkillsOperator
from toloka_airflow.operators.tasks import CreateTasksOperator
from toloka_airflow.operators.updates import UpdatePoolOperator
from toloka_airflow.sensors import PoolSensor

PROJECT_ID, POOL_ID, TRAINING_ID, TASK_ID, SKILL_ID, USER_ID, ASSIGNMENT_ID = (
    f"{{{{ dag_run.conf.{name} }}}}" for name in ("project", "pool", "training", "task", "skill", "user", "assignment")
)
PROJECT = {
    "public_name": "Orphan",
    "public_description": "?",
    "public_instructions": "?",
    "assignments_issuing_type": "AUTOMATED",
    "task_spec": {
        "input_spec": {"text": {"type": "string"}},
        "output_spec": {"label": {"type": "string"}},
        "view_spec": {"type": "tb", "config": '{"view": {"type": "view.text", "content": "?"}}'},
    },
}
POOL = {
    "private_name": "Orphan",
    "may_contain_adult_content": False,
    "reward_per_assignment": 0.01,
    "assignment_max_duration_seconds": 600,
    "auto_accept_solutions": True,
    "defaults": {"default_overlap_for_new_task_suites": 1, "default_overlap_for_new_tasks": 1},
}
TRAINING = {
    "private_name": "Orphan",
    "may_contain_adult_content": False,
    "inherited_instructions": True,
    "assignment_max_duration_seconds": 600,
    "training_tasks_in_task_suite_count": 1,
    "task_suites_required_to_pass": 1,
    "retry_training_after_days": 30,
}


def accept(answer: Any) -> dict[str, str]:
    return {"status": "ACCEPTED", "public_comment": "Thank you!"}


def opened_pool() -> None:
    """An opening as in a labelling DAG: whoever opens the pool has it closed at the end."""
    opening = OpenPoolOperator(task_id="act", pool_id=POOL_ID)
    wait = PoolSensor(task_id="wait", pool_id=POOL_ID, until="{{ dag_run.conf.until }}", poke_interval=1)
    closing = ClosePoolOperator(task_id="close", pool_id=POOL_ID).as_teardown(setups=opening)
    opening >> wait >> closing


CASES: dict[str, Callable[[], object]] = {
    "open_pool": opened_pool,
    "close_pool": lambda: ClosePoolOperator(task_id="act", pool_id=POOL_ID),
    "archive_pool": lambda: ArchivePoolOperator(task_id="act", pool_id=POOL_ID),
    "open_training": lambda: OpenTrainingOperator(task_id="act", training_id=TRAINING_ID),
    "close_training": lambda: CloseTrainingOperator(task_id="act", training_id=TRAINING_ID),
    "archive_training": lambda: ArchiveTrainingOperator(task_id="act", training_id=TRAINING_ID),
    "archive_project": lambda: ArchiveProjectOperator(task_id="act", project_id=PROJECT_ID),
    "create_project": lambda: CreateProjectOperator(task_id="act", config=PROJECT),
    "create_project_sent": lambda: CreateProjectOperator(task_id="act", config=PROJECT),
    "create_pool": lambda: CreatePoolOperator(
        task_id="act", config=POOL, project_id=PROJECT_ID, expires_in=timedelta(days=1)
    ),
    "create_training": lambda: CreateTrainingOperator(task_id="act", config=TRAINING, project_id=PROJECT_ID),
    "clone_pool": lambda: ClonePoolOperator(task_id="act", pool_id=POOL_ID),
    "clone_training": lambda: CloneTrainingOperator(task_id="act", training_id=TRAINING_ID),
    "update_pool": lambda: UpdatePoolOperator(task_id="act", pool_id=POOL_ID, changes={"private_name": "Changed"}),
    "upload": lambda: CreateTasksOperator(
        task_id="act", pool_id=POOL_ID, tasks=[{"input_values": {"text": "one"}}, {"input_values": {"text": "two"}}]
    ),
    "review": lambda: ReviewAssignmentsOperator(task_id="act", pool_id=POOL_ID, decide=accept),
    "aggregate": lambda: AggregateSolutionsOperator(
        task_id="act", pool_id=POOL_ID, fields=["label"], path="{{ dag_run.conf.folder }}/labels.jsonl"
    ),
    "pay_bonuses": lambda: PayBonusesOperator(
        task_id="act",
        bonuses=[{"user_id": USER_ID, "assignment_id": ASSIGNMENT_ID, "amount": 0.05}],
        public_title="Thank you!",
        public_message="It was very good.",
        max_total=1,
    ),
    "create_skill": lambda: CreateSkillOperator(task_id="act", name="Orphan"),
    "set_user_skills": lambda: SetUserSkillsOperator(
        task_id="act", skill_id=SKILL_ID, values=[{"user_id": USER_ID, "value": 50}]
    ),
    "restrict_users": lambda: RestrictUsersOperator(task_id="act", users=[USER_ID], scope="ALL_PROJECTS"),
    "lift_restrictions": lambda: LiftRestrictionsOperator(task_id="act", users=[USER_ID], restricted_by="anybody"),
    "update_project": lambda: UpdateProjectOperator(task_id="act", project_id=PROJECT_ID, config=PROJECT),
    "change_overlap": lambda: ChangeOverlapOperator(task_id="act", pool_id=POOL_ID, tasks=[TASK_ID], overlap=5),
    "call": lambda: TolokaCallOperator(task_id="act", method="PATCH", path=f"/pools/{POOL_ID}", json={"priority": 5}),
}

for name, place in CASES.items():
    with DAG(
        f"orphan_{name}",
        schedule=None,
        default_args={
            "retries": 3,
            "retry_delay": timedelta(seconds=1),
            "toloka_conn_id": f"orphan_{name}",
        },
    ) as dag:
        place()
    globals()[dag.dag_id] = dag
