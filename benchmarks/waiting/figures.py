"""From what was written down to the figures."""

from __future__ import annotations

import re
import statistics
from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.waiting.case import Record

IDLE = 10.0
"""Seconds before the waits from which it is seen what the process takes without them."""
BLOCKED = re.compile(rb"async thread was blocked for ([0-9.]+) seconds")


@dataclass(frozen=True)
class Figures:
    """
    What one case took.

    :param case: Its name.
    :param waits: How many waits there were.
    :param alive: How many were alive at once at the most.
    :param done: How many ended well, after their operation had ended.
    :param wrong: How many ended otherwise.
    :param requests: API requests for each wait that ended well.
    :param peak: API requests in the busiest second.
    :param cpu: CPU seconds per 1,000 waits and minute.
    :param idle: What the process takes when it waits for nothing, as a share of a core.
    :param start_cpu: CPU seconds to start all waits.
    :param memory: Bytes per wait that was alive.
    :param p50: Seconds between the end of an operation and of its wait, in the middle.
    :param p99: The same for the slowest one in a hundred.
    :param block: Seconds for which the event loop was blocked at the longest, from the start of the waits to the end of
        the last; ``None`` without one.
    :param without_gc: The same without Python's garbage collection.
    :param own_block: What of that was CPU of the process itself; other work on the machine does not disturb it.
    :param collections: How many full garbage collections there were meanwhile, and what the longest took of CPU.
    :param warnings: How often Airflow's own watchdog warned of a blocked event loop, and of how many seconds at most.
    :param server: Share of the time that the server was busy.
    :param seconds: Seconds from the first end of an operation to the last end of a wait.
    """

    case: str
    waits: int
    alive: int
    done: int
    wrong: int
    requests: float | None
    peak: float
    cpu: float
    idle: float
    start_cpu: float
    memory: float
    p50: float | None
    p99: float | None
    block: float | None
    without_gc: float | None
    own_block: float | None
    collections: tuple[int, float]
    warnings: tuple[int, float]
    server: float
    seconds: float
    failures: list[str]


def work_out(case: str, record: Record, plan: dict[str, Any], server: list[Any], start: float, log: Path) -> Figures:
    """
    Return the figures of a case.

    :param plan: The operations, and when they ended.
    :param server: Samples of the server.
    :param start: Unix time at which the waits were handed over.
    """
    first, begin = plan["first"], plan["begin"]
    ends = dict(enumerate(plan["ends"], first))
    told = {number: (at, well) for number, at, well in record.ends if number >= first}
    delays = [at - ends[number] for number, (at, well) in told.items() if well and at >= ends[number]]
    last = max((at for at, _ in told.values()), default=begin) if len(told) == len(ends) else record.samples[-1][0]
    alive = max(sample[3] for sample in record.samples if start <= sample[0] <= last)
    minutes = sum(a[3] * (b[0] - a[0]) for a, b in pairwise(record.samples) if begin <= a[0] <= last) / 60
    before = [sample[2] for sample in record.samples if sample[0] < start]
    most = max(sample[2] for sample in record.samples if start <= sample[0] <= last)
    idle = _at(record.samples, start, 1) - _at(record.samples, start - IDLE, 1)
    took = _at(record.samples, last, 1) - _at(record.samples, begin, 1)
    collections = [cpu for at, cpu in record.collections if start < at <= last]
    requests = _at(server, last, 2) - _at(server, start, 2)
    return Figures(
        case=case,
        waits=len(ends),
        alive=alive,
        done=len(delays),
        wrong=len(told) - len(delays),
        requests=requests / len(delays) if delays else None,
        peak=max((b[2] - a[2]) / (b[0] - a[0]) for a, b in pairwise(server) if b[0] > start and b[0] - a[0] > 0.5),
        cpu=took / minutes * 1000,
        idle=idle / IDLE,
        start_cpu=_at(record.samples, begin, 1) - _at(record.samples, start, 1),
        memory=(most - before[-1]) / alive,
        p50=statistics.median(delays) if delays else None,
        p99=sorted(delays)[int(len(delays) * 0.99)] if delays else None,
        block=_most(record, start, last + 1, 4),
        without_gc=_most(record, start, last + 1, 5),
        own_block=_most(record, start, last + 1, 6),
        collections=(len(collections), max(collections, default=0.0)),
        warnings=_warnings(log),
        server=(_at(server, last, 1) - _at(server, begin, 1)) / (last - begin),
        seconds=last - begin,
        failures=record.failures,
    )


def _at(samples: list[Any], moment: float, column: int) -> float:
    """Return a column at a moment between two samples."""
    place = min(max(bisect_left(samples, moment, key=lambda sample: sample[0]), 1), len(samples) - 1)
    before, after = samples[place - 1], samples[place]
    share = min(max((moment - before[0]) / (after[0] - before[0]), 0.0), 1.0)
    return float(before[column] + share * (after[column] - before[column]))


def _most(record: Record, after: float, until: float, column: int) -> float | None:
    """Return the longest block in a time, ``None`` if there is no event loop."""
    return max((sample[column] for sample in record.samples if after < sample[0] <= until), default=0.0) or None


def _warnings(log: Path) -> tuple[int, float]:
    """Return how often Airflow's watchdog warned, and of how much."""
    if not log.exists():
        return 0, 0.0
    with log.open("rb") as lines:
        found = [float(match[1]) for match in map(BLOCKED.search, lines) if match]
    return len(found), max(found, default=0.0)
