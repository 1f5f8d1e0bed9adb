"""What is in a pool already, for those who count it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Raw


def read_contents(client: TolokaClient, pool_id: str) -> Iterator[Raw]:
    """
    Iterate over the task suites of a pool that were uploaded as such, and over its single tasks, as the API answers.

    Suites that Toloka has mixed for one person are left out, as they are made of single tasks.
    """
    in_suites: set[str] = set()
    for suite in client.list_task_suites(pool_id=pool_id):
        if not suite.raw.get("mixed"):
            in_suites.update(str(task.get("id")) for task in suite.raw.get("tasks") or ())
            yield suite.raw
    for tasks in client.task_pages(pool_id):
        yield from (task for task in tasks if str(task["id"]) not in in_suites)
