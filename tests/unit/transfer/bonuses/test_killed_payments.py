"""Money to the cent, whatever is killed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression

BONUSES = "/api/v1/user-bonuses"
COUNT = 2000


def test_what_is_killed_anywhere_is_paid_once(tmp_path: Path) -> None:
    """At six points, and again when it goes on, with faults at two requests in a hundred."""
    with EmulatorServer(seed=1, crowd=CrowdSettings(size=500), balance=1_000_000, quotas=False) as toloka:
        toloka.progressions.set(Progression(seconds=0.2))
        people = toloka.crowd.user_ids
        rows = [(people[number % 500], Decimal(5 + number * 7 % 1000) / 1000) for number in range(COUNT)]
        path = tmp_path / "bonuses.csv"
        path.write_text("user_id,amount\n" + "".join(f"{user},{amount}\n" for user, amount in rows))
        for method, template in (
            ("POST", BONUSES),
            ("GET", BONUSES),
            ("GET", "/api/v1/operations/{id}"),
            ("GET", "/api/v1/operations/{id}/log"),
        ):
            toloka.faults.add(method, template, probability=0.01, status=503)
            toloka.faults.add(method, template, probability=0.01, lost_answer=True)
        program = Path(__file__).with_name("killed_payments.py")
        output = subprocess.check_output([sys.executable, program, toloka.url, path], text=True)
        said = json.loads(output.splitlines()[-1])  # Airflow's own log comes before
        assert len(set(said["killed"])) == 6
        times = said["payments"]
        paid = Counter((bonus.user_id, bonus.amount) for bonus in toloka.world.user_bonuses.values())
        assert paid == Counter(rows * times)
        spent = sum((bonus.amount for bonus in toloka.world.user_bonuses.values()), Decimal(0))
        assert spent == times * sum(amount for _, amount in rows)
        assert toloka.world.account.balance == 1_000_000 - spent
