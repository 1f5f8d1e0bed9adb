"""
Label scanned digits with a crowd, and measure how good the labels are.

The images are real: scikit-learn ships 1797 handwritten digits with their true labels. They are uploaded to a new
project and pool, people answer, the answers are downloaded and aggregated, and the result is compared with the truth.

Needs the connection ``toloka_default`` and the packages scikit-learn and pillow.
"""

from __future__ import annotations

import base64
import io
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import ObjectStoragePath, Param, dag, task

from toloka_airflow.api.models import AssignmentStatus
from toloka_airflow.hooks import TolokaHook
from toloka_airflow.operators.lifecycle import ArchivePoolOperator, ClosePoolOperator, OpenPoolOperator
from toloka_airflow.sensors import OperationSensor, PoolSensor

PROJECT = {
    "public_name": "Which digit is it?",
    "public_description": "Look at a scan of a handwritten digit and say which one it is",
    "public_instructions": "Press the key of the digit that you see. If you are not sure, choose the likeliest one.",
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
}


def drawn(pixels: Any) -> str:
    """Draw 8 x 8 grey values (0 to 16, ink is high) as a PNG of 64 x 64, in a data URI."""
    from PIL import Image

    image = Image.fromarray((255 - pixels * 15.9).astype("uint8")).resize((64, 64), Image.Resampling.BICUBIC)
    png = io.BytesIO()
    image.save(png, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()


@dag(
    schedule=None,
    params={
        "images": Param(300, type="integer", minimum=1, maximum=1000, description="How many images to label"),
        "overlap": Param(5, type="integer", minimum=1, description="How many people see each image"),
        "output": Param("file:///tmp/label_digits", type="string", description="Where to write the answers"),
    },
    tags=["toloka"],
    doc_md=__doc__,
)
def label_digits() -> None:
    # Creating is not repeated after a failure: a second attempt would create a second project, pool or aggregation.
    @task(retries=0)
    def create_project() -> str:
        return TolokaHook().get_conn().create_project(PROJECT).id

    @task(retries=0)
    def create_pool(project_id: str, params: dict[str, Any] | None = None) -> str:
        overlap = (params or {})["overlap"]
        expires = datetime.now(UTC) + timedelta(days=7)
        defaults = {"default_overlap_for_new_task_suites": overlap, "default_overlap_for_new_tasks": overlap}
        pool = {**POOL, "project_id": project_id, "will_expire": f"{expires:%Y-%m-%dT%H:%M:%S}", "defaults": defaults}
        return TolokaHook().get_conn().create_pool(pool).id

    @task
    def upload_images(pool_id: str, params: dict[str, Any] | None = None, run_id: str | None = None) -> int:
        from sklearn.datasets import load_digits

        images = load_digits().images[: (params or {})["images"]]
        tasks = [
            {"pool_id": pool_id, "input_values": {"image": drawn(pixels), "image_id": f"digit-{number:04}"}}
            for number, pixels in enumerate(images)
        ]
        client = TolokaHook().get_conn()
        # The same id in every attempt of this run: Toloka creates the tasks once.
        operation_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"label_digits/{run_id}/{pool_id}"))
        operation = client.create_tasks_async(tasks, operation_id=operation_id, allow_defaults=True)
        client.ensure_success(client.wait_operation(operation, timeout=600))
        return len(tasks)

    @task
    def download_answers(pool_id: str, params: dict[str, Any] | None = None, run_id: str | None = None) -> str:
        """Write one line per answer to an image, and return the path."""
        folder = ObjectStoragePath((params or {})["output"])
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{uuid.uuid5(uuid.NAMESPACE_URL, run_id or '')}.jsonl"
        answers = TolokaHook().get_conn().list_assignments(pool_id=pool_id, status=AssignmentStatus.ACCEPTED)
        with path.open("w") as lines:
            for assignment in answers:
                reward = float(assignment.reward or 0) / len(assignment.tasks)
                for asked, solution in zip(assignment.tasks, assignment.solutions, strict=True):
                    row = {"task_id": asked.id, "user_id": assignment.user_id, "reward": reward}
                    print(json.dumps({**row, **asked.input_values, **solution, "image": None}), file=lines)
        return str(path)

    @task(retries=0)
    def aggregate(pool_id: str) -> str:
        return TolokaHook().get_conn().aggregate_by_pool(pool_id, type="DAWID_SKENE", fields=["digit"]).id

    @task
    def compare(path: str, operation_id: str) -> dict[str, float]:
        """Return how many of the aggregated labels are the true ones, and what they cost."""
        from sklearn.datasets import load_digits

        with ObjectStoragePath(path).open() as lines:
            answers = [json.loads(line) for line in lines]
        image_of = {answer["task_id"]: int(answer["image_id"].removeprefix("digit-")) for answer in answers}
        labels = {
            image_of[solution.task_id]: int(solution.output_values["digit"])
            for solution in TolokaHook().get_conn().list_aggregated_solutions(operation_id)
        }
        truth = load_digits().target
        return {
            "images": len(labels),
            "answers": len(answers),
            "people": len({answer["user_id"] for answer in answers}),
            "spent": round(sum(answer["reward"] for answer in answers), 2),
            "accuracy": sum(int(truth[image]) == label for image, label in labels.items()) / len(labels),
        }

    pool_id = create_pool(create_project())
    uploaded = upload_images(pool_id)
    open_pool = OpenPoolOperator(task_id="open_pool", pool_id=pool_id, poll_interval=2, deferrable=True)
    wait_for_people = PoolSensor(task_id="wait_for_people", pool_id=pool_id, poke_interval=5, deferrable=True)
    # A teardown: it closes the pool whatever happens to the wait. The upload is a setup beside the opening, because an
    # opening that failed here may still succeed at Toloka: one of both is enough for the teardown to run.
    close_pool = ClosePoolOperator(task_id="close_pool", pool_id=pool_id, deferrable=True).as_teardown(
        setups=[uploaded.operator, open_pool], on_failure_fail_dagrun=True
    )
    answers = download_answers(pool_id)
    aggregation = aggregate(pool_id)
    aggregated = OperationSensor(task_id="wait_for_labels", operation_id=aggregation, poke_interval=5, deferrable=True)
    archive_pool = ArchivePoolOperator(task_id="archive_pool", pool_id=pool_id, deferrable=True)

    uploaded >> open_pool >> wait_for_people >> close_pool
    [wait_for_people, close_pool] >> answers >> aggregation
    compare(answers, aggregated.output) >> archive_pool


dag = label_digits()
