"""
The judgement over a time of chaos: pools and trainings open outside their time, things doubled, runs falsely green.

It reads what was recorded only, so it can be tested with records that have each fault.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleet.chaos.explanation import Explanation, explain

if TYPE_CHECKING:
    from fleet.chaos.records import Disturbance, Event, Records, Run, Thing

SLACK = 5.0
"""Seconds by which clocks may differ: Airflow's of the end of a run, and Toloka's of the closing."""
GRACE = 180.0
"""Seconds after the end of a window at which its pool expires, as in ``fleet/dags/chaos_rounds.py``."""
ROUNDS_A_MINUTE = 1.5
"""Fewer rounds than that would prove little."""


@dataclass(frozen=True)
class Opening:
    """A pool or training that was open from `began` until `ended`, or is still."""

    kind: str
    id: str
    began: float
    ended: float | None
    reason: str | None

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"{self.kind} {self.id}"


@dataclass(frozen=True)
class Verdict:
    """What was found: `violations` and `shortfalls` make the command fail, as does a failed run without explanation."""

    violations: list[str]
    shortfalls: list[str]
    explanations: list[Explanation]
    notes: list[str]

    @property
    def is_good(self) -> bool:
        """Whether the three rules were kept, and enough was tried."""
        return not (self.violations or self.shortfalls or self.unexplained)

    @property
    def unexplained(self) -> list[Explanation]:
        """The failed runs for which no disturbance accounts."""
        return [each for each in self.explanations if not each.is_complete]


def judge(records: Records, kinds: Sequence[str]) -> Verdict:
    """
    Return what is to be said of a time of chaos.

    :param kinds: The kinds of disturbances that there should have been.
    """
    runs, things, openings = records.runs(), records.things(), pair(records.events())
    disturbances, about = records.disturbances(), records.about()
    violations = [
        *outside_their_time(openings, things, runs),
        *doubled(openings, runs),
        *falsely_green(runs),
        *(f"a token stands in {row['where']}" for row in records.rows("leaks")),
        *(f"{run.name} has not ended: it is {run.state}" for run in runs if run.state not in ("success", "failed")),
    ]
    explanations = [explain(run, disturbances) for run in runs if run.state == "failed"]
    shortfalls = [
        *short(runs, disturbances, kinds, about["minutes"]),
        *(f"the disturbances ended before their time: {row['error']}" for row in records.rows("errors")),
    ]
    return Verdict(violations, shortfalls, explanations, list(remarks(openings, things, runs)))


def pair(events: Sequence[Event]) -> list[Opening]:
    """Return each time for which something was open."""
    found: list[Opening] = []
    since: dict[tuple[str, str], float] = {}
    for event in sorted(events, key=lambda each: each.at):
        key = event.kind, event.id
        if event.what == "opened":
            since.setdefault(key, event.at)
        elif key in since:
            found.append(Opening(*key, since.pop(key), event.at, event.reason))
    return found + [Opening(*key, began, None, None) for key, began in since.items()]


def outside_their_time(openings: Sequence[Opening], things: Sequence[Thing], runs: Sequence[Run]) -> Iterator[str]:
    """Yield what was open before or after its run, after its window, or for no run at all."""
    owners = _owners(things, runs)
    for opening in openings:
        run = owners.get((opening.kind, opening.id))
        if run is None:
            yield f"{opening.name} was opened for no run that is known"
            continue
        of = f"{opening.name} of {run.name}"
        if opening.began < run.began - SLACK:
            yield f"{of} was opened {run.began - opening.began:.0f} s before the run began"
        if run.ended is not None and opening.began > run.ended + SLACK:
            yield f"{of} was opened {opening.began - run.ended:.0f} s after the run had ended ({run.state})"
        if opening.ended is None:
            yield f"{of} is still open; the run: {run.state}"
            continue
        if run.ended is not None and opening.ended > run.ended + SLACK:
            yield f"{of} was open for {opening.ended - run.ended:.0f} s after the run had ended ({run.state})"
        if run.closes_at is not None and opening.kind == "pool" and opening.ended > run.closes_at + GRACE + SLACK:
            yield f"{of} was open for {opening.ended - run.closes_at:.0f} s after the end of its window"


def doubled(openings: Sequence[Opening], runs: Sequence[Run]) -> Iterator[str]:
    """Yield what was opened twice, and what the checker of single runs found twice."""
    times = Counter(opening.name for opening in openings)
    opened = {f"{name} was opened {count} times" for name, count in times.items() if count > 1}
    yield from sorted(opened)
    yield from (f"{run.name}: {found}" for run in runs for found in run.doubled if found not in opened)


def falsely_green(runs: Sequence[Run]) -> Iterator[str]:
    """Yield what is wrong with runs that Airflow calls a success, and what no failure excuses."""
    for run in runs:
        if run.state == "success":
            yield from (f"{run.name} is falsely green: {wrong}" for wrong in run.wrong)


def short(
    runs: Sequence[Run], disturbances: Sequence[Disturbance], kinds: Sequence[str], minutes: float
) -> Iterator[str]:
    """Yield what should have been tried and was not."""
    ended = [run for run in runs if run.state in ("success", "failed")]
    if len(ended) < minutes * ROUNDS_A_MINUTE:
        yield f"{len(ended)} rounds ended in {minutes:g} minutes, fewer than {minutes * ROUNDS_A_MINUTE:.0f}"
    hit = {each.kind for each in disturbances if each.hit}
    yield from (f"{kind}: hit nobody" for kind in kinds if kind not in hit)


def remarks(openings: Sequence[Opening], things: Sequence[Thing], runs: Sequence[Run]) -> Iterator[str]:
    """Yield what is no violation, but worth to be known."""
    owners = _owners(things, runs)
    late = [
        opening.ended - run.closes_at
        for opening in openings
        if opening.ended and (run := owners.get((opening.kind, opening.id))) and run.closes_at
    ]
    if late:
        yield f"of {len(late)} pools and trainings of windows, the latest was closed {max(late):.0f} s after its end"
    skipped = sum(run.skipped for run in runs)
    if skipped:
        yield f"{skipped} windows were skipped, as it was too late to open them"
    for run in runs:
        for kind in ("project", "training", "pool"):
            found = [thing for thing in things if (thing.run_id, thing.kind) == (run.run_id, kind)]
            if len(found) > 1:
                all_of_them = ", ".join(f"{thing.id} {thing.status}" for thing in found)
                yield f"{run.name} has {len(found)} {kind}s: {all_of_them}"


def _owners(things: Sequence[Thing], runs: Sequence[Run]) -> dict[tuple[str, str], Run]:
    by_id = {run.run_id: run for run in runs}
    return {(thing.kind, thing.id): by_id[thing.run_id] for thing in things if thing.run_id in by_id}
