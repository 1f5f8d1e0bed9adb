"""
Whatever is sent to the page in Airflow's UI, by whomever: no 500, and nothing without permission.

The page is served by the environment that has Airflow, whose interpreter is in ``AIRFLOW_PYTHON``. ``PAGE_REQUESTS`` is
how many requests are made up: 20,000 before a release.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

schemathesis = pytest.importorskip("schemathesis", reason="run by: make test-fidelity")

import requests  # noqa: E402
from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from schemathesis import GenerationMode, checks  # noqa: E402
from schemathesis.specs.openapi import checks as rules  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("AIRFLOW_PYTHON")
WANTED_REQUESTS = int(os.environ.get("PAGE_REQUESTS", "1000"))
SEED = 20_300_101
USERS = "viewer", "shown", "nobody", "admin"
"""The admin is the last, as they close pools."""
OPERATIONS = 6
EXAMPLES = 1 + WANTED_REQUESTS // (2 * OPERATIONS * len(USERS))
CHECKS = [checks.not_a_server_error, rules.status_code_conformance]
OWN = {"X-Toloka-Airflow": "1", "Sec-Fetch-Site": "same-origin"}
MODES = GenerationMode.POSITIVE, GenerationMode.NEGATIVE

if PYTHON is None:
    pytest.skip("AIRFLOW_PYTHON names no interpreter with Airflow: run by make test-fidelity", allow_module_level=True)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("page")
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    command = [str(PYTHON), "-m", "tests.unit.web.world", str(folder)]
    with subprocess.Popen(
        command, cwd=ROOT, env=env | {"PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        line = process.stdout.readline()
        assert line, "the page is not served"
        yield {**json.loads(line), "requests": 0}
        process.stdin.close()


def statuses(world: dict[str, Any]) -> dict[str, str]:
    """Return how all pools are at Toloka, by name."""
    headers = {"Authorization": "OAuth any-token-will-do"}
    return {
        name: requests.get(f"{world['toloka']}/api/v1/pools/{pool_id}", headers=headers, timeout=30).json()["status"]
        for name, pool_id in world["pools"].items()
    }


def make_real(case: Any, world: dict[str, Any], chances: tuple[int, int]) -> None:
    """Name what there is, most of the time."""
    pools = [*world["pools"].values()]
    pool_id = pools[chances[1] % len(pools)]
    real = {"dag_id": ("shown", "hidden")[chances[1] % 2], "conn_id": "toloka_default", "pool_id": pool_id}
    if chances[0] < 7 and case.path_parameters:
        given = {name: real.get(name, value) for name, value in case.path_parameters.items()}
        case.path_parameters.update(given)


@pytest.mark.parametrize("mode", MODES, ids=["valid", "invalid"])
@pytest.mark.parametrize("user", USERS)
def test_made_up_requests(user: str, mode: GenerationMode, world: dict[str, Any]) -> None:
    operations = [found.ok() for found in schemathesis.openapi.from_dict(world["openapi"]).get_all_operations()]
    assert len(operations) == OPERATIONS
    before = statuses(world)
    for operation in operations:
        try_out(operation, user, mode, world)
    after = statuses(world)
    if user in ("viewer", "nobody"):
        assert after == before
    if user == "shown":
        assert after["hidden"] == before["hidden"] == "OPEN"


def try_out(operation: Any, user: str, mode: GenerationMode, world: dict[str, Any]) -> None:
    # No session: schemathesis goes on with one that it was given before.
    token = {"Authorization": f"Bearer {world['tokens'][user]}"}

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=operation.as_strategy(generation_mode=mode),
        chances=st.tuples(st.integers(0, 9), st.integers(0, 99)),
        is_own=st.booleans(),
    )
    def check(case: Any, chances: tuple[int, int], is_own: bool) -> None:
        make_real(case, world, chances)
        url = f"{world['url']}/toloka"
        answer = case.call(base_url=url, headers={**token, **(OWN if is_own else {})}, timeout=60)
        world["requests"] += 1
        assert answer.request.headers["Authorization"] == token["Authorization"]
        case.validate_response(answer, checks=CHECKS)
        # What dots in a name have made another path, or a line break no path of any app, is answered by Airflow.
        if "/toloka/" in answer.request.url and "%0A" not in answer.request.url:
            assert "content-security-policy" in answer.headers, (answer.request.url, answer.text[:300])
        if operation.method.upper() == "POST" and user in ("viewer", "nobody"):
            assert answer.status_code not in (200, 409, 502), answer.text
        if user in ("shown", "nobody"):
            assert "secret" not in answer.text, answer.text

    check()


def test_there_were_enough_requests(world: dict[str, Any], request: pytest.FixtureRequest) -> None:
    if request.session.testscollected < 2 * len(USERS):
        pytest.skip("only a part of the requests was wanted")
    assert world["requests"] >= WANTED_REQUESTS * 0.9
