"""
What runs of a labelling round say, held against what there is at Toloka and in their files.

A run is known there by its name: its project, pools and trainings are called by it. What is doubled or left open is
wrong however the run ended; what is missing only makes a run wrong that Airflow calls a success.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import requests

from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.models import AssignmentStatus
from toloka_airflow.api.settings import ClientSettings

if TYPE_CHECKING:
    from toloka_airflow.api.models import Pool, Project, Training
    from toloka_airflow.api.models.people import UserBonus

TIMEOUT = 300.0
Answers = Counter[tuple[str, str]]
"""How often there is each pair of the id of an assignment and the id of one of its tasks."""


@dataclass(frozen=True)
class Run:
    """
    A run of a labelling round.

    :param name: What its project and pools are called.
    :param state: What Airflow says of it.
    :param tasks: How many it was to upload, each to be answered `overlap` times.
    :param folder: Where its files are.
    :param is_whole: Whether its pool was open until all was answered; what a window closes may come in later.
    :param bonus_label: The label of the answers that get a bonus; ``None`` if none does.
    """

    name: str
    state: str
    tasks: int
    folder: Path
    overlap: int = 2
    is_whole: bool = True
    bonus_label: str | None = None


@dataclass(frozen=True)
class Inventory:
    """What there is at Toloka; how often each thing was opened and closed, by event and id; bonuses by assignment."""

    client: TolokaClient
    projects: Sequence[Project]
    pools: Sequence[Pool]
    trainings: Sequence[Training]
    events: Counter[tuple[str, str]]
    bonuses: Mapping[str, Sequence[UserBonus]]

    @classmethod
    def read(cls, url: str, token: str) -> Self:
        """List everything of an emulator."""
        client = TolokaClient(ClientSettings(token, base_url=url))
        lists = list(client.list_projects()), list(client.list_pools()), list(client.list_trainings())
        events = Counter((event["event"], str(event.get("pool_id"))) for event in journal(url, kind="event"))
        bonuses = defaultdict(list)
        for bonus in client.list_user_bonuses():
            bonuses[str(bonus.raw.get("assignment_id"))].append(bonus)
        return cls(client, *lists, events, bonuses)


def journal(url: str, after: int = 0, **filters: str) -> list[dict[str, Any]]:
    """Return what an emulator wrote down after an entry, such as ``kind="event"``."""
    with requests.Session() as session:
        session.trust_env = False
        params: Mapping[str, str] = {"after": str(after), **filters}
        answer = session.get(f"{url}/_emulator/journal", params=params, timeout=TIMEOUT)
        answer.raise_for_status()
        entries: list[dict[str, Any]] = answer.json()["items"]
        return entries


def check(run: Run, toloka: Inventory) -> list[str]:
    """Return what is wrong with a run, in words; nothing if all is well."""
    wrong = [*doubled(run, toloka), *left_open(run, toloka)]
    if run.state == "success":
        wrong += [f"falsely green: {what}" for what in missing(run, toloka)]
    elif run.state != "failed":
        wrong.append(f"it has not ended: {run.state}")
    return wrong


def doubled(run: Run, toloka: Inventory) -> Iterator[str]:
    """
    Yield what there is more than once.

    A project or pool beside that of the run is no fault if it is archived and was never open: an attempt whose
    supervisor had died made it, and a later one has put it away.
    """
    opened = {each for event, each in toloka.events if event in ("pool.opened", "training.opened")}
    opened |= {str(pool.raw["project_id"]) for pool in toloka.pools if pool.id in opened}
    for noun, found in _nouns(run, toloka).items():
        used = [each for each in found if each.raw["status"] != "ARCHIVED" or each.id in opened]
        if len(used) > 1:
            yield f"{len(used)} {noun}s: {', '.join(each.id for each in used)}"
    for pool in _named(run, toloka.pools):
        if (times := toloka.events["pool.opened", pool.id]) > 1:
            yield f"pool {pool.id} was opened {times} times"
        texts = Counter(json.dumps(task.input_values, sort_keys=True) for task in toloka.client.list_tasks(pool.id))
        if count := sum(each > 1 for each in texts.values()):
            yield f"{count} tasks of pool {pool.id} were uploaded more than once"
        # A bonus has a tag in its comment that no other has.
        if count := _twice(Counter(bonus.raw["private_comment"] for bonus in _bonuses(pool, toloka))):
            yield f"{count} bonuses for answers of pool {pool.id} were paid more than once"
    for name, count in (("answers.jsonl", _twice(answers_file(run))), ("labels.jsonl", _twice(labels_file(run)))):
        if count:
            yield f"{count} rows of {name} are there more than once"


def left_open(run: Run, toloka: Inventory) -> Iterator[str]:
    """Yield the pools and trainings that are not closed now that the run has ended."""
    for noun in ("pool", "training"):
        for each in _nouns(run, toloka)[noun]:
            if each.raw["status"] not in ("CLOSED", "ARCHIVED"):
                yield f"{noun} {each.id} is {each.raw['status']}"


def missing(run: Run, toloka: Inventory) -> Iterator[str]:
    """Yield what there would be if the run had done all of its work."""
    pools = _named(run, toloka.pools)
    if not pools:
        yield "there is no pool"
    for each in (*_named(run, toloka.projects), *pools, *_named(run, toloka.trainings)):
        if each.raw["status"] != "ARCHIVED":
            yield f"{each.id} is {each.raw['status']}, not ARCHIVED"
    accepted = Answers()
    for pool in pools:
        if not (toloka.events["pool.opened", pool.id] and toloka.events["pool.closed", pool.id]):
            yield f"pool {pool.id} was not opened and closed"
        if (count := sum(1 for _ in toloka.client.list_tasks(pool.id))) != run.tasks:
            yield f"pool {pool.id} has {count} tasks, not {run.tasks}"
        answers = list(toloka.client.list_assignments(pool_id=pool.id))
        if run.is_whole and (count := sum(answer.status == AssignmentStatus.SUBMITTED for answer in answers)):
            yield f"{count} answers of pool {pool.id} are not reviewed"
        paid = [answer for answer in answers if answer.status == AssignmentStatus.ACCEPTED]
        accepted.update((answer.id, task.id) for answer in paid for task in answer.tasks)
    yield from _missing_in_files(run, accepted)
    if run.bonus_label is not None:
        wanted = bonuses_wanted(run)
        paid_for = Counter(str(bonus.raw["assignment_id"]) for pool in pools for bonus in _bonuses(pool, toloka))
        if wanted != paid_for:
            lacking, others = (wanted - paid_for).total(), (paid_for - wanted).total()
            yield f"{lacking} bonuses are not paid, and {others} others are"


def _missing_in_files(run: Run, accepted: Answers) -> Iterator[str]:
    per_task = Counter(task for _, task in accepted)
    if run.is_whole and (len(per_task) != run.tasks or set(per_task.values()) != {run.overlap}):
        yield f"{len(per_task)} tasks are answered, so often: {dict(Counter(per_task.values()))}"
    written = answers_file(run)
    if written != accepted:
        lacking, others = (accepted - written).total(), (written - accepted).total()
        yield f"answers.jsonl lacks {lacking} answers and has {others} others"
    if set(labels_file(run)) != set(per_task):
        yield f"labels.jsonl has {len(labels_file(run))} tasks of {len(per_task)}"


def answers_file(run: Run) -> Answers:
    """Return what is in the file of answers."""
    return Answers((row["assignment_id"], row["task_id"]) for row in _rows(run.folder / "answers.jsonl"))


def bonuses_wanted(run: Run) -> Counter[str]:
    """Return how many bonuses there should be for each assignment, by the file of answers."""
    rows = _rows(run.folder / "answers.jsonl")
    return Counter(row["assignment_id"] for row in rows if row["output_values"]["label"] == run.bonus_label)


def labels_file(run: Run) -> Counter[str]:
    """Return the tasks in the file of labels."""
    return Counter(row["task_id"] for row in _rows(run.folder / "labels.jsonl"))


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    if file.exists():
        with file.open() as lines:
            yield from map(json.loads, lines)


def _bonuses(pool: Pool, toloka: Inventory) -> Iterator[UserBonus]:
    for answer in toloka.client.list_assignments(pool_id=pool.id):
        yield from toloka.bonuses.get(answer.id, ())


def _twice(counts: Counter[Any]) -> int:
    return sum(count > 1 for count in counts.values())


def _nouns(run: Run, toloka: Inventory) -> dict[str, list[Any]]:
    return {
        "project": _named(run, toloka.projects),
        "pool": _named(run, toloka.pools),
        "training": _named(run, toloka.trainings),
    }


def _named(run: Run, things: Sequence[Any]) -> list[Any]:
    return [each for each in things if run.name in (each.raw.get("public_name"), each.raw.get("private_name"))]
