"""
Connections, from wherever Airflow has them: its metadata database, the environment, secrets backends.

As in `toloka_airflow.doctor.metadata_database`, this is private to Airflow, and never written:

- ``airflow.models.connection.Connection.get_connection_from_secrets``: a connection, from wherever Airflow has it
  (`connection`, `connection_ids`, `stored_secrets`)
- ``airflow.configuration.ensure_secrets_loaded``: the same without the database
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from toloka_airflow.records.reading import reading

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

_CONNECTION_VARIABLE = "AIRFLOW_CONN_"
_SECRET = re.compile(r"token|secret|passw|key", re.IGNORECASE)
_SHORTEST = 4
"""Letters of the shortest secret that is crossed out of a text of others."""


def connection_ids(conn_type: str, *, has_database: bool) -> list[str]:
    """Return the ids of connections of a type, in the database and the environment; secrets backends list none."""
    found = _stored_connections(conn_type) if has_database else set()
    for name, value in os.environ.items():
        is_of_type = value.startswith(f"{conn_type}:") or f'"{conn_type}"' in value
        if name.startswith(_CONNECTION_VARIABLE) and is_of_type:
            found.add(name.removeprefix(_CONNECTION_VARIABLE).lower())
    return sorted(found)


def _stored_connections(conn_type: str) -> set[str]:
    from airflow.models.connection import Connection  # noqa: TID251, as the SDK's has no table
    from sqlalchemy import select

    with reading() as session:
        return set(session.scalars(select(Connection.conn_id).where(Connection.conn_type == conn_type)))


def stored_secrets() -> set[str]:
    """Return passwords and the like of all connections, of any type, in the database and the environment."""
    from airflow.models.connection import Connection  # noqa: TID251, as the SDK's has no table
    from sqlalchemy import select

    with reading() as session:
        names = set(session.scalars(select(Connection.conn_id)))
    names |= {name.removeprefix(_CONNECTION_VARIABLE).lower() for name in os.environ if _CONNECTION_VARIABLE in name}
    found: set[str] = set()
    for conn_id in names:
        with suppress(Exception):  # one that cannot be read has no secret that others could quote
            each = connection(conn_id)
            found |= {each.password or ""}
            found |= {str(value) for key, value in each.extra_dejson.items() if _SECRET.search(key)}
    return {secret for secret in found if len(secret) >= _SHORTEST}


def is_stored(conn_id: str) -> bool:
    """Return whether a connection is in the database, whether or not it can be decrypted."""
    from airflow.models.connection import Connection  # noqa: TID251, as the SDK's has no table
    from sqlalchemy import select

    with reading() as session:
        return session.scalar(select(Connection.conn_id).where(Connection.conn_id == conn_id)) is not None


def variable_of(conn_id: str) -> str:
    """Return the name of the environment variable that may have a connection."""
    return _CONNECTION_VARIABLE + conn_id.upper()


def is_in_environment(conn_id: str) -> bool:
    """Return whether a connection is in the environment, whether or not it can be read."""
    return bool(os.environ.get(variable_of(conn_id)))


def connection(conn_id: str, *, has_database: bool = True) -> Connection:
    """
    Return a connection from secrets backends, the environment or the database, as a task would get it.

    :param has_database: Whether to try the database; the file of SQLite would be created by that.
    :raises AirflowNotFoundException: If there is none.
    """
    if not has_database:
        return _connection_elsewhere(conn_id)
    from airflow.models.connection import Connection  # noqa: TID251, as the SDK's asks a supervisor

    found: Any = Connection.get_connection_from_secrets(conn_id)
    return found  # type: ignore[no-any-return]


def _connection_elsewhere(conn_id: str) -> Connection:
    from airflow.configuration import ensure_secrets_loaded  # noqa: TID251, as only there is one
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    for backend in ensure_secrets_loaded():
        found: Any = None if type(backend).__name__ == "MetastoreBackend" else backend.get_connection(conn_id=conn_id)
        if found is not None:
            return found  # type: ignore[no-any-return]
    raise AirflowNotFoundException(f"The conn_id `{conn_id}` isn't defined")
