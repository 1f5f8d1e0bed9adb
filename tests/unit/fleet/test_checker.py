"""The checker of labelling rounds finds each kind of fault, and nothing in a round without any."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet.checker import Inventory, Run, check
from tests.support import TOKEN
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer

NAME = "Round 1"
TASKS = 3
CROWD = CrowdSettings(size=5, accuracy=(1, 1), seconds_per_task=(1, 2), skip_rate=0, expire_rate=0)


class Round:
    """A labelling round that a run has finished, as a file on disk and at an emulator."""

    def __init__(self, toloka: EmulatorServer, folder: Path) -> None:
        self.toloka, self.folder = toloka, folder
        self.client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
        self.run = Run(NAME, "success", TASKS, folder, bonus_label="yes")
        self.pool_id = self.add_pool()
        self.client.open_pool(self.pool_id)
        toloka.clock.advance(3600)
        self.client.archive_pool(self.pool_id)
        toloka.clock.advance(60)
        [project] = self.client.list_projects()
        self.client.archive_project(project.id)
        toloka.clock.advance(60)
        answers = list(self.client.list_assignments(pool_id=self.pool_id))
        rows = [
            {"assignment_id": answer.id, "user_id": answer.user_id, "task_id": task.id, "output_values": solution}
            for answer in answers
            for task, solution in zip(answer.tasks, answer.solutions, strict=True)
        ]
        self.write("answers", rows)
        for number, row in enumerate(rows):
            if row["output_values"]["label"] == "yes":
                self.pay(row, number)
        self.write("labels", [{"task_id": task_id} for task_id in sorted({row["task_id"] for row in rows})])

    def pay(self, row: dict[str, Any], number: int) -> None:
        bonus = {"assignment_id": row["assignment_id"], "private_comment": f"[airflow:0:{number}]"}
        self.client.create_user_bonuses(
            [{**bonus, "user_id": row["user_id"], "amount": 0.005, "without_message": True}]
        )

    def first(self, label: str) -> tuple[int, dict[str, Any]]:
        """Return the first answer with a label, and its number."""
        rows = enumerate(self.rows("answers"))
        return next((number, row) for number, row in rows if row["output_values"]["label"] == label)

    def add_pool(self, status: str = "CLOSED") -> str:
        return self.toloka.add_pool(
            [{"image": str(number)} for number in range(TASKS)],
            overlap=2,
            open=status == "OPEN",
            project={"public_name": NAME},
            private_name=NAME,
            auto_accept_solutions=True,
            defaults={"default_overlap_for_new_task_suites": 2, "default_overlap_for_new_tasks": 2},
        )

    def write(self, name: str, rows: list[dict[str, Any]]) -> None:
        (self.folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def rows(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / f"{name}.jsonl").read_text().splitlines()]

    def change_label(self) -> None:
        """Let one more answer be one that gets a bonus."""
        rows, (number, _) = self.rows("answers"), self.first("no")
        rows[number]["output_values"]["label"] = "yes"
        self.write("answers", rows)

    def check(self) -> list[str]:
        return check(self.run, Inventory.read(self.toloka.url, TOKEN))


@pytest.fixture
def finished(tmp_path: Path) -> Iterator[Round]:
    with EmulatorServer(seed=1, frozen=True, crowd=CROWD) as toloka:
        yield Round(toloka, tmp_path)


def test_nothing_is_wrong_with_a_finished_round(finished: Round) -> None:
    assert finished.check() == []


FAULTS: dict[str, tuple[Callable[[Round], object], str]] = {
    "an answer twice": (lambda it: it.write("answers", it.rows("answers") + it.rows("answers")[:1]), "more than once"),
    "a label twice": (lambda it: it.write("labels", it.rows("labels") + it.rows("labels")[:1]), "more than once"),
    "a second pool": (lambda it: it.add_pool(), "2 pools"),
    "a second project": (lambda it: it.add_pool(), "2 projects"),
    "a pool left open": (lambda it: it.add_pool("OPEN"), "is OPEN"),
    "a bonus twice": (lambda it: it.pay(*reversed(it.first("yes"))), "1 bonuses for answers of pool"),
}
ONLY_IF_GREEN: dict[str, tuple[Callable[[Round], object], str]] = {
    "an answer is missing": (lambda it: it.write("answers", it.rows("answers")[1:]), "lacks 1 answers"),
    "a label is missing": (lambda it: it.write("labels", it.rows("labels")[1:]), "labels.jsonl has 2 tasks of 3"),
    "not archived": (lambda it: it.add_pool(), "not ARCHIVED"),
    "a bonus for another label": (lambda it: it.pay(it.first("no")[1], 99), "0 bonuses are not paid, and 1 others are"),
    "a bonus is missing": (lambda it: it.change_label(), "1 bonuses are not paid, and 0 others are"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("state", ["success", "failed"])
def test_what_is_doubled_or_open_is_wrong_however_the_run_ended(finished: Round, fault: str, state: str) -> None:
    spoil, words = FAULTS[fault]
    spoil(finished)
    finished.run = replace(finished.run, state=state)
    assert any(words in found for found in finished.check())


@pytest.mark.parametrize("fault", ONLY_IF_GREEN)
def test_what_is_missing_is_falsely_green(finished: Round, fault: str) -> None:
    spoil, words = ONLY_IF_GREEN[fault]
    spoil(finished)
    assert any(found.startswith("falsely green: ") and words in found for found in finished.check())
    finished.run = replace(finished.run, state="failed")
    assert not any("falsely green" in found for found in finished.check())


def test_a_run_of_which_nothing_is_there_is_falsely_green(finished: Round) -> None:
    finished.run = replace(finished.run, name="Round 2", folder=finished.folder / "2")
    assert "falsely green: there is no pool" in finished.check()


def test_of_a_window_some_answers_may_come_later(finished: Round) -> None:
    finished.run = replace(finished.run, overlap=3)
    assert any("tasks are answered" in found for found in finished.check())
    finished.run = replace(finished.run, is_whole=False)
    assert finished.check() == []


def test_a_run_that_has_not_ended_is_named(finished: Round) -> None:
    finished.run = replace(finished.run, state="running")
    assert finished.check() == ["it has not ended: running"]


def test_a_copy_that_was_archived_unopened_is_no_fault(finished: Round) -> None:
    """So ends what an attempt made whose supervisor had died."""
    finished.client.archive_pool(finished.add_pool())
    finished.toloka.clock.advance(60)
    for project in finished.client.list_projects(status="ACTIVE"):
        finished.client.archive_project(project.id)
    finished.toloka.clock.advance(60)
    assert not any("pools" in found or "projects" in found for found in finished.check())


def test_a_pool_that_is_opened_again_is_found(finished: Round) -> None:
    pool_id = finished.add_pool("OPEN")
    for _ in range(2):
        finished.client.close_pool(pool_id)
        finished.toloka.clock.advance(1)
        finished.client.open_pool(pool_id)
        finished.toloka.clock.advance(1)
    assert any(f"pool {pool_id} was opened" in found for found in finished.check())
