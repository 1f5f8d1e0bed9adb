"""From what was seen to the figures."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.fleet.kinds import POLL_INTERVAL, PROGRESS_INTERVAL
from benchmarks.fleet.toloka import BY_ID, LIST, Request

SURELY_SEEN = POLL_INTERVAL + 2
"""Seconds before a kill in which what ended may not be seen before it."""


@dataclass
class Record:
    """
    What was seen of one kind; all times are Unix times.

    :param deferred: When the waits began.
    :param assigned: When a triggerer had each of them; ``None`` if that did not happen before the first end.
    :param shares: How many triggers each triggerer had then.
    :param begin: When the first of them could end; until then nothing ended.
    :param ends: When what was waited for ended, for each wait.
    :param seen: When the event was stored in the database and the task was done, and whether it went well; by wait.
    :param killed: When a triggerer was killed, if one was.
    :param lost: How many triggers it had.
    :param taken_over: When the others had all its triggers.
    :param requests: Everything that was requested of the server since the waits began.
    :param refused: How many requests were too many for a quota.
    :param connections: Of the database, at some times.
    :param memory: Bytes of both triggerers at some times.
    :param cpu: CPU seconds of both triggerers from `assigned` to `begin`.
    :param blocks_at_start: Airflow's own warnings of a blocked event loop before `begin`, in seconds.
    :param blocks_later: And after it.
    """

    kind: str
    deferred: float
    begin: float
    ends: list[float]
    assigned: float | None = None
    shares: list[int] = field(default_factory=list)
    seen: dict[int, tuple[float | None, float | None, bool]] = field(default_factory=dict)
    killed: float | None = None
    lost: int = 0
    taken_over: float | None = None
    requests: list[Request] = field(default_factory=list)
    refused: int = 0
    connections: list[tuple[float, int]] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    cpu: float = 0.0
    blocks_at_start: list[float] = field(default_factory=list)
    blocks_later: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Figures:
    """
    What one kind took.

    :param assigned: Seconds until a triggerer had each of the waits.
    :param quiet: Seconds in which nothing ended.
    :param lists: Requests of lists in that time.
    :param by_id: Requests by id in that time.
    :param quiet_requests: All requests in that time.
    :param per_measurement: Requests for each wait and `PROGRESS_INTERVAL`, lists included, once all waits have been
        there for one, until the first end; ``None`` if that was no whole interval.
    :param requests: All requests until the last wait ended.
    :param peak: Requests in the busiest second.
    :param p50: Seconds from the end of what was waited for to the event in the database, in the middle, without a kill.
    :param p99: The same for the slowest one in a hundred.
    :param longest: And for the slowest.
    :param after_kill: The slowest of those that ended after the kill or shortly before.
    :param done50: Seconds until the task was done, in the middle; ``None`` where none resumes.
    :param takeover: Seconds from the kill until others had all triggers; ``None`` if it did not come to that.
    :param lost: How many triggers the killed triggerer had.
    :param connections: Of the database, at most.
    :param memory: Bytes of both triggerers at most, before the kill.
    :param idle_memory: Bytes of both before they had any trigger.
    :param cpu: Share of a core that both triggerers took while nothing ended.
    :param blocks_at_start: How often Airflow warned of a blocked event loop before the first end, and the longest.
    :param blocks_later: And after it.
    :param well: How many waits ended well.
    :param early: How many ended before they should; they are in no other figure.
    """

    kind: str
    waits: int
    assigned: float | None
    shares: list[int]
    quiet: float
    lists: int
    by_id: int
    quiet_requests: int
    per_measurement: float | None
    requests: int
    peak: int
    refused: int
    p50: float | None
    p99: float | None
    longest: float | None
    after_kill: float | None
    done50: float | None
    done99: float | None
    takeover: float | None
    lost: int
    connections: int
    memory: float
    idle_memory: float
    cpu: float
    blocks_at_start: tuple[int, float]
    blocks_later: tuple[int, float]
    well: int
    early: int

    @classmethod
    def of(cls, record: Record) -> Figures:
        """Work them out."""
        undisturbed = record.killed - SURELY_SEEN if record.killed else float("inf")
        delays, disturbed, done, early = [], [], [], 0
        for wait, (seen, end_of_task, well) in record.seen.items():
            end = record.ends[wait]
            if not well or seen is None:
                continue
            if seen < end:
                early += 1
                continue
            (delays if end < undisturbed else disturbed).append(seen - end)
            if end_of_task is not None:
                done.append(end_of_task - end)
        quiet = [sort for at, sort in record.requests if at < record.begin]
        memory = [size for at, size in record.memory if record.killed is None or at < record.killed]
        return cls(
            kind=record.kind,
            waits=len(record.ends),
            assigned=None if record.assigned is None else record.assigned - record.deferred,
            shares=record.shares,
            quiet=record.begin - record.deferred,
            lists=quiet.count(LIST),
            by_id=quiet.count(BY_ID),
            quiet_requests=len(quiet),
            per_measurement=_per_measurement(record),
            requests=len(record.requests),
            peak=max(Counter(int(at) for at, _ in record.requests).values(), default=0),
            refused=record.refused,
            p50=share(delays, 0.5),
            p99=share(delays, 0.99),
            longest=max(delays, default=None),
            after_kill=max(disturbed, default=None),
            done50=share(done, 0.5),
            done99=share(done, 0.99),
            takeover=None if record.killed is None or record.taken_over is None else record.taken_over - record.killed,
            lost=record.lost,
            connections=max((count for _, count in record.connections), default=0),
            memory=max(memory, default=0.0),
            idle_memory=max((size for at, size in record.memory if at < record.deferred), default=0.0),
            cpu=record.cpu / max(1.0, record.begin - (record.assigned or record.deferred)),
            blocks_at_start=_counted(record.blocks_at_start),
            blocks_later=_counted(record.blocks_later),
            well=sum(well for _, _, well in record.seen.values()),
            early=early,
        )

    def as_json(self) -> dict[str, Any]:
        """Return what the class takes."""
        return asdict(self)


def _per_measurement(record: Record) -> float | None:
    since = (record.assigned or record.begin) + PROGRESS_INTERVAL
    if (intervals := (record.begin - since) / PROGRESS_INTERVAL) < 1:
        return None
    return sum(since <= at < record.begin for at, _ in record.requests) / (len(record.ends) * intervals)


def share(values: list[float], part: float) -> float | None:
    """Return the value below which a part of the values is."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))] if values else None


def _counted(blocks: list[float]) -> tuple[int, float]:
    return len(blocks), max(blocks, default=0.0)
