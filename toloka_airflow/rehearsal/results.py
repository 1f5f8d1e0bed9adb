"""What came out of a rehearsal: run by run, and as median and range."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, TypeVar

from toloka_airflow._internal.wording import counted, plural

Number = TypeVar("Number", float, Decimal)


@dataclass(frozen=True)
class Spread(Generic[Number]):
    """The median of several runs, the lowest and the highest."""

    median: Number
    low: Number
    high: Number

    @classmethod
    def of(cls, values: Sequence[Number]) -> Spread[Number] | None:
        """Return the spread of some values; ``None`` if there are none."""
        return cls(statistics.median(values), min(values), max(values)) if values else None

    def __contains__(self, value: Number) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Run:
    """
    One run.

    :param seed: The seed of its emulator.
    :param completed: Whether the pool was closed as all answers were there.
    :param close_reason: Why it was closed, as Toloka says it; ``None`` if it was still open at the limit of time.
    :param idle: Whether it was still open, and nobody worked in it any more.
    :param seconds: Virtual time from the first opening to the last closing, or to the limit.
    :param money: Dollars: what was paid, and what is promised for answers that nobody has reviewed, with the fee.
    :param pages: How many pages were answered.
    :param eligible: How many people meet the filter of the pool when it is opened.
    :param people: How many answered.
    :param banned: How many of these were restricted by a rule of quality control, of the pool or the project.
    :param tasks: How many tasks the pool has, without control tasks.
    :param labelled: How many of these have an answer that counts.
    :param right: How many labels are right, by output field.
    """

    seed: int
    completed: bool
    close_reason: str | None
    idle: bool
    seconds: float
    money: Decimal
    pages: int
    eligible: int
    people: int
    banned: int
    tasks: int
    labelled: int
    right: dict[str, int]

    @property
    def hours(self) -> float:
        """Return the duration in hours."""
        return self.seconds / 3600

    @property
    def banned_share(self) -> float:
        """Return the share of the people who answered that were banned."""
        return self.banned / self.people if self.people else 0.0

    def accuracy(self, field: str) -> float | None:
        """Return the share of the labels of an output field that are right; ``None`` if there is no label."""
        return self.right[field] / self.labelled if self.labelled else None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "seed": self.seed,
            "completed": self.completed,
            "close_reason": self.close_reason,
            "idle": self.idle,
            "seconds": self.seconds,
            "money": float(self.money),
            "pages": self.pages,
            "eligible": self.eligible,
            "people": self.people,
            "banned": self.banned,
            "tasks": self.tasks,
            "labelled": self.labelled,
            "right": self.right,
        }


@dataclass(frozen=True)
class Rehearsal:
    """
    What came out.

    :param runs: In the order in which they were made.
    :param ungraded: Output fields whose accuracy is unknown, as their values cannot be listed: free text, files.
    :param notes: What was assumed, a sentence each.
    :param limit_days: After how many days a run ended if the pool was still open.
    """

    runs: tuple[Run, ...]
    ungraded: tuple[str, ...]
    notes: tuple[str, ...]
    limit_days: float

    @property
    def completed(self) -> int:
        """Return in how many runs the pool was completed."""
        return sum(run.completed for run in self.runs)

    @property
    def money(self) -> Spread[Decimal] | None:
        """Return dollars with the fee, over all runs."""
        return Spread.of([run.money for run in self.runs])

    @property
    def hours(self) -> Spread[float] | None:
        """Return hours from opening to closing, over the runs that were completed; ``None`` if none was."""
        return Spread.of([run.hours for run in self.runs if run.completed])

    @property
    def banned(self) -> Spread[float] | None:
        """Return the share of the people who answered that were banned, over all runs."""
        return Spread.of([run.banned_share for run in self.runs])

    @property
    def people(self) -> Spread[float] | None:
        """Return how many people answered, over all runs."""
        return Spread.of([run.people for run in self.runs])

    @property
    def accuracy(self) -> dict[str, Spread[float] | None]:
        """Return the share of the labels that are right, by output field, over the runs with labels."""
        return {
            field: Spread.of([share for run in self.runs if (share := run.accuracy(field)) is not None])
            for field in self.runs[0].right
        }

    @property
    def incomplete(self) -> str:
        """Return a sentence about the runs that were not completed; empty if there are none."""
        others = [run for run in self.runs if not run.completed]
        if not others:
            return ""
        reasons = Counter(
            run.close_reason or f"still open after {self.limit_days:g} {plural(self.limit_days, 'day')}"
            for run in others
        )
        shown = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        return f"Not completed in {len(others)} of {counted(len(self.runs), 'run')}: {shown}.{_why(others)}"

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "completed": self.completed,
            "of": len(self.runs),
            "money": _json(self.money),
            "hours": _json(self.hours),
            "accuracy": {field: _json(spread) for field, spread in self.accuracy.items()}
            | dict.fromkeys(self.ungraded),
            "banned": _json(self.banned),
            "people": _json(self.people),
            "notes": [*self.notes, *filter(None, [self.incomplete])],
            "runs": [run.as_json() for run in self.runs],
        }


def _why(runs: list[Run]) -> str:
    """Return what kept the pool from being completed, if it is plain."""
    if not any(run.eligible for run in runs):
        return " Nobody meets the filter."
    if not any(run.people for run in runs):
        return " Nobody was given a page: nobody passed the training, or the pool had no time."
    if any(run.people and run.banned == run.people for run in runs):
        return " Everybody who answered was banned."
    if any(run.idle for run in runs):
        return " The people ran out: who was not banned had answered all that was left."
    return ""


def _json(spread: Spread[Any] | None) -> dict[str, float] | None:
    if spread is None:
        return None
    return {name: round(float(getattr(spread, name)), 6) for name in ("median", "low", "high")}


@dataclass(frozen=True)
class Row:
    """A row of the table and a strip of the picture: the values of the runs, and how one is written."""

    name: str
    values: tuple[float, ...]
    spread: Spread[Any] | None
    shown: Callable[[Any], str]

    @property
    def median(self) -> str:
        """Return the median for people."""
        return "unknown" if self.spread is None else self.shown(self.spread.median)

    @property
    def range(self) -> str:
        """Return the range for people."""
        if self.spread is None:
            return ""
        low, high = self.shown(self.spread.low), self.shown(self.spread.high)
        return low if low == high else f"{low} to {high}"


def rows(rehearsal: Rehearsal) -> Iterator[Row]:
    """Yield the rows of the table, in its order."""
    runs = rehearsal.runs
    yield Row("money, with the fee", tuple(float(run.money) for run in runs), rehearsal.money, show_money)
    yield Row("time until completed", tuple(run.hours for run in runs if run.completed), rehearsal.hours, show_hours)
    for field, spread in rehearsal.accuracy.items():
        shares = tuple(share for run in runs if (share := run.accuracy(field)) is not None)
        yield Row(f"right labels: {field}", shares, spread, _percent)
    yield Row("people who answered", tuple(float(run.people) for run in runs), rehearsal.people, "{:g}".format)
    yield Row("of these banned", tuple(run.banned_share for run in runs), rehearsal.banned, _percent)


def table(rehearsal: Rehearsal, estimate: tuple[Decimal, Decimal] | None = None) -> Iterator[str]:
    """
    Yield the lines of the table for people, and below it what is unknown and what was assumed.

    :param estimate: Dollars by calculation, the least and the most, which are set beside the money of the runs.
    """
    lines = [("", "median", f"range of {counted(len(rehearsal.runs), 'run')}")]
    lines += [(row.name, row.median, row.range) for row in rows(rehearsal)]
    lines += [(f"right labels: {field}", "unknown", "its values cannot be listed") for field in rehearsal.ungraded]
    if estimate is not None:
        lines.append(("estimate", *_compared(rehearsal, *estimate)))
    names, medians = (max(len(line[column]) for line in lines) for column in (0, 1))
    yield from (f"{name:<{names}}   {median:>{medians}}   {runs}".rstrip() for name, median, runs in lines)
    if rehearsal.incomplete:
        yield ""
        yield f"{rehearsal.incomplete} They count above, but not for the time."
    yield ""
    yield "What is assumed:"
    yield from (f"- {note}" for note in rehearsal.notes)


def _compared(rehearsal: Rehearsal, least: Decimal, most: Decimal) -> tuple[str, str]:
    shown = show_money(least) if least == most else f"{show_money(least)} to {show_money(most)}"
    low, high = min(run.money for run in rehearsal.runs), max(run.money for run in rehearsal.runs)
    return (
        shown,
        "less than any run took" if most < low else "more than any run took" if least > high else "as runs took",
    )


def show_money(amount: Decimal | float) -> str:
    """Return dollars for people."""
    return f"${amount:,.2f}"


def show_hours(hours: float) -> str:
    """Return a duration for people."""
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


def _percent(share: float) -> str:
    return f"{share:.1%}"
