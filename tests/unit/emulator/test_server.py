from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import sys
import threading

import pytest
import requests

from toloka_airflow.emulator.__main__ import main
from toloka_airflow.emulator.server import EmulatorServer

HANG = 60
COMMAND = [sys.executable, "-W", "error", "-m", "toloka_airflow.emulator"]
TOKEN = {"Authorization": "OAuth x"}


def test_starts_and_stops_at_once(monkeypatch):
    """All the time is spent on work: the loop of the server never waits for a moment, but its tick."""
    waits = []

    class Selector(selectors.DefaultSelector):
        def select(self, timeout=None):
            ready = super().select(timeout)
            if not ready:
                waits.append(timeout)
            return ready

    monkeypatch.setattr(selectors, "DefaultSelector", Selector)
    with EmulatorServer() as server:
        assert requests.get(f"{server.url}/api/v1/pools", headers=TOKEN, timeout=HANG).status_code == 200
    assert waits
    assert max(waits) <= 0.01
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url, timeout=HANG)
    assert "toloka-emulator" not in [thread.name for thread in threading.enumerate()]


def test_servers_share_nothing():
    with EmulatorServer(seed=1) as one, EmulatorServer(seed=2) as other:
        requests.patch(f"{one.url}/_emulator/requester", json={"balance": 1}, timeout=HANG)
        balances = [
            requests.get(f"{server.url}/api/v1/requester", headers=TOKEN, timeout=HANG).json()["balance"]
            for server in (one, other)
        ]
    assert balances == [1, 1000]


def test_stop_is_repeatable_and_start_is_not(api):
    with pytest.raises(RuntimeError, match="running already"):
        api.server.start()
    api.server.stop()
    api.server.stop()


def test_many_clients_at_once(api):
    pool_id = api.add_pool(tasks=20)
    api.post(f"/pools/{pool_id}/open")
    failures = []

    def work():
        for _ in range(20):
            api.server.clock.advance(5)
            answer = requests.get(f"{api.server.url}/api/v1/pools/{pool_id}", headers=TOKEN, timeout=10)
            if answer.status_code != 200:
                failures.append(answer.text)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")


def test_port_in_use(api, capsys):
    port = api.server.url.rpartition(":")[2]
    assert main(["--port", port]) == 1
    assert f"cannot listen at 127.0.0.1:{port}" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command(number):
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        url = re.fullmatch(r"Toloka emulator ready at (http://127\.0\.0\.1:\d+)\n", line)[1]
        answer = requests.get(f"{url}/api/v1/requester", headers=TOKEN, timeout=HANG)
        process.send_signal(number)
        rest, errors = process.communicate(timeout=HANG)
    assert answer.status_code == 200
    assert (process.returncode, rest, errors) == (0, "", "")
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--speed", "0"], "speed must be greater than 0"),
        (["--speed", "fast"], "--speed"),
        (["--port", "70000"], "between 0 and 65535"),
        (["--balance", "-1"], "must not be negative"),
        (["--crowd-size", "-1"], "size must be between"),
        (["--accuracy", "0.9", "0.1"], "accuracy must be"),
        (["--start", "yesterday"], "yesterday"),
        (["--sped", "1"], "--sped"),
        (["--active-hours", "8", "25"], "active_hours"),
    ],
)
def test_wrong_arguments(capsys, arguments, message):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert message in capsys.readouterr().err


def test_a_pool_that_is_not_there(make_api):
    server = make_api().server
    pool_id = server.add_pool()
    assert server.pool(pool_id)["status"] == "CLOSED"
    with pytest.raises(ValueError, match=f"pool_id is '1'; there is no such pool or training; there are: {pool_id}"):
        server.pool("1")


def test_the_help_says_no_default_of_a_flag(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "never 429 --crowd-size" in text
    assert "(default: None)" not in text
    assert "(default: 40)" in text
