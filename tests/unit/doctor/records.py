"""
Write rows into the metadata database of the Airflow of this environment, none of whose components runs.

It is a program of its own, with a JSON object of rows by table on standard input. A column that is not given has its
default, or else, where it must have something, what is the least of its type.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from tests.airflow_home import clean_environment

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime.now(UTC)
LEAST: dict[type, Any] = {bool: False, int: 0, str: "", dict: {}, datetime: NOW}


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
