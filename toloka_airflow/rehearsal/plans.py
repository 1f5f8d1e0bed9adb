"""What each run of a rehearsal begins with: the configuration as it is sent, the tasks, the crowd, the assumptions."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.wording import counted
from toloka_airflow.checks.documents import Document
from toloka_airflow.emulator.forms.schema import Form, checked
from toloka_airflow.emulator.people.truth import pick
from toloka_airflow.emulator.quality.statistics import COUNTED_AFTER
from toloka_airflow.emulator.resources import projects
from toloka_airflow.emulator.resources.pools import trainings
from toloka_airflow.emulator.resources.pools.form import POOL, TRAINING
from toloka_airflow.emulator.world.clock import DAY, format_date, parse_date
from toloka_airflow.emulator.world.errors import Refusal
from toloka_airflow.rehearsal.crowds import Crowd, given_skills, named_skills, shown_pace
from toloka_airflow.storage.config_files import read_config
from toloka_airflow.transfer.upload.task_files import task_source

if TYPE_CHECKING:
    from toloka_airflow.checks.money import Fee
    from toloka_airflow.emulator.people.crowd import CrowdSettings

Json = dict[str, Any]
Config = Document | Mapping[str, Any] | str | os.PathLike[str]
SIMULATED_COLLECTORS = (*COUNTED_AFTER, "ASSIGNMENTS_ASSESSMENT", "USERS_ASSESSMENT")
# Of one request, below the limits of the API: 5,000 tasks, and 1 MB of input values.
BATCH_TASKS, BATCH_BYTES = 1_000, 900_000


class RehearsalError(ValueError):
    """Report a configuration or tasks that cannot be rehearsed; says what is wrong with them."""


@dataclass(frozen=True)
class Plan:
    """
    Hold what all runs have in common.

    :param pool: As it is sent, but for the ids of the project and the training, which each run has its own of.
    :param tasks: Batches of tasks, each as the JSON of a list.
    :param skills: The ids of all skills that must be there.
    :param given: What people have of skills before they begin, as `given_skills` says.
    :param start: When the pool is opened, in milliseconds since 1970.
    :param limit: After how many milliseconds a run ends if the pool is still open.
    :param graded: Output fields whose labels are compared with what is right.
    :param ungraded: Output fields whose values cannot be listed.
    :param fee: What Toloka takes for an answer.
    :param notes: What is assumed, a sentence each.
    """

    project: Json
    pool: Json
    training: Json | None
    tasks: tuple[str, ...]
    training_tasks: tuple[str, ...]
    crowd: CrowdSettings
    skills: list[str]
    given: dict[str, float | None]
    start: int
    limit: int
    graded: list[str]
    ungraded: list[str]
    fee: Fee
    notes: tuple[str, ...]


@dataclass
class _Notes:
    sentences: list[str] = field(default_factory=list)

    def add(self, sentence: str, *, when: object = True) -> None:
        """Note what is assumed."""
        if when:
            self.sentences.append(sentence)


def make_plan(
    project: Config,
    pool: Config,
    training: Config | None,
    tasks: Any,
    *,
    training_tasks: Any,
    passing: int | None,
    crowd: Crowd,
    start: datetime | None,
    limit: timedelta,
    fee: Fee,
) -> Plan:
    """
    Read configurations and tasks, and settle what they leave open.

    :raises RehearsalError: If they cannot be rehearsed.
    """
    begin = _milliseconds(start or datetime.now(UTC))
    project_body, pool_body = _read("project", project), _read("pool", pool)
    training_body = None if training is None else _read("training", training)
    if pool_body.get("will_expire") is None:
        pool_body["will_expire"] = format_date(begin + round(limit.total_seconds() * 1000) + DAY)
    pool_body["project_id"] = "0"
    _complete_requirement(pool_body, training_body, passing)
    checked_project = _checked("project", project_body, projects.FORM)
    checked_pool = _checked("pool", pool_body, POOL)
    notes = _Notes()
    page = sum(checked_pool.get("mixer_config", {}).get(f"{kind}_tasks_count", 0) for kind in _KINDS) or 1
    _describe_crowd(notes, crowd, page, checked_pool["assignment_max_duration_seconds"])
    _settle_training(notes, checked_pool, pool_body, training_body)
    uses_training = trainings.required_id(pool_body) is not None
    if not uses_training:
        training_body = None
    elif training_body is not None:
        training_body["project_id"] = "0"
        _checked("training", training_body, TRAINING)
    specs = checked_project["task_spec"]["input_spec"], checked_project["task_spec"]["output_spec"]
    rows = _read_tasks("tasks", tasks, specs)
    lessons = list[Json]()
    if training_body is not None:
        lessons = _lessons(notes, training_tasks, training_body, rows, specs)
    graded = [name for name, spec in specs[1].items() if _can_be_listed(spec)]
    given = given_skills(checked_pool, checked_project)
    _describe_rest(notes, checked_project, checked_pool, given, graded, begin, fee)
    return Plan(
        project=project_body,
        pool=pool_body,
        training=training_body,
        tasks=tuple(_batches(rows)),
        training_tasks=tuple(_batches(lessons)),
        crowd=crowd.settings(checked_pool, page),
        skills=named_skills(checked_pool, checked_project),
        given=given,
        start=begin,
        limit=round(limit.total_seconds() * 1000),
        graded=graded,
        ungraded=[name for name in specs[1] if name not in graded],
        fee=fee,
        notes=tuple(notes.sentences),
    )


_KINDS = ("real", "golden", "training")


def refused(what: str, refusal: Refusal) -> RehearsalError:
    """Return the error for what the emulator refuses, as Toloka would."""
    payload = refusal.payload or {}
    found = list[str]()
    for name, wrong in payload.items():
        if not isinstance(wrong, dict):
            continue
        if "message" in wrong:
            found.append(f"{name}: {wrong['message']}")
        else:
            # Of an upload: by the place in the request, then by the path of the field.
            found += [f"item {int(name) + 1}: {path}: {one['message']}" for path, one in wrong.items()]
    shown = "; ".join(found[:5]) + (f"; and {len(found) - 5} more" if len(found) > 5 else "")
    return RehearsalError(f"{what} would be refused ({refusal.code}): {shown or refusal.message}")


def _milliseconds(date: datetime) -> int:
    return parse_date(date.isoformat())


def _read(name: str, source: Config) -> Json:
    """Return a copy that may be changed."""
    value = source.value if isinstance(source, Document) else read_config(name, source)
    try:
        return dict(json.loads(json.dumps(dict(value), allow_nan=False)))
    except (TypeError, ValueError) as exc:
        raise RehearsalError(f"{name} holds what JSON does not have: {exc}") from exc


def _checked(what: str, body: Json, form: Form) -> Json:
    try:
        return checked(body, form)
    except Refusal as refusal:
        raise refused(f"The {what}", refusal) from refusal


def _read_tasks(name: str, tasks: Any, specs: tuple[Json, Json], *, for_training: bool = False) -> list[Json]:
    rows = [row.fields for row in task_source(tasks).rows(lambda: specs, lambda: for_training)]
    if not rows:
        raise RehearsalError(f"{name} holds no task: a pool without tasks cannot be opened")
    return rows


def _batches(tasks: Iterable[Json]) -> Iterator[str]:
    """Yield lists of tasks as JSON, each of the size of a request."""
    batch: list[str] = []
    size = 0
    for task in tasks:
        text = json.dumps(task)
        if batch and (len(batch) == BATCH_TASKS or size + len(text) > BATCH_BYTES):
            yield f"[{','.join(batch)}]"
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield f"[{','.join(batch)}]"


def _can_be_listed(spec: Mapping[str, Any]) -> bool:
    kind = str(spec["type"]).lower()
    return kind == "boolean" or bool(spec.get("allowed_values") and not kind.startswith("array_"))


def _complete_requirement(pool: Json, training: Json | None, passing: int | None) -> None:
    """Write into the body of the pool what the operators take as arguments: the training, and how well to pass it."""
    quality = pool.get("quality_control") or {}
    requirement = quality.get("training_requirement") or {}
    if passing is not None and training is not None:
        requirement = {"training_passing_skill_value": passing, **requirement}
    if requirement:
        pool["quality_control"] = {**quality, "training_requirement": {"training_pool_id": "0", **requirement}}


def _settle_training(notes: _Notes, pool: Json, body: Json, training: Json | None) -> None:
    """Take a requirement that cannot be rehearsed out of the body of the pool."""
    required = trainings.required_id(pool)
    if required is not None and training is None:
        del body["quality_control"]["training_requirement"]
        notes.add("Everybody has passed the training before: its configuration was not given.")
    notes.add(
        "The training is not rehearsed: the pool does not require it, and training_passing_skill_value is not given.",
        when=required is None and training,
    )


def _lessons(notes: _Notes, tasks: Any, training: Json, rows: list[Json], specs: tuple[Json, Json]) -> list[Json]:
    if tasks is not None:
        return _read_tasks("training_tasks", tasks, specs, for_training=True)
    count = max(1, training["training_tasks_in_task_suite_count"] * training.get("task_suites_required_to_pass", 1))
    listed = {name: spec for name, spec in specs[1].items() if _can_be_listed(spec)}
    notes.add(
        f"{_tasks(count)} of the pool stand for those of the training, whose own were not given; people are right in "
        "them as often as in others."
    )
    made = []
    for i in range(count):
        lesson = {"input_values": rows[i % len(rows)]["input_values"]}
        if listed:
            solution = {name: pick(spec, i) for name, spec in listed.items()}
            lesson["known_solutions"] = [{"output_values": solution}]
        made.append(lesson)
    return made


def _tasks(count: int) -> str:
    return counted(count, "task")


def _describe_crowd(notes: _Notes, crowd: Crowd, page: int, limit: float) -> None:
    seconds = crowd.page_seconds(page)
    if seconds >= limit:
        raise RehearsalError(
            f"The pace is {shown_pace(seconds)} for a page of {_tasks(page)}, and assignment_max_duration_seconds is "
            f"{limit:g}: nobody would be done in time. Give another pace, or the pool more time"
        )
    low, high = crowd.accuracies
    notes.add(
        f"{counted(crowd.people, 'person is', 'people are')} there when the pool opens, stay until it closes, by day "
        "and by night, and do "
        f"nothing else; {shown_pace(seconds)} is their median for a page of {_tasks(page)}"
        + (", as no pace was given." if crowd.pace is None else ".")
    )
    notes.add(f"A person's answers are right in {low:.0%} to {high:.0%} of the cases, {crowd.accuracy:.0%} on average.")


def _describe_rest(
    notes: _Notes, project: Json, pool: Json, given: dict[str, float | None], graded: list[str], begin: int, fee: Fee
) -> None:
    notes.add(
        "One page in fifty is skipped, and one in a hundred is forgotten: somebody else gets its tasks when "
        f"assignment_max_duration_seconds, {pool['assignment_max_duration_seconds']}, are over."
    )
    least = f", but at least ${fee.least}" if fee.least else ""
    notes.add(f"Money is the reward of each page and a fee of {fee}{least}." if fee.share else "Toloka takes no fee.")
    notes.add(
        "Which answer is right is drawn for each task, evenly among the allowed values; a label is the answer that "
        "most people gave, the earlier one of two that are even. Control tasks do not count.",
        when=graded,
    )
    for skill_id, value in given.items():
        what = "their share of right answers in percent" if value is None else f"{value:g}"
        notes.add(f"People have {what} of skill {skill_id} when they begin.")
    notes.add(
        "Nobody reviews: all answers count as accepted in the end, as auto_accept_solutions is false.",
        when=pool.get("auto_accept_solutions") is False,
    )
    configs = [config for body in (project, pool) for config in body.get("quality_control", {}).get("configs", [])]
    kinds = {config["collector_config"]["type"] for config in configs}
    for kind in sorted(kinds - set(SIMULATED_COLLECTORS)):
        notes.add(f"Rules of the collector {kind} do nothing: it is not simulated.")
    notes.add(
        f"will_expire is {pool['will_expire']}, which is not after the start of the rehearsal.",
        when=parse_date(pool["will_expire"]) <= begin,
    )
