"""Disturb a fleet that works, write down what happens, and print how far it is."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psutil

from fleet.chaos.disturbances import DISTURBANCES, Scene
from fleet.chaos.records import Disturbance, Records

if TYPE_CHECKING:
    from fleet.chaos.bag import Step
    from fleet.chaos.rounds import Rounds
    from fleet.chaos.toloka import Toloka

TRY_FOR = 15.0
"""Seconds in which a disturbance looks for somebody to hit; then it comes again as the next one."""
REPORT_EVERY = 10.0
PATIENCE = 900.0
"""Seconds for which the last rounds may go on after the last disturbance."""
QUIET = 100.0
"""Seconds after the last round: a call that was not answered is repeated for 90, perhaps by an orphaned process."""


class Disturber(threading.Thread):
    """
    Disturb the fleet until `stop` is set, then end what lasts.

    :param steps: Which disturbance comes when.
    """

    def __init__(self, scene: Scene, records: Records, steps: Iterator[Step]) -> None:
        super().__init__(name="disturber")
        self.stop = threading.Event()
        self.count = 0
        self._scene = scene
        self._records = records
        self._steps = steps

    def run(self) -> None:
        """Disturb; an error of our own ends it, and is written down."""
        try:
            again: Step | None = None
            due = time.monotonic()
            while True:
                step = again or next(self._steps)
                due = max(due + step.pause, time.monotonic())  # from beginning to beginning
                if self._stopped_before(due):
                    return
                again = None if self._disturb(step) else step
        except Exception:
            self._records.add("errors", {"at": time.time(), "error": traceback.format_exc()})
            say(f"The disturbances ended with an error:\n{traceback.format_exc()}")
        finally:
            self._scene.end_due(all_of_them=True)

    def _stopped_before(self, due: float) -> bool:
        while time.monotonic() < due:
            if self.stop.wait(0.5):
                return True
            self._scene.end_due()
        return False

    def _disturb(self, step: Step) -> bool:
        disturb, lasts = DISTURBANCES[step.kind]
        deadline, began = time.monotonic() + TRY_FOR, time.time()
        told: str | None = None
        while told is None and time.monotonic() < deadline and not self.stop.is_set():
            began = time.time()
            try:
                told = disturb(self._scene, step.choice)
            except (psutil.NoSuchProcess, FileNotFoundError):
                told = None  # it is being started again just now
            if told is None:
                time.sleep(1)
        killed, self._scene.killed = tuple(self._scene.killed), []
        done = Disturbance(step.kind, began, time.time() + lasts, told or "hit nobody", told is not None, killed)
        self._records.add("disturbances", vars(done))
        self.count += done.hit
        say(f"{step.kind}: {done.told}")
        return done.hit


class Journal:
    """Fetch what Toloka writes down, all but what single people do; and count what is open."""

    def __init__(self, toloka: Toloka, records: Records) -> None:
        self._toloka = toloka
        self._records = records
        self._last = 0
        self.open: set[tuple[str, str]] = set()

    def fetch(self) -> None:
        """Write down what is new."""
        items, self._last = self._toloka.journal(self._last)
        for entry in items:
            kind, _, what = entry.get("event", "").partition(".")
            if kind == "assignment" or entry["kind"] not in ("event", "request"):
                continue
            self._records.add("journal", entry)
            if kind in ("pool", "training") and what == "opened":
                self.open.add((kind, entry["pool_id"]))
            elif kind in ("pool", "training") and what == "closed":
                self.open.discard((kind, entry["pool_id"]))


def note_clock(records: Records, toloka: Toloka) -> None:
    """Write down what Toloka's clock shows now."""
    there = datetime.fromisoformat(toloka.now()).replace(tzinfo=UTC).timestamp()
    records.add("clock", {"here": time.time(), "there": there})


def disturb(disturber: Disturber, rounds: Rounds, journal: Journal, minutes: float) -> None:
    """Have rounds done and the fleet disturbed for so long; return when all have ended and what could follow has."""
    end = time.monotonic() + minutes * 60
    disturber.start()
    try:
        while time.monotonic() < end and disturber.is_alive():
            while rounds.start_one():
                pass
            _report(disturber, rounds, journal, f"{max(end - time.monotonic(), 0) / 60:4.1f} minutes left")
            time.sleep(REPORT_EVERY)
    finally:
        disturber.stop.set()
        disturber.join()
    say("No more disturbances and no more rounds; waiting for those on the way")
    deadline = time.monotonic() + PATIENCE
    while (not rounds.count() or rounds.active) and time.monotonic() < deadline:
        _report(disturber, rounds, journal, "the last rounds")
        time.sleep(REPORT_EVERY)
    say(f"All rounds have ended. Watching for {QUIET:.0f} s whether anything follows")
    time.sleep(QUIET)
    journal.fetch()


def _report(disturber: Disturber, rounds: Rounds, journal: Journal, left: str) -> None:
    journal.fetch()
    known = "" if rounds.count() else " (as of before: the database does not answer)"
    by_kind = {kind: sum(each == kind for each, _ in journal.open) for kind in ("pool", "training")}
    counts = rounds.counts
    say(
        f"{left}: {disturber.count} disturbances; rounds: {rounds.active} on the way, "
        f"{counts.get('success', 0)} green, {counts.get('failed', 0)} red{known}; "
        f"open: {by_kind['pool']} pools, {by_kind['training']} trainings"
    )


def say(what: str) -> None:
    """Print a line with the time."""
    print(f"{time.strftime('%H:%M:%S')}  {what}", flush=True)
