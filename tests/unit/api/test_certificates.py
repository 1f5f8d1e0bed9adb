"""Whose certificates are trusted."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support import TOKEN, ScriptedHandler, ScriptedServer
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.errors import TolokaConnectionError
from toloka_airflow.api.settings import ClientSettings


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of certificates as a machine has it, with the one of our server."""
    folder = tmp_path_factory.mktemp("machine") / "certificates"
    folder.mkdir()
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout ../key.pem -out server.pem -subj /CN=localhost"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command.split(), *names], cwd=folder, check=True, capture_output=True)
    subprocess.run(["openssl", "rehash", str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture
def url(machine: Path) -> Iterator[str]:
    """A server behind TLS that answers as Toloka does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(machine / "server.pem", machine.parent / "key.pem")
    script = ScriptedServer()
    script.default("GET", "/requester", {"id": "1", "balance": 1})
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), ScriptedHandler)
    httpd.script = script  # type: ignore[attr-defined]
    httpd.daemon_threads = True
    httpd.handle_error = lambda *_: None  # type: ignore[method-assign]  # of a client that breaks off
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"https://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def ask(url: str, verify: bool | str = True) -> str:
    return TolokaClient(ClientSettings(TOKEN, base_url=url, verify=verify, retry_budget=0)).get_requester().id


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))


def test_those_of_the_machine_are_trusted(url: str, machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", str(machine))
    assert ask(url) == "1"


@pytest.mark.parametrize("folder", ["", "/no/such/folder"])
def test_without_any_the_usual_ones_are_trusted(url: str, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if folder:
        monkeypatch.setenv("SSL_CERT_DIR", folder)
    with pytest.raises(TolokaConnectionError, match="certificate verify failed"):
        ask(url)


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_variables_that_requests_knows_win(
    url: str, machine: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, str(machine / "server.pem"))
    assert ask(url) == "1"


@pytest.mark.parametrize("verify", ["server.pem", "."])
def test_those_of_the_connection_are_trusted(url: str, machine: Path, verify: str) -> None:
    assert ask(url, str(machine / verify)) == "1"
