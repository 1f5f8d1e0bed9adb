"""What a process that waits writes down of itself; needs nothing but the standard library."""

from __future__ import annotations

import json
import resource
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

INTERVAL = 0.5
"""Seconds between two samples."""


@dataclass
class Record:
    """
    What happened in a process that waits.

    :param samples: Unix time, CPU seconds, bytes of memory, waits that are alive; and the longest block of the event
        loop since the sample before, in seconds: all of it, without Python's garbage collection, and of the rest what
        was CPU of this process.
    :param collections: Of each full garbage collection: the Unix time, and what it took of CPU.
    :param ends: Of each wait that ended: its number, the Unix time, and whether it ended well.
    :param failures: What went wrong otherwise; the first few.
    """

    samples: list[tuple[float, float, int, int, float, float, float]] = field(default_factory=list)
    collections: list[tuple[float, float]] = field(default_factory=list)
    ends: list[tuple[int, float, bool]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def sample(self, alive: int, blocks: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> None:
        """Write down how it is now."""
        self.samples.append((time.time(), time.process_time(), memory(), alive, *blocks))

    def end(self, number: int, *, well: bool) -> None:
        """Write down that a wait ended just now."""
        self.ends.append((number, time.time(), well))

    def fail(self, reason: str) -> None:
        """Write down what went wrong."""
        if len(self.failures) < 5:
            self.failures.append(reason[:500])

    def save(self, path: Path) -> None:
        """Write everything to a file."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Record:
        """Return what another process saved."""
        return cls(**json.loads(path.read_text()))


def went_well(payload: Any) -> bool:
    """Return whether an event says that what was waited for was done."""
    return payload is True or payload.get("kind") == "finished" or payload.get("status") == "success"


def memory() -> int:
    """Return the bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def allow_many_files() -> None:
    """Let this process have as many connections as the machine allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
