"""
Queries of Airflow's metadata database that change nothing.

- ``airflow.utils.session.create_session``: the database (`reading`)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Executable
    from sqlalchemy.orm import Session

UNDER_WAY = ("queued", "running")
"""States of runs that have not ended."""
CONN_ID = "toloka_conn_id"
"""The field that each task of this package has."""
_ROWS = 1000


@contextmanager
def reading() -> Iterator[Session]:
    """
    Give a session whose transaction is rolled back.

    It is one of its own: Airflow's usual one is shared by a thread, so that reading a connection between two rows of a
    query would end that query in PostgreSQL.
    """
    from airflow.utils.session import create_session  # noqa: TID251, as only there is one

    with create_session(scoped=False) as session:
        try:
            yield session
        finally:
            session.rollback()


def rows(found: Executable) -> Iterator[Any]:
    """Give the rows of a query, some at a time; all at once of SQLite, which nobody can write while it is read."""
    with reading() as session:
        if session.get_bind().dialect.name != "sqlite":
            yield from session.execute(found, execution_options={"yield_per": _ROWS})
            return
        answer = session.execute(found).all()
    yield from answer
