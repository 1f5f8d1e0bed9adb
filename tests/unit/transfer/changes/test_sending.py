"""Changes that are sent by attempts which are killed: whatever is left is sent by the next one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from tests.support import TOKEN
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer

ROOT = Path(__file__).resolve().parents[4]


def test_killed_attempts() -> None:
    with EmulatorServer(seed=1, frozen=True) as toloka:
        client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
        skill_id = client.create_skill({"name": "careful"}).id
        program = Path(__file__).with_name("killed_changes.py")
        command = [sys.executable, str(program), toloka.url, skill_id, *toloka.crowd.user_ids]
        done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        ends = json.loads(done.stdout)
        assert ends[-2:] == [0, 0]
        assert ends[0] == -signal.SIGKILL
        assert set(ends) == {0, -signal.SIGKILL}
        skills = {each.user_id: each.raw["exact_value"] for each in client.list_user_skills(skill_id=skill_id)}
        assert skills == dict.fromkeys(toloka.crowd.user_ids, 70)
        # The last attempt found all of them, and killed ones lost at most what was on its way.
        puts = toloka.journal.requests("PUT", "/api/v1/user-skills")
        assert 40 <= len(puts) <= 40 + 4 * 6
