"""What happened, in order: requests that were answered and events in the world."""

from __future__ import annotations

import threading
from typing import Any

from toloka_airflow.emulator.clock import format_date

Entry = dict[str, Any]


class Journal:
    """Keep every entry; `seq` counts from 1 and is never used twice."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[Entry] = []

    def add(self, kind: str, moment: int, facts: Entry) -> None:
        """Append an entry."""
        with self._lock:
            self._entries.append({"seq": len(self._entries) + 1, "at": moment, "kind": kind, **facts})

    def after(self, seq: int) -> list[Entry]:
        """Return the entries that came after entry number `seq`."""
        with self._lock:
            entries = self._entries[max(seq, 0) :]
        return [entry | {"at": format_date(entry["at"])} for entry in entries]

    def requests(self, method: str | None = None, path: str | None = None) -> list[Entry]:
        """Return the requests of a method to a path; None stands for any."""
        return [
            entry
            for entry in self.after(0)
            if entry["kind"] == "request" and method in (None, entry["method"]) and path in (None, entry["path"])
        ]

    def events(self, event: str | None = None) -> list[Entry]:
        """Return the events of a name; None stands for any."""
        return [entry for entry in self.after(0) if entry["kind"] == "event" and event in (None, entry["event"])]

    def clear(self) -> None:
        """Forget everything and count from 1 again."""
        with self._lock:
            self._entries.clear()
