"""The table in ``docs/performance.md``, between its marks."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.waiting import chart
from benchmarks.waiting.cases import CASES, POLL_INTERVAL
from docs import made_parts

if TYPE_CHECKING:
    from benchmarks.waiting.figures import Figures

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "performance.md"
IMAGE = DOCS / "images" / "waiting.svg"
HEAD = (
    "requests per wait",
    "requests/s at peak",
    "CPU s per 1,000 waits and minute",
    "memory per wait",
    "seen after, median",
    "99 % seen after",
    "longest block",
    "without garbage collection",
    "server busy",
)
GOAL_RATIO = 50
GOAL_DELAY = POLL_INTERVAL + 1
GOAL_BLOCK = {1_000: 0.03, 10_000: 0.25}
GOAL_MEMORY = 12e3


def line(figures: Figures) -> str:
    """Return the figures of a case in a line."""
    cells = ", ".join(f"{name}: {cell}" for name, cell in zip(HEAD, _cells(figures), strict=True))
    times, longest = figures.warnings
    notes = [
        f"{figures.alive:,} of {figures.waits:,} alive at once, {figures.done:,} done in {figures.seconds:.0f} s",
        f"{figures.wrong:,} ended wrong",
        f"to start them: {figures.start_cpu:.1f} s of CPU",
        f"of the longest block without garbage collection, {_milliseconds(figures.own_block)} was its own CPU",
        "{} full garbage collections, of {:.3f} s at most".format(*figures.collections),
        f"idle: {figures.idle:.1%} of a core",
        f"Airflow warned {times} times, of {longest:.2f} s at most",
        *figures.failures,
    ]
    return f"  {cells}\n  " + "\n  ".join(notes)


def table(results: list[Figures]) -> str:
    """Return the figures as tables of Markdown, and what of them was wanted."""
    counts = sorted({one.waits for one in results})
    return "\n".join([_machine(), *(part for count in counts for part in _of_count(results, count))])


def write(results: list[Figures]) -> None:
    """Put the figures into the page, and draw the chart."""
    made_parts.write(PAGE, {"figures": f"{table(results)}\n"})
    IMAGE.write_text("\n".join(chart.draw(results)) + "\n")


def _of_count(results: list[Figures], count: int) -> Iterator[str]:
    here = {one.case: one for one in results if one.waits == count}
    yield f"\n**{count:,} waits**\n"
    yield f"| | {' | '.join(HEAD)} |"
    yield "| --- " * (len(HEAD) + 1) + "|"
    for name in CASES:
        if name in here:
            yield f"| {CASES[name].title} | {' | '.join(_cells(here[name]))} |"
    notes = [note for name in CASES if name in here for note in _notes(here[name])]
    if notes:
        yield ""
        yield from notes
    if "shared" in here:
        yield ""
        yield from _goals(here)


def _cells(one: Figures) -> list[str]:
    return [
        "-" if one.requests is None else _short(one.requests),
        f"{one.peak:,.0f}",
        _short(one.cpu),
        f"{one.memory / 1e3:,.0f} kB",
        _seconds(one.p50),
        _seconds(one.p99),
        _milliseconds(one.block),
        _milliseconds(one.without_gc),
        f"{one.server:.0%}",
    ]


def _notes(one: Figures) -> Iterator[str]:
    """Yield what is not in the table."""
    title = CASES[one.case].title
    late = one.waits - one.done - one.wrong
    if late or one.wrong:
        yield f"- {title}: {one.done:,} waits ended well, {one.wrong:,} with an error, {late:,} were not done in time."
    if one.alive < one.waits:
        yield f"- {title}: no more than {one.alive:,} waits were alive at once; starting the others took too long."
    times, longest = one.warnings
    if times:
        yield f"- {title}: Airflow's own warnings of a blocked event loop: {times:,}, of {longest:.2f} s at the most."


def _goals(here: dict[str, Figures]) -> Iterator[str]:
    ours = here["shared"]
    wanted = [
        (f"99 % seen within {GOAL_DELAY:.0f} s", ours.p99 is not None and ours.p99 <= GOAL_DELAY),
        ("every wait ended well", ours.done == ours.waits),
    ]
    if ours.waits in GOAL_BLOCK and ours.without_gc is not None:
        most = GOAL_BLOCK[ours.waits]
        wanted.append(
            (
                f"event loop never blocked for more than {_milliseconds(most)}, garbage collection aside",
                ours.without_gc <= most,
            )
        )
    if "sleep" in here:
        more = ours.memory - here["sleep"].memory
        wanted.append((f"{more / 1e3:,.0f} kB more than Airflow alone, at most 12", more <= GOAL_MEMORY))
    if "bare" in here and ours.waits in GOAL_BLOCK and (longest := here["bare"].block) is not None:
        most, memory = GOAL_BLOCK[ours.waits], here["bare"].memory
        wanted += [
            (f"in a bare loop, never blocked for more than {_milliseconds(most)} in any case", longest <= most),
            (f"in a bare loop, {memory / 1e3:,.0f} kB a wait, at most 12", memory <= GOAL_MEMORY),
        ]
    for peer in ("http", "dbt"):
        if peer in here and (theirs := here[peer].requests) and ours.requests:
            ratio = theirs / ours.requests
            met = ratio >= GOAL_RATIO or ours.waits < 1_000  # few waits need few requests, whoever asks
            wanted.append((f"{ratio:,.0f} times fewer requests than the {CASES[peer].title}", met))
    yield (
        "Ours, against what is wanted: "
        + "; ".join(f"{what} ({'yes' if met else '**no**'})" for what, met in wanted)
        + "."
    )


def _machine() -> str:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return (
        f"Taken on {datetime.now(UTC):%-d %B %Y} with {platform.python_implementation()} {platform.python_version()}"
        f" on a machine with {os.cpu_count()} cores ({model[1].strip() if model else platform.machine()})."
    )


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value * 1e3:,.0f} ms"
