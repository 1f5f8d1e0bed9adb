"""
Draw ``docs/images/week.svg``: a week of the example ``weekday_window``, run against a local Toloka in virtual time.

The windows are those of the timetable, the open times and the answers are what the local Toloka wrote down.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

if __name__ == "__main__":
    os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="toloka-airflow-week-")
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"

from dags_examples.weekday_window import dag
from tests.small_airflow import SCHEDULER, TRIGGERER, SmallAirflow, Span, Troubles
from tests.virtual_time import VirtualTime, sleep_until
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.timetables import PoolWindowTimetable

IMAGE = Path(__file__).with_name("images") / "week.svg"
ZONE = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 4, 27, tzinfo=ZONE)
HOLIDAY = MONDAY + timedelta(days=4)
DAY, HOUR, QUARTER = 86400.0, 3600.0, 900.0

FIRST_HOUR, LAST_HOUR = 6, 21
LEFT, TOP, WIDTH, ROW, PER_HOUR = 92, 72, 960, 58, 38

STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 } .small, .hour { fill: #59636e; font-size: 12px }
  .hour { text-anchor: middle } .day { font-weight: 600 } .line { stroke: #d1d9e0 }
  .page { fill: #ffffff } .window { fill: #ddf4ff; stroke: #54aeff } .open { fill: #0969da }
  .answers { fill: #1a7f37 } .down { fill: url(#hatch); stroke: #bc4c00 } .hatch { stroke: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .small, .hour { fill: #9198a1 } .line { stroke: #3d444d } .page { fill: #0d1117 }
    .window { fill: #0c2d6b; stroke: #388bfd } .open { fill: #79c0ff } .answers { fill: #3fb950 }
    .down { stroke: #f0883e } .hatch { stroke: #f0883e }
  }
"""


class Week:
    """What happened in the week, in Unix time."""

    def __init__(self) -> None:
        self.down = [self._between(1, 7.5, 11.25), self._between(3, 16.5, 20)]
        self.timetable = PoolWindowTimetable(timezone=ZONE.key, exclude_dates=[HOLIDAY.date()])
        start = (MONDAY - timedelta(hours=6)).astimezone(UTC).replace(tzinfo=None)
        crowd = CrowdSettings(size=5, seconds_per_task=(20, 300), active_hours=(5, 20))
        with EmulatorServer(seed=4, frozen=True, start=start.isoformat(), crowd=crowd) as toloka:
            os.environ["AIRFLOW_CONN_TOLOKA_DEFAULT"] = toloka.connection
            self._pool_id = toloka.add_pool(tasks=30_000, overlap=1, reward_per_assignment=0.01)
            with VirtualTime(toloka, MONDAY - timedelta(hours=6)) as virtual, tempfile.TemporaryDirectory() as folder:
                self.airflow = SmallAirflow(
                    dag,
                    virtual,
                    troubles=Troubles(down={SCHEDULER: self.down, TRIGGERER: self.down}),
                    timetable=self.timetable,
                    variables={"toloka_pool": self._pool_id},
                    params={"output": f"file://{folder}", "closes_at": ""},
                )
                virtual.run(self._pass())
            self._journal = toloka.journal.events()

    async def _pass(self) -> None:
        runs = asyncio.create_task(self.airflow.schedule())
        await sleep_until(MONDAY.timestamp() + 7 * DAY)
        runs.cancel()

    def windows(self) -> list[Span]:
        """Return the windows of the week."""
        end = MONDAY + timedelta(days=7)
        found: list[Span] = []
        for window in self.timetable.windows(MONDAY):
            if window.start >= end:
                return found
            found.append((window.start.timestamp(), window.end.timestamp()))
        return found

    def rounds(self) -> Iterator[tuple[Span, str]]:
        """Yield when the pool was open, and why it was closed."""
        since = 0.0
        for event in self._journal:
            if event["event"] == "pool.opened":
                since = _moment(event)
            elif event["event"] == "pool.closed":
                yield (since, _moment(event)), event["reason"]

    def answers(self) -> Counter[float]:
        """Return how many answers came in each quarter of an hour."""
        return Counter(
            _moment(event) // QUARTER * QUARTER for event in self._journal if event["event"] == "assignment.submitted"
        )

    def _between(self, day: int, start: float, end: float) -> Span:
        midnight = MONDAY.timestamp() + day * DAY
        return midnight + start * HOUR, midnight + end * HOUR


def _moment(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["at"]).replace(tzinfo=UTC).timestamp()


def draw(week: Week) -> Iterator[str]:
    """Yield the lines of the picture."""
    height = TOP + 7 * ROW + 46
    yield f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">'
    yield "<title>A week of weekday_window: when its windows were, and when the pool was open</title>"
    yield f"<style>{STYLE}</style>"
    yield '<defs><pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    yield '<line class="hatch" x1="0" y1="0" x2="0" y2="7" stroke-opacity="0.8"/></pattern></defs>'
    yield f'<rect class="page" width="{WIDTH}" height="{height}" rx="8"/>'
    dates = f"{MONDAY:%-d %B} to {MONDAY + timedelta(days=6):%-d %B %Y}"
    yield _text(16, 30, f"A week of weekday_window: {dates}, time in Berlin", "title")
    yield from _grid()
    for start, end in week.windows():
        yield _box("window", start, end, 6, ROW - 12, rx=4)
    for span in week.down:
        yield _box("down", *span, 3, ROW - 6, rx=3)
    most = max(week.answers().values())
    for quarter, count in week.answers().items():
        tall = (ROW - 34) * count / most
        yield _box("answers", quarter + 60, quarter + QUARTER - 60, ROW - 19 - tall, tall)
    notes = dict.fromkeys(range(7), "")
    for (start, end), reason in week.rounds():
        yield _box("open", start, end, ROW - 17, 7, rx=2)
        notes[_place(start)[0]] = f"open {_clock(start)} to {_clock(end)}|{REASONS[reason]}"
    notes |= {4: "a holiday: no window|in exclude_dates", 5: "no window", 6: "no window"}
    for number, note in notes.items():
        for line, part in enumerate(note.split("|")):
            yield _text(_x(LAST_HOUR) + 16, TOP + number * ROW + 26 + 17 * line, part, "small" if line else "")
    yield from _legend(TOP + 7 * ROW + 26)
    yield "</svg>"


REASONS = {"MANUAL": "closed by the DAG", "EXPIRED": "closed by its expiry date"}


def _grid() -> Iterator[str]:
    bottom = TOP + 7 * ROW
    for hour in range(FIRST_HOUR, LAST_HOUR + 1, 3):
        yield _text(_x(hour), TOP - 8, f"{hour}:00", "hour")
        yield f'<line class="line" x1="{_x(hour)}" x2="{_x(hour)}" y1="{TOP}" y2="{bottom}"/>'
    for number in range(7):
        day = MONDAY + timedelta(days=number)
        yield _text(16, TOP + number * ROW + 33, f"{day:%a %-d %b}", "day")
        yield f'<line class="line" x1="16" x2="{WIDTH - 16}" y1="{TOP + number * ROW}" y2="{TOP + number * ROW}"/>'


def _legend(y: int) -> Iterator[str]:
    x = 92
    for kind, name in {
        "window": "window",
        "open": "pool is open",
        "answers": "answers in a quarter of an hour",
        "down": "Airflow is down",
    }.items():
        yield f'<rect class="{kind}" x="{x}" y="{y - 10}" width="22" height="12" rx="2"/>'
        yield _text(x + 29, y, name, "small")
        x += 29 + 7 * len(name) + 26


def _box(kind: str, start: float, end: float, y: float, height: float, rx: float = 0) -> str:
    number, hour = _place(start)
    x, width = _x(hour), (end - start) / HOUR * PER_HOUR
    top = TOP + number * ROW + y
    return f'<rect class="{kind}" x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{rx}"/>'


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text x="{x}" y="{y}" class="{kind}">{text}</text>'


def _place(moment: float) -> tuple[int, float]:
    """Return the day of the week and the hour of a moment."""
    day, seconds = divmod(moment - MONDAY.timestamp(), DAY)
    return int(day), seconds / HOUR


def _clock(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, ZONE):%H:%M}"


def _x(hour: float) -> float:
    return LEFT + (hour - FIRST_HOUR) * PER_HOUR


def main() -> None:
    """Run the week and write the picture."""
    IMAGE.write_text("\n".join(draw(Week())) + "\n")


if __name__ == "__main__":
    main()
