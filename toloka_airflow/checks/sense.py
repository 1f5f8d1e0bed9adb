"""
What Toloka would take, and yet costs money or people for nothing: warnings, each with its reason.

Reasons are those of the reference of pools and of the requester's guide (pages of quality control, overlap, review).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from toloka_airflow._internal.wording import counted, plural
from toloka_airflow.checks import rules_sense
from toloka_airflow.checks.documents import Document, Documents, count, number
from toloka_airflow.checks.mixing import is_shown

if TYPE_CHECKING:
    from toloka_airflow.checks.problems import Path, Problem
    from toloka_airflow.checks.tasks import TaskCounts

WARNINGS = {
    "long-review": "a review that takes longer than people like to wait",
    "no-quality-rule": "a pool and its project without any rule of quality control",
    "pay-per-hour": "less pay for an hour than was stated",
    "single-overlap": "one answer a task, and nothing to hold it against",
    **rules_sense.WARNINGS,
}

_LONG_REVIEW_DAYS = 14


def check_sense(
    documents: Documents,
    counts: TaskCounts | None = None,
    *,
    min_pay_per_hour: Decimal | float | str | None = None,
    seconds_per_page: float | None = None,
) -> Iterator[Problem]:
    """
    Iterate over warnings.

    :param counts: What there is in the files of tasks.
    :param min_pay_per_hour: What people should earn at least, in US dollars an hour; it is not checked without.
    :param seconds_per_page: How long a page takes; by default, as long as it may: assignment_max_duration_seconds.
    :raises ValueError: If `min_pay_per_hour` or `seconds_per_page` is no number above 0.
    """
    pool, project = documents.pool, documents.project
    if project is not None:
        yield from rules_sense.check_rules(project, rules_sense.Settings())
    if pool is None:
        return
    if min_pay_per_hour is not None:
        least = positive("min_pay_per_hour", min_pay_per_hour)
        seconds = None if seconds_per_page is None else positive("seconds_per_page", seconds_per_page)
        yield from _check_pay(pool, least, seconds)
    yield from _check_overlap(pool, counts)
    if project is not None:
        yield from _check_quality_control(pool, project)
    days = count(pool.at("auto_accept_period_day"))
    if pool.at("auto_accept_solutions") is False and days is not None and days > _LONG_REVIEW_DAYS:
        message = f"people wait {days} days for their money; the guide advises at most {_LONG_REVIEW_DAYS}"
        yield pool.problem("long-review", ("auto_accept_period_day",), message, "warning")
    yield from rules_sense.check_rules(pool, rules_sense.settings_of(documents, counts))


def positive(name: str, value: object) -> Decimal:
    """
    Return a number above 0.

    :param name: The argument to name in the error.
    :raises ValueError: If it is none.
    """
    try:
        parsed = Decimal(str(value))
    except InvalidOperation:
        parsed = Decimal("NaN")
    if not parsed.is_finite() or parsed <= 0:
        raise ValueError(f"{name} is {value!r}; it must be a number above 0")
    return parsed


def _check_pay(pool: Document, least: Decimal, stated_seconds: Decimal | None) -> Iterator[Problem]:
    """Check each price of a page."""
    longest = number(pool.at("assignment_max_duration_seconds"))
    seconds = stated_seconds or (Decimal(str(longest)) if longest and longest > 0 else None)
    if seconds is None:
        return
    paths: list[Path] = [("reward_per_assignment",)]
    intervals: Path = ("dynamic_pricing_config", "intervals")
    paths += [(*intervals, index, "reward_per_assignment") for index in pool.indexes(*intervals)]
    takes = "if it takes as stated" if stated_seconds else "if it takes all of assignment_max_duration_seconds"
    for path in paths:
        reward = number(pool.at(*path))
        if reward is None or reward < 0:
            continue
        per_hour = Decimal(str(reward)) * 3600 / seconds
        if per_hour < least:
            message = (
                f"{reward:g} {plural(reward, 'dollar')} for a page of {seconds:f} {plural(seconds, 'second')} are "
                f"{per_hour:.2f} an hour, {takes}: less than "
                f"{least:.2f}"
            )
            yield pool.problem("pay-per-hour", path, message, "warning")


def _check_overlap(pool: Document, counts: TaskCounts | None) -> Iterator[Problem]:
    """Check that there is something to hold an answer against: another answer, a known solution, or a review."""
    if pool.at("auto_accept_solutions") is False or pool.mapping("dynamic_overlap_config"):
        return
    if is_shown(pool, "golden") or is_shown(pool, "real") is False:
        return
    has_mixer = bool(pool.mapping("mixer_config"))
    name = "default_overlap_for_new_tasks" if has_mixer else "default_overlap_for_new_task_suites"
    default = number(pool.at("defaults", name))
    path: Path = ("defaults", name)
    if counts is None or not has_mixer:
        single = default == 1
        what = f"defaults.{name} is 1"
    else:
        once = counts.overlaps[1] + (counts.overlaps[None] if default == 1 else 0)
        single, what = once > 0, f"{counted(once, 'task has', 'tasks have')} an overlap of 1"
        path = path if default == 1 and counts.overlaps[None] else ()
    if single:
        message = f"{what}, and there are no control tasks and no review: nothing says whether an answer is right"
        yield pool.problem("single-overlap", path, message, "warning")


def _check_quality_control(pool: Document, project: Document) -> Iterator[Problem]:
    """Check that there is a rule: in the pool, or in the project, whose rules are those of all its pools."""
    if not _has_rules(pool) and not _has_rules(project):
        message = "there is no rule of quality control: whoever answers carelessly gets one page after the other"
        yield pool.problem("no-quality-rule", ("quality_control",), message, "warning")


def _has_rules(document: Document) -> bool:
    configs = document.at("quality_control", "configs")
    return isinstance(configs, list) and any(isinstance(config, Mapping) and config.get("rules") for config in configs)
