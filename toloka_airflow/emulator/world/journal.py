"""What happened, in order: requests that were answered, events in the world, webhooks that were sent."""

from __future__ import annotations

import threading
from typing import Any

from toloka_airflow.emulator.world.clock import format_date
from toloka_airflow.emulator.world.news import Signal
from toloka_airflow.emulator.world.paths import pattern

Entry = dict[str, Any]

# A labelling round writes three entries per assignment: this is one of 100,000 tasks with overlap 3, and some more.
MAX_ENTRIES = 1_000_000
# So many are forgotten at once: taking single ones off the front would cost time in each request.
FORGET = MAX_ENTRIES // 10


class Journal:
    """
    Keep entries, and forget the oldest when there are very many; `seq` counts from 1 and is never used twice.

    They are kept as tuples of moment, kind, names and values: many entries share their names.
    """

    def __init__(self, news: Signal | None = None) -> None:
        self._lock = threading.Lock()
        self._news = news or Signal()
        self._forgotten = 0
        self._kept: list[tuple[Any, ...]] = []
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}

    @property
    def last(self) -> int:
        """Return the number of the last entry."""
        return self._forgotten + len(self._kept)

    def add(self, kind: str, moment: int, facts: Entry) -> None:
        """Append an entry."""
        with self._lock:
            self._append(kind, moment, facts)
            if len(self._kept) > MAX_ENTRIES:
                del self._kept[:FORGET]
                self._forgotten += FORGET
        self._news.fire()

    def _append(self, kind: str, moment: int, facts: Entry) -> None:
        names = tuple(facts)
        self._kept.append((moment, kind, self._names.setdefault(names, names), *facts.values()))

    def _from(self, seq: int) -> list[Entry]:
        with self._lock:
            start = max(seq - self._forgotten, 0)
            kept, first = self._kept[start:], self._forgotten + start + 1
        return [
            {"seq": number, "at": moment, "kind": kind, **dict(zip(names, values, strict=True))}
            for number, (moment, kind, names, *values) in enumerate(kept, first)
        ]

    def after(self, seq: int, *, path: str | None = None, **wanted: str | None) -> list[Entry]:
        """
        Return the entries that came after entry number `seq`.

        :param path: Only requests to this path; it may be a template such as `/api/v1/pools/{id}`.
        :param wanted: Only entries with these values: kind, event, method; None stands for any.
        """
        exact = {name: value for name, value in wanted.items() if value is not None}
        place = None if path is None else pattern(path)
        return [
            entry | {"at": format_date(entry["at"])}
            for entry in self._from(seq)
            if all(entry.get(name) == value for name, value in exact.items())
            and (place is None or place.fullmatch(entry.get("path", "")))
        ]

    def requests(self, method: str | None = None, path: str | None = None) -> list[Entry]:
        """Return the requests of a method to a path or a template of one; None stands for any."""
        return self.after(0, kind="request", method=method, path=path)

    def events(self, event: str | None = None) -> list[Entry]:
        """Return the events of a name; None stands for any."""
        return self.after(0, kind="event", event=event)

    def deliveries(self) -> list[Entry]:
        """Return the attempts to deliver webhooks."""
        return self.after(0, kind="delivery")

    def state(self) -> dict[str, Any]:
        """Return all that a snapshot has to keep: how many were forgotten, and moment, kind and facts of the others."""
        with self._lock:
            kept = [
                (moment, kind, dict(zip(names, values, strict=True))) for moment, kind, names, *values in self._kept
            ]
            return {"forgotten": self._forgotten, "kept": kept}

    def resume(self, forgotten: int, kept: list[tuple[int, str, Entry]]) -> None:
        """Forget everything and go on from a state."""
        with self._lock:
            self._kept.clear()
            self._forgotten = forgotten
            for moment, kind, facts in kept:
                self._append(kind, moment, facts)

    def clear(self) -> None:
        """Forget everything and count from 1 again."""
        self.resume(0, [])
