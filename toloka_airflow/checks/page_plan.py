"""How tasks become pages (task suites), and pages answers (assignments), each of which is paid for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toloka_airflow.checks.money import Range
from toloka_airflow.checks.task_counts import CannotEstimateError, TaskCounts, is_training

KINDS = {"golden": "control", "training": "training"}
"""What the mixer's settings call the tasks that ride along, and what people do."""


@dataclass(frozen=True)
class PagePlan:
    """
    What people are given.

    :param pages: How many pages somebody would get who answers everything.
    :param answers: How many answered pages there will be; ``None`` for endless ones.
    :param people: How many people are needed at the least; 0 where the answers are endless.
    :param assumptions: What was taken for granted, a sentence each.
    """

    pages: int
    answers: Range[int] | None
    people: int
    assumptions: tuple[str, ...]


def plan_pages(pool: Mapping[str, Any], counts: TaskCounts, *, is_paid: bool) -> PagePlan:
    """
    Return what people are given.

    :param is_paid: Whether it matters for money that there is an end.
    :raises CannotEstimateError: If there is none, or nobody gets a page at all.
    :raises ValueError: If a number of the mixer is none.
    """
    if not counts.total:
        raise CannotEstimateError("The pool has no tasks, and Toloka opens no pool without any")
    if is_training(pool):
        return PagePlan(0, None, 0, ("It is a training: everybody may take it, and nobody is paid for it.",))
    if why := _why_endless(counts):
        if is_paid:
            raise CannotEstimateError(
                f"{why}, so nobody knows what it costs. Give the tasks an overlap; or limit the money while the "
                "pool is open, by max_spend of PoolSensor"
            )
        return PagePlan(0, None, 0, (f"{why}; nobody is paid for it, so it costs nothing.",))
    assumptions: list[str] = []
    mixed = _Mixed(pool, counts, assumptions) if any(counts.real) else None
    uploaded = sum(overlap * number for overlap, number in counts.suites.items())
    answers = Range(uploaded, uploaded) if mixed is None else Range(mixed.least + uploaded, mixed.most + uploaded)
    pages = sum(number for overlap, number in counts.suites.items() if overlap)
    people = max(counts.highest_overlap, 0 if mixed is None else mixed.people)
    return PagePlan(pages + (mixed.pages if mixed else 0), answers, people, tuple(assumptions))


def _why_endless(counts: TaskCounts) -> str | None:
    if counts.endless:
        of = counts.endless + sum((*counts.real.values(), *counts.suites.values()))
        what = f"{counts.endless} of {of} tasks have an infinite overlap: everybody may answer them"
    elif not (counts.real or counts.suites):
        what = "The pool has no real tasks: everybody may answer the control and training tasks"
    else:
        return None
    return f"{what} as long as the pool is open"


class _Mixed:
    """The pages that are mixed from single tasks: how many are answered, and by how many people at the least."""

    def __init__(self, pool: Mapping[str, Any], counts: TaskCounts, assumptions: list[str]) -> None:
        mixer = pool.get("mixer_config")
        if not isinstance(mixer, Mapping):
            raise CannotEstimateError(
                "The pool has single tasks and no mixer_config, which says how many of them are on a page: Toloka "
                "refuses them. Give it one, or upload task suites"
            )
        self._mixer: Mapping[str, Any] = mixer
        self._counts, self._assumptions = counts, assumptions
        self._per_page = self._number("real")
        if not self._per_page:
            raise CannotEstimateError("mixer_config.real_tasks_count is 0, so nobody ever gets the real tasks")
        real = {overlap: number for overlap, number in counts.real.items() if overlap}
        self._holds_back = mixer.get("force_last_assignment", True) is False
        self.pages = self._answered({1: sum(real.values())}).most
        first, raised = self._answered(real), self._answered(_raised(pool, real, assumptions))
        self._assume(real, first)
        capacities = [capacity for capacity in map(self._capacity, KINDS) if capacity is not None]
        self.least, self.most = min((first.least, *capacities)), min((raised.most, *capacities))
        self.people = self._people()

    def _answered(self, overlaps: Mapping[int, int]) -> Range[int]:
        """
        Return how many pages are answered.

        Nobody gets a task twice. If everybody takes tasks in the same order, those that are wanted from n people are n
        times shared out over pages, each time with a rest. In any other order, the rests may come together.
        """
        aligned = done = 0
        for overlap in sorted(overlaps):
            wanted = sum(number for other, number in overlaps.items() if other >= overlap)
            full, rest = divmod(wanted, self._per_page)
            aligned += (overlap - done) * (full + self._is_given(rest))
            done = overlap
        full, rest = divmod(sum(overlap * number for overlap, number in overlaps.items()), self._per_page)
        together = full + self._is_given(rest)
        if not self._holds_back:
            together = max(together, done)
        return Range(min(aligned, together), max(aligned, together))

    def _is_given(self, rest: int) -> bool:
        """Say whether tasks that do not fill a page are given out all the same."""
        return rest > 0 and (not self._holds_back or rest >= self._number("real", least=True))

    def _assume(self, real: Mapping[int, int], pages: Range[int]) -> None:
        answers = sum(overlap * number for overlap, number in real.items())
        left = answers - pages.least * self._per_page
        if self._holds_back and left > 0:
            self._assumptions.append(
                f"Up to {left} of {answers} answers to tasks are not given, as the tasks do not fill a page and "
                "force_last_assignment is false; then the pool does not close by itself before tasks are added."
            )
        elif sum(real.values()) % self._per_page:
            self._assumptions.append("The last pages are not full, and cost as much as full ones.")
        if not pages.is_known:
            self._assumptions.append(
                "How full pages are depends on who takes which tasks when: the one end of the range is if all take "
                "them in the same order, the other if as few tasks as possible are left for pages that are not full."
            )
        if self._per_page > 1:
            self._assumptions.append(
                "Pages that people skip or forget are not paid. Their tasks are mixed anew, which may make some pages "
                "more or less."
            )

    def _capacity(self, kind: str) -> int | None:
        """Return for how many pages there are control or training tasks; ``None`` for any number of them."""
        wanted, least = self._number(kind), self._number(kind, least=True)
        there: int = getattr(self._counts, kind)
        answers: int | None = getattr(self._counts, f"{kind}_answers")
        if not wanted or not least:
            return None
        if there < least:
            raise CannotEstimateError(
                f"Every page needs {least} {KINDS[kind]} tasks, and there are {there}: nobody ever gets a page. Add "
                f"{KINDS[kind]} tasks, or set mixer_config.min_{kind}_tasks_count to 0"
            )
        if answers is None:
            return None
        self._assumptions.append(
            f"The {KINDS[kind]} tasks have a finite overlap, which is enough for {answers // wanted} pages; then "
            "nobody gets one more. Give them an infinite one, and they are for everybody."
        )
        return answers // wanted

    def _people(self) -> int:
        limit = self.pages
        for kind in KINDS:
            wanted, least = self._number(kind), self._number(kind, least=True)
            if wanted and least:
                full, rest = divmod(getattr(self._counts, kind), wanted)
                limit = min(limit, full + (rest >= least))
        people = max(self._counts.highest_overlap, math.ceil(self.least / max(1, limit)))
        if limit < self.pages:
            self._assumptions.append(
                f"Nobody gets a control or training task twice, so one person can answer {limit} of the {self.pages} "
                f"pages: it takes at least {people} people."
            )
        return people

    def _number(self, kind: str, *, least: bool = False) -> int:
        """Return how many tasks of a kind are on a page, or must be; the official client: all of them by default."""
        name = f"{kind}_tasks_count"
        if least and self._mixer.get(f"min_{name}") is not None:
            name = f"min_{name}"
        given = self._mixer.get(name, 0)
        if isinstance(given, bool) or not isinstance(given, int) or given < 0:
            raise ValueError(f"mixer_config.{name} is {given!r}; it must be a whole number")
        return given


def _raised(pool: Mapping[str, Any], real: Mapping[int, int], assumptions: list[str]) -> Mapping[int, int]:
    """Return how many tasks there are of each overlap when dynamic overlap has raised all as far as it goes."""
    config = pool.get("dynamic_overlap_config")
    highest = config.get("max_overlap") if isinstance(config, Mapping) else None
    if isinstance(highest, bool) or not isinstance(highest, int):
        return real
    raised: Counter[int] = Counter()
    for overlap, number in real.items():
        raised[max(overlap, highest)] += number
    assumptions.append(
        f"Dynamic overlap: the least is if the answers agree at once, the most if {highest} people answer every task. "
        "Further answers are taken to share pages; each page that is less full costs more."
    )
    return raised
