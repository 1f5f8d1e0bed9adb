"""The rounds that the fleet works on: started all along, a few at a time."""

from __future__ import annotations

import subprocess
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from fleet.lane import Lane

ORDER = ("round_plain", "round_window", "round_plain", "round_window", "round_large")
TASKS = {"round_plain": 500, "round_window": 500, "round_large": 1_500}
BONUS_LABEL = "a"
"""Every answer with it gets a bonus."""
SOON = 10.0
"""Seconds to wait for PostgreSQL when only progress is asked for."""


class Rounds:
    """
    Start rounds, and follow how they end.

    :param results: The folder for their results.
    :param at_once: How many are to be on the way.
    """

    def __init__(self, lane: Lane, results: Path, at_once: int) -> None:
        self._lane = lane
        self._results = results
        self._at_once = at_once
        self._next = cycle(ORDER)
        self.counts: dict[str, int] = {}

    @property
    def active(self) -> int:
        """How many have not ended."""
        return self.counts.get("queued", 0) + self.counts.get("running", 0)

    def count(self) -> bool:
        """Count the runs by their state; return False if the database does not answer just now."""
        sql = "select state, count(*) from dag_run where dag_id like 'round_%' group by state"
        try:
            rows = self._lane.psql(sql, timeout=SOON).splitlines()
        except subprocess.SubprocessError:
            return False
        self.counts = {state: int(number) for state, number in (row.split("\t") for row in rows)}
        return True

    def start_one(self) -> bool:
        """Start a round if there is room for one and Airflow's API answers."""
        if self.active >= self._at_once:
            return False
        try:
            self._lane.api.trigger(next(self._next), {"folder": f"file://{self._results}"})
        except requests.RequestException:
            return False
        self.counts["queued"] = self.counts.get("queued", 0) + 1
        return True
