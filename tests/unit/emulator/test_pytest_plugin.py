"""The plugin in a pytest of its own, found by its entry point as in the environment of a user."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
STRICT = "[pytest]\naddopts = --strict-markers --strict-config\nfilterwarnings = error\n"


@pytest.fixture
def run_pytest(tmp_path):
    """Run tests where the package is installed; return what pytest printed."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    dist = tmp_path / "site" / "toloka_plugin-1.0.dist-info"
    dist.mkdir(parents=True)
    (dist / "METADATA").write_text("Name: toloka-plugin\nVersion: 1.0\n")
    (dist / "entry_points.txt").write_text("[pytest11]" + setup["options.entry_points"]["pytest11"])
    project = tmp_path / "project"
    project.mkdir()
    (project / "pytest.ini").write_text(STRICT)

    def run(text: str, *args: str, outcome: int = 0) -> str:
        (project / "test_mine.py").write_text(text)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *args]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(dist.parent), str(ROOT)])}
        done = subprocess.run(command, cwd=project, env=env, text=True, capture_output=True, timeout=60, check=False)
        assert done.returncode == outcome, done.stdout + done.stderr
        return done.stdout

    return run


def test_the_fixture(run_pytest):
    tests = """
import json, threading, urllib.request
import pytest

def get(emulator, path):
    request = urllib.request.Request(emulator.url + "/api/v1" + path, headers={"Authorization": "OAuth x"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)

urls = []

def test_ready_and_empty(toloka_emulator):
    urls.append(toloka_emulator.url)
    assert get(toloka_emulator, "/pools")["items"] == []
    toloka_emulator.add_pool()

@pytest.mark.toloka_emulator(frozen=True, start="2030-01-01T00:00:00", seed=7)
def test_its_own_and_with_options(toloka_emulator):
    assert get(toloka_emulator, "/pools")["items"] == []
    assert toloka_emulator.clock.view()["now"] == "2030-01-01T00:00:00.000"
    assert json.loads(toloka_emulator.connection)["host"] == toloka_emulator.url
    toloka_emulator.faults.add("GET", "/api/v1/pools", status=503)
    pool_id = toloka_emulator.add_pool(3, overlap=2, open=True)
    toloka_emulator.clock.advance(3600)
    assert get(toloka_emulator, f"/pools/{pool_id}")["last_close_reason"] == "COMPLETED"
    assert toloka_emulator.journal.events("pool.closed")
    toloka_emulator.crowd.change(size=1)

def test_stopped_at_once():
    with pytest.raises(OSError):
        urllib.request.urlopen(urls[0], timeout=1)
    assert not [thread for thread in threading.enumerate() if "toloka" in thread.name]
"""
    assert "3 passed" in run_pytest(tests)


def test_costs_nothing_where_it_is_not_used(run_pytest):
    tests = """
import sys

def test_imported():
    heavy = ("airflow", "requests", "uvicorn", "starlette", "http.client")
    assert "toloka_airflow.emulator.pytest_plugin" in sys.modules
    assert [name for name in heavy if name in sys.modules] == []
"""
    run_pytest(tests)


def test_marker_is_known(run_pytest):
    assert "@pytest.mark.toloka_emulator" in run_pytest("", "--markers")


def test_wrong_options_are_named(run_pytest):
    tests = """
import pytest

@pytest.mark.toloka_emulator(sped=2)
def test_it(toloka_emulator):
    pass
"""
    assert "sped" in run_pytest(tests, outcome=1)
