"""Whose requests are taken: what a page of another site makes a browser send is refused."""

from __future__ import annotations

import pytest
import requests

from toloka_airflow.emulator.__main__ import main
from toloka_airflow.emulator.server import EmulatorServer

TOKEN = {"Authorization": "OAuth x"}
JSON = {"Content-Type": "application/json"}
HANG = 60
# With every way to ask for something.
CALLS = [
    ("GET", "/"),
    ("GET", "/api/v1/pools"),
    ("POST", "/api/v1/projects"),
    ("GET", "/_emulator/snapshot"),
    ("POST", "/_emulator/reset"),
    ("GET", "/nowhere"),
]


def ask(url, method, path, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.request(method, url + path, headers={**TOKEN, **JSON, **named}, timeout=HANG)


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize(
    "host",
    ["pages.example", "localhost.pages.example", "127.0.0.1.pages.example", "192.0.2.1", "0.0.0.0", "[::2]", "a:b"],
)
def test_a_foreign_host(api, host, method, path):
    """So has a page of a name that was made to lead here after the page was loaded."""
    pool_id = api.add_pool(tasks=1)
    answer = ask(api.server.url, method, path, Host=host)
    assert (answer.status_code, answer.json()["code"]) == (403, "ACCESS_DENIED")
    assert f"{host!r}" in answer.json()["message"]
    assert api.get(f"/pools/{pool_id}")


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("origin", ["http://pages.example", "https://127.0.0.1", "http://localhost:1", "null", ""])
def test_a_foreign_origin(api, origin, method, path):
    """A page on this machine, but of another server, is foreign too."""
    pool_id = api.add_pool(tasks=1)
    answer = ask(api.server.url, method, path, Origin=origin)
    assert (answer.status_code, answer.json()["code"]) == (403, "ACCESS_DENIED")
    assert api.get(f"/pools/{pool_id}")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost", "LOCALHOST:8000", "[::1]", "[::1]:8000"])
def test_its_own_host_and_origin(api, host):
    assert ask(api.server.url, "GET", "/api/v1/pools", Host=host).status_code == 200
    assert ask(api.server.url, "GET", "/api/v1/pools", Host=host, Origin=f"http://{host}").status_code == 200


def test_a_refused_request_is_not_one_that_was_made(api):
    ask(api.server.url, "GET", "/api/v1/pools", Host="pages.example")
    assert api.server.journal.requests() == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "worker.example"])
def test_other_machines_are_let_in_on_purpose_only(host, capsys):
    with pytest.raises(ValueError, match=f"host is '{host}'.*allow_remote"):
        EmulatorServer(host=host)
    with pytest.raises(SystemExit, match="2"):
        main(["--host", host])
    assert "--allow-remote" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
def test_loopback_needs_no_word(host):
    with EmulatorServer(host=host) as server:
        assert ask(server.url, "GET", "/api/v1/pools").status_code == 200


def test_with_other_machines():
    with EmulatorServer(host="0.0.0.0", allow_remote=True, allow_hosts=["toloka", "Toloka.example"]) as server:
        port = server.url.rpartition(":")[2]
        url = f"http://127.0.0.1:{port}"
        for host in ("192.0.2.1", f"[2001:db8::1]:{port}", f"toloka:{port}", "toloka.example", "localhost"):
            assert ask(url, "GET", "/api/v1/pools", Host=host).status_code == 200
        for host in ("pages.example", "toloka.pages.example"):
            assert ask(url, "GET", "/api/v1/pools", Host=host).status_code == 403
        assert ask(url, "GET", "/api/v1/pools", Host="toloka", Origin="http://pages.example").status_code == 403


def test_a_name_is_no_word_for_other_machines():
    with pytest.raises(ValueError, match="allow_remote"):
        EmulatorServer(host="0.0.0.0", allow_hosts=["toloka"])
