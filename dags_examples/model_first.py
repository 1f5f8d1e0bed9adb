"""
Let a model label what it is sure of, and people the rest.

A model learns from 400 scanned digits and labels 200 others. What it is sure of is taken as it is; people label all
other images. The last task puts both together into one file, in which each label says who gave it.

The images are real: scikit-learn ships them, with their true labels. Needs the connection ``toloka_default``, a
triggerer, and the packages scikit-learn, pillow and numpy.
"""

from __future__ import annotations

import base64
import io
import json
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, ObjectStoragePath, Param, task

from toloka_airflow.operators.answer_aggregation import AggregateAnswersOperator
from toloka_airflow.operators.assignments import GetAssignmentsOperator
from toloka_airflow.operators.lifecycle import ClosePoolOperator, OpenPoolOperator
from toloka_airflow.operators.pools import CreatePoolOperator
from toloka_airflow.operators.projects import CreateProjectOperator
from toloka_airflow.operators.tasks import CreateTasksOperator
from toloka_airflow.sensors import PoolSensor

FOLDER = "{{ params.output }}/{{ run_id }}"
LEARNED, LABELLED = 400, 200
DIGITS = list("0123456789")
VIEW = {
    "type": "view.list",
    "items": [
        {"type": "view.image", "url": {"type": "data.input", "path": "image"}},
        {
            "type": "field.button-radio-group",
            "data": {"type": "data.output", "path": "digit"},
            "options": [{"label": digit, "value": digit} for digit in DIGITS],
            "validation": {"type": "condition.required"},
        },
    ],
}
PROJECT = {
    "public_name": "Which digit is it?",
    "public_description": "Say which digit is in a scan of handwriting",
    "public_instructions": "Press the key of the digit in the image. If you are not sure, choose the likeliest one.",
    "assignments_issuing_type": "AUTOMATED",
    "task_spec": {
        "input_spec": {"image": {"type": "string"}, "image_id": {"type": "string", "hidden": True}},
        "output_spec": {"digit": {"type": "string", "allowed_values": DIGITS}},
        "view_spec": {"type": "tb", "config": json.dumps({"view": VIEW})},
    },
}
POOL = {
    "private_name": "Digits of which a model is not sure",
    "may_contain_adult_content": False,
    "reward_per_assignment": 0.05,
    "assignment_max_duration_seconds": 900,
    "auto_accept_solutions": True,
    "mixer_config": {"real_tasks_count": 10, "golden_tasks_count": 0, "training_tasks_count": 0},
    "defaults": {"default_overlap_for_new_task_suites": 5, "default_overlap_for_new_tasks": 5},
}

with DAG(
    "model_first",
    schedule=None,
    params={
        "sure_at": Param(0.95, type="number", description="From which probability on a label of the model is taken"),
        "output": Param("file:///tmp/model_first", type="string", description="Where to write everything"),
    },
    # Any task may be tried again: nothing is created, uploaded or paid twice.
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30), "deferrable": True},
    tags=["toloka"],
    doc_md=__doc__,
) as dag:

    @task
    def predict(folder: str, params: Any = None) -> dict[str, str]:
        """Write the labels of which the model is sure, and tasks of all other images; return both paths."""
        from PIL import Image
        from sklearn.datasets import load_digits
        from sklearn.linear_model import LogisticRegression

        pixels, truth = load_digits(return_X_y=True)
        model = LogisticRegression(max_iter=5000).fit(pixels[:LEARNED], truth[:LEARNED])
        chosen = range(LEARNED, LEARNED + LABELLED)
        paths = {name: f"{folder}/{name}.jsonl" for name in ("sure", "tasks")}
        ObjectStoragePath(folder).mkdir(parents=True, exist_ok=True)
        with ObjectStoragePath(paths["sure"]).open("w") as sure, ObjectStoragePath(paths["tasks"]).open("w") as tasks:
            for number, shares in zip(chosen, model.predict_proba(pixels[chosen]), strict=True):
                image_id = f"digit-{number:04}"
                if shares.max() >= params["sure_at"]:
                    print(json.dumps({"image_id": image_id, "digit": str(shares.argmax()), "by": "model"}), file=sure)
                    continue
                png = io.BytesIO()
                grey = (255 - pixels[number].reshape(8, 8) * 15.9).astype("uint8")
                Image.fromarray(grey).resize((64, 64)).save(png, format="PNG")
                image = "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()
                print(json.dumps({"input_values": {"image": image, "image_id": image_id}}), file=tasks)
        return paths

    @task
    def merge(sure: str, labels: str, path: str) -> dict[str, int]:
        """Write all labels into one file; return how many are whose."""
        with ObjectStoragePath(sure).open() as file:
            rows = [json.loads(line) for line in file.read().splitlines()]
        by_model = len(rows)
        with ObjectStoragePath(labels).open() as file:
            labelled = [json.loads(line) for line in file.read().splitlines()]
        rows += [
            {"image_id": label["input_values"]["image_id"], **label["output_values"], "by": "people"}
            for label in labelled
        ]
        with ObjectStoragePath(path).open("w") as file:
            file.writelines(json.dumps(row) + "\n" for row in sorted(rows, key=lambda row: row["image_id"]))
        return {"model": by_model, "people": len(rows) - by_model}

    predicted: Any = predict(FOLDER)
    project_id = CreateProjectOperator(task_id="create_project", config=PROJECT).output
    pool_id = CreatePoolOperator(
        task_id="create_pool", config=POOL, project_id=project_id, expires_in=timedelta(days=7)
    ).output
    upload = CreateTasksOperator(task_id="upload", pool_id=pool_id, tasks=predicted["tasks"])
    # Should Airflow end the run without its teardown, the wait closes the pool, and in any case Toloka after a day.
    open_pool = OpenPoolOperator(task_id="open_pool", pool_id=pool_id, expires_in=timedelta(days=1))
    wait = PoolSensor(task_id="wait_for_people", pool_id=pool_id, poke_interval=10, close_on_kill=True)
    close_pool = ClosePoolOperator(task_id="close_pool", pool_id=pool_id).as_teardown(
        setups=[upload, open_pool], on_failure_fail_dagrun=True
    )
    download = GetAssignmentsOperator(task_id="download", pool_id=pool_id, path=f"{FOLDER}/answers.jsonl")
    aggregate = AggregateAnswersOperator(
        task_id="aggregate", answers=f"{FOLDER}/answers.jsonl", fields=["digit"], path=f"{FOLDER}/people.jsonl"
    )

    upload >> open_pool >> wait >> close_pool
    [wait, close_pool] >> download >> aggregate
    aggregate >> merge(predicted["sure"], f"{FOLDER}/people.jsonl", f"{FOLDER}/labels.jsonl")
