"""What all tests share: a clean Airflow home and a scripted server."""

from __future__ import annotations

import gc
import os
import tempfile
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

# Before anything imports Airflow: it reads its home once, and a developer's own settings must not leak in.
for _name in [name for name in os.environ if name.startswith("AIRFLOW")]:
    del os.environ[_name]
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="toloka-airflow-tests-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "True"
# What is about waiting in the triggerer need not wait in the worker first.
os.environ["AIRFLOW__TOLOKA__DEFER_AFTER"] = "0"

with warnings.catch_warnings():
    # Airflow 3.1 warns about its own imports; whatever our code does is still an error.
    warnings.simplefilter("ignore")
    import airflow.providers.standard.operators.python
    import airflow.triggers.base  # noqa: F401
    from airflow.providers.common.compat.sdk import BaseHook

    os.environ["AIRFLOW_CONN_WARM_UP"] = "toloka://"
    BaseHook.get_connection("warm_up")

from tests.support import ScriptedServer, connect, scripted_server  # noqa: E402
from tests.virtual_time import VirtualTime  # noqa: E402


def pytest_collection_finish() -> None:
    """
    Let garbage collections pass over Airflow and the tests, once all is imported.

    These objects stay until the end, and are so many that to look at them again and again, or at each of the
    collections that tests ask for, would be a large part of the time of the tests.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A scripted server; it fails the test if it was asked something that nobody scripted."""
    with scripted_server() as script:
        yield script
    assert not script.unexpected


@pytest.fixture
def connection(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of an Airflow connection to the scripted server."""
    return connect(monkeypatch, server.url)


@pytest.fixture
def virtual() -> Iterator[VirtualTime]:
    """A time that passes only while this thread sleeps, so that it can be asserted to the millisecond."""
    with VirtualTime(None, datetime(2026, 3, 2, 9, tzinfo=UTC)) as time:
        yield time
