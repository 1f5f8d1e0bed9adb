"""
When pools are open: a timetable whose runs are working windows.

Run ``python -m toloka_airflow.timetables --help`` to list the next windows of a schedule before it is in a DAG.
"""

from __future__ import annotations

import argparse
import re
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby, islice
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
from airflow.providers.common.compat.sdk import AirflowException
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable

from toloka_airflow._internal.troubleshooting import argument_error, with_link

__all__ = ["PoolWindowTimetable"]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


class PoolWindowTimetable(Timetable):
    """
    Start a run when a working window begins; the data interval of the run is the window.

    So ``{{ data_interval_end }}`` is when the pool must be closed. A window that is over, or has less than `min_open`
    left, gets no run: not after an unpause, a scheduler that was down, with ``catchup=True`` or by a backfill. One
    that began earlier and has enough left gets its run at once, unless it began before the DAG's ``start_date``.

    Times are those of a wall clock in an IANA time zone. The window opens, and closes, at the first moment at which
    the clocks show that time or a later one: where they are put forward over the time, when they are put forward;
    where they show it twice, the first time. A window of which nothing is left by that rule is left out.

    A manual run gets the window that it is started in. Outside of all windows it gets the time until the clocks next
    show `closes`, which is never more than a day.

    :param opens: When windows open, such as ``09:00``.
    :param closes: When they close. If it is earlier than `opens`, on the next day; ``24:00`` is midnight.
    :param days: The days of the week on which windows open: ``mon-fri``, ``mon,wed,sat-sun``, ``fri-mon``, ``daily``.
    :param timezone: The name of an IANA time zone, such as ``Europe/Berlin``.
    :param exclude_dates: Dates, or texts such as ``2026-12-24``, on which no window opens. One that opened the
        evening before is not cut.
    :param min_open: How much of a window must be left when its run is made, in seconds or as `timedelta`.
    """

    def __init__(
        self,
        *,
        opens: str = "09:00",
        closes: str = "18:00",
        days: str = "mon-fri",
        timezone: str,
        exclude_dates: Iterable[date | str] = (),
        min_open: timedelta | float = timedelta(minutes=5),
    ) -> None:
        self._opens = _time_of_day("opens", opens)
        self._closes = _time_of_day("closes", closes)
        if self._opens == DAY:
            raise argument_error(f"opens={opens!r} is the end of a day; use '00:00'", "window-times")
        if self._closes == self._opens:
            raise argument_error(
                f"closes={closes!r} is the same as opens; a whole day is opens='00:00', closes='24:00'", "window-times"
            )
        if self._closes < self._opens:
            self._closes += DAY
        self._days = _days_of_week(days)
        self.zone = _zone(timezone)
        self._exclude_dates = frozenset(_dates(exclude_dates))
        self._min_open = _duration(min_open, less_than=self._closes - self._opens)
        self.clock: Callable[[], datetime] = _utc_now
        """What returns the time. Not serialised: an Airflow always runs by its own clock, a test may set another."""

    def windows(self, after: datetime) -> Iterator[DataInterval]:
        """
        Yield all windows that are not over at a moment, from the earliest on, whatever `min_open` is.

        :param after: The moment. A window that is open then is the first one.
        """
        for day in self._days_around(after):
            if day.weekday() in self._days and day not in self._exclude_dates:
                start, end = self._instant(day, self._opens), self._instant(day, self._closes)
                if start < end and after < end:
                    yield DataInterval(pendulum.instance(start), pendulum.instance(end))

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the first window that still can be served, after the last one and within the DAG's dates."""
        last, earliest = last_automated_data_interval, restriction.earliest
        after = max(instant for instant in (self.clock(), earliest, last and last.end) if instant)
        for window in self.windows(after):
            if restriction.latest and window.start > restriction.latest:
                return None
            # The runs of another timetable may have been empty intervals, like those of a cron expression.
            is_new = not last or (window.start >= last.end and window.start > last.start)
            if is_new and self._can_be_served(window) and not (earliest and window.start < earliest):
                return DagRunInfo.interval(*window)._replace(run_after=window.start)
        return None  # the calendar is at its end

    def infer_manual_data_interval(self, *, run_after: pendulum.DateTime) -> DataInterval:
        """Return the window that is open when a run is started by hand, else the time until the next closing time."""
        window = next(self.windows(run_after), None)
        if window and window.start <= run_after:
            return window
        ends = (self._instant(day, self._closes) for day in self._days_around(run_after))
        return DataInterval(run_after, pendulum.instance(next(end for end in ends if end > run_after)))

    def generate_run_id(
        self, *, run_type: Any, run_after: pendulum.DateTime, data_interval: DataInterval | None, **extra: Any
    ) -> str:
        """
        Return the id of a run that is about to be made; refuse it to a scheduled run that comes too late.

        The scheduler makes a run from what it stored when it made the one before, or when the DAG was last parsed.
        After an outage that may be a window that is over, and this is the only method that it calls before making the
        run. The refusal is in its log until the DAG is parsed again, which stores the next window that can be served.
        """
        if run_type == "scheduled" and data_interval and not self._can_be_served(data_interval):
            raise AirflowException(
                with_link(
                    f"No run for the window from {data_interval.start} to {data_interval.end}: "
                    f"it is over, or less than {self._min_open} of it is left",
                    "window-times",
                )
            )
        return super().generate_run_id(run_type=run_type, run_after=run_after, data_interval=data_interval, **extra)

    def serialize(self) -> dict[str, Any]:
        """Return the arguments, in the one form that equal timetables share."""
        return {
            "opens": _clock_time(self._opens),
            "closes": _clock_time(self._closes if self._closes == DAY else self._closes % DAY),
            "days": self._days_text,
            "timezone": self.zone.key,
            "exclude_dates": [str(day) for day in sorted(self._exclude_dates)],
            "min_open": self._min_open.total_seconds(),
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> PoolWindowTimetable:
        """Make a timetable from what `serialize` returned."""
        return cls(**data)

    @property
    def summary(self) -> str:
        """What the list of DAGs shows, such as ``mon-fri 09:00-18:00 Europe/Berlin``."""
        values = self.serialize()
        return f"{values['days']} {values['opens']}-{values['closes']} {values['timezone']}"

    @property
    def description(self) -> str:  # type: ignore[override]  # Airflow only reads it
        """What the UI shows besides the summary."""
        values = self.serialize()
        next_day = " the next day" if self._closes > DAY else ""
        text = "Open on {days} from {opens} to {closes}".format_map(values) + f"{next_day}, {self.zone.key} time"
        if excluded := values["exclude_dates"]:
            more = f" and {len(excluded) - 5} more dates" if len(excluded) > 5 else ""
            text += f"; not on {', '.join(excluded[:5])}{more}"
        return text

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.serialize().items())
        return f"{type(self).__name__}({arguments})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and repr(other) == repr(self)

    def __hash__(self) -> int:
        return hash(repr(self))

    @property
    def _days_text(self) -> str:
        """The days of the week in their shortest form; three in a row or more are a range."""
        if len(self._days) == len(DAYS):
            return "daily"
        # Numbers in a row have the same distance to their position in the list.
        runs = groupby(enumerate(sorted(self._days)), key=lambda item: item[1] - item[0])
        parts = []
        for _, run in runs:
            names = [DAYS[day] for _, day in run]
            parts += [f"{names[0]}-{names[-1]}"] if len(names) > 2 else names
        return ",".join(parts)

    def _can_be_served(self, window: DataInterval) -> bool:
        now = self.clock()
        return now < window.end and now + self._min_open <= window.end

    def _days_around(self, instant: datetime) -> Iterator[date]:
        """Yield the days of the calendar from the one before an instant on: its window may still be open."""
        today = instant.astimezone(self.zone).date()
        return (date.fromordinal(day) for day in range(today.toordinal() - 1, date.max.toordinal() - 1))

    def _instant(self, day: date, since_midnight: timedelta) -> datetime:
        return first_instant(datetime.combine(day, time.min) + since_midnight, self.zone)


def first_instant(shown: datetime, zone: ZoneInfo) -> datetime:
    """
    Return the first moment at which the clocks of a zone show a time or a later one.

    As a later time is never shown first before an earlier one, such moments keep the order of the times.

    :param shown: The date and time on the clocks, without a time zone.
    """
    first, second = (shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:  # shown once, or twice
        return first
    # Never shown: the clocks are put forward between the moments that the offsets after and before it give.
    gap = range(int((first - second).total_seconds()))
    return second + bisect(gap, False, key=lambda s: _shown(second + s * SECOND, zone) >= shown) * SECOND


def _shown(instant: datetime, zone: ZoneInfo) -> datetime:
    """What the clocks of a zone show at an instant."""
    return instant.astimezone(zone).replace(tzinfo=None)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _time_of_day(argument: str, text: str) -> timedelta:
    """Return how long after midnight a time is."""
    match = re.fullmatch(r"(\d\d?):(\d\d)", text) if isinstance(text, str) else None
    hours, minutes = (int(part) for part in match.groups()) if match else (0, 60)
    if minutes > 59 or timedelta(hours=hours, minutes=minutes) > DAY:
        raise argument_error(
            f"{argument}={text!r} is no time of day such as '09:00'; '24:00' is the end of the day", "window-times"
        )
    return timedelta(hours=hours, minutes=minutes)


def _clock_time(since_midnight: timedelta) -> str:
    hours, minutes = divmod(int(since_midnight.total_seconds()) // 60, 60)
    return f"{hours:02}:{minutes:02}"


def _days_of_week(text: str) -> frozenset[int]:
    """Return the numbers of days of the week; Monday is 0."""
    if isinstance(text, str) and text.lower() == "daily":
        return frozenset(range(7))
    days: set[int] = set()
    for part in text.lower().split(",") if isinstance(text, str) else [""]:
        names = [name.strip() for name in part.split("-")]
        if not 1 <= len(names) <= 2 or not set(names) <= set(DAYS):
            raise argument_error(
                f"days={text!r} is no list of days; use 'mon-fri', 'mon,wed,sat-sun' or 'daily'", "window-times"
            )
        first, last = DAYS.index(names[0]), DAYS.index(names[-1])
        days |= {(first + step) % 7 for step in range((last - first) % 7 + 1)}
    return frozenset(days)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    # What is raised for names that cannot be a file, are a directory, or not a text.
    except (KeyError, ValueError, OSError, TypeError, AttributeError) as exc:
        raise argument_error(
            f"timezone={name!r} is no time zone known here; use a name such as 'Europe/Berlin'", "window-times"
        ) from exc


def _dates(exclude_dates: Iterable[date | str]) -> Iterator[date]:
    if isinstance(exclude_dates, str):
        raise argument_error(f"exclude_dates={exclude_dates!r} is a text; give a list of dates", "window-times")
    for value in exclude_dates:
        # A datetime is a date, too, but of which time zone?
        if isinstance(value, date) and not isinstance(value, datetime):
            yield value
            continue
        try:
            yield date.fromisoformat(value)  # type: ignore[arg-type]
        except (TypeError, ValueError) as exc:
            raise argument_error(
                f"exclude_dates: {value!r} is no date; use a `date` or a text as '2026-12-24'", "window-times"
            ) from exc


def _duration(min_open: timedelta | float, *, less_than: timedelta) -> timedelta:
    duration = min_open if isinstance(min_open, timedelta) else timedelta(seconds=min_open)
    if not timedelta(0) <= duration < less_than:
        raise argument_error(
            f"min_open={min_open!r} must be at least 0 and less than the window, which is {less_than}", "window-times"
        )
    return duration


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the next windows of a schedule."""
    parser = argparse.ArgumentParser(prog="python -m toloka_airflow.timetables", description=main.__doc__)
    parser.add_argument("--opens", default="09:00", help="when windows open (default: %(default)s)")
    parser.add_argument("--closes", default="18:00", help="when they close (default: %(default)s)")
    parser.add_argument("--days", default="mon-fri", help="'mon,wed,sat-sun', 'daily', ... (default: %(default)s)")
    parser.add_argument("--timezone", required=True, help="such as Europe/Berlin")
    parser.add_argument("--exclude", action="append", default=[], metavar="DATE", help="may be given many times")
    parser.add_argument("--from", dest="after", metavar="DATE", help="the first day to list (default: now)")
    parser.add_argument("-n", dest="count", type=int, default=10, help="how many windows (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        timetable = PoolWindowTimetable(
            opens=options.opens,
            closes=options.closes,
            days=options.days,
            timezone=options.timezone,
            exclude_dates=options.exclude,
            min_open=0,
        )
        after = datetime.fromisoformat(options.after) if options.after else _utc_now()
    except ValueError as exc:
        parser.error(str(exc))
    print(f"{timetable.description}\n")
    for line in _table(timetable, after, options.count):
        print(line)


def _table(timetable: PoolWindowTimetable, after: datetime, count: int) -> Iterator[str]:
    yield f"{'opens':26} {'closes':26} {'UTC':17} length"
    zone = timetable.zone
    after = after if after.tzinfo else first_instant(after, zone)
    offset = after.astimezone(zone).utcoffset()
    for start, end in islice(timetable.windows(after), count):
        opens, closes = start.astimezone(zone), end.astimezone(zone)
        hours, minutes = divmod(int((end - start).total_seconds()) // 60, 60)
        note = "" if closes.utcoffset() == offset else "  clocks were changed"
        offset = closes.utcoffset()
        edges = " ".join(f"{edge:%a} {edge.isoformat(' ', 'minutes')}" for edge in (opens, closes))
        yield f"{edges} {start:%H:%M} to {end:%H:%M}    {hours:2} h {minutes:02}{note}"


if __name__ == "__main__":
    main()
