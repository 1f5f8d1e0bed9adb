"""Who has the page open: which DAGs they may read, and in which of them they may close pools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends

from toloka_airflow.records.reading import reading


@dataclass(frozen=True)
class Reader:
    """
    A user with the DAGs that they may read.

    :param may_close: Whether they may change task instances of a DAG, and so close its pools. It decides which buttons
        there are; the right to close is checked anew.
    """

    user: Any
    dag_ids: frozenset[str]
    may_close: Callable[[str], bool]


def _reader(user: GetUserDep) -> Reader:
    # Not SessionDep, whose connection is kept until the answer is sent: many who wait for the records, or for Toloka,
    # would have all connections to the database, and whoever reads the records none.
    with reading() as session:
        dag_ids = get_auth_manager().get_authorized_dag_ids(user=user, method="GET", session=session)
    return Reader(user, frozenset(dag_ids), partial(_may_close, user))


def _may_close(user: Any, dag_id: str) -> bool:
    manager = get_auth_manager()
    return manager.is_authorized_dag(
        method="PUT", access_entity=DagAccessEntity.TASK_INSTANCE, details=DagDetails(id=dag_id), user=user
    )


ReaderDep = Annotated[Reader, Depends(_reader)]
"""Anybody who is signed in."""
MAY_READ_DAG = Depends(requires_access_dag("GET"))
"""The right to read the DAG that is in the path."""
MAY_CLOSE = Depends(requires_access_dag("PUT", DagAccessEntity.TASK_INSTANCE))
"""The right to change task instances of the DAG that is in the path."""
