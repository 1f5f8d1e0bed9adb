"""`airflow-toloka doctor` in the shared Airflow, with a connection that is in its database."""

from __future__ import annotations

import pytest

from demo.local_airflow import LocalAirflow
from tests.system.disturbed import Connect
from tests.system.test_doctor import run, will_expire
from toloka_airflow.emulator.server import EmulatorServer

pytestmark = pytest.mark.live

CONN_ID = "toloka_doctor"


def test_it_finds_what_is_wrong_with_an_account(airflow: LocalAirflow, connect_to: Connect) -> None:
    with EmulatorServer(seed=1, balance=3) as toloka:
        toloka.crowd.change(size=0)
        connect_to(CONN_ID, toloka)
        pool_id = toloka.add_pool(open=True, will_expire=will_expire(2))
        report = run(airflow, "--conn-id", CONN_ID)
        assert report.has("ok", "connection", f"Connected to {toloka.url}", "", CONN_ID)
        assert report.has("ok", "triggerer", "1 alive", "")
        assert report.has("warn", "balance", "which is less than 10", "Top up", CONN_ID)
        assert report.has("warn", "open-pools", f"Pool {pool_id}", "If nobody needs it", CONN_ID)
        toloka.accept_tokens("another-token")
        report = run(airflow, "--conn-id", CONN_ID)
        assert report.has("fail", "connection", "answered 401", "Copy the token again", CONN_ID)
        assert report.code == 1
