"""What the tasks of a pool showed to people, to stand beside their labels; made for millions of tasks."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any, Self

from toloka_airflow._internal.wording import counted
from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.models import shape
from toloka_airflow.transfer.pace import Pace

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Raw

PAGE_SIZE = 5000
"""Tasks to fetch at once: 200 requests for a million, and some 15 MB of memory for a page of small ones."""

CACHE_KIB = 16 * 1024


class PoolTasks:
    """
    The tasks of a pool by their ids, whatever the order of the labels.

    They are fetched when the first of them is needed, page by page, into a database that SQLite keeps in a temporary
    file: on the local disk as large as the input values, in memory some 20 MB. It is gone when this is closed, and when
    the process is killed.
    """

    def __init__(self, client: TolokaClient, pool_id: str, *, log: Any) -> None:
        self._client, self._pool_id, self._log = client, pool_id, log
        self._database: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._database is not None:
            self._database.close()

    def of(self, task_id: str) -> Raw:
        """
        Return ``input_values`` and ``is_control`` of a task, and ``known_solutions`` if it is a control task.

        :raises TolokaError: If the pool has no such task.
        """
        if self._database is None:
            self._database = sqlite3.connect("")  # a temporary file that has no name
            self._fetch_into(self._database)
        query = "SELECT input_values, known_solutions FROM tasks WHERE id = ?"
        row = self._database.execute(query, (task_id,)).fetchone()
        if row is None:
            raise TolokaError(f"Pool {self._pool_id} has no task {task_id!r:.100}, so its input values are not known")
        input_values, known = row
        facts = {"input_values": json.loads(input_values), "is_control": known is not None}
        return facts if known is None else {**facts, "known_solutions": json.loads(known)}

    def _fetch_into(self, database: sqlite3.Connection) -> None:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        columns = "id TEXT PRIMARY KEY, input_values TEXT, known_solutions TEXT"
        database.execute(f"CREATE TABLE tasks ({columns}) WITHOUT ROWID")
        number, pace = 0, Pace()
        for page in self._client.task_pages(self._pool_id, page_size=PAGE_SIZE):
            with database:
                database.executemany("INSERT OR REPLACE INTO tasks VALUES (?, ?, ?)", map(_row, page))
            number += len(page)
            if pace.is_due():
                self._log.info("Read so far: %s of pool %s", counted(number, "task"), self._pool_id)
        self._log.info("Read: %s of pool %s, for the input values", counted(number, "task"), self._pool_id)


def _row(task: Raw) -> tuple[str, str, str | None]:
    try:
        known = task.get("known_solutions")
        return str(task["id"]), json.dumps(task["input_values"]), json.dumps(known) if known else None
    except (AttributeError, KeyError, TypeError) as exc:
        raise TolokaError(f"A task of the API is not as documented: it is {shape(task)}") from exc
