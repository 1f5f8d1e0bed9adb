"""Made-up answers for reports: harmless ones, and ones that try to be more than text."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

PNG = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
START = datetime(2026, 11, 2, 9, 0)
LABELS = ("cat", "dog", "owl")
MARKUP = "<script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">"
HOSTILE = (
    MARKUP,
    "\"'><svg onload=\"document.title='broken'\">",
    "</style></title></text></svg><h1 id='broken'>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:document.title='broken'",
    "a\u202eb\ud83d\x00\x1b[31m",
    'data:image/png;base64,AAAA" onload="document.title=1',
    "data:text/html,<script>1</script>",
    "&lt;b&gt; &amp;amp;",
)
"""Text that a page might take for more than text; all of it is harmless."""


def answers(
    tasks: int = 30, overlap: int = 3, people: int = 10, *, seed: int = 1, page: int = 5
) -> list[dict[str, Any]]:
    """Return answers as `GetAssignmentsOperator` writes them; every tenth person guesses, some pages are rejected."""
    chance = random.Random(seed)
    names = [f"person-{number:05}" for number in range(people)]
    clocks = dict.fromkeys(names, START)
    rows = []
    for first in range(0, tasks, page):
        numbers = range(first, min(first + page, tasks))
        for name in chance.sample(names, min(overlap, people)):
            clocks[name] += timedelta(seconds=chance.randint(20, 200))
            facts = {
                "assignment_id": f"assignment-{first // page:05}-{name}",
                "pool_id": "21",
                "user_id": name,
                "status": chance.choices(["ACCEPTED", "SUBMITTED", "REJECTED"], [18, 1, 1])[0],
                "assignment_reward": 0.05,
                "submitted": clocks[name].isoformat(),
            }
            for number in numbers:
                is_right = chance.random() < (0.33 if name.endswith("0") else 0.9)
                label = LABELS[number % 3] if is_right else chance.choice(LABELS)
                values = {"input_values": {"image": PNG, "number": number}, "output_values": {"animal": label}}
                rows.append({**facts, "task_id": f"task-{number:06}", **values})
    return rows


def hostile_answers(address: str) -> list[dict[str, Any]]:
    """
    Return answers in which everything that a person may write is hostile.

    :param address: What none of it may bring a browser to request.
    """
    rows = []
    for number, row in enumerate(answers(12, 3, 6)):
        text = HOSTILE[number % len(HOSTILE)]
        inputs = {
            "image": f"{address}/image.png",
            "tracked": f'<img src="{address}/tracked"><link rel="prefetch" href="{address}/link">',
            "css": f"</style><style>@import '{address}/style'; body {{ background: url({address}/back) }}",
            HOSTILE[(number + 1) % len(HOSTILE)]: text,
            "drawing": "data:image/svg+xml;base64,"
            # <svg xmlns="http://www.w3.org/2000/svg" onload="document.title='broken'"/>
            "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIG9ubG9hZD0iZG9jdW1lbnQudGl0bGU9J2Jyb2tlbiciLz4=",
        }
        outputs = {"animal": text if number % 2 else f"{address}/answer.png"}
        rows.append({**row, "user_id": f"{row['user_id']}{text}", "input_values": inputs, "output_values": outputs})
    return rows


def excessive_answers(tasks: int = 40) -> list[dict[str, Any]]:
    """Return answers with more, longer and deeper values than a page shows, and letters that turn others."""
    deep: list[Any] = []
    for _ in range(2000):
        deep = [deep]
    rows = answers(tasks, 5, 12)
    for index, row in enumerate(rows):
        number = index % 30 if index % 5 else int(row["task_id"][-3:]) % 30
        row["user_id"] += "Q" * 500
        row["input_values"] = {
            "w" * 3000: "W" * 100_000,
            "deep": deep,
            "flat": [[[[]]]] * 5000,
            **{f"input {field}": "x y " * 500 for field in range(10_000)},
        }
        row["output_values"] = {
            "animal": f"L{number}" * 2000,
            "list": ["\u202eabc"] * 10,
            "\u202elive" * 50: "\u2067abc",
            **{f"output {field}": "z" for field in range(200)},
        }
    return rows


def labels(rows: list[dict[str, Any]], **more: Any) -> list[dict[str, Any]]:
    """Return a label for each task, the first that was answered; each surer than the one before."""
    first: dict[str, Any] = {}
    for row in rows:
        first.setdefault(row["task_id"], row["output_values"])
    return [
        {
            "pool_id": "21",
            "task_id": task_id,
            "output_values": values,
            "confidence": 0.5 + number / len(first) / 2,
            **more,
        }
        for number, (task_id, values) in enumerate(first.items())
    ]


PROJECT = {
    "id": "7",
    "public_name": "Which animal is it?",
    "public_description": "Say what is in a picture",
    "public_instructions": "Look <b>closely</b>.",
}
POOL = {
    "id": "21",
    "private_name": "Animals",
    "status": "CLOSED",
    "last_close_reason": "COMPLETED",
    "reward_per_assignment": 0.05,
    "mixer_config": {"real_tasks_count": 4, "golden_tasks_count": 1, "training_tasks_count": 0},
    "defaults": {"default_overlap_for_new_tasks": 3},
}
