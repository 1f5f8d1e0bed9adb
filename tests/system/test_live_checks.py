"""What Airflow makes of a mistake in a configuration: an import error; a run that is under way goes on afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from demo.airflow_api import wait_until
from demo.local_airflow import LocalAirflow
from tests.support import TOKEN
from tests.system.disturbed import PATIENCE, Connect, insist
from tests.worlds import PROJECT
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer

pytestmark = pytest.mark.live

FILE = "checked.py"
DAG = """\
import time
from pathlib import Path
from airflow.sdk import DAG, task
from toloka_airflow.operators.projects import CreateProjectOperator

FOLDER = Path({folder!r})
# version {version}

@task
def wait_for_a_file():
    while not (FOLDER / "go").exists():
        time.sleep(0.2)

with DAG("checked", schedule=None):
    wait_for_a_file() >> CreateProjectOperator(
        task_id="create", config=FOLDER / "project.json", toloka_conn_id="toloka_checked"
    )
"""


class Checked:
    """A DAG whose project is in a file."""

    def __init__(self, airflow: LocalAirflow, folder: Path) -> None:
        self.airflow, self.folder = airflow, folder
        self.version = 0
        self.project = folder / "project.json"

    def write(self, project: dict[str, Any]) -> None:
        self.project.write_text(json.dumps(project, indent=1))
        self.version += 1  # Airflow parses a file that has changed sooner than one that has not.
        (self.airflow.dags / FILE).write_text(DAG.format(folder=str(self.folder), version=self.version))

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = insist(partial(self.airflow.api.call, "GET", "/dags/checked"))
        return state

    def import_error(self) -> str:
        return insist(self.airflow.api.import_errors).get(FILE, "")


@pytest.fixture
def checked(airflow: LocalAirflow, tmp_path: Path) -> Iterator[Checked]:
    yield Checked(airflow, tmp_path)
    (airflow.dags / FILE).write_text("")


def test_a_mistake_is_an_import_error(airflow: LocalAirflow, checked: Checked, connect_to: Connect) -> None:
    with EmulatorServer(seed=1) as toloka:
        connect_to("toloka_checked", toloka)
        checked.write(PROJECT)
        airflow.api.wait_for_dag("checked", PATIENCE)
        run_id = insist(partial(airflow.api.trigger, "checked"))

        def state(task_id: str) -> str | None:
            return insist(partial(airflow.api.task_states, "checked", run_id)).get(task_id)

        wait_until(lambda: state("wait_for_a_file") == "running", "the first task runs", PATIENCE)
        checked.write({**PROJECT, "assignments_issuing_type": "AUTOMATIC"})
        wait_until(lambda: checked.import_error() != "", "Airflow has the import error", PATIENCE)
        line = next(i for i, text in enumerate(checked.project.read_text().splitlines(), 1) if "AUTOMATIC" in text)
        assert "ValueError: config of task create has a mistake" in checked.import_error()
        assert f"\n{checked.project}:{line}: assignments_issuing_type: error: " in checked.import_error()
        # Nothing more of the DAG is scheduled until the file is right.
        assert checked.state()["is_stale"]

        (checked.folder / "go").touch()
        checked.write(PROJECT)
        wait_until(lambda: checked.import_error() == "", "the import error is gone", PATIENCE)
        ended = partial(airflow.api.run_state, "checked", run_id)
        wait_until(lambda: insist(ended) in ("success", "failed"), "the run ends", PATIENCE)
        assert insist(ended) == "success"
        client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
        assert [project.public_name for project in client.list_projects()] == [PROJECT["public_name"]]
