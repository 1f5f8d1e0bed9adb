"""
Serve the API of the Airflow of this environment, by `create_app`, on a free port of loopback.

It is a program of its own. It writes JSON to a pipe when it is ready: ``{"url", "openapi", "tokens"}``, the OpenAPI
document of the page's app, which it does not serve itself, and a token for each user. With ``--broken``, the module of
the app cannot be imported. With ``--one-list``, each connection's list of open pools is fetched once and never again,
however slow the machine is.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.airflow_home import clean_environment

ROOT = Path(__file__).resolve().parents[3]
USERS = {"admin": "ADMIN", "viewer": "VIEWER", "user": "USER", "shown": "USER", "nobody": None}


@contextmanager
def served(home: Path, *options: str, **env: str) -> Iterator[dict[str, Any]]:
    """Serve the Airflow of a home, and give what the program wrote."""
    env = clean_environment(
        AIRFLOW_HOME=str(home),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__AUTH_MANAGER="tests.unit.web.rights.RightsPerDag",
        AIRFLOW__API_AUTH__JWT_SECRET="a secret of the tests that is long enough for SHA-512 to be content with",
        PYTHONPATH=str(ROOT),
        **env,
    )
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "tests.unit.web.served", str(writer), *options]
    with (home / "served.log").open("a") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log, pass_fds=[writer])
    os.close(writer)
    try:
        with open(reader) as ready:
            line = ready.readline()
        assert line, (home / "served.log").read_text()[-3000:]
        yield json.loads(line)
    finally:
        process.terminate()
        process.wait(timeout=60)


def routes(page: Any) -> dict[str, bool]:
    """Return whether each route of the page finds out who the user is, by its path."""
    from airflow.api_fastapi.core_api.security import get_user

    def asks(dependant: Any) -> bool:
        return dependant.call is get_user or any(asks(each) for each in dependant.dependencies)

    found = list(page.routes) if page else []
    return {str(getattr(each, "path", each)): hasattr(each, "dependant") and asks(each.dependant) for each in found}


def main() -> None:
    """Serve until this process is terminated."""
    if "--broken" in sys.argv:
        sys.modules["toloka_airflow.web.app"] = None  # type: ignore[assignment]
    if "--one-list" in sys.argv:
        from toloka_airflow.web import toloka

        toloka.MIN_PAUSE = float("inf")
    import uvicorn
    from airflow.api_fastapi.app import create_app, get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    app = create_app()
    tokens = {
        name: get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=name, role=role))
        for name, role in USERS.items()
    }
    page = next((route.app for route in app.routes if getattr(route, "path", "") == "/toloka"), None)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with os.fdopen(int(sys.argv[1]), "w") as ready:
        openapi = page.openapi() if page else None
        json.dump({"url": url, "openapi": openapi, "routes": routes(page), "tokens": tokens}, ready)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_keep_alive=120)).run(sockets=[listener])


if __name__ == "__main__":
    main()
