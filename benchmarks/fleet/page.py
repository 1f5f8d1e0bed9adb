"""The table in ``docs/performance.md``, between its marks, and whether the limits were kept."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.fleet.kinds import KINDS, POLL_INTERVAL
from docs import made_parts

if TYPE_CHECKING:
    from benchmarks.fleet.figures import Figures

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
HEAD = (
    "assigned after",
    "requests/s while nothing ends: lists",
    "by id",
    "all",
    "seen after, median",
    "99 %",
    "longest",
    "takeover",
    "seen after the kill, longest",
    "connections",
    "memory of both",
    "CPU while nothing ends",
    "blocked at the start",
    "blocked later",
)
MAX_LISTS = 1.0
"""Requests of lists a second."""
TRUST = 300.0
"""Seconds for each wait in which one request by id may be sent."""
LATER = POLL_INTERVAL + 2
"""Seconds that an end may be seen later than by Airflow's own trigger."""
MORE = 1.1
"""Times what Airflow's own trigger takes."""
PER_MEASUREMENT = 1.2
TAKEOVER_MARGIN = 5.0


@dataclass(frozen=True)
class Limit:
    """What is wanted, what was measured, and whether that is within it."""

    what: str
    measured: str
    is_kept: bool

    def __str__(self) -> str:
        return f"| {self.what} | {self.measured} | {'yes' if self.is_kept else '**no**'} |"


def line(one: Figures) -> str:
    """Return the figures of a kind in a line."""
    return ", ".join(f"{name}: {cell}" for name, cell in zip(HEAD, _cells(one), strict=True))


def text(results: list[Figures], command: str, threshold: float) -> str:
    """Return the figures as tables of Markdown, and what of them was wanted."""
    lines = [_machine(command)]
    for count in sorted({one.waits for one in results}):
        here = [one for kind in KINDS for one in results if (one.kind, one.waits) == (kind, count)]
        lines += ["", f"**{count:,} waits**", "", f"| | {' | '.join(HEAD)} |", "| --- " * (len(HEAD) + 1) + "|"]
        lines += [f"| {KINDS[one.kind].title} | {' | '.join(_cells(one))} |" for one in here]
        lines += ["", *notes] if (notes := [note for one in here for note in _notes(one)]) else []
        if limits := [limit for one in here for limit in limits_of(one, here, threshold)]:
            lines += ["", "| what is wanted | measured | kept |", "| --- | --- | --- |", *map(str, limits)]
    return "\n".join(lines)


def write(figures: str) -> None:
    """Put the figures into the page."""
    made_parts.write(PAGE, {"fleet": f"{figures}\n"})


def limits_of(one: Figures, others: list[Figures], threshold: float) -> Iterator[Limit]:
    """
    Yield what is wanted of ours.

    :param others: What was measured with as many waits in the same run; Airflow's own trigger may be among it.
    :param threshold: Seconds after which Airflow takes a triggerer for dead.
    """
    kind = KINDS[one.kind]
    if not kind.is_ours:
        return
    title = kind.title
    yield Limit(f"{title}: every wait ends well", f"{one.well:,} of {one.waits:,}", one.well == one.waits)
    lists = one.lists / one.quiet
    yield Limit(f"{title}: at most {MAX_LISTS:.0f} list a second", f"{lists:.2f}", lists <= MAX_LISTS)
    if one.kind == "pools":
        if (measured := one.per_measurement) is not None:
            what = f"{title}: at most {PER_MEASUREMENT} requests for each pool and measurement, lists included"
            yield Limit(what, f"{measured:.2f}", measured <= PER_MEASUREMENT)
    elif not kind.real:  # of those, workers request some, too
        most = one.waits * one.quiet / TRUST
        yield Limit(
            f"{title}: one request by id for each wait and {TRUST:.0f} s",
            f"{one.by_id:,} in {one.quiet:.0f} s, of {most:,.0f}",
            one.by_id <= most,
        )
    if one.takeover is not None or not kind.real:
        most = threshold + TAKEOVER_MARGIN
        kept = one.takeover is not None and one.takeover <= most
        yield Limit(f"{title}: taken over within {most:.0f} s", _seconds(one.takeover), kept)
    here = {other.kind: other for other in others}
    if (peer := here.get("real_datetime" if kind.real else "datetime")) is None:
        return
    if one.p99 is not None and peer.p99 is not None:
        most = peer.p99 + LATER
        yield Limit(f"{title}: 99 % seen within {most:.1f} s", _seconds(one.p99), one.p99 <= most)
    connections, memory = MORE * peer.connections, MORE * peer.memory
    yield Limit(f"{title}: at most {connections:.1f} connections", f"{one.connections}", one.connections <= connections)
    yield Limit(f"{title}: at most {memory / 1e6:,.0f} MB", f"{one.memory / 1e6:,.0f} MB", one.memory <= memory)
    if connected := here.get("connection"):
        memory = MORE * connected.memory
        yield Limit(
            f"{title}: at most {memory / 1e6:,.0f} MB, as Airflow's own that has read a connection",
            f"{one.memory / 1e6:,.0f} MB",
            one.memory <= memory,
        )


def _cells(one: Figures) -> list[str]:
    return [
        _seconds(one.assigned),
        f"{one.lists / one.quiet:.2f}",
        f"{one.by_id / one.quiet:.2f}",
        f"{one.quiet_requests / one.quiet:.2f}",
        _seconds(one.p50),
        _seconds(one.p99),
        _seconds(one.longest),
        _seconds(one.takeover),
        _seconds(one.after_kill),
        str(one.connections),
        f"{one.memory / 1e6:,.0f} MB",
        f"{one.cpu:.0%}",
        _blocks(one.blocks_at_start),
        _blocks(one.blocks_later),
    ]


def _notes(one: Figures) -> Iterator[str]:
    """Yield what is not in the table."""
    title = KINDS[one.kind].title
    kill = f", the killed one {one.lost:,} when it was" if one.lost else ""
    idle = f", and took {one.idle_memory / 1e6:,.0f} MB when they had none" if one.idle_memory else ""
    yield (
        f"- {title}: the triggerers had {_shares(one.shares)} of them{kill}{idle}; "
        f"nothing ended for {one.quiet:.0f} s; {one.requests:,} requests in all, "
        f"{one.peak:,} in the busiest second, {one.refused:,} refused; "
        f"{one.well:,} of {one.waits:,} ended well."
    )
    if one.done50 is not None:
        done, late = _seconds(one.done50), _seconds(one.done99)
        yield f"- {title}: the tasks were done after {done} in the middle, 99 % after {late}."
    if one.early:
        yield f"- {title}: {one.early:,} were seen before they ended, and are in none of the times."


def _shares(counts: list[int]) -> str:
    return " + ".join(f"{count:,}" for count in counts) or "not all"


def _blocks(blocks: tuple[int, float]) -> str:
    times, longest = blocks
    return f"{longest:.1f} s ({times})" if times else "-"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def _machine(command: str) -> str:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return (
        f"Taken on {datetime.now(UTC):%-d %B %Y} by `{command}` with {platform.python_implementation()} "
        f"{platform.python_version()} on a machine with {os.cpu_count()} cores "
        f"({model[1].strip() if model else platform.machine()}), on which databases, Toloka, workers and all else ran, "
        "too."
    )
