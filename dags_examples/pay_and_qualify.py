"""
Let people qualify, keep the careless away, and pay the best a bonus.

There is an exam first: a pool on whose pages half of the tasks are control tasks. From these, each person gets a skill,
and who is right too seldom gets no task of the second project for a month. There, people check sums on paper and upload
a photo of it; only who has enough of the skill may. Control tasks among these say who the best tenth is: they get a
bonus, once, whatever is killed. The photos are downloaded.

Needs the connection ``toloka_default`` and a triggerer.
"""

from __future__ import annotations

import json
import math
import random
from datetime import timedelta
from typing import Any

from airflow.sdk import ObjectStoragePath, Param, TaskGroup, dag, task

from toloka_airflow.operators.assignments import GetAssignmentsOperator
from toloka_airflow.operators.attachments import DownloadAttachmentsOperator
from toloka_airflow.operators.bonuses import PayBonusesOperator
from toloka_airflow.operators.lifecycle import ClosePoolOperator, OpenPoolOperator
from toloka_airflow.operators.pools import CreatePoolOperator
from toloka_airflow.operators.projects import CreateProjectOperator
from toloka_airflow.operators.restrictions import RestrictUsersOperator
from toloka_airflow.operators.skills import CreateSkillOperator, SetUserSkillsOperator
from toloka_airflow.operators.tasks import CreateTasksOperator
from toloka_airflow.sensors import PoolSensor

FOLDER = "{{ params.output }}/{{ run_id }}"
CARELESS, GOOD = 0.6, 75
"""The accuracy below which somebody gets no tasks, and the skill from which on somebody does."""


def project(name: str, *, photo: bool) -> dict[str, Any]:
    """Return a project in which people say whether a sum is right, perhaps with a photo."""
    output_spec: dict[str, Any] = {"right": {"type": "string", "allowed_values": ["yes", "no"]}}
    options = [{"label": "Right", "value": "yes"}, {"label": "Wrong", "value": "no"}]
    items: list[dict[str, Any]] = [
        {"type": "view.text", "content": {"type": "data.input", "path": "sum"}},
        {"type": "field.radio-group", "data": {"type": "data.output", "path": "right"}, "options": options},
    ]
    if photo:
        output_spec["photo"] = {"type": "file"}
        accept = ["image/jpeg", "image/png"]
        items.append({"type": "field.file", "data": {"type": "data.output", "path": "photo"}, "accept": accept})
    return {
        "public_name": name,
        "public_description": "Say whether a sum is right",
        "public_instructions": "Check the sum" + (" on paper, and upload a photo of the paper" if photo else ""),
        "assignments_issuing_type": "AUTOMATED",
        "task_spec": {
            "input_spec": {"sum": {"type": "string"}},
            "output_spec": output_spec,
            "view_spec": {"type": "tb", "config": json.dumps({"view": {"type": "view.list", "items": items}})},
        },
    }


def pool(name: str, *, reward: float, real: int, golden: int, **more: Any) -> dict[str, Any]:
    """Return a pool with so many tasks of each kind on a page."""
    return {
        "private_name": name,
        "may_contain_adult_content": False,
        "reward_per_assignment": reward,
        "assignment_max_duration_seconds": 3600,
        "auto_accept_solutions": True,
        "mixer_config": {"real_tasks_count": real, "golden_tasks_count": golden, "training_tasks_count": 0},
        "defaults": {"default_overlap_for_new_task_suites": 1},
        **more,
    }


EXAM = pool("Exam: sums", reward=0.05, real=5, golden=5)
POOL = pool("Sums on paper", reward=0.2, real=2, golden=2)
IS_GOOD = {"category": "skill", "operator": "GTE", "value": GOOD}


def sums(number: int, seed: str) -> list[tuple[str, str]]:
    """Return so many sums, and whether each is right."""
    dice = random.Random(seed)
    rows = []
    for _ in range(number):
        first, second, right = dice.randint(100, 999), dice.randint(100, 999), dice.random() < 0.5
        total = first + second + (0 if right else dice.choice([-10, -1, 1, 10]))
        rows.append((f"{first} + {second} = {total}", "yes" if right else "no"))
    return rows


@dag(
    schedule=None,
    params={
        "tasks": Param(40, type="integer", minimum=1, description="How many sums are checked on paper"),
        "overlap": Param(3, type="integer", minimum=1, description="How many people check each"),
        "candidates": Param(15, type="integer", minimum=1, description="How many people answer each task of the exam"),
        "output": Param("file:///tmp/pay_and_qualify", type="string", description="Where to write everything"),
    },
    # Any task may be tried again: nothing is created, uploaded or paid twice.
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30), "deferrable": True},
    tags=["toloka"],
    doc_md=__doc__,
)
def pay_and_qualify() -> None:
    @task
    def write_tasks(path: str, number: int | str, overlap: int | str, control: int) -> str:
        """Write tasks, and control tasks, whose answers are known and which everybody gets; return the path."""
        ObjectStoragePath(path).parent.mkdir(parents=True, exist_ok=True)
        with ObjectStoragePath(path).open("w") as lines:
            for text, _ in sums(int(number), path):
                print(json.dumps({"input_values": {"sum": text}, "overlap": int(overlap)}), file=lines)
            for text, right in sums(control, f"{path} control"):
                known = [{"output_values": {"right": right}}]
                row = {"input_values": {"sum": text}, "known_solutions": known, "infinite_overlap": True}
                print(json.dumps(row), file=lines)
        return path

    @task
    def measure_people(answers: dict[str, Any], path: str) -> str:
        """Write how many control tasks each person has answered right, and return the path."""
        from toloka_airflow.quality.people import accuracy_by_person

        accuracy_by_person(answers["path"], path, fields=["right"])
        return path

    @task
    def choose_best(path: Any) -> list[dict[str, Any]]:
        """Return a bonus for each person of the tenth that was right most often."""
        with ObjectStoragePath(path).open() as file:
            people = [json.loads(line) for line in file.read().splitlines()]
        best = sorted(people, key=lambda person: (person["accuracy"], person["total"]), reverse=True)
        return [{"user_id": person["user_id"], "amount": 0.5} for person in best[: math.ceil(len(best) / 10)]]

    def collect_answers(name: str, pool_id: Any, tasks_path: Any) -> GetAssignmentsOperator:
        """Return the task that has downloaded what people answered."""
        upload = CreateTasksOperator(task_id="upload", pool_id=pool_id, tasks=tasks_path)
        # Should Airflow end the run without its teardown, the wait closes the pool, and in any case Toloka after a day.
        open_pool = OpenPoolOperator(task_id="open_pool", pool_id=pool_id, expires_in=timedelta(days=1))
        wait = PoolSensor(task_id="wait_for_people", pool_id=pool_id, poke_interval=5, close_on_kill=True)
        # The upload is a setup beside the opening, because an opening that failed here may still succeed at Toloka.
        close_pool = ClosePoolOperator(task_id="close_pool", pool_id=pool_id).as_teardown(
            setups=[upload, open_pool], on_failure_fail_dagrun=True
        )
        download = GetAssignmentsOperator(task_id="download", pool_id=pool_id, path=f"{FOLDER}/{name}.jsonl")
        upload >> open_pool >> wait >> close_pool
        [wait, close_pool] >> download
        return download

    exam_project_id = CreateProjectOperator(task_id="create_exam_project", config=project("Sums", photo=False)).output
    project_id = CreateProjectOperator(task_id="create_project", config=project("Sums on paper", photo=True)).output
    skill_id = CreateSkillOperator(task_id="create_skill", name="Checks sums (Airflow)").output
    exam_id = CreatePoolOperator(
        task_id="create_exam", config=EXAM, project_id=exam_project_id, expires_in=timedelta(days=7)
    ).output
    pool_id = CreatePoolOperator(
        task_id="create_pool",
        # The filter names the skill.
        config={**POOL, "filter": {"and": [{"or": [{**IS_GOOD, "key": skill_id}]}]}},
        project_id=project_id,
        expires_in=timedelta(days=7),
    ).output

    with TaskGroup("exam"):
        tasks = write_tasks(f"{FOLDER}/exam_tasks.jsonl", 60, "{{ params.candidates }}", 40)
        exam = collect_answers("exam", exam_id, tasks)
        people = measure_people(exam.output, f"{FOLDER}/exam_people.jsonl")
        set_skills = SetUserSkillsOperator(
            task_id="set_skills", skill_id=skill_id, values=people, reason="Accuracy in the exam"
        )
        ban_careless = RestrictUsersOperator(
            task_id="ban_careless",
            users=people,
            accuracy_below=CARELESS,
            scope="PROJECT",
            project_id=project_id,
            expires_in=timedelta(days=30),
            comment="Careless in the exam",
        )

    with TaskGroup("work"):
        tasks = write_tasks(f"{FOLDER}/tasks.jsonl", "{{ params.tasks }}", "{{ params.overlap }}", 20)
        work = collect_answers("work", pool_id, tasks)
        bonuses = choose_best(measure_people(work.output, f"{FOLDER}/work_people.jsonl"))
        PayBonusesOperator(
            task_id="pay_best",
            bonuses=bonuses,
            max_total=20,
            public_title="Thank you!",
            public_message="Your checks were among the best tenth.",
        )
        photos = DownloadAttachmentsOperator(task_id="download_photos", pool_id=pool_id, folder=f"{FOLDER}/photos")
        work >> photos

    # Nobody works before it is known who may.
    [set_skills, ban_careless] >> tasks


pay_and_qualify_dag = pay_and_qualify()
