"""
What must fit together: the values of one configuration with each other, the configurations, and the tasks.

Facts are those of the reference of pools, projects and trainings, and of the requester's guide; each check says which
rule it is in its message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.wording import counted
from toloka_airflow.checks import classic_interface, mixing, task_spec, template_builder
from toloka_airflow.checks.documents import Document, Documents, count, number
from toloka_airflow.checks.values import items
from toloka_airflow.checks.wording import did_you_mean, nearest, one_of, shown

if TYPE_CHECKING:
    from toloka_airflow.checks.problems import Path, Problem
    from toloka_airflow.checks.tasks import TaskCounts

WARNINGS = {
    "dynamic-overlap": "a dynamic overlap that cannot do what it is for",
    "manual-review": "answers that Toloka accepts by itself before anybody has reviewed them",
    "training-length": "a training that cannot be passed with the tasks that there are",
    "training-unused": "a training that the pool does not require",
    **classic_interface.WARNINGS,
    **mixing.WARNINGS,
    **task_spec.WARNINGS,
    **template_builder.WARNINGS,
}

MIN_REWARD = 0.005
"""US dollars for a page of answers: the least that is paid, if anything is."""


def check_relations(
    documents: Documents, counts: TaskCounts | None = None, *, now: datetime | None = None
) -> Iterator[Problem]:
    """
    Iterate over what does not fit together.

    :param counts: What there is in the files of tasks.
    :param now: The time to hold dates against; by default, the time it is.
    """
    for document in (documents.project, documents.pool, documents.training):
        if document is not None:
            yield from check_alone(document)
    now = now or datetime.now(UTC)
    if documents.pool is not None:
        yield from _check_expiry(documents.pool, now)
        # It judges the round, not the file: a pool by itself does not say how its answers are reviewed.
        if documents.project is not None:
            yield from _check_review(documents.pool, now)
        yield from _check_dynamic_overlap_fields(documents.pool, documents.specs)
        yield from _check_training_requirement(documents)
    yield from mixing.check_mixing(documents, counts)
    if documents.training is not None and documents.pool is None and counts is not None:
        yield from _check_training_tasks(documents.training, counts)


def check_alone(document: Document) -> Iterator[Problem]:
    """Iterate over what does not fit together in one configuration, whatever the time is and the others are."""
    if document.kind == "project":
        yield from task_spec.check_task_spec(document)
        yield from template_builder.check_template(document)
        yield from classic_interface.check_markup(document)
    elif document.kind == "pool":
        yield from _check_reward(document)
        yield from _check_intervals(document)
        yield from _check_dynamic_overlap(document)
        yield from mixing.check_mixer(document)


# Dates and reviews


def _check_expiry(pool: Document, now: datetime) -> Iterator[Problem]:
    expiry = parse_time(pool.at("will_expire"))
    if expiry is not None and expiry <= now:
        message = (
            f"the pool expired at {expiry:%Y-%m-%d %H:%M} UTC: Toloka would close it as soon as it is open. Take a "
            "later date, or none if CreatePoolOperator is given one"
        )
        yield pool.problem("expired", ("will_expire",), message)


def _check_review(pool: Document, now: datetime) -> Iterator[Problem]:
    """Check who decides on answers that are to be reviewed by hand."""
    if pool.at("auto_accept_solutions") is not False:
        return
    days, expiry = count(pool.at("auto_accept_period_day")), parse_time(pool.at("will_expire"))
    if days is None:
        message = (
            "answers wait for a review, but nothing says how long: set auto_accept_period_day (1 to 21), after which "
            "Toloka accepts and pays them by itself, and let ReviewAssignmentsOperator run before"
        )
        yield pool.problem("manual-review", ("auto_accept_solutions",), message, "warning")
    elif expiry is not None and (open_days := (expiry - now).total_seconds() / 86400) > days:
        message = (
            f"answers are accepted and paid by Toloka itself after {counted(days, 'day')}, but the pool may be open "
            f"for {open_days:.0f}: let ReviewAssignmentsOperator run within {counted(days, 'day')} of each answer, "
            "also while the pool is open, or let the pool expire before"
        )
        yield pool.problem("manual-review", ("auto_accept_period_day",), message, "warning")


def parse_time(value: Any) -> datetime | None:
    """Return a time as the API has it, in UTC if it names no zone; ``None`` for what is none."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


# Money


def _check_reward(pool: Document) -> Iterator[Problem]:
    paths: list[Path] = [("reward_per_assignment",)]
    intervals: Path = ("dynamic_pricing_config", "intervals")
    paths += [(*intervals, index, "reward_per_assignment") for index in pool.indexes(*intervals)]
    for path in paths:
        reward = number(pool.at(*path))
        if reward is not None and 0 < reward < MIN_REWARD:
            yield pool.problem("reward", path, f"{reward:g} is too little: Toloka pays {MIN_REWARD} dollars or nothing")


_INTERVALS: tuple[Path, ...] = (
    ("dynamic_pricing_config",),
    ("mixer_config", "golden_task_distribution_function"),
    ("mixer_config", "training_task_distribution_function"),
    *(
        ("quality_control", "checkpoints_config", name, "task_distribution_function")
        for name in ("real_settings", "golden_settings", "training_settings")
    ),
)


def _check_intervals(pool: Document) -> Iterator[Problem]:
    """Check that the intervals of prices and of frequencies do not overlap."""
    for where in _INTERVALS:
        before: list[tuple[float, float, int]] = []
        for index, interval in items(pool.at(*where, "intervals")):
            path = (*where, "intervals", index)
            low, high = (number(interval.get(key)) if isinstance(interval, Mapping) else None for key in ("from", "to"))
            if low is None or high is None:
                continue
            if low > high:
                yield pool.problem("interval", (*path, "from"), f"{low:g} is behind the end of its interval, {high:g}")
                continue
            if other := next((other for other in before if low <= other[1] and other[0] <= high), None):
                message = f"{low:g} to {high:g} overlaps {other[0]:g} to {other[1]:g}, the interval {other[2]}"
                yield pool.problem("interval", (*path, "from"), message)
            before.append((low, high, index))


# Dynamic overlap


def _check_dynamic_overlap(pool: Document) -> Iterator[Problem]:
    if not pool.mapping("dynamic_overlap_config"):
        return
    highest = number(pool.at("dynamic_overlap_config", "max_overlap"))
    for name in ("default_overlap_for_new_tasks", "default_overlap_for_new_task_suites"):
        default = number(pool.at("defaults", name))
        if highest is not None and default is not None and highest <= default:
            message = f"max_overlap is {highest:g}, which must be higher than defaults.{name}, {default:g}"
            yield pool.problem("dynamic-overlap-max", ("dynamic_overlap_config", "max_overlap"), message)
            break
    delay = pool.at("auto_close_after_complete_delay_seconds")
    if delay is None or (number(delay) is not None and delay <= 0):
        message = (
            "with a dynamic overlap, auto_close_after_complete_delay_seconds must be more than 0: else the pool is "
            "closed before tasks get more answers"
        )
        path: Path = ("dynamic_overlap_config",) if delay is None else ("auto_close_after_complete_delay_seconds",)
        yield pool.problem("dynamic-overlap-delay", path, message)
    if "mixer_config" not in pool.value:
        message = "without mixer_config, tasks come in suites, whose overlap is never raised"
        yield pool.problem("dynamic-overlap", ("dynamic_overlap_config",), message, "warning")
    confidence = number(pool.at("dynamic_overlap_config", "min_confidence"))
    if confidence is not None and (0 <= confidence < 0.7 or 0.95 < confidence <= 1):
        message = (
            f"min_confidence is {confidence:g}; the guide advises 0.7 to 0.95: below, answers cannot be trusted, and "
            "above, they cost more and are no better"
        )
        yield pool.problem("dynamic-overlap", ("dynamic_overlap_config", "min_confidence"), message, "warning")
    for index in pool.indexes("quality_control", "configs"):
        path = ("quality_control", "configs", index)
        if pool.at(*path, "collector_config", "type") == "USERS_ASSESSMENT":
            message = "answers that are replaced raise the highest overlap: not to be used with a dynamic overlap"
            yield pool.problem("dynamic-overlap", path, message, "warning")


_AGGREGATED_RANGE = 32


def _check_dynamic_overlap_fields(pool: Document, specs: Any) -> Iterator[Problem]:
    """Check that the fields are ones of the output, with few enough values to be aggregated."""
    if specs is None:
        return
    outputs: Mapping[str, Mapping[str, Any]] = specs[1]
    for index, field in items(pool.at("dynamic_overlap_config", "fields")):
        name = field.get("name") if isinstance(field, Mapping) else None
        path = ("dynamic_overlap_config", "fields", index, "name")
        if not isinstance(name, str):
            continue
        if name not in outputs:
            near = did_you_mean(nearest(name, outputs))
            message = f"{shown(name)} is no field of the project's output, which has {one_of(outputs)}{near}"
            yield pool.problem("dynamic-overlap-field", path, message)
            continue
        spec = outputs[name]
        kind = str(spec["type"]).lower()
        if kind.startswith("array_") or kind in ("file", "coordinates", "json"):
            message = f"{shown(name)} is of the type {kind}, which cannot be aggregated"
            yield pool.problem("dynamic-overlap-field", path, message)
        elif kind != "boolean" and not spec.get("allowed_values"):
            low, high = number(spec.get("min_value")), number(spec.get("max_value"))
            if kind != "integer" or low is None or high is None or high - low > _AGGREGATED_RANGE:
                message = f"{shown(name)} has too many possible values: give it allowed_values in the project"
                yield pool.problem("dynamic-overlap", path, message, "warning")


# Trainings


def _check_training_requirement(documents: Documents) -> Iterator[Problem]:
    pool, training = documents.pool, documents.training
    assert pool is not None  # noqa: S101 - for mypy
    requirement = pool.at("quality_control", "training_requirement")
    path = ("quality_control", "training_requirement")
    if isinstance(requirement, Mapping):
        training_id = requirement.get("training_pool_id")
        if "training_pool_id" in requirement and (training_id is None or str(training_id).strip() in ("", "None")):
            message = "a training is required, but training_pool_id names none"
            yield pool.problem("training-requirement", (*path, "training_pool_id"), message)
    elif training is not None and requirement is None:
        message = (
            "the pool does not require this training: set quality_control.training_requirement, or training_id and "
            "training_passing_skill_value of CreatePoolOperator"
        )
        yield training.problem("training-unused", (), message, "warning")


def _check_training_tasks(training: Document, counts: TaskCounts) -> Iterator[Problem]:
    per_page = count(training.at("training_tasks_in_task_suite_count"))
    pages = count(training.at("task_suites_required_to_pass")) or 0
    if per_page is None:
        return
    path: Path = ("training_tasks_in_task_suite_count",)
    if per_page > counts.total:
        message = f"a page has {counted(per_page, 'task')}, but there are only {counts.total}: nobody gets one"
        yield training.problem("training-tasks", path, message)
    elif per_page * pages > counts.total:
        required = counted(
            pages, f"page of {counted(per_page, 'task')} is", f"pages of {counted(per_page, 'task')} are"
        )
        message = f"{required} required to pass, but there are only {counts.total} tasks"
        yield training.problem("training-length", ("task_suites_required_to_pass",), message, "warning")
