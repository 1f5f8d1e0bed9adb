"""How a fleet is set up, kept running and taken down; a whole one runs in `tests/fleet`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from demo.airflow_api import wait_until
from demo.processes import MARK, Processes, marked
from fleet.__main__ import UpError, bring_up, main
from fleet.lane import Lane, take_down
from fleet.settings import Fleet, Options
from fleet.supervisor import Supervisor

PATIENCE = 60.0
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


class Sleepers(Fleet):
    """A fleet whose components do nothing."""

    def command(self, name: str) -> list[str]:
        return SLEEP


@pytest.fixture
def fleet(tmp_path: Path) -> Sleepers:
    home = tmp_path / "home"
    for folder in ("log", "pid", "files", "postgres"):
        (home / folder).mkdir(parents=True)
    made = Sleepers.new(home, home / "postgres", None, Options(dags="dags", settings={"core.parallelism": "7"}))
    made.write()
    return made


@pytest.fixture
def orphan(fleet: Sleepers) -> Iterator[subprocess.Popen[bytes]]:
    """A process that a fleet has left behind, whose supervisor and guard are gone."""
    with subprocess.Popen(SLEEP, env={**os.environ, MARK: fleet.mark}) as process:
        yield process
        process.kill()


def test_it_is_read_as_it_was_written(fleet: Sleepers) -> None:
    assert Sleepers.read(fleet.home) == fleet


def test_only_its_owner_reads_its_secrets(fleet: Sleepers) -> None:
    assert (fleet.home / "fleet.json").stat().st_mode & 0o777 == 0o600


def test_settings_of_the_user_win(fleet: Sleepers) -> None:
    assert fleet.environment("scheduler.1")["AIRFLOW__CORE__PARALLELISM"] == "7"


@pytest.mark.parametrize("name", ["AIRFLOW__CORE__EXECUTOR_OF_SOMEBODY", "PYTHONDONTWRITEBYTECODE"])
def test_what_would_configure_another_python_is_not_inherited(
    fleet: Sleepers, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "1")
    for component in fleet.options.names:
        assert name not in fleet.environment(component)


def test_no_token_is_in_the_environment_of_its_processes(fleet: Sleepers) -> None:
    assert not [name for name in fleet.environment("worker.1") if name.startswith("AIRFLOW_CONN")]


def test_what_ends_is_started_again(fleet: Sleepers) -> None:
    with Processes(fleet.log, fleet.mark) as processes:
        supervisor = Supervisor(fleet, processes)
        supervisor.start("redis", "worker.1")
        lane = Lane(fleet.home)
        first = lane.process("worker.1")
        lane.kill("worker.1")

        def is_another() -> bool:
            supervisor.mend()
            return bool(lane.family("worker.1")) and lane.process("worker.1") != first

        wait_until(is_another, "the worker is started again", PATIENCE)
        assert lane.process("redis").is_running()
        assert not first.is_running()
    assert marked(fleet.mark) == []


def test_what_a_crash_has_left_is_ended_and_removed(fleet: Sleepers, orphan: subprocess.Popen[bytes]) -> None:
    assert take_down(fleet.home)
    assert orphan.wait(PATIENCE) != 0
    assert not fleet.home.exists()


def test_logs_and_files_may_be_kept(fleet: Sleepers, tmp_path: Path) -> None:
    (fleet.files / "answers.jsonl").write_text("{}\n")
    take_down(fleet.home, keep=tmp_path / "kept")
    assert (tmp_path / "kept" / "files" / "answers.jsonl").exists()
    assert not fleet.home.exists()


def test_there_is_nothing_to_take_down(tmp_path: Path) -> None:
    assert not take_down(tmp_path)
    assert tmp_path.exists()


def test_a_folder_of_somebody_else_is_left(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UpError, match="is not the home of a fleet"):
        bring_up(tmp_path, Options(dags="dags"))
    assert (tmp_path / "thesis.tex").exists()


def test_who_has_no_fleet_is_told_how_to_begin_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--home", str(tmp_path / "nothing")]) == 1
    assert "make fleet" in capsys.readouterr().err


@pytest.mark.parametrize("argument", ["core.parallelism", "=7"])
def test_a_setting_has_a_name_and_a_value(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["up", "--set", argument])
    assert "must be NAME=VALUE" in capsys.readouterr().err


def test_a_component_that_is_down_has_no_processes(fleet: Sleepers) -> None:
    (fleet.pid / "redis").write_text("999999999")
    assert Lane(fleet.home).family("redis") == []
    with pytest.raises(psutil.NoSuchProcess):
        Lane(fleet.home).process("redis")
