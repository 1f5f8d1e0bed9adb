"""The same command gives the same result: in another process, with other hashes, and in other versions of Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from tests.unit.rehearsal.configs import ANSWER_AGAIN, RESULT, START, ban_below, pool, project, rehearsed, skill, tasks
from toloka_airflow.rehearsal import Rehearsal
from toloka_airflow.rehearsal.chart import draw
from toloka_airflow.rehearsal.results import table

ROOT = Path(__file__).resolve().parents[3]
FORMATS = ("json", "table", "svg")
RECORDED = "a0f56b6f0b5da14dbb5c45f1a022018069a22159e59ed4e0b5a02cdb1d50b395"
"""Of what `everything` gives. It is the same on all versions of Python, and another one if the emulator's crowd or the
output changes: then put the new one here."""


def everything() -> dict[str, str]:
    """Rehearse a bit of everything, and return what users get."""
    languages = {"category": "profile", "key": "languages", "operator": "IN", "value": "DE"}
    config = pool(
        *(ban_below(60), ANSWER_AGAIN),
        golden=1,
        real=3,
        filter={"and": [languages, {"or": [skill("55", "GTE", 70), skill("56", "EQ", 1)]}]},
    )
    spec = {"result": RESULT, "is_clear": {"type": "boolean"}, "score": {"type": "integer"}}
    result = rehearsed(config, tasks(60, golden=20), project=project(**spec), people=25, accuracy=0.7, runs=4, seed=3)
    return shown(result)


def shown(result: Rehearsal) -> dict[str, str]:
    return {
        "json": json.dumps(result.as_json(), indent=2),
        "table": "\n".join(table(result)),
        "svg": "\n".join(draw(result, "Rehearsal")),
    }


def test_the_same_arguments_give_the_same_bytes():
    assert everything() == everything()


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_gives_the_same_bytes(hash_seed):
    code = "import json; from tests.unit.rehearsal.test_determinism import everything; print(json.dumps(everything()))"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    output = subprocess.check_output(
        [sys.executable, "-W", "ignore", "-c", code], env=environment, cwd=ROOT, timeout=120
    )
    assert json.loads(output.splitlines()[-1]) == everything()


def test_every_version_of_python_gives_the_same_bytes():
    made = everything()
    assert sha256("".join(made[name] for name in FORMATS).encode()).hexdigest() == RECORDED


def test_another_seed_gives_another_result():
    first, other = (shown(rehearsed(pool(), tasks(30), seed=seed)) for seed in (0, 1))
    assert all(first[name] != other[name] for name in ("json", "table", "svg"))


def test_the_day_does_not_matter_unless_the_pool_expires():
    today, later = (shown(rehearsed(pool(), tasks(30), start=day)) for day in (START, START + timedelta(days=100.3)))
    assert today == later
