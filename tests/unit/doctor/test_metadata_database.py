"""Each name of Airflow's database that doctor and page read: still there, and what it was. On every lane."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

import airflow
import pytest

from toloka_airflow.doctor import connections
from toloka_airflow.doctor import metadata_database as database
from toloka_airflow.records import pools, reading, waits, window_dags

VERSION = tuple(map(int, airflow.__version__.split(".")[:2]))


def resolve(name: str) -> Any:
    """Return what a full name stands for."""
    module, _, attribute = name.rpartition(".")
    try:
        found = import_module(module)
    except ModuleNotFoundError:
        found = resolve(module)
    assert hasattr(found, attribute), f"Airflow {airflow.__version__} has no {name} any more"
    return getattr(found, attribute)


def has_columns(*names: str) -> Callable[[str], None]:
    def check(name: str) -> None:
        columns = set(resolve(name).__mapper__.all_orm_descriptors.keys())
        assert set(names) <= columns, f"Airflow {airflow.__version__}: {name} has no {set(names) - columns}"

    return check


def is_a_trigger(name: str) -> None:
    has_columns("id", "classpath", "encrypted_kwargs", "created_date", "triggerer_id")(name)
    assert hasattr(resolve(name), "queue") == (VERSION >= (3, 2))
    kwargs = {"pool_id": "21", "deadline": 1.5, "until": None}
    assert hasattr(resolve(name), "assets")
    assert resolve(name)._decrypt_kwargs(resolve(name).encrypt_kwargs(kwargs)) == kwargs


def is_a_job(name: str) -> None:
    has_columns("id", "job_type", "hostname", "latest_heartbeat")(name)
    kinds = set()
    for module, runner in (
        ("scheduler_job_runner", "SchedulerJobRunner"),
        ("triggerer_job_runner", "TriggererJobRunner"),
        ("dag_processor_job_runner", "DagProcessorJobRunner"),
    ):
        kinds.add(resolve(f"airflow.jobs.{module}.{runner}").job_type)
    assert kinds == {database.SCHEDULER, database.TRIGGERER, database.DAG_PROCESSOR}
    assert list(inspect.signature(resolve(name).is_alive).parameters)[:1] == ["self"]


def gives_a_session(name: str) -> None:
    with resolve(name)(scoped=False) as session, resolve(name)(scoped=False) as other:
        assert session is not other
        assert callable(session.execute)
        assert callable(session.rollback)


def gives_serialized_dags(name: str) -> None:
    assert {"dag_ids", "session"} <= set(inspect.signature(resolve(name).get_latest_serialized_dags).parameters)
    assert isinstance(resolve(name).data, property)
    has_columns("dag_id", "dag_hash", "created_at")(name)


def is_an_address(name: str) -> None:
    assert "://" in str(resolve(name))


def finds_a_connection(name: str) -> None:
    assert next(iter(inspect.signature(resolve(name)).parameters)) == "conn_id"


def gives_backends(name: str) -> None:
    assert all(callable(backend.get_connection) for backend in resolve(name)())


TASK = "dag_id", "run_id", "task_id", "map_index"
CHECKS: dict[str, Callable[[str], None]] = {
    "airflow.utils.session.create_session": gives_a_session,
    "airflow.settings.SQL_ALCHEMY_CONN": is_an_address,
    "airflow.jobs.job.Job": is_a_job,
    "airflow.models.trigger.Trigger": is_a_trigger,
    "airflow.models.taskinstance.TaskInstance": has_columns(
        *TASK, "state", "trigger_id", "start_date", "end_date", "operator"
    ),
    "airflow.models.dag.DagModel": has_columns("dag_id", "is_paused", "is_stale", "timetable_summary"),
    "airflow.models.dagrun.DagRun": has_columns(
        *("id", "dag_id", "run_id", "state", "start_date", "end_date", "conf", "consumed_asset_events"),
        *("data_interval_start", "data_interval_end"),
    ),
    "airflow.models.renderedtifields.RenderedTaskInstanceFields": has_columns(*TASK, "rendered_fields"),
    "airflow.models.xcom.XComModel": has_columns(*TASK, "value", "key", "dag_run_id"),
    "airflow.models.asset.AssetEvent": has_columns("extra"),
    "airflow.models.serialized_dag.SerializedDagModel": gives_serialized_dags,
    "airflow.models.errors.ParseImportError": has_columns("filename", "stacktrace"),
    "airflow.configuration.ensure_secrets_loaded": gives_backends,
    "airflow.models.connection.Connection.get_connection_from_secrets": finds_a_connection,
}


@pytest.mark.parametrize(
    ("address", "secrets"),
    [
        ("postgresql+psycopg2://airflow:airflow@postgres/airflow", set()),
        ("postgresql://user:pass%40word@host:5432/db", {"pass@word", "pass%40word"}),
        ("postgresql://user:pass@word@host/db", {"pass", "pass@word"}),
        ("sqlite:////tmp/airflow.db", set()),
    ],
)
def test_what_is_secret_of_the_address(address: str, secrets: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow.settings.SQL_ALCHEMY_CONN", address)
    assert secrets <= database.database_secrets() <= secrets | {"pass@word", "word"}


@pytest.mark.parametrize("name", CHECKS)
def test_airflow_still_has(name: str) -> None:
    CHECKS[name](name)


def test_the_docstrings_list_the_same_names() -> None:
    docs = "".join(module.__doc__ or "" for module in (connections, database, pools, reading, waits, window_dags))
    assert set(re.findall(r"``(airflow\.[\w.]+)``", docs)) == set(CHECKS)
