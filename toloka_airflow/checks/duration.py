"""How long people will work on a pool: from the pace of previous pools, else from the time that a page may take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from toloka_airflow.checks.money import Range

PEOPLE = Range(10, 100)
"""How many people are taken to work at a time where nothing is known of it."""
FASTEST = 0.1
"""Share of ``assignment_max_duration_seconds`` that an answer is taken to need at the least."""
HOUR = 3600.0


@dataclass(frozen=True)
class Pace:
    """
    How fast people were in an previous pool.

    :param pool_id: The pool.
    :param answers: How many pages were answered.
    :param seconds_per_answer: How long a page took on average.
    :param hours: How long the pool was open; ``None`` if that is not known, as it was opened more than once.
    :param people: How many people answered; ``None`` if unknown.
    """

    pool_id: str
    answers: int
    seconds_per_answer: float
    hours: float | None
    people: int | None = None


@dataclass(frozen=True)
class Duration:
    """
    How long it takes.

    :param work_hours: Hours that people work, all together.
    :param hours: Hours from the opening of the pool until all answers are there.
    :param source: Where that comes from: ``previous_pools``, or the ``time_limit`` of a page.
    :param pools: The previous pools.
    :param assumptions: What was taken for granted, a sentence each.
    """

    work_hours: Range[float]
    hours: Range[float]
    source: Literal["previous_pools", "time_limit"]
    pools: tuple[str, ...]
    assumptions: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values; a range is ``{"least", "most"}``."""
        return {
            "work_hours": self.work_hours.as_json(),
            "hours": self.hours.as_json(),
            "source": self.source,
            "pools": list(self.pools),
            "assumptions": list(self.assumptions),
        }


def estimate_duration(
    answers: Range[int], pool: Mapping[str, Any], paces: Sequence[Pace] = (), *, people: Range[int] | None = None
) -> Duration | None:
    """
    Estimate how long a pool takes.

    How long it was until enough people came is only known of previous pools, so that wins. Without any, the hours are
    those of people who come at once, stay, and do nothing else.

    :param answers: How many pages are to be answered.
    :param pool: As the API takes or answers it.
    :param paces: How fast people were in previous pools of the project.
    :param people: How many people work at a time; by default `PEOPLE`.
    :return: ``None`` if the pool has no limit for a page, and there were no previous pools.
    """
    known = [pace for pace in paces if pace.answers and pace.seconds_per_answer > 0]
    timed = [pace for pace in known if pace.hours]
    limit = pool.get("assignment_max_duration_seconds")
    if known:
        seconds = [pace.seconds_per_answer for pace in known]
        per_answer = Range(min(seconds), max(seconds))
        assumptions = [
            f"A page takes as long as in {_named(known)}, where people needed {_span(seconds)} s on average; its "
            "tasks are taken to be as many and as hard."
        ]
    elif isinstance(limit, int | float) and not isinstance(limit, bool) and limit > 0:
        per_answer = Range(limit * FASTEST, float(limit))
        assumptions = [
            f"No previous pool says how long a page takes: between a tenth of assignment_max_duration_seconds and all "
            f"of it, {_span(vars(per_answer).values())} s."
        ]
    else:
        return None
    work = Range(answers.least * per_answer.least / HOUR, answers.most * per_answer.most / HOUR)
    if timed:
        rates = [pace.answers / (pace.hours or 1) for pace in timed]
        hours = Range(answers.least / max(rates), answers.most / min(rates))
        assumptions.append(
            f"As many people come as to {_named(timed)}, where there were {_span(rates)} assignments an hour"
            + (f", by {_span(crowds)} people." if (crowds := [pace.people for pace in timed if pace.people]) else ".")
        )
    else:
        crowd = people or PEOPLE
        hours = Range(
            _shared(work.least, per_answer.least, crowd.most, answers.least),
            _shared(work.most, per_answer.most, crowd.least, answers.most),
        )
        unknown = "" if people else "Nobody knows how many people will come. "
        assumptions.append(
            f"{unknown}It is taken for granted that {crowd.least} to {crowd.most} people work at a time, by day and by "
            "night, from the beginning to the end."
        )
    return Duration(
        Range(round(work.least, 2), round(work.most, 2)),
        Range(round(hours.least, 2), round(hours.most, 2)),
        "previous_pools" if known else "time_limit",
        tuple(pace.pool_id for pace in known),
        tuple(assumptions),
    )


def _shared(work: float, seconds: float, people: int, answers: int) -> float:
    """Return after how many hours so many people are done; nobody is faster than a page."""
    return max(work / max(1, people), seconds / HOUR) if answers else 0.0


def _named(paces: Sequence[Pace]) -> str:
    ids = [pace.pool_id for pace in paces]
    return f"pool {ids[0]}" if len(ids) == 1 else f"pools {', '.join(ids[:-1])} and {ids[-1]}"


def _span(numbers: Iterable[float]) -> str:
    least, *_, most = map(_rounded, sorted([*numbers] * 2))
    return least if least == most else f"{least} to {most}"


def _rounded(number: float) -> str:
    return f"{number:.0f}" if number >= 10 else f"{number:.2g}"
