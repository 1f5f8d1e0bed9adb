"""What docs/performance.md advises for workers of Celery, in a real one, and in what else reads the same settings."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from demo.airflow_api import wait_until
from demo.processes import Processes
from tests.airflow_home import clean_environment

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "performance.md").read_text()
MODULES = ("requests", "toloka_airflow.triggers.shared_waits", "toloka_airflow.operators.lifecycle")
# Celery sends this signal in each process of the pool, and the tasks of Airflow fork from those.
PROBE = f"""
import json, os, sys
from celery.signals import worker_process_init

def note(**kwargs):
    with open(os.environ["PROBE"] + ".new", "w") as file:
        json.dump([name in sys.modules for name in {MODULES}], file)
    os.replace(file.name, os.environ["PROBE"])

worker_process_init.connect(note, weak=False)
"""
CONFIGURATION = f"""
import json, sys
from airflow.providers.celery.executors.celery_executor import app
print("\\n" + json.dumps([dict(app.conf), [name in sys.modules for name in {MODULES}]], default=str))
"""
SCHEDULER = """
import logging
logging.basicConfig(level="INFO")
import airflow.cli.commands.scheduler_command
from airflow.jobs.job import Job
Job()
"""


def advised() -> dict[str, str]:
    """Return the environment variable of the page."""
    [value] = re.findall(r"^export AIRFLOW__CELERY__EXTRA_CELERY_CONFIG='(.+)'$", PAGE, re.MULTILINE)
    return {"AIRFLOW__CELERY__EXTRA_CELERY_CONFIG": value}


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of an Airflow with the CeleryExecutor whose broker is in the process, and nobody else's."""
    (tmp_path / "probe.py").write_text(PROBE)
    return clean_environment(
        AIRFLOW_HOME=str(tmp_path),
        AIRFLOW__CORE__EXECUTOR="CeleryExecutor",
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CELERY__BROKER_URL="memory://",
        AIRFLOW__CELERY__RESULT_BACKEND=f"db+sqlite:///{tmp_path}/results.db",
        PYTHONPATH=f"{tmp_path}:{ROOT}",
        PROBE=str(tmp_path / "probed.json"),
    )


def run(code: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def inherited(env: dict[str, str], folder: Path) -> list[bool]:
    """Start ``airflow celery worker``, and return which of `MODULES` its pool process has when it begins."""
    probed = Path(env["PROBE"])
    with Processes(folder / "log") as processes:
        command = [sys.executable, "-m", "airflow", "celery", "worker", "--concurrency", "1", "--skip-serve-logs"]
        processes.start("worker", command, env, folder)

        def is_there() -> bool:
            processes.check()
            return probed.exists()

        wait_until(is_there, "a pool process has begun", 300, 0.2)
    found: list[bool] = json.loads(probed.read_text())
    return found


def with_probe(value: str) -> str:
    """Return the setting with one more module among the imports."""
    config: dict[str, Any] = json.loads(value)
    return json.dumps({**config, "imports": [*config.get("imports", ()), "probe"]})


class TestWorker:
    def test_by_the_setting_of_the_page_tasks_inherit_what_they_need(self, env: dict[str, str], tmp_path: Path) -> None:
        [setting] = advised().values()
        env["AIRFLOW__CELERY__EXTRA_CELERY_CONFIG"] = with_probe(setting)
        assert inherited(env, tmp_path) == [True] * 3

    def test_by_the_line_of_the_page_they_do_too(self, env: dict[str, str], tmp_path: Path) -> None:
        [line] = re.findall(r"^```python\n(import toloka_airflow\.preload)\n```$", PAGE, re.MULTILINE)
        (tmp_path / "airflow_local_settings.py").write_text(line)
        env["AIRFLOW__CELERY__EXTRA_CELERY_CONFIG"] = with_probe("{}")
        assert inherited(env, tmp_path) == [True] * 3

    def test_and_in_the_module_of_celery_config_options(self, env: dict[str, str], tmp_path: Path) -> None:
        default = "from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG as CONFIG"
        (tmp_path / "my_celery.py").write_text(f"import toloka_airflow.preload\n{default}\n")
        env["AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS"] = "my_celery.CONFIG"
        env["AIRFLOW__CELERY__EXTRA_CELERY_CONFIG"] = with_probe("{}")
        assert inherited(env, tmp_path) == [True] * 3

    def test_without_any_they_do_not(self, env: dict[str, str], tmp_path: Path) -> None:
        """If this fails, Airflow's workers load plugins, and the page advises what is no longer needed."""
        env["AIRFLOW__CELERY__EXTRA_CELERY_CONFIG"] = with_probe("{}")
        assert inherited(env, tmp_path) == [False] * 3


class TestScheduler:
    def test_all_other_settings_of_celery_stay_as_airflow_has_them(self, env: dict[str, str]) -> None:
        plain, _ = json.loads(run(CONFIGURATION, env).stdout.splitlines()[-1])
        told, imported = json.loads(run(CONFIGURATION, env | advised()).stdout.splitlines()[-1])
        assert {name: value for name, value in told.items() if value != plain.get(name)} == {
            "imports": ["toloka_airflow.preload"]
        }
        assert set(plain) - set(told) == set()
        assert imported == [False] * 3

    def test_it_says_that_workers_are_not_told_and_imports_nothing_for_tasks(self, env: dict[str, str]) -> None:
        done = run(f"{SCHEDULER}\nimport sys; print([name in sys.modules for name in {MODULES}])", env)
        assert (done.stdout + done.stderr).count('extra_celery_config = {"imports": ["toloka_airflow.preload"]}') == 1
        assert done.stdout.splitlines()[-1] == "[False, False, False]"

    def test_it_says_nothing_where_they_are(self, env: dict[str, str]) -> None:
        done = run(SCHEDULER, env | advised())
        assert "toloka_airflow.preload" not in done.stdout + done.stderr


@pytest.mark.parametrize("is_set", [False, True])
def test_the_doctor_says_what_is_not_set(env: dict[str, str], is_set: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "toloka_airflow.cli", "doctor", "--json"],
        env=env | (advised() if is_set else {}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    [line] = [line for line in json.loads(done.stdout)["checks"] if line["check"] == "celery"]
    assert line["status"] == ("ok" if is_set else "warn"), line
    assert is_set or "extra_celery_config" in line["remedy"]
