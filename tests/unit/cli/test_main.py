"""The command ``airflow-toloka`` itself, as a shell runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from toloka_airflow import __version__
from toloka_airflow.cli.__main__ import COMMANDS, main

ROOT = Path(__file__).parents[3]


def run(
    *arguments: str, command: tuple[str, ...] = ("-m", "toloka_airflow.cli"), path: str = str(ROOT)
) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, *command, *arguments], env=env, text=True, capture_output=True, timeout=120, check=False
    )


def test_help_lists_the_commands() -> None:
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for name, summary in COMMANDS.items():
        assert re.search(rf"^    {name} +{re.escape(summary)}$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: airflow-toloka {command} " in capsys.readouterr().out


def test_version() -> None:
    done = run("--version")
    assert done.returncode == 0
    assert re.fullmatch(
        rf"airflow-toloka {__version__} \(Airflow 3\.\d+\.\d+\S*, Python 3\.\d+\.\d+\S*\)\n", done.stdout
    )


def test_no_command() -> None:
    done = run()
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: airflow-toloka" in done.stderr
    assert "check" in done.stderr


@pytest.mark.parametrize(("command", "near"), [("chek", "; did you mean 'check'?"), ("publish", "")])
def test_an_unknown_command(command: str, near: str) -> None:
    done = run(command)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(f"airflow-toloka: error: there is no command {command!r}{near}\n")


def test_an_unknown_option() -> None:
    done = run("check", "--loud")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--loud" in done.stderr


def test_airflow_is_not_imported_for_what_does_not_need_it(tmp_path: Path) -> None:
    """Its import takes longer than most checks."""
    (tmp_path / "pool.json").write_text("{}")
    for arguments in (["--version"], ["check", "--list"], ["check", "--pool", f"{tmp_path}/pool.json"]):
        code = (
            "import sys; from toloka_airflow.cli.__main__ import main\n"
            f"try: main({arguments!r})\nexcept SystemExit: pass\n"
            "sys.exit('airflow' in sys.modules)"
        )
        done = run(command=("-c", code))
        assert done.returncode == 0, arguments
        assert done.stderr == ""


def test_who_has_read_enough_may_close_the_pipe() -> None:
    read, write = os.pipe()
    os.close(read)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "toloka_airflow.cli", "check", "--list"]
    with os.fdopen(write, "w") as pipe:
        done = subprocess.run(
            command, env=env, text=True, stdout=pipe, stderr=subprocess.PIPE, timeout=120, check=False
        )
    assert (done.returncode, done.stderr) == (1, "")


def test_what_nobody_has_foreseen_is_no_mistake_that_was_found(tmp_path: Path) -> None:
    """Nor is it hidden: a module of a later Python, a library of a store, or this package may err."""
    (tmp_path / "yaml.py").write_text("def __getattr__(name): raise LookupError('lost')\n")
    (tmp_path / "pool.yaml").write_text("{}")
    done = run("check", "--pool", f"{tmp_path}/pool.yaml", path=f"{tmp_path}{os.pathsep}{ROOT}")
    assert (done.returncode, done.stdout) == (2, "")
    assert "LookupError: lost" in done.stderr
