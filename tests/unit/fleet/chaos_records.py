"""A time of chaos that went well, for tests to spoil."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fleet.chaos.disturbances import DISTURBANCES
from fleet.chaos.records import Attempt, Disturbance, Event, Records, Run, Thing

BEGAN = 1_900_000_000.0
MINUTES = 2.0
LOST = "heartbeat timeout: Task did not emit heartbeat within time limit"


class Scenario:
    """
    Three rounds: `green`, `window` with a training, and `red`, whose review failed as its worker was killed.

    Times are seconds from the beginning.
    """

    def __init__(self) -> None:
        self.runs = {
            "green": Run("round_plain", "green", "success", 0, 100),
            "window": Run("round_window", "window", "success", 5, 110, closes_at=80),
            "red": Run(
                "round_plain", "red", "failed", 10, 115, attempts=(Attempt("review", 6, "failed", 70, 112, (LOST,)),)
            ),
        }
        self.things = {
            "10": Thing("project", "10", "green", "ARCHIVED"),
            "11": Thing("pool", "11", "green", "ARCHIVED"),
            "20": Thing("project", "20", "window", "ARCHIVED"),
            "21": Thing("pool", "21", "window", "ARCHIVED"),
            "22": Thing("training", "22", "window", "ARCHIVED"),
            "30": Thing("project", "30", "red", "ACTIVE"),
            "31": Thing("pool", "31", "red", "CLOSED"),
        }
        self.events = [
            *open_for("pool", "11", 30, 70),
            *open_for("pool", "21", 30, 81),
            *open_for("training", "22", 31, 83),
            *open_for("pool", "31", 40, 60),
        ]
        kinds = enumerate(DISTURBANCES)
        self.disturbances = {
            kind: Disturbance(kind, 8.0 * n, 8.0 * n + 5, f"{kind} was disturbed") for n, kind in kinds
        }
        self.disturbances["worker"] = Disturbance(
            "worker", 71, 72, "killed worker.2 with all its processes", True, (41, 42)
        )
        self.leaks: list[str] = []
        self.errors: list[str] = []

    def change_run(self, which: str, **facts: object) -> None:
        self.runs[which] = replace(self.runs[which], **facts)

    def change_thing(self, id: str, **facts: object) -> None:
        self.things[id] = replace(self.things[id], **facts)

    def write(self, folder: Path) -> Records:
        """Write it down as a time of chaos does, in Toloka's time and ours."""
        records = Records(folder)
        records.add("about", {"seed": 7, "minutes": MINUTES, "began": BEGAN})
        records.add("clock", {"here": BEGAN, "there": BEGAN})
        runs = [_moved(run, "began", "ended", "closes_at") for run in self.runs.values()]
        records.put("runs", [replace(run, attempts=_all_moved(run.attempts)) for run in runs])
        records.put("things", list(self.things.values()))
        records.put("disturbances", _all_moved(tuple(self.disturbances.values())))
        for event in self.events:
            entry = {"kind": "event", "event": f"{event.kind}.{event.what}", "pool_id": event.id, "at": date(event.at)}
            records.add("journal", entry | ({"reason": event.reason} if event.reason else {}))
        for second in range(0, 120, 3):
            entry = {"kind": "request", "method": "GET", "path": "/api/v1/pools", "query": "", "at": date(second)}
            records.add("journal", entry | ({"fault": "drop"} if second % 60 == 0 else {"status": 200}))
        for leak in self.leaks:
            records.add("leaks", {"where": leak})
        for error in self.errors:
            records.add("errors", {"at": BEGAN, "error": error})
        return records


def open_for(kind: str, id: str, began: float, ended: float | None) -> list[Event]:
    opened = [Event(began, "opened", kind, id)]
    return opened if ended is None else [*opened, Event(ended, "closed", kind, id, "MANUAL")]


def date(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(BEGAN + seconds, UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")


def _moved(item, *names):
    times = {name: getattr(item, name) for name in names}
    return replace(item, **{name: None if time is None else BEGAN + time for name, time in times.items()})


def _all_moved(items):
    return tuple(_moved(item, "began", "ended") for item in items)


Spoil = Callable[[Scenario], object]
