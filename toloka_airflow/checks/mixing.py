"""
How tasks get on pages: what the mixer wants of each kind, and what there is.

A page has so many real, control and training tasks as ``mixer_config`` says, and of the latter two never fewer; each
control task is given to a person once. (Reference of pools; guide, "Ways to group tasks in suites".)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.wording import counted, plural
from toloka_airflow.checks.documents import Document, Documents, count, number

if TYPE_CHECKING:
    from toloka_airflow.checks.problems import Problem
    from toloka_airflow.checks.tasks import TaskCounts

WARNINGS = {
    "control-overlap": "control tasks that run out with their overlap",
    "few-control-tasks": "fewer control tasks than the guide advises",
    "mixer-order": "a setting of the order that the mixer does not follow",
    "mixer-unused": "tasks of a kind that no page has, or pages with tasks of a kind of which there are none",
}

KINDS = {"real": "real", "golden": "control", "training": "training"}
"""The mixer's words for the kinds of tasks, and ours."""


def check_mixing(documents: Documents, counts: TaskCounts | None) -> Iterator[Problem]:
    """
    Iterate over what the pool and its tasks do not have for each other.

    :param counts: What there is in the files of tasks.
    """
    pool = documents.pool
    if pool is None:
        return
    if counts is not None and "mixer_config" not in pool.value:
        message = f"there is no mixer_config, but single tasks ({counts.total}), which Toloka takes only with one"
        yield pool.problem("mixer-missing", (), message)
    if counts is not None and number(pool.at("reward_per_assignment")) == 0 and counts.real:
        others = f"{plural(counts.real, 'is', 'are')} {counted(counts.real, 'other')}"
        message = f"a pool that pays nothing takes control and training tasks only, but there {others}"
        yield pool.problem("zero-reward", ("reward_per_assignment",), message)
    if counts is not None and pool.mapping("mixer_config"):
        yield from _check_counts(pool, counts)


def is_shown(pool: Document, kind: str) -> bool | None:
    """
    Return whether pages have tasks of a kind; ``None`` if that is not known, as without a mixer.

    :param kind: ``real``, ``golden`` or ``training``.
    """
    mixer = pool.mapping("mixer_config")
    if not mixer:
        return None
    per_page = count(mixer.get(f"{kind}_tasks_count"))
    if mixer.get(f"{kind}_task_distribution_function"):
        return True
    return None if per_page is None else per_page > 0


def check_mixer(pool: Document) -> Iterator[Problem]:
    """Iterate over what is wrong with the settings of the mixer among themselves."""
    mixer = pool.mapping("mixer_config")
    if not mixer:
        return
    shown = [is_shown(pool, kind) for kind in KINDS]
    if shown == [False, False, False]:
        yield pool.problem("mixer-empty", ("mixer_config",), "a page has no tasks of any kind")
    for kind in KINDS:
        per_page, least = count(mixer.get(f"{kind}_tasks_count")), count(mixer.get(f"min_{kind}_tasks_count"))
        if per_page is not None and least is not None and least > per_page:
            message = f"a page has at most {per_page} {KINDS[kind]} tasks, so it cannot have at least {least}"
            yield pool.problem("mixer-minimum", ("mixer_config", f"min_{kind}_tasks_count"), message)
    if mixer.get("force_last_assignment") is False and mixer.get("force_last_assignment_delay_seconds"):
        message = "means nothing if force_last_assignment is false"
        path = ("mixer_config", "force_last_assignment_delay_seconds")
        yield pool.problem("mixer-order", path, f"{path[-1]} {message}", "warning")
    if pool.at("assignments_issuing_config", "issue_task_suites_in_creation_order") is True:
        message = "this is for pools without a mixer: with one, set mixer_config.mix_tasks_in_creation_order"
        path = ("assignments_issuing_config", "issue_task_suites_in_creation_order")
        yield pool.problem("mixer-order", path, message, "warning")


def _check_counts(pool: Document, counts: TaskCounts) -> Iterator[Problem]:
    """Check that there are enough tasks of each kind, and none of a kind that no page has."""
    mixer = pool.mapping("mixer_config")
    for kind, word in KINDS.items():
        there, shown, key = getattr(counts, word), is_shown(pool, kind), f"{kind}_tasks_count"
        path: tuple[Any, ...] = ("mixer_config", key)
        per_page, least = count(mixer.get(key)) or 0, count(mixer.get(f"min_{key}"))
        least = per_page if least is None else least
        if shown is False and there:
            message = f"a page has no {word} tasks, but the files do ({there}): nobody gets them"
            yield pool.problem("mixer-unused", path, message, "warning")
        elif not shown or there > least or (there == least and there):
            continue
        elif kind == "real" and there and mixer.get("force_last_assignment") is not False:
            continue  # the last page may have fewer
        elif not there:
            message = f"a page has {word} tasks, but there are none"
            if least or kind == "real":
                yield pool.problem(f"mixer-{word}", path, f"{message}: nobody gets a page until some are uploaded")
            else:
                yield pool.problem("mixer-unused", path, message, "warning")
        else:
            message = f"a page has at least {least} {word} tasks, but there are only {there}: nobody gets a page"
            yield pool.problem(f"mixer-{word}", path, message)
    if counts.finite_control and is_shown(pool, "golden"):
        message = (
            f"{counted(counts.finite_control, 'control task has', 'control tasks have')} a finite overlap, their own "
            "or that of the pool's defaults: "
            'when it is used up, nobody gets a page. Give them "infinite_overlap": true'
        )
        yield pool.problem("control-overlap", ("mixer_config", "golden_tasks_count"), message, "warning")
    if is_shown(pool, "golden") and counts.real and 0 < counts.control * 100 < counts.real:
        message = (
            f"{counted(counts.control, 'control task')} for {counted(counts.real, 'real one is', 'real ones are')} "
            "less than 1 %: nobody gets one twice, so "
            "people run out of pages"
        )
        yield pool.problem("few-control-tasks", ("mixer_config", "golden_tasks_count"), message, "warning")
