"""What is written down while the fleet is disturbed: a folder of JSON Lines, in which no token stands."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Disturbance:
    """
    What was done to the fleet, from when until when (seconds since 1970); `hit` is False if it met nobody.

    :param processes: Those that were killed, and the processes of tasks that lost their supervisor.
    """

    kind: str
    began: float
    ended: float
    told: str
    hit: bool = True
    processes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Attempt:
    """One try of a task as Airflow's database and logs have it, with what they say went wrong."""

    task: str
    number: int
    state: str | None
    began: float | None
    ended: float | None
    errors: tuple[str, ...] = ()
    process: int | None = None


@dataclass(frozen=True)
class Run:
    """
    A run of a DAG, or what it had become when nobody waited for it any more.

    :param closes_at: When its window was to be closed; None if it has none.
    :param skipped: Whether its window was skipped, so that it opened nothing.
    :param doubled: What the check of this run alone found twice.
    :param wrong: What else it found; a failed run may be like that.
    """

    dag_id: str
    run_id: str
    state: str
    began: float
    ended: float | None
    closes_at: float | None = None
    skipped: bool = False
    attempts: tuple[Attempt, ...] = ()
    doubled: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it is called on the page."""
        return f"{self.dag_id} {self.run_id}"


@dataclass(frozen=True)
class Thing:
    """A project, pool or training at Toloka, and the run whose id is in its name."""

    kind: str
    id: str
    run_id: str | None
    status: str

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"{self.kind} {self.id}"


@dataclass(frozen=True)
class Request:
    """A request that Toloka got; it was answered with `status`, or suffered a fault."""

    at: float
    method: str
    path: str
    status: int | None
    fault: str | None


@dataclass(frozen=True)
class Event:
    """What happened to a pool or a training: opened or closed, and why."""

    at: float
    what: str
    kind: str
    id: str
    reason: str | None = None


class Clock:
    """
    Turn Toloka's time, which disturbances step forward and slow down, into ours.

    :param samples: Pairs of our time and Toloka's at the same moment, in order: at the start and around each change.
    """

    def __init__(self, samples: Sequence[tuple[float, float]]) -> None:
        self.samples = samples

    def real(self, date: str) -> float:
        """Return when it was here that the clock there showed a date; what was jumped over happened in the jump."""
        there = datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp()
        place = bisect_right([toloka for _, toloka in self.samples], there)
        if place in (0, len(self.samples)):
            ours, toloka = self.samples[max(place - 1, 0)]
            return ours + there - toloka
        (ours, toloka), (next_ours, next_toloka) = self.samples[place - 1 : place + 1]
        return ours + (there - toloka) * (next_ours - ours) / (next_toloka - toloka)


class Records:
    """The files of one time of chaos."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, name: str, facts: Json) -> None:
        """Write something down."""
        with (self.folder / f"{name}.jsonl").open("a") as file:
            print(json.dumps(facts), file=file)

    def put(self, name: str, items: Sequence[Any]) -> None:
        """Write down all of a kind, instead of what there was."""
        lines = [json.dumps(asdict(item)) for item in items]
        (self.folder / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines))

    def rows(self, name: str) -> Iterator[Json]:
        """Read what was written down."""
        file = self.folder / f"{name}.jsonl"
        if file.exists():
            yield from map(json.loads, file.read_text().splitlines())

    def about(self) -> Json:
        """Return the seed, the minutes, when it began and when the disturbances ended."""
        facts: Json = {}
        for row in self.rows("about"):
            facts |= row
        return facts

    def disturbances(self) -> list[Disturbance]:
        """Return what was done to the fleet."""
        return [
            Disturbance(**{**row, "processes": tuple(row.get("processes", ()))}) for row in self.rows("disturbances")
        ]

    def runs(self) -> list[Run]:
        """Return the runs, in the order in which they began."""
        return [_run(row) for row in self.rows("runs")]

    def things(self) -> list[Thing]:
        """Return what there was at Toloka in the end."""
        return [Thing(**row) for row in self.rows("things")]

    def clock(self) -> Clock:
        """Return what turns Toloka's time into ours."""
        return Clock([(row["here"], row["there"]) for row in self.rows("clock")])

    def events(self) -> list[Event]:
        """Return when pools and trainings were opened and closed."""
        clock, found = self.clock(), []
        for row in self.rows("journal"):
            kind, _, what = row.get("event", "").partition(".")
            if kind in ("pool", "training") and what in ("opened", "closed"):
                found.append(Event(clock.real(row["at"]), what, kind, row["pool_id"], row.get("reason")))
        return found

    def requests(self) -> list[Request]:
        """Return what Toloka was asked."""
        clock = self.clock()
        return [
            Request(clock.real(row["at"]), row["method"], row["path"], row.get("status"), row.get("fault"))
            for row in self.rows("journal")
            if row["kind"] == "request"
        ]


def _run(row: Json) -> Run:
    attempts = tuple(Attempt(**{**each, "errors": tuple(each["errors"])}) for each in row["attempts"])
    return Run(**{**row, "attempts": attempts, "doubled": tuple(row["doubled"]), "wrong": tuple(row["wrong"])})
