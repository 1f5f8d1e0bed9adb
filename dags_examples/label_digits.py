"""
Label scanned digits with a crowd, and measure how good the labels are.

The images are real: scikit-learn ships 1797 handwritten digits with their true labels. They are uploaded to a new
project and pool, people answer, the answers are downloaded and aggregated, the result is compared with the truth, and
a report shows all of it: ``report.html`` beside the answers.

Needs the connection ``toloka_default``, a triggerer, and the packages scikit-learn, pillow and numpy.
"""

from __future__ import annotations

import base64
import io
import json
from datetime import timedelta
from typing import Any

from airflow.sdk import ObjectStoragePath, Param, dag, task

from toloka_airflow.operators.answer_aggregation import AggregateAnswersOperator
from toloka_airflow.operators.assignments import GetAssignmentsOperator
from toloka_airflow.operators.lifecycle import ArchivePoolOperator, ClosePoolOperator, OpenPoolOperator
from toloka_airflow.operators.pools import CreatePoolOperator
from toloka_airflow.operators.projects import ArchiveProjectOperator, CreateProjectOperator
from toloka_airflow.operators.quality_report import QualityReportOperator
from toloka_airflow.operators.tasks import CreateTasksOperator
from toloka_airflow.sensors import PoolSensor

FOLDER = "{{ params.output }}/{{ run_id }}"
PROJECT = {
    "public_name": "Which digit is it?",
    "public_description": "Say which digit is in a scan of handwriting",
    "public_instructions": "Press the key of the digit in the image. If you are not sure, choose the likeliest one.",
    "assignments_issuing_type": "AUTOMATED",
    "task_spec": {
        "input_spec": {"image": {"type": "string"}, "image_id": {"type": "string", "hidden": True}},
        "output_spec": {"digit": {"type": "string", "allowed_values": list("0123456789")}},
        "view_spec": {
            "type": "tb",
            "config": json.dumps(
                {
                    "view": {
                        "type": "view.list",
                        "items": [
                            {"type": "view.image", "url": {"type": "data.input", "path": "image"}},
                            {
                                "type": "field.button-radio-group",
                                "data": {"type": "data.output", "path": "digit"},
                                "options": [{"label": digit, "value": digit} for digit in "0123456789"],
                                "validation": {"type": "condition.required"},
                            },
                        ],
                    }
                }
            ),
            "settings": {"showSkip": True, "showTimer": True, "showSubmit": True},
        },
    },
}
POOL = {
    "private_name": "Handwritten digits",
    "may_contain_adult_content": False,
    "reward_per_assignment": 0.05,
    "assignment_max_duration_seconds": 900,
    "auto_accept_solutions": True,
    "mixer_config": {"real_tasks_count": 10, "golden_tasks_count": 0, "training_tasks_count": 0},
    "defaults": {"default_overlap_for_new_task_suites": 1},
}


def drawn(pixels: Any) -> str:
    """Draw 8 x 8 grey values (0 to 16, ink is high) as a PNG of 64 x 64, in a data URI."""
    from PIL import Image

    image = Image.fromarray((255 - pixels * 15.9).astype("uint8")).resize((64, 64), Image.Resampling.BICUBIC)
    png = io.BytesIO()
    image.save(png, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()


def read(path: str) -> list[Any]:
    with ObjectStoragePath(path).open() as file:
        # Not a loop over the file, which Airflow's lineage overlooks.
        return [json.loads(line) for line in file.read().split("\n") if line]


@dag(
    schedule=None,
    params={
        "images": Param(300, type="integer", minimum=1, maximum=1000, description="How many images to label"),
        "overlap": Param(5, type="integer", minimum=1, description="How many people label each image"),
        "output": Param("file:///tmp/label_digits", type="string", description="Where to write everything"),
    },
    # Any task may be tried again: nothing is created, uploaded or paid twice.
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30), "deferrable": True},
    tags=["toloka"],
    doc_md=__doc__,
)
def label_digits() -> None:
    @task
    def draw_images(folder: str, params: Any = None) -> str:
        """Write a task for each image, and return the path."""
        from sklearn.datasets import load_digits

        ObjectStoragePath(folder).mkdir(parents=True, exist_ok=True)
        path = ObjectStoragePath(folder) / "tasks.jsonl"
        with path.open("w") as lines:
            for number, pixels in enumerate(load_digits().images[: params["images"]]):
                values = {"image": drawn(pixels), "image_id": f"digit-{number:04}"}
                print(json.dumps({"input_values": values, "overlap": params["overlap"]}), file=lines)
        return str(path)

    @task
    def compare(answers_path: str, labels_path: str) -> dict[str, float]:
        """Return how many of the aggregated labels are the true ones, and what they cost."""
        from sklearn.datasets import load_digits

        answers, labels, truth = read(answers_path), read(labels_path), load_digits().target.tolist()
        pairs = [(label["input_values"]["image_id"], label["output_values"]["digit"]) for label in labels]
        right = [truth[int(image_id[-4:])] == int(digit) for image_id, digit in pairs]
        rewards = {row["assignment_id"]: row["assignment_reward"] for row in answers}
        return {
            "images": len(labels),
            "answers": len(answers),
            "people": len({row["user_id"] for row in answers}),
            "spent": round(sum(rewards.values()), 2),
            "accuracy": sum(right) / len(right),
        }

    project_id = CreateProjectOperator(task_id="create_project", config=PROJECT).output
    pool_id = CreatePoolOperator(
        task_id="create_pool", config=POOL, project_id=project_id, expires_in=timedelta(days=7)
    ).output
    upload_images = CreateTasksOperator(task_id="upload_images", pool_id=pool_id, tasks=draw_images(FOLDER))
    # Should Airflow end the run without its teardown, the wait closes the pool, and in any case Toloka after a day.
    open_pool = OpenPoolOperator(task_id="open_pool", pool_id=pool_id, expires_in=timedelta(days=1))
    wait_for_people = PoolSensor(
        task_id="wait_for_people", pool_id=pool_id, poke_interval=5, progress_interval=60, close_on_kill=True
    )
    # A teardown: it closes the pool whatever happens to the wait. The upload is a setup beside the opening, because an
    # opening that failed here may still succeed at Toloka: one of both is enough for the teardown to run.
    close_pool = ClosePoolOperator(task_id="close_pool", pool_id=pool_id).as_teardown(
        setups=[upload_images, open_pool], on_failure_fail_dagrun=True
    )
    download = GetAssignmentsOperator(task_id="download_answers", pool_id=pool_id, path=f"{FOLDER}/answers.jsonl")
    aggregate = AggregateAnswersOperator(
        task_id="aggregate", answers=f"{FOLDER}/answers.jsonl", fields=["digit"], path=f"{FOLDER}/labels.jsonl"
    )
    report = QualityReportOperator(
        task_id="report",
        answers=f"{FOLDER}/answers.jsonl",
        labels=f"{FOLDER}/labels.jsonl",
        path=f"{FOLDER}/report.html",
        pool_id=pool_id,
    )
    archive_pool = ArchivePoolOperator(task_id="archive_pool", pool_id=pool_id)
    archive_project = ArchiveProjectOperator(task_id="archive_project", project_id=project_id)

    upload_images >> open_pool >> wait_for_people >> close_pool
    [wait_for_people, close_pool] >> download >> aggregate
    compared = compare(f"{FOLDER}/answers.jsonl", f"{FOLDER}/labels.jsonl")
    aggregate >> [compared, report] >> archive_pool >> archive_project


label_digits_dag = label_digits()
