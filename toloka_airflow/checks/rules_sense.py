"""Rules of quality control that can never act, always act, or act on nothing: warnings, each with its reason."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.wording import counted, plural
from toloka_airflow.checks import conditions as possible
from toloka_airflow.checks.documents import Document, Documents, count, number
from toloka_airflow.checks.mixing import is_shown
from toloka_airflow.checks.values import is_array, items, number_of

if TYPE_CHECKING:
    from toloka_airflow.checks.problems import Path, Problem
    from toloka_airflow.checks.tasks import TaskCounts

WARNINGS = {
    "always-met": "a rule that bans or rejects everybody",
    "empty-audience": "a filter that nobody passes",
    "empty-rule": "a rule without conditions, or a collector without rules",
    "fast-threshold": "a time within which every page is done",
    "majority-threshold": "a majority that the guide advises against",
    "never-met": "a rule whose conditions can never be met",
    "rate-as-fraction": "a rate below 1, though rates are percentages",
    "review-action": "answers accepted or rejected by a rule, where Toloka accepts them at once",
}

_HARSH = ("RESTRICTION", "RESTRICTION_V2", "REJECT_ALL_ASSIGNMENTS")
_REVIEWS = ("APPROVE_ALL_ASSIGNMENTS", "REJECT_ALL_ASSIGNMENTS")
_SHOWS = {
    "golden_set_answers_count": ("golden",),
    "golden_set_correct_answers_rate": ("golden",),
    "golden_set_incorrect_answers_rate": ("golden",),
    "total_answers_count": ("golden", "training"),
    "correct_answers_rate": ("golden", "training"),
    "incorrect_answers_rate": ("golden", "training"),
}
"""The kinds of tasks that the conditions of GOLDEN_SET are about."""


@dataclass(frozen=True)
class Settings:
    """
    What else is known of a pool; ``None`` is what is not.

    :param auto_accept: Whether answers are accepted at once.
    :param has_golden: Whether pages have control tasks.
    :param has_training_tasks: Whether pages have training tasks.
    :param has_training: Whether a training is required.
    :param has_captcha: Whether captchas are shown.
    :param can_skip: Whether people can skip pages.
    :param highest_overlap: How many answers a real task can get.
    :param page_seconds: How long a page may take.
    :param most_pages: How many pages a person can do, with the tasks that there are.
    :param highest_reward: US dollars for a page.
    :param filter_skills: The ids of the skills in the filter.
    """

    auto_accept: bool | None = None
    has_golden: bool | None = None
    has_training_tasks: bool | None = None
    has_training: bool | None = None
    has_captcha: bool | None = None
    can_skip: bool | None = None
    highest_overlap: float | None = None
    page_seconds: float | None = None
    most_pages: int | None = None
    highest_reward: float | None = None
    filter_skills: frozenset[str] | None = None


def settings_of(documents: Documents, counts: TaskCounts | None) -> Settings:
    """Return what is known of a pool."""
    pool = documents.pool
    assert pool is not None  # noqa: S101 - for mypy
    project, training_id = documents.project, pool.at("quality_control", "training_requirement", "training_pool_id")
    return Settings(
        auto_accept=pool.at("auto_accept_solutions") in (None, True),
        has_golden=is_shown(pool, "golden"),
        has_training_tasks=is_shown(pool, "training"),
        # In a training as pools have it, these are the answers of the pool itself.
        has_training=bool(training_id) or documents.training is not None or pool.at("type") == "TRAINING",
        has_captcha=pool.at("quality_control", "captcha_frequency") is not None,
        can_skip=None if project is None else project.at("task_spec", "view_spec", "settings", "showSkip") is not False,
        highest_overlap=_highest_overlap(pool, counts),
        page_seconds=number(pool.at("assignment_max_duration_seconds")),
        most_pages=_most_pages(pool, counts),
        highest_reward=_highest_reward(pool),
        filter_skills=frozenset(str(key) for key, _, _, _ in _skills_of_filter(pool.at("filter"), ("filter",))),
    )


def _highest_overlap(pool: Document, counts: TaskCounts | None) -> float | None:
    name = "default_overlap_for_new_tasks" if pool.mapping("mixer_config") else "default_overlap_for_new_task_suites"
    default = number(pool.at("defaults", name))
    more = [
        number(pool.at("dynamic_overlap_config", "max_overlap")),
        number(pool.at("quality_control", "checkpoints_config", "real_settings", "target_overlap")),
    ]
    own = [default] if counts is None or not counts.real else [overlap or default for overlap in counts.overlaps]
    if None in own:
        return None
    return max(overlap for overlap in (*own, *more) if overlap is not None)


def _most_pages(pool: Document, counts: TaskCounts | None) -> int | None:
    """Return how many pages a person can do: nobody gets a task twice."""
    if counts is None:
        return None
    pages = []
    for kind, there in (("real", counts.real), ("golden", counts.control)):
        per_page = count(pool.at("mixer_config", f"{kind}_tasks_count"))
        if per_page and there:
            pages.append(math.ceil(there / per_page))
    return min(pages, default=None)


def _highest_reward(pool: Document) -> float | None:
    intervals: Path = ("dynamic_pricing_config", "intervals")
    rewards = [number(pool.at("reward_per_assignment"))]
    rewards += [number(pool.at(*intervals, index, "reward_per_assignment")) for index in pool.indexes(*intervals)]
    return max((reward for reward in rewards if reward is not None), default=None)


def check_rules(document: Document, settings: Settings) -> Iterator[Problem]:
    """Iterate over rules without sense, and over a filter that nobody passes."""
    for index in document.indexes("quality_control", "configs"):
        path: Path = ("quality_control", "configs", index)
        collector = document.at(*path, "collector_config", "type")
        if isinstance(collector, str):
            yield from _check_collector(document, path, collector, settings)
    if document.kind == "pool":
        yield from _check_audience(document)


def _check_collector(document: Document, path: Path, collector: str, settings: Settings) -> Iterator[Problem]:
    if reason := _idle_collector(collector, settings):
        yield document.problem("never-met", (*path, "collector_config", "type"), reason, "warning")
        return
    parameters = document.mapping(*path, "collector_config", "parameters")
    at = (*path, "collector_config", "parameters")
    threshold, seconds = number(parameters.get("fast_submit_threshold_seconds")), settings.page_seconds
    if collector == "ASSIGNMENT_SUBMIT_TIME" and threshold is not None and seconds and threshold >= seconds:
        message = (
            f"a page must be done within {seconds:g} "
            f"{plural(seconds, 'second')}, so every page is faster than {threshold:g}"
        )
        yield document.problem("fast-threshold", (*at, "fast_submit_threshold_seconds"), message, "warning")
    votes, overlap = number(parameters.get("answer_threshold")), settings.highest_overlap
    if collector == "MAJORITY_VOTE" and votes is not None and overlap is not None:
        problem = _majority(votes, overlap)
        if problem:
            yield document.problem(problem[0], (*at, "answer_threshold"), problem[1], "warning")
        if problem and problem[0] == "never-met":
            return
    if document.at(*path, "rules") in ([], ()):
        message = f"{collector} has no rules: it counts, and nothing is done about it"
        yield document.problem("empty-rule", (*path, "rules"), message, "warning")
    for index in document.indexes(*path, "rules"):
        yield from _check_rule(document, (*path, "rules", index), collector, parameters, settings)


def _idle_collector(collector: str, settings: Settings) -> str | None:
    """Return why a collector never counts anything."""
    if collector == "TRAINING" and settings.has_training is False:
        return "no training is required, so nobody has answers in one: set quality_control.training_requirement"
    if collector == "CAPTCHA" and settings.has_captcha is False:
        return "no captcha is shown, as there is no captcha_frequency"
    if collector == "SKIPPED_IN_ROW_ASSIGNMENTS" and settings.can_skip is False:
        return "nobody can skip a page, as view_spec.settings.showSkip of the project is false"
    if collector == "GOLDEN_SET" and settings.has_golden is False and settings.has_training_tasks is False:
        return "a page has no control and no training tasks, as golden_tasks_count and training_tasks_count are 0"
    return None


def _majority(votes: float, overlap: float) -> tuple[str, str] | None:
    if votes > overlap:
        return "never-met", f"{votes:g} answers must be the same, but a task gets at most {overlap:g}"
    if votes == overlap and overlap > 1:
        return (
            "majority-threshold",
            f"it is the overlap, {overlap:g}: only tasks of which all answers are the same count",
        )
    if votes * 2 < overlap < math.inf:
        return (
            "majority-threshold",
            f"it is less than half of the overlap, {overlap:g}: two answers can be the majority",
        )
    return None


def _check_rule(
    document: Document, path: Path, collector: str, parameters: Any, settings: Settings
) -> Iterator[Problem]:
    conditions = document.at(*path, "conditions")
    action = document.at(*path, "action", "type")
    if conditions in ([], ()):
        message = "the rule has no conditions: it acts on everybody, or Toloka refuses it"
        yield document.problem("empty-rule", (*path, "conditions"), message, "warning")
    numbers = possible.numbers_of(conditions)
    never = possible.impossible(conditions) or _never(conditions, numbers, collector, parameters, settings)
    if never is not None:
        message = f"the rule never acts: {never[1]}"
        yield document.problem("never-met", (*path, "conditions", never[0]), message, "warning")
    for key, given in numbers.items():
        for index, _, value in given:
            if key in possible.RATES and 0 < value < 1:
                message = f"{key} is a percentage, so this is {value:g} %; did you mean {value * 100:g}?"
                yield document.problem("rate-as-fraction", (*path, "conditions", index, "value"), message, "warning")
    every = [(key, operator, value) for key, given in numbers.items() for _, operator, value in given]
    is_all = is_array(conditions) and len(every) == len(conditions) > 0
    if action in _HARSH and is_all and all(possible.is_always_met(*condition) for condition in every):
        message = f"the rule acts on everybody: {' and '.join(f'{key} {op} {value:g}' for key, op, value in every)}"
        yield document.problem("always-met", (*path, "conditions"), f"{message} is always so", "warning")
    if action in _REVIEWS and settings.auto_accept:
        message = f"{action} does nothing, as answers are accepted at once: set auto_accept_solutions to false"
        yield document.problem("review-action", (*path, "action", "type"), message, "warning")


_Numbers = dict[str, list[tuple[int, str, float]]]


def _never(
    conditions: Any, numbers: _Numbers, collector: str, parameters: Any, settings: Settings
) -> tuple[int, str] | None:
    """Return the index of a condition that the settings rule out, and why."""
    history = number(parameters.get("history_size"))
    for key, given in numbers.items():
        span, (index, *_) = possible.span_of(key, [(operator, value) for _, operator, value in given]), given[-1]
        if history is not None and key in possible.COUNTS and span.low > history:
            return index, f"only the last {history:g} count (history_size), so {key} is never {span.low:g}"
        if reason := _ruled_out(key, span, collector, history, settings):
            return index, reason
    if collector == "ASSIGNMENTS_ASSESSMENT" and settings.auto_accept:
        for index, condition in items(conditions):
            if isinstance(condition, Mapping) and condition.get("value") in ("REJECT", "ACCEPT_AFTER_REJECT"):
                return index, _ACCEPTED
    return _skill_not_filtered(conditions, collector, settings)


_ACCEPTED = "no answer is rejected or waits, as they are accepted at once: set auto_accept_solutions to false"


def _ruled_out(key: str, span: possible.Span, collector: str, history: Any, settings: Settings) -> str | None:
    if collector == "GOLDEN_SET" and _SHOWS.get(key) == ("golden",) and settings.has_golden is False:
        return "a page has no control tasks, as golden_tasks_count is 0"
    # 0 of them is possible; more is not.
    is_some = span.low > 0 or (span.low == 0 and span.above)
    if settings.auto_accept and is_some:
        if collector == "ASSIGNMENTS_ASSESSMENT" and key in ("rejected_assignments_count", "pending_assignments_count"):
            return _ACCEPTED
        # With a history, answers in other pools count, too.
        if collector == "ACCEPTANCE_RATE" and key == "rejected_assignments_rate" and history is None:
            return _ACCEPTED
    pages, reward = settings.most_pages, settings.highest_reward
    if pages is None:
        return None
    if key in ("assignments_accepted_count", "total_submitted_count") and history is None:
        return f"with these tasks, a person can do at most {counted(pages, 'page')}" if span.low > pages else None
    if key in possible.AMOUNTS and reward is not None and round(span.low, 6) > round(reward * pages, 6):
        return (
            f"with these tasks, a person can earn at most {reward * pages:g} "
            f"{plural(reward * pages, 'dollar')} ({counted(pages, 'page')})"
        )
    return None


def _skill_not_filtered(conditions: Any, collector: str, settings: Settings) -> tuple[int, str] | None:
    """Return a condition on a change of a skill that is not in the filter: nobody loses access by it."""
    if collector != "USERS_ASSESSMENT" or settings.filter_skills is None:
        return None
    for index, condition in items(conditions):
        if not isinstance(condition, Mapping) or condition.get("operator") != "EQ":
            continue
        key, value = condition.get("key"), condition.get("value")
        if key == "skill_id" and str(value) not in settings.filter_skills:
            return index, f"the skill {value} is not in the filter, so nobody loses access by it"
        # Who has to repeat a training loses the skill that it gives.
        has_skills = settings.filter_skills or settings.has_training
        if key == "pool_access_revoked_reason" and value == "SKILL_CHANGE" and not has_skills:
            return index, "no skill is in the filter, so nobody loses access by one"
    return None


def _check_audience(pool: Document) -> Iterator[Problem]:
    """Check that somebody can pass the filter, as far as it is on skills."""
    by_skill: dict[str, tuple[possible.Span, Path]] = {}
    for skill, operator, value, path in _skills_of_filter(pool.at("filter"), ("filter",), only_all=True):
        limit = number_of(value)
        if limit is None or not isinstance(operator, str):
            continue
        before = by_skill.get(str(skill), (possible.Span(0, 100), path))[0]
        by_skill[str(skill)] = before.narrowed(possible.span_of("correct_answers_rate", [(operator, limit)])), path
    for skill, (span, path) in by_skill.items():
        if span.is_empty:
            message = f"nobody passes the filter: no value of the skill {skill} (0 to 100) is what it wants"
            yield pool.problem("empty-audience", path, message, "warning")


def _skills_of_filter(given: Any, path: Path, *, only_all: bool = False) -> Iterator[tuple[Any, Any, Any, Path]]:
    """Iterate over the conditions on skills: skill, operator, value, path; `only_all`: those that all must meet."""
    if not isinstance(given, Mapping):
        return
    if given.get("category") == "skill":
        yield given.get("key"), given.get("operator"), given.get("value"), path
    for word in ("and", "or"):
        parts = given.get(word)
        if word == "and" or not only_all or (isinstance(parts, list | tuple) and len(parts) == 1):
            for index, part in items(parts):
                yield from _skills_of_filter(part, (*path, word, index), only_all=only_all)
