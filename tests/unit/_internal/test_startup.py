"""What a scheduler and a worker of Celery import for the tasks that fork from them, and what is said about it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import airflow
import pytest

from tests.forked_airflow import ForkedAirflow, Output

HAS_TEAMS = tuple(map(int, airflow.__version__.split(".")[:2])) >= (3, 2)
TEAMS = pytest.mark.skipif(not HAS_TEAMS, reason="Airflow 3.1 has no teams")
EXECUTORS = '''
from airflow.executors.base_executor import BaseExecutor
from airflow.executors.local_executor import LocalExecutor


class Remote(BaseExecutor):
    supports_multi_team = True


class Local(LocalExecutor):
    """One of somebody's own."""


class Celery(Remote):
    """By its name it is the provider's, which is not installed here."""

    __module__ = "airflow.providers.celery.executors.celery_executor"
    __qualname__ = "CeleryExecutor"


class MyCelery(Celery):
    pass


CELERY = {"imports": ["toloka_airflow.preload"]}
'''
# Job() is what loads plugins in a scheduler, before it has made its executors.
SCHEDULER = """
import json, logging, multiprocessing, os, sys
os.environ.update({})
if method := os.environ.get("START_METHOD"):
    multiprocessing.set_start_method(method, force=True)
log = logging.getLogger("toloka_airflow")
log.setLevel("INFO")
log.propagate = False  # or Airflow 3.1 writes it a second time
log.addHandler(logging.StreamHandler())
from airflow.executors.executor_loader import ExecutorLoader
if ";" in os.environ["AIRFLOW__CORE__EXECUTOR"]:
    ExecutorLoader.get_executor_names(validate_teams=False)  # there is no database in which the teams could be
from airflow.jobs.job import Job
Job()
from airflow.sdk.execution_time.task_runner import get_listener_manager
get_listener_manager()
modules = "toloka_airflow.plugin", "requests", "toloka_airflow.triggers.shared_waits"
print("\\n" + json.dumps([name in sys.modules for name in modules]))
"""
HINT = 'set [celery] extra_celery_config = {"imports": ["toloka_airflow.preload"]}'
SETTING = '{"imports": ["toloka_airflow.preload"]}'


@pytest.fixture(scope="module")
def process() -> Iterator[ForkedAirflow]:
    """A process that has imported what ``airflow scheduler`` has."""
    with ForkedAirflow("airflow.cli.commands.scheduler_command") as process:
        yield process


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("executors")
    (folder / "executors.py").write_text(EXECUTORS)
    return str(folder)


class TestScheduler:
    def begin(self, process: ForkedAirflow, path: str, executor: str, env: Mapping[str, str] = {}) -> Output:
        """Begin as a scheduler does, and load plugins once more, as a task that forks from it would."""
        teams = {"AIRFLOW__CORE__MULTI_TEAM": str(";" in executor)}
        code = SCHEDULER.format({"AIRFLOW__CORE__EXECUTOR": executor, **teams, **env})
        output = process.run(code, path=path)
        assert output.code == 0, output.err
        return output

    @pytest.mark.parametrize(
        ("executor", "forks"),
        [
            ("LocalExecutor", True),
            ("executors.Local", True),
            ("executors.Remote", False),
            ("executors.Celery", False),
            ("executors.Celery,executors.Remote", False),
            ("executors.Celery,LocalExecutor", True),
            ("mine:executors.Remote, here:executors.Local", True),
            pytest.param("executors.Remote;a=executors.Celery;b=executors.Celery", False, marks=TEAMS),
            pytest.param("executors.Remote;a=executors.Celery;b=LocalExecutor", True, marks=TEAMS),
        ],
    )
    def test_it_imports_for_tasks_only_if_they_fork_from_it(
        self, process: ForkedAirflow, path: str, executor: str, forks: bool
    ) -> None:
        output = self.begin(process, path, executor)
        assert "is not prepared" not in output.err
        assert json.loads(output.out.splitlines()[-1]) == [True, forks, forks]

    @pytest.mark.parametrize("method", ["spawn", "forkserver"])
    def test_it_imports_nothing_for_processes_that_do_not_fork(
        self, process: ForkedAirflow, path: str, method: str
    ) -> None:
        output = self.begin(process, path, "LocalExecutor", {"START_METHOD": method})
        assert json.loads(output.out.splitlines()[-1]) == [True, False, False]

    @pytest.mark.parametrize(
        "executor",
        [
            "executors.Celery",
            "executors.MyCelery",
            "LocalExecutor,executors.Celery",
            pytest.param("LocalExecutor;a=executors.Celery;b=executors.Celery", marks=TEAMS),
        ],
    )
    def test_it_says_once_that_workers_of_celery_are_not_told(
        self, process: ForkedAirflow, path: str, executor: str
    ) -> None:
        assert self.begin(process, path, executor).err.count(HINT) == 1

    @TEAMS
    def test_what_the_workers_of_one_team_are_told_is_nothing_to_those_of_another(
        self, process: ForkedAirflow, path: str
    ) -> None:
        env = {"AIRFLOW__A___CELERY__EXTRA_CELERY_CONFIG": SETTING}
        output = self.begin(process, path, "LocalExecutor;a=executors.Celery;b=executors.Celery", env)
        assert output.err.count(HINT) == 1

    @pytest.mark.parametrize(
        ("executor", "env"),
        [
            ("LocalExecutor", {}),
            ("executors.Remote", {}),
            ("executors.Celery", {"AIRFLOW__CELERY__EXTRA_CELERY_CONFIG": SETTING}),
            ("executors.Celery", {"AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS": "executors.CELERY"}),
            pytest.param(
                "LocalExecutor;a=executors.Celery", {"AIRFLOW__A___CELERY__EXTRA_CELERY_CONFIG": SETTING}, marks=TEAMS
            ),
        ],
    )
    def test_it_says_nothing_where_there_is_no_celery_or_it_is_told(
        self, process: ForkedAirflow, path: str, executor: str, env: dict[str, str]
    ) -> None:
        output = self.begin(process, path, executor, env)
        assert "celery" not in output.err.lower()

    def test_an_executor_that_cannot_be_imported_does_not_cost_the_plugin(
        self, process: ForkedAirflow, path: str
    ) -> None:
        output = self.begin(process, path, "executors.Missing")
        assert "is not prepared" in output.err
        assert json.loads(output.out.splitlines()[-1]) == [True, False, False]


IMPORTED = """
import sys
sys.argv[1:] = {}
import {}
print([name for name in ("airflow.sdk", "requests", "toloka_airflow.triggers.shared_waits") if name in sys.modules])
"""


class TestPreload:
    """`toloka_airflow.preload`, as Airflow and Celery import it."""

    def imported(self, folder: Path, settings: str, modules: str, *arguments: str) -> str:
        (folder / "airflow_local_settings.py").write_text(settings)
        (folder / "celery" / "apps").mkdir(parents=True)
        (folder / "celery" / "apps" / "worker.py").touch()
        command = [sys.executable, "-c", IMPORTED.format(list(arguments), modules)]
        env = {**os.environ, "PYTHONPATH": str(folder)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)
        assert done.returncode == 0, done.stderr
        assert "is not prepared" not in done.stderr
        return done.stdout.splitlines()[-1]

    def test_by_the_line_of_the_documentation_a_worker_imports_what_talks_to_toloka(self, tmp_path: Path) -> None:
        page = (Path(__file__).parents[3] / "docs" / "performance.md").read_text()
        [line] = re.findall(r"^```python\n(import .*?)```$", page, re.DOTALL | re.MULTILINE)
        printed = self.imported(tmp_path, line, "airflow", "celery", "worker", "-c", "4")
        assert "'requests', 'toloka_airflow.triggers.shared_waits'" in printed

    def test_by_the_same_settings_nobody_else_does(self, tmp_path: Path) -> None:
        printed = self.imported(tmp_path, "import toloka_airflow.preload", "airflow", "scheduler")
        assert "requests" not in printed
        assert "toloka_airflow" not in printed

    def test_by_celery_a_worker_does_however_it_was_started(self, tmp_path: Path) -> None:
        modules = "celery.apps.worker, toloka_airflow.preload"
        assert "'requests', 'toloka_airflow.triggers.shared_waits'" in self.imported(
            tmp_path, "", modules, "-A", "app", "worker"
        )

    @pytest.mark.parametrize("arguments", [["celery", "flower"], ["tasks", "run", "celery", "worker"], ["version"], []])
    def test_elsewhere_it_does_not_even_import_airflow(self, tmp_path: Path, arguments: list[str]) -> None:
        assert self.imported(tmp_path, "", "toloka_airflow.preload", *arguments) == "[]"
