"""What one case of the benchmark has in common with the others; needs nothing but the standard library."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PAGE = 300
CHUNK = 5_000
WARM_UP = 100
"""So many rows are moved before the measurement, in which nothing is then imported."""


@dataclass(frozen=True)
class Case:
    """
    What is measured.

    :param latency: Milliseconds that the server waits before each answer.
    """

    job: str
    peer: str
    rows: int
    latency: int

    def __str__(self) -> str:
        return f"{self.job} of {self.rows:,} rows by {self.peer} at {self.latency} ms"


@dataclass
class Result:
    """One case, done once."""

    rows: int
    seconds: float
    cpu: float
    peak: int
    server_cpu: float
    requests: int

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds


@dataclass(frozen=True)
class Job:
    """
    One transfer.

    :param url: Where the server is.
    :param rows: How many rows; also the id of the pool.
    :param source: The tasks to upload, as JSON Lines.
    :param target: Where ids or answers are written.
    """

    url: str
    rows: int
    source: Path
    target: Path

    @property
    def pool_id(self) -> str:
        """The pool that has as many answers as this job has rows."""
        return str(self.rows)


def measure(**jobs: Callable[[Job], None]) -> None:
    """Do the job of the command line, and print what it took as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("job", choices=jobs)
    parser.add_argument("url")
    parser.add_argument("rows", type=int)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    work, suffix = jobs[options.job], "parquet" if options.job == "parquet" else "jsonl"
    for rows in (WARM_UP, options.rows):
        source, target = options.folder / f"tasks_{rows}.jsonl", options.folder / "out" / f"{rows}.{suffix}"
        job = Job(options.url, rows, source, target)
        start, cpu = time.perf_counter(), time.process_time()
        work(job)
        taken = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}
    print(json.dumps({**taken, "peak": _peak()}))


def _peak() -> int:
    """Return the largest number of bytes that this process held; ``ru_maxrss`` would count its parent's, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
