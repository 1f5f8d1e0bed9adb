"""Every task that is about something with a page at Toloka leads to that page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import connect, run_task
from tests.unit.operators.test_from_the_start import CASES, START, Instance, Place, operators
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.links import TolokaLink
from toloka_airflow.operators.waiting import WaitingOperator
from toloka_airflow.wait_sensor import WaitSensor

OF_FILES = {"AggregateAnswersOperator", "MeasureQualityOperator", "QualityGateOperator"}
WITHOUT_PAGE = {"PayBonusesOperator", "TolokaCallOperator", *OF_FILES}
"""Bonuses are on no page, any call may be about anything, and what is in files nobody asks Toloka about."""
OF_A_PROJECT = {"RestrictUsersOperator", "LiftRestrictionsOperator"}
"""What they do for all projects is on no page."""
WITH_PAGE = sorted(set(CASES) - WITHOUT_PAGE)


@pytest.mark.parametrize("name", WITH_PAGE)
def test_it_has_a_link(name: str) -> None:
    assert TolokaLink in [type(link) for link in operators()[name].operator_extra_links]


@pytest.mark.parametrize("name", sorted(WITHOUT_PAGE & set(operators())))
def test_it_has_none(name: str) -> None:
    assert not operators()[name].operator_extra_links


@pytest.mark.parametrize("name", WITH_PAGE)
def test_the_link_leads_to_the_page(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmulatorServer(seed=1, frozen=True, start=START) as toloka:
        connect(monkeypatch, toloka.url)
        toloka.progressions.set(Progression(seconds=0))
        place = Place(toloka, tmp_path)
        arguments = CASES[name](place)
        if name in OF_A_PROJECT:
            arguments |= {"scope": "PROJECT", "project_id": place.project()}
        task_type = operators()[name]
        interval = "poke_interval" if issubclass(task_type, WaitSensor) else "poll_interval"
        pace = {interval: 0.01} if issubclass(task_type, WaitSensor | WaitingOperator) else {}
        outcome = run_task(task_type(task_id="task", **pace, **arguments), Instance())
        assert outcome.xcoms["toloka_link"].startswith(f"{toloka.url}/requester/")
