"""How tasks become pages (task suites), and pages answers (assignments), each of which is paid for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toloka_airflow._internal.wording import counted, plural
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
    if endless := _why_endless(pool, counts):
        why, remedy = endless
        if is_paid:
            raise CannotEstimateError(
                f"{why}, so nobody knows what it costs. {remedy}; or limit the money while the pool is open, by "
                "max_spend of PoolSensor"
            )
        return PagePlan(0, None, 0, (f"{why}; nobody is paid for it, so it costs nothing.",))
    assumptions: list[str] = []
    mixed = _Mixed(pool, counts, assumptions) if any(counts.real) else None
    uploaded = sum(overlap * number for overlap, number in counts.suites.items())
    answers = Range(uploaded, uploaded) if mixed is None else Range(mixed.least + uploaded, mixed.most + uploaded)
    pages = sum(number for overlap, number in counts.suites.items() if overlap)
    people = max(counts.highest_overlap, 0 if mixed is None else mixed.people)
    return PagePlan(pages + (mixed.pages if mixed else 0), answers, people, tuple(assumptions))


def _why_endless(pool: Mapping[str, Any], counts: TaskCounts) -> tuple[str, str] | None:
    """Return why answers have no end, and what to do about it; ``None`` if they have one."""
    remedy = "Give the tasks an overlap"
    if counts.endless:
        of = counts.endless + sum((*counts.real.values(), *counts.suites.values()))
        what = (
            f"{counts.endless} of {counted(of, 'task')} "
            f"{plural(counts.endless, 'has', 'have')} an infinite overlap: everybody may answer them"
        )
    elif not (counts.real or counts.suites):
        what = "The pool has no real tasks: everybody may answer the control and training tasks"
    elif any(counts.real) and (others := _offered_alone(pool, counts)):
        what = f"mixer_config.min_real_tasks_count is 0: everybody may answer pages of {others} tasks alone"
        remedy = "Set it to 1 or more"
    else:
        return None
    return f"{what} as long as the pool is open", remedy


def _offered_alone(pool: Mapping[str, Any], counts: TaskCounts) -> str:
    """Return of what kind pages without a real task are made, for everybody; nothing if there are none."""
    mixer = pool.get("mixer_config")
    if not isinstance(mixer, Mapping) or mixer.get("min_real_tasks_count") != 0:
        return ""
    kinds = (KINDS[kind] for kind in KINDS if mixer.get(f"{kind}_tasks_count") and getattr(counts, kind).get(None))
    return " and ".join(kinds)


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
        forced = mixer.get("force_last_assignment", True) is not False
        kinds = [kind for kind in KINDS if self._number(kind)]
        # How many real tasks the smallest page has: surely, and at best. What is less than the least is only given
        # with all control and training tasks of a full page.
        least = max(1, self._number("real", least=True))
        self._surely = 1 if forced and all(self._endless(kind) >= self._number(kind) for kind in kinds) else least
        self._possibly = 1 if forced and all(self._there(kind) >= self._number(kind) for kind in kinds) else least
        self._why_held_back = (
            "too few control or training tasks are left for them" if forced else "force_last_assignment is false"
        )
        self.pages = self._answered({1: sum(real.values())}).most
        first, raised = self._answered(real), self._answered(_raised(pool, real, assumptions))
        self._assume(real, first)
        capacities = [capacity for capacity in map(self._capacity, kinds) if capacity is not None]
        self.least = min((first.least, *(capacity.least for capacity in capacities)))
        self.most = min((raised.most, *(capacity.most for capacity in capacities)))
        if not self._number("real", least=True):
            self.most += sum(self._finite(kind) for kind in kinds)
        self.people = self._people()

    def _there(self, kind: str) -> int:
        """Return how many control or training tasks there are that somebody may still get."""
        counts: Mapping[int | None, int] = getattr(self._counts, kind)
        return sum(number for overlap, number in counts.items() if overlap != 0)

    def _endless(self, kind: str) -> int:
        """Return how many of them everybody may get."""
        counts: Mapping[int | None, int] = getattr(self._counts, kind)
        return counts.get(None, 0)

    def _finite(self, kind: str) -> int:
        """Return how many answers the others can get together."""
        counts: Mapping[int | None, int] = getattr(self._counts, kind)
        return sum(overlap * number for overlap, number in counts.items() if overlap)

    def _answered(self, overlaps: Mapping[int, int]) -> Range[int]:
        """
        Return how many pages are answered.

        Nobody gets a task twice. If everybody takes tasks in the same order, those that are wanted from n people are n
        times shared out over pages, each time with a rest. In any other order, the rests may come together.

        With different overlaps, other orders may be worse. But whoever gets a page that is not full has then had all
        tasks that are still wanted; so a task on the last of such pages was given to all who got one before. So there
        are no more of them than its overlap.
        """
        highest, answers = max(overlaps, default=0), sum(overlap * number for overlap, number in overlaps.items())
        least, most = (
            [self._one_after_another(overlaps, shortest), self._together(answers, highest, shortest)]
            for shortest in (self._surely, self._possibly)
        )
        if len(overlaps) > 1:
            # Nobody gets another page once too few tasks are left even for somebody who had none.
            left = _highest(overlaps, self._surely - 1)
            least.append(math.ceil((answers - left) / self._per_page))
            most.append(self._worst(answers, highest))
        return Range(min(least), max(most))

    def _one_after_another(self, overlaps: Mapping[int, int], shortest: int) -> int:
        pages = done = 0
        for overlap in sorted(overlaps):
            full, rest = divmod(sum(number for other, number in overlaps.items() if other >= overlap), self._per_page)
            pages += (overlap - done) * (full + (rest >= shortest))
            done = overlap
        return pages

    def _together(self, answers: int, highest: int, shortest: int) -> int:
        full, rest = divmod(answers, self._per_page)
        return max(full + (rest >= shortest), highest if shortest == 1 else 0)

    def _worst(self, answers: int, highest: int) -> int:
        return (answers + highest * (self._per_page - self._possibly)) // self._per_page

    def _assume(self, real: Mapping[int, int], pages: Range[int]) -> None:
        answers = sum(overlap * number for overlap, number in real.items())
        left = answers - pages.least * self._per_page
        if self._surely > 1 and left > 0:
            self._assumptions.append(
                f"Up to {left} of {counted(answers, 'answer')} to tasks are not given, as the tasks do not fill a "
                "page and "
                f"{self._why_held_back}; then the pool does not close by itself before tasks are added."
            )
        elif sum(real.values()) % self._per_page:
            self._assumptions.append("The last pages are not full, and cost as much as full ones.")
        if not pages.is_known:
            self._assumptions.append(
                "How full pages are depends on who takes which tasks when: the least is if as few as possible are not "
                "full, the most if as many as possible are not."
            )
        elif (worst := self._worst(answers, max(real))) > pages.most and not self._mixer.get(
            "mix_tasks_in_creation_order"
        ):
            self._assumptions.append(
                "Everybody gets the tasks in the same order. If not, there may be up to "
                f"{counted(worst, 'assignment')}, as more "
                "pages are not full."
            )
        if self._per_page > 1:
            self._assumptions.append(
                "Pages that people skip or forget are not paid. Their tasks are mixed anew, which may make some pages "
                "more or less."
            )
        for name in (f"{kind}_task_distribution_function" for kind in KINDS):
            if self._mixer.get(name):
                self._assumptions.append(
                    f"mixer_config.{name} is not reckoned with: where it puts other tasks in the place of real ones, "
                    "there are more pages."
                )

    def _capacity(self, kind: str) -> Range[int] | None:
        """
        Return for how many pages there are control or training tasks; ``None`` for any number of them.

        A page needs some that are not for everybody, if those are too few; so much for the most. The least is if people
        end with several of which each has been given to all others, or to nobody.
        """
        wanted, needed = self._number(kind), self._number(kind, least=True)
        there, endless, finite = (count(kind) for count in (self._there, self._endless, self._finite))
        if there < needed:
            raise CannotEstimateError(
                f"Every page needs {counted(needed, f'{KINDS[kind]} task')}, and there {plural(there, 'is', 'are')} "
                f"{there}: nobody ever gets a page. Add "
                f"{KINDS[kind]} tasks, or set mixer_config.min_{kind}_tasks_count to 0"
            )
        if endless >= needed:
            return None
        counts: Mapping[int | None, int] = getattr(self._counts, kind)
        left = _highest({overlap: number for overlap, number in counts.items() if overlap}, needed - 1 - endless)
        pages = Range(math.ceil((finite - left) / wanted), finite // (needed - endless))
        shown = f"{pages.least}" if pages.is_known else f"{pages.least} to {pages.most}"
        self._assumptions.append(
            f"The {KINDS[kind]} tasks have a finite overlap, which is enough for {shown} "
            f"{plural(pages.most, 'page')}; then nobody gets one "
            "more. Give them an infinite one, and they are for everybody."
        )
        return pages

    def _people(self) -> int:
        limit = self.pages
        for kind in KINDS:
            wanted, least = self._number(kind), self._number(kind, least=True)
            if wanted and least:
                full, rest = divmod(self._there(kind), wanted)
                limit = min(limit, full + (rest >= least))
        people = max(self._counts.highest_overlap, math.ceil(self.least / max(1, limit)))
        if limit < self.pages:
            self._assumptions.append(
                f"Nobody gets a control or training task twice, so one person can answer {limit} of the {self.pages} "
                f"pages: it takes at least {counted(people, 'person', 'people')}."
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


def _highest(overlaps: Mapping[int, int], count: int) -> int:
    """Return how many answers as many tasks get together that get most."""
    answers = 0
    for overlap in sorted(overlaps, reverse=True):
        number = min(overlaps[overlap], count)
        answers, count = answers + overlap * number, count - number
    return answers


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
