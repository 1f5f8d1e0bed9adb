"""
Write rows into the metadata database of the Airflow of this environment, none of whose components runs.

It is a program of its own, with a JSON object of rows by table on standard input. A column that is not given has its
default, or else, where it must have something, what is the least of its type.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from tests.airflow_home import clean_environment

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime.now(UTC)
TABLES = (
    *("dag_bundle", "dag", "dag_version", "serialized_dag", "dag_run", "trigger", "task_instance"),
    *("rendered_task_instance_fields", "xcom", "asset", "asset_watcher", "asset_event", "dagrun_asset_event"),
)
WAIT = "toloka_airflow.triggers.waiting.PoolTrigger"
LEAST: dict[type, Any] = {bool: False, int: 0, str: "", dict: {}, datetime: NOW}


class Rows:
    """Rows of Airflow's database."""

    def __init__(self) -> None:
        self.tables: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
        self.add("dag_bundle", name="dags")
        self._runs: dict[tuple[str, str], int] = {}

    def add(self, table: str, **values: Any) -> int:
        rows = self.tables[table]
        rows.append(values)
        return len(rows)

    def dag(self, dag_id: str, data: Any = None) -> None:
        if not any(row["dag_id"] == dag_id for row in self.tables["dag"]):
            self.add("dag", dag_id=dag_id, bundle_name="dags")
            if data is not None:
                version = "0" * 31 + str(len(self.tables["dag"]))
                self.add("dag_version", id=version, dag_id=dag_id)
                self.add("serialized_dag", id=version, dag_id=dag_id, dag_version_id=version, data=data)

    def run(self, dag_id: str, run_id: str, state: str, *, hours: tuple[float, float] = (-2, 1), **more: Any) -> int:
        """Add a run and return its number; hours are from now, when it began and ended."""
        self.dag(dag_id)
        if (dag_id, run_id) not in self._runs:
            began, ended = ((NOW + timedelta(hours=hour)).isoformat() for hour in hours)
            number = len(self._runs) + 1
            dates = {"start_date": began} | ({"end_date": ended} if state in ("success", "failed") else {})
            self.add("dag_run", id=number, dag_id=dag_id, run_id=run_id, state=state, **dates, **{"conf": {}, **more})
            self._runs[dag_id, run_id] = number
        return self._runs[dag_id, run_id]

    def task(self, dag_id: str, run_id: str, task_id: str, fields: dict[str, Any] | None, **more: Any) -> None:
        task = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id}
        self.add("task_instance", **{"state": "success"} | task | more)
        if fields is not None:
            fields = {"toloka_conn_id": "toloka_default"} | fields
            self.add("rendered_task_instance_fields", **task, rendered_fields=fields)

    def left(self, name: str, pool_id: str, dag_id: str = "opens", state: str = "success", **more: Any) -> None:
        """Add a run that opened a pool, and has ended."""
        self.run(dag_id, name, state, **{"conf": {"pool_id": pool_id}, **more})
        self.task(dag_id, name, "open", {"pool_id": pool_id})

    def trigger(self, pool_id: str, conn_id: str = "toloka_default") -> int:
        arguments = {"pool_id": pool_id, "toloka_conn_id": conn_id}
        number = len(self.tables["trigger"]) + 1
        return self.add("trigger", id=number, classpath=WAIT, kwargs=arguments)


def values(table: Any, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as the database takes it."""
    found = {key: value for key, value in row.items() if key in table.columns}
    for column in table.columns:
        kind = type_of(column)
        if isinstance(found.get(column.name), str) and kind is datetime:
            found[column.name] = datetime.fromisoformat(found[column.name])
        elif isinstance(found.get(column.name), str) and kind is UUID:
            found[column.name] = UUID(found[column.name])
        elif column.name not in found and not column.nullable and not has_default(column):
            # Ids are text in the SQLAlchemy models of Airflow 3.1.
            is_id = kind is UUID or (kind is str and column.primary_key)
            found[column.name] = kind(str(uuid4())) if is_id else LEAST.get(kind, {})
    return found


def type_of(column: Any) -> type:
    """Return what the values of a column are in Python."""
    kind = getattr(column.type, "impl", column.type)
    try:
        return kind.python_type
    except NotImplementedError:  # of UUID and some others, in the SQLAlchemy of Airflow 3.1
        return UUID if "UUID" in type(kind).__name__.upper() else dict


def has_default(column: Any) -> bool:
    """Return whether a column has a default that needs no other column."""
    return bool(column.server_default or (column.default and column.default.is_scalar))


def insert(home: Path, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Insert rows by table into the database of a home; each table before those that refer to it."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.doctor.records"],
        input=json.dumps(rows),
        env=clean_environment(AIRFLOW_HOME=str(home), PYTHONPATH=str(ROOT)),
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def main() -> None:
    """Insert the rows of standard input."""
    from airflow.models import import_all_models  # noqa: TID251, as only there is one
    from airflow.models.base import Base  # noqa: TID251, as only there is one
    from airflow.models.trigger import Trigger  # noqa: TID251, as only there is one
    from airflow.utils.session import create_session  # noqa: TID251, as only there is one

    import_all_models()
    given = json.load(sys.stdin)
    for row in given.get("trigger", ()):
        row["kwargs"] = Trigger.encrypt_kwargs(row["kwargs"])
    tables = Base.metadata.tables
    with create_session() as session:
        for name, rows in given.items():
            # What Airflow 3.1 has in its place has the same ids.
            table = tables["asset_trigger" if name == "asset_watcher" and name not in tables else name]
            for row in rows:
                session.execute(table.insert().values(values(table, row)))


if __name__ == "__main__":
    main()
