"""Gather in the end what the judgement needs: Airflow's database and logs, and what there is at Toloka."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleet import checker
from fleet.chaos.records import Attempt, Records, Run, Thing
from fleet.chaos.rounds import BONUS_LABEL, TASKS

if TYPE_CHECKING:
    from fleet.lane import Lane

PREFIX = "Round "
MAX_ERROR = 400
RUNS = """
    select dag_id, run_id, state, extract(epoch from coalesce(start_date, queued_at)) as began,
           extract(epoch from end_date) as ended
    from dag_run where dag_id like 'round_%' order by id"""
ENDS = "select run_id, value #>> '{}' as value from xcom where task_id = 'choose_end' and key = 'return_value'"
SKIPPED = "select run_id from task_instance where task_id in ('window.check', 'window.open') and state = 'skipped'"
ATTEMPTS = """
    select run_id, task_id, try_number, state, extract(epoch from coalesce(start_date, queued_dttm)) as began,
           extract(epoch from end_date) as ended, pid
    from (select run_id, task_id, try_number, state, start_date, queued_dttm, end_date, pid from task_instance
          union all
          select run_id, task_id, try_number, state, start_date, queued_dttm, end_date, pid
          from task_instance_history) as t
    where run_id in (select run_id from dag_run where dag_id like 'round_%' and state <> 'success')
    order by run_id, task_id, try_number"""
AUDIT = """
    select run_id, task_id, try_number, event, extra from log
    where (event in ('heartbeat timeout', 'state mismatch') or event like 'stuck in queued%')
      and run_id in (select run_id from dag_run where dag_id like 'round_%' and state <> 'success')
    order by id"""


def collect(records: Records, lane: Lane, token: str, results: Path) -> None:
    """
    Write down the runs, what is wrong with each, and what there is at Toloka.

    :param token: A token that Toloka accepts.
    :param results: The folder with the files of the runs.
    """
    toloka = checker.Inventory.read(lane.toloka_url, token)
    ends = {row["run_id"]: datetime.fromisoformat(row["value"]).timestamp() for row in _rows(lane, ENDS)}
    skipped = {row["run_id"] for row in _rows(lane, SKIPPED)}
    attempts = _attempts(lane)
    runs = []
    for row in _rows(lane, RUNS):
        run_id = row["run_id"]
        run = Run(**row, closes_at=ends.get(run_id), skipped=run_id in skipped, attempts=tuple(attempts[run_id]))
        runs.append(_checked(run, toloka, results))
    records.put("runs", runs)
    records.put("things", list(things(toloka)))


def _checked(run: Run, toloka: checker.Inventory, results: Path) -> Run:
    has_window = run.dag_id == "round_window"
    asked = checker.Run(
        PREFIX + run.run_id,
        run.state,
        TASKS[run.dag_id],
        results / run.run_id,
        is_whole=not has_window,
        bonus_label=BONUS_LABEL,
    )
    wrong = () if run.skipped else tuple(checker.missing(asked, toloka))
    return replace(run, doubled=tuple(checker.doubled(asked, toloka)), wrong=wrong)


def things(toloka: checker.Inventory) -> Iterator[Thing]:
    """Yield the projects, pools and trainings there are; the id of the run is in their names."""
    for project in toloka.projects:
        yield _thing("project", project.id, project.raw["public_name"], project.raw["status"])
    for pool in toloka.pools:
        yield _thing("pool", pool.id, pool.raw["private_name"], pool.raw["status"])
    for training in toloka.trainings:
        yield _thing("training", training.id, training.raw["private_name"], training.raw["status"])


def _thing(kind: str, id: str, name: str, status: str) -> Thing:
    return Thing(kind, id, name.removeprefix(PREFIX) if name.startswith(PREFIX) else None, status)


def _attempts(lane: Lane) -> defaultdict[str, list[Attempt]]:
    found: defaultdict[str, list[Attempt]] = defaultdict(list)
    audit: defaultdict[tuple[Any, ...], list[str]] = defaultdict(list)
    for row in _rows(lane, AUDIT):
        audit[row["run_id"], row["task_id"], row["try_number"]].append(f"{row['event']}: {row['extra']}"[:MAX_ERROR])
    logs = lane.home / "airflow" / "logs"
    for row in _rows(lane, ATTEMPTS):
        run_id, task, number = row["run_id"], row["task_id"], row["try_number"]
        files = logs.glob(f"dag_id=*/run_id={run_id}/task_id={task}/attempt={number}.log")
        told = [line for file in files for line in errors(file.read_text(errors="replace").splitlines())]
        errors_told = (*told[-3:], *audit[run_id, task, number])
        attempt = Attempt(task, number, row["state"], row["began"], row["ended"], errors_told, row["pid"])
        found[run_id].append(attempt)
    return found


def errors(lines: Iterable[str]) -> Iterator[str]:
    """Yield what a task's log says of errors: the message, and type and text of each exception."""
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("level") in ("error", "critical"):
            details = [f"{each['exc_type']}: {each['exc_value']}" for each in entry.get("error_detail") or ()]
            yield "; ".join([str(entry.get("event")), *details])[:MAX_ERROR]


def _rows(lane: Lane, sql: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(lane.psql(f"select coalesce(json_agg(t), '[]') from ({sql}) as t"))
    return rows
