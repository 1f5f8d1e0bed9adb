"""Working windows: their times, what is scheduled, and what never is."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from functools import cache
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowException, conf
from airflow.serialization.serialized_objects import BaseSerialization
from airflow.timetables.base import DataInterval, TimeRestriction
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.virtual_time import VirtualTime
from toloka_airflow.timetables import DAYS, PoolWindowTimetable, first_instant, main

BERLIN: dict[str, Any] = {"opens": "09:00", "closes": "18:00", "days": "mon-fri", "timezone": "Europe/Berlin"}
HOUR = timedelta(hours=1)
FREE = TimeRestriction(earliest=None, latest=None, catchup=False)


def at(text: str, zone: str = "Europe/Berlin") -> pendulum.DateTime:
    """Return a moment by what the clocks show, and an offset where they show it twice."""
    moment = datetime.fromisoformat(text)
    return pendulum.instance(moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).in_timezone("UTC")


def timetable(now: str = "2026-03-02T12:00", **arguments: Any) -> PoolWindowTimetable:
    """Return a timetable in Berlin at a moment; 2026-03-02 is a Monday."""
    made = PoolWindowTimetable(**{**BERLIN, **arguments})
    made.clock = lambda: at(now)
    return made


def window(start: str, end: str, zone: str = "Europe/Berlin") -> DataInterval:
    return DataInterval(at(start, zone), at(end, zone))


def following(made: PoolWindowTimetable, last: DataInterval | None = None, **restriction: Any) -> DataInterval | None:
    """Return the window of the next run."""
    info = made.next_dagrun_info(last_automated_data_interval=last, restriction=FREE._replace(**restriction))
    assert info is None or (info.data_interval and info.run_after == info.data_interval.start)
    return info and info.data_interval


def run_type(name: str) -> Any:
    """Return what Airflow calls a run that is ``scheduled``, ``manual``, ..."""
    from airflow.utils.types import DagRunType  # noqa: TID251, for no other place has it on 3.1

    return DagRunType(name)


MONDAY = window("2026-03-02T09:00", "2026-03-02T18:00")
TUESDAY = window("2026-03-03T09:00", "2026-03-03T18:00")


class TestNextRun:
    @pytest.mark.parametrize(
        ("now", "expected"),
        [
            ("2026-03-01T12:00", MONDAY),
            ("2026-03-02T08:59", MONDAY),
            ("2026-03-02T09:00", MONDAY),
            ("2026-03-02T14:00", MONDAY),  # late but wanted
            ("2026-03-02T17:30", MONDAY),
            ("2026-03-02T17:31", TUESDAY),
            ("2026-03-02T18:00", TUESDAY),
            ("2026-03-06T18:00", window("2026-03-09T09:00", "2026-03-09T18:00")),
        ],
    )
    @pytest.mark.parametrize("catchup", [False, True])
    @pytest.mark.parametrize("last", [None, window("2026-02-20T09:00", "2026-02-20T18:00")])
    def test_is_for_a_window_with_enough_left(
        self, now: str, expected: DataInterval, catchup: bool, last: DataInterval | None
    ) -> None:
        made = timetable(now, min_open=HOUR / 2)
        assert following(made, last, earliest=at("2025-01-01"), catchup=catchup) == expected

    def test_is_for_a_window_that_was_not_served(self) -> None:
        assert following(timetable("2026-03-02T14:00"), last=MONDAY) == TUESDAY
        assert following(timetable("2026-03-02T14:00"), last=TUESDAY) == window("2026-03-04T09:00", "2026-03-04T18:00")

    def test_does_not_overlap_a_run_made_before_the_schedule_was_changed(self) -> None:
        assert following(timetable("2026-03-02T14:00", opens="13:00", closes="20:00"), last=MONDAY) == TUESDAY._replace(
            start=at("2026-03-03T13:00"), end=at("2026-03-03T20:00")
        )

    def test_does_not_get_the_logical_date_of_a_run_without_length(self) -> None:
        cron = DataInterval.exact(MONDAY.start)
        assert following(timetable("2026-03-02T14:00"), last=cron) == TUESDAY

    def test_keeps_within_the_dates_of_the_dag(self) -> None:
        made = timetable("2026-03-02T08:00")
        assert following(made, earliest=MONDAY.start) == MONDAY
        assert following(made, earliest=at("2026-03-02T09:01")) == TUESDAY
        assert following(made, latest=MONDAY.start) == MONDAY
        assert following(made, latest=at("2026-03-02T08:59")) is None

    def test_is_none_at_the_end_of_the_calendar(self) -> None:
        assert following(timetable(), earliest=at("9999-12-31T12:00")) is None

    def test_never_fails_for_want_of_any_date(self) -> None:
        days = [date(2026, 1, 1) + timedelta(days=day) for day in range(365)]
        assert following(timetable(exclude_dates=days)) == window("2027-01-01T09:00", "2027-01-01T18:00")

    def test_is_by_the_real_time_if_nobody_sets_another(self, virtual: VirtualTime) -> None:
        assert following(PoolWindowTimetable(**BERLIN)) == MONDAY
        virtual.advance(9 * 3600)
        assert following(PoolWindowTimetable(**BERLIN)) == TUESDAY


class TestRunThatComesTooLate:
    """The scheduler makes a run from what it stored long ago; it asks for the id only."""

    @pytest.mark.parametrize(("now", "made"), [("17:29", True), ("17:31", False), ("20:00", False)])
    def test_is_not_made(self, now: str, made: bool) -> None:
        late = timetable(f"2026-03-02T{now}", min_open=HOUR / 2)
        arguments: dict[str, Any] = {"run_after": MONDAY.start, "data_interval": MONDAY}
        if made:
            assert late.generate_run_id(run_type=run_type("scheduled"), **arguments).startswith(
                "scheduled__2026-03-02T08"
            )
        else:
            with pytest.raises(AirflowException, match="No run for the window from 2026-03-02 08:00"):
                late.generate_run_id(run_type=run_type("scheduled"), **arguments)
        assert late.generate_run_id(run_type=run_type("manual"), **arguments).startswith("manual__")

    def test_is_not_made_when_the_window_closes(self) -> None:
        late = timetable("2026-03-02T18:00", min_open=0)
        with pytest.raises(AirflowException, match="No run for the window"):
            late.generate_run_id(run_type=run_type("scheduled"), run_after=MONDAY.start, data_interval=MONDAY)


class TestManualRun:
    @pytest.mark.parametrize(
        ("started", "start", "end"),
        [
            ("2026-03-02T09:00", "2026-03-02T09:00", "2026-03-02T18:00"),
            ("2026-03-02T17:59", "2026-03-02T09:00", "2026-03-02T18:00"),
            ("2026-03-02T18:00", "2026-03-02T18:00", "2026-03-03T18:00"),
            ("2026-03-02T07:00", "2026-03-02T07:00", "2026-03-02T18:00"),
            # Not until Monday: nobody means to pay for a weekend by pressing a button on its eve.
            ("2026-03-06T20:00", "2026-03-06T20:00", "2026-03-07T18:00"),
        ],
    )
    def test_gets_the_window_or_the_time_to_the_next_closing(self, started: str, start: str, end: str) -> None:
        assert timetable().infer_manual_data_interval(run_after=at(started)) == window(start, end)

    @pytest.mark.parametrize(
        ("started", "start", "end"),
        [
            ("2026-03-03T02:00", "2026-03-02T22:00", "2026-03-03T06:00"),
            ("2026-03-03T12:00", "2026-03-03T12:00", "2026-03-04T06:00"),
            ("2026-03-07T05:00", "2026-03-06T22:00", "2026-03-07T06:00"),
            ("2026-03-08T05:00", "2026-03-08T05:00", "2026-03-08T06:00"),
        ],
    )
    def test_overnight(self, started: str, start: str, end: str) -> None:
        night = timetable(opens="22:00", closes="06:00")
        assert night.infer_manual_data_interval(run_after=at(started)) == window(start, end)


class TestClockChanges:
    """By the one rule: an edge is the first moment at which the clocks show its time or a later one."""

    @pytest.mark.parametrize(
        ("opens", "closes", "start", "end"),
        [
            ("01:00", "04:00", "2026-03-29T01:00+01:00", "2026-03-29T04:00+02:00"),
            ("02:30", "04:00", "2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"),
            ("01:00", "02:30", "2026-03-29T01:00+01:00", "2026-03-29T03:00+02:00"),
            ("02:10", "02:50", "2026-03-30T02:10+02:00", "2026-03-30T02:50+02:00"),  # nothing is left on the 29th
        ],
    )
    def test_forward(self, opens: str, closes: str, start: str, end: str) -> None:
        made = timetable(opens=opens, closes=closes, days="daily")
        assert next(made.windows(at("2026-03-29T00:00"))) == window(start, end)

    @pytest.mark.parametrize(
        ("opens", "closes", "start", "end"),
        [
            ("02:30", "04:00", "2026-10-25T02:30+02:00", "2026-10-25T04:00+01:00"),
            ("01:00", "02:30", "2026-10-25T01:00+02:00", "2026-10-25T02:30+02:00"),
            ("02:10", "02:50", "2026-10-25T02:10+02:00", "2026-10-25T02:50+02:00"),
        ],
    )
    def test_back(self, opens: str, closes: str, start: str, end: str) -> None:
        made = timetable(opens=opens, closes=closes, days="daily")
        assert next(made.windows(at("2026-10-25T00:00"))) == window(start, end)

    def test_at_midnight(self) -> None:
        made = timetable(opens="00:00", closes="24:00", days="daily", timezone="America/Santiago")
        forward, back = at("2026-09-06T12:00", "America/Santiago"), at("2026-04-04T12:00", "America/Santiago")
        assert next(made.windows(forward)) == window("2026-09-06T01:00-03:00", "2026-09-07T00:00-03:00")
        assert next(made.windows(back)) == window("2026-04-04T00:00-03:00", "2026-04-05T00:00-04:00")

    def test_a_day_that_a_country_left_out(self) -> None:
        made = timetable(days="daily", timezone="Pacific/Apia")
        found = [start.in_timezone("Pacific/Apia").day for start, _ in islice(made.windows(at("2011-12-29T12:00Z")), 3)]
        assert found == [29, 31, 1]


class TestArguments:
    @pytest.mark.parametrize(
        ("days", "text"),
        [
            ("mon-fri", "mon-fri"),
            ("mon,wed,fri", "mon,wed,fri"),
            ("fri-mon", "mon,fri-sun"),
            ("Sun, Sat", "sat,sun"),
            ("tue", "tue"),
            ("daily", "daily"),
            ("wed-tue", "daily"),
        ],
    )
    def test_days(self, days: str, text: str) -> None:
        made = timetable(days=days)
        assert made.serialize()["days"] == text
        assert made == timetable(days=text)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"opens": "9"}, r"opens='9' is no time of day"),
            ({"opens": 9}, r"opens=9 is no time of day"),
            ({"opens": "09:60"}, r"opens='09:60' is no time of day"),
            ({"closes": "24:01"}, r"closes='24:01' is no time of day"),
            ({"opens": "24:00"}, r"opens='24:00' is the end of a day; use '00:00'"),
            ({"closes": "9:00"}, r"closes='9:00' is the same as opens; a whole day is"),
            ({"days": "mon-"}, r"days='mon-' is no list of days"),
            ({"days": "mon-wed-fri"}, r"days='mon-wed-fri' is no list of days"),
            ({"days": ""}, r"days='' is no list of days"),
            ({"days": ["mon"]}, r"days=\['mon'\] is no list of days"),
            ({"timezone": "Europe/Bonn"}, r"timezone='Europe/Bonn' is no time zone"),
            ({"timezone": "Europe"}, r"timezone='Europe' is no time zone"),
            ({"timezone": "../etc"}, r"timezone='../etc' is no time zone"),
            ({"timezone": ""}, r"timezone='' is no time zone"),
            ({"timezone": None}, r"timezone=None is no time zone"),
            ({"exclude_dates": "2026-12-24"}, r"exclude_dates='2026-12-24' is a text; give a list"),
            ({"exclude_dates": ["24.12.2026"]}, r"exclude_dates: '24.12.2026' is no date"),
            ({"exclude_dates": [datetime(2026, 12, 24)]}, r"exclude_dates: datetime.* is no date"),
            ({"min_open": -1}, r"min_open=-1 must be at least 0"),
            ({"min_open": 9 * HOUR}, r"min_open=.* less than the window, which is 9:00:00"),
        ],
    )
    def test_errors_name_the_argument_and_the_value(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            timetable(**arguments)

    def test_excluded_is_the_day_on_which_a_window_opens(self) -> None:
        night = timetable(opens="22:00", closes="06:00", days="daily", exclude_dates=["2026-03-03", date(2026, 3, 4)])
        opened = [
            start.in_timezone("Europe/Berlin").day for start, _ in islice(night.windows(at("2026-03-02T12:00")), 2)
        ]
        assert opened == [2, 5]

    def test_equal_are_timetables_with_the_same_windows(self) -> None:
        made = timetable(exclude_dates=iter(["2026-12-25", "2026-12-24"]), min_open=60)
        same = timetable(opens="9:00", exclude_dates={date(2026, 12, 24), date(2026, 12, 25)}, min_open=HOUR / 60)
        assert made == same
        assert len({made, same, timetable()}) == 2
        assert made != timetable()
        assert made != "mon-fri"
        assert eval(repr(made)) == made


class TestInAirflow:
    def test_is_shown(self) -> None:
        assert timetable().summary == "mon-fri 09:00-18:00 Europe/Berlin"
        assert timetable().description == "Open on mon-fri from 09:00 to 18:00, Europe/Berlin time"
        assert "from 09:00 to 24:00, Europe" in timetable(closes="00:00").description
        dates = [f"2026-12-{day}" for day in range(20, 30)]
        night = timetable(opens="22:00", closes="6:00", days="sat,sun", exclude_dates=dates)
        assert night.description == (
            "Open on sat,sun from 22:00 to 06:00 the next day, Europe/Berlin time; "
            "not on 2026-12-20, 2026-12-21, 2026-12-22, 2026-12-23, 2026-12-24 and 5 more dates"
        )

    def test_is_serialised_with_its_dag(self) -> None:
        """Airflow takes timetables only from plugins, so this is also the test of the plugin."""
        made = timetable(exclude_dates=["2026-12-24"])
        again = serialised(made)
        assert again.timetable == made
        assert again.max_active_runs == conf.getint("core", "max_active_runs_per_dag")

    def test_a_backfill_opens_nothing(self) -> None:
        """It asks for all windows of a time, and makes runs of those that are over."""
        dag = serialised(timetable())
        dag.timetable.clock = lambda: at("2026-03-02T12:00")
        assert list(dag.iter_dagrun_infos_between(at("2026-02-01"), at("2026-03-01"))) == []
        found = dag.iter_dagrun_infos_between(at("2026-02-01"), at("2026-03-03T12:00"))
        assert [info.data_interval for info in found] == [MONDAY, TUESDAY]


def serialised(made: PoolWindowTimetable) -> Any:
    """Return a DAG as the scheduler has it."""
    with DAG("windows", schedule=made) as dag:
        pass
    return BaseSerialization.deserialize(json.loads(json.dumps(BaseSerialization.serialize(dag))))


class TestPreview:
    def test_is_a_table(self, capsys: pytest.CaptureFixture[str]) -> None:
        main(["--timezone", "Europe/Berlin", "--from", "2026-03-27", "--exclude", "2026-03-31", "-n", "3"])
        assert capsys.readouterr().out == (
            "Open on mon-fri from 09:00 to 18:00, Europe/Berlin time; not on 2026-03-31\n"
            "\n"
            "opens                      closes                     UTC               length\n"
            "Fri 2026-03-27 09:00+01:00 Fri 2026-03-27 18:00+01:00 08:00 to 17:00     9 h 00\n"
            "Mon 2026-03-30 09:00+02:00 Mon 2026-03-30 18:00+02:00 07:00 to 16:00     9 h 00  clocks were changed\n"
            "Wed 2026-04-01 09:00+02:00 Wed 2026-04-01 18:00+02:00 07:00 to 16:00     9 h 00\n"
        )

    def test_is_from_now_on(self, capsys: pytest.CaptureFixture[str]) -> None:
        main(["--timezone", "Asia/Kathmandu", "--days", "daily", "--opens", "22:00", "--closes", "06:00", "-n", "1"])
        assert "+05:45" in capsys.readouterr().out

    def test_says_what_is_wrong(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            main(["--timezone", "Europe/Berlin", "--days", "workdays"])
        assert "days='workdays' is no list of days" in capsys.readouterr().err


# What follows holds for every schedule in every zone. Among these zones are some that change their clocks by half an
# hour, at midnight, twice in a Ramadan or backwards in summer, and some that are not whole hours from UTC.
ZONES = (
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Havana",
    "America/New_York",
    "America/Santiago",
    "America/St_Johns",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Tokyo",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
)
DAY = timedelta(days=1)
FIRST, LAST = date(2024, 1, 1), date(2030, 12, 31)


def every(*strategies: st.SearchStrategy[Any], few: int, many: int) -> Callable[[Callable[..., None]], Any]:
    """Make a test of a property: it holds for a few cases of these strategies, and for many in the long run."""

    def make(holds: Callable[..., None]) -> Any:
        @pytest.mark.parametrize("count", [few, pytest.param(many, marks=pytest.mark.long)])
        def test(self: Any, count: int) -> None:
            @settings(max_examples=count, derandomize=True, database=None, deadline=None)
            @given(st.tuples(*strategies))
            def case(drawn: tuple[Any, ...]) -> None:
                holds(self, *drawn)

            case()

        test.__name__, test.__doc__ = holds.__name__, holds.__doc__
        return test

    return make


@cache
def changes(zone: str) -> tuple[date, ...]:
    """The days on which the clocks of a zone are changed."""
    days = [FIRST + n * DAY for n in range((LAST - FIRST).days)]
    offsets = [datetime.combine(day, time(), ZoneInfo(zone)).utcoffset() for day in days]
    # Of a change at midnight, one or the other day may be told; see `is_near_a_change`.
    return tuple(day for day, (before, after) in zip(days, pairwise(offsets), strict=False) if before != after)


def is_near_a_change(day: date, zone: str) -> bool:
    return any(day + n * DAY in changes(zone) for n in (-1, 0, 1))


# Every draw takes time, and these are drawn a hundred thousand times in the long run: so each is one draw from a list
# made before.
NIGHT = [f"{hour:02}:{minute:02}" for hour in range(4) for minute in range(60)]
EDGE = st.sampled_from([*NIGHT, *(f"{hour:02}:{minute:02}" for hour in range(24) for minute in range(0, 60, 5))])
CLOSES = EDGE | st.just("24:00")
RANGES = [f"{first}-{last}" for first in DAYS for last in DAYS]
WEEK = st.sampled_from(["daily"] * 30 + [*DAYS, *RANGES, "mon,wed,fri", "sat,sun", "tue-thu,sun"])
EXCLUDED = st.sampled_from([(), (), (0,), (1,), (-1, 0), (1, 2, 5)])
MINUTES = st.integers(-24 * 60, 72 * 60)
FEW_SECONDS = st.integers(0, 59)


@cache
def days_near_changes(zone: str) -> st.SearchStrategy[date]:
    """Days of which half are shortly before or after a change of the clocks, if there is any."""
    near = [day + n * DAY for day in changes(zone) for n in range(-3, 2)]
    far = [FIRST + n * DAY for n in range(0, (LAST - FIRST).days, 7 * 13 if near else 1)]
    return st.sampled_from(near + far)


@st.composite
def timetables(draw: st.DrawFn) -> PoolWindowTimetable:
    zone, opens, closes = draw(st.sampled_from(ZONES)), draw(EDGE), draw(CLOSES)
    assume(opens != closes)
    moment = draw(moments(zone))
    excluded = [moment.date() + n * DAY for n in draw(EXCLUDED)]
    made = PoolWindowTimetable(
        opens=opens, closes=closes, days=draw(WEEK), timezone=zone, exclude_dates=excluded, min_open=draw(FEW_SECONDS)
    )
    made.clock = lambda: moment
    return made


@cache
def moments(zone: str) -> st.SearchStrategy[pendulum.DateTime]:
    days = days_near_changes(zone)
    return st.builds(
        lambda day, minutes: pendulum.datetime(day.year, day.month, day.day).add(minutes=minutes), days, MINUTES
    )


def delta(clock: str) -> timedelta:
    hours, minutes = clock.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes))


# Hundreds of cases each run through lines that the tests above run through, too: counting them takes twice the time.
@pytest.mark.no_cover
class TestEveryWindow:
    @every(timetables(), few=300, many=5000)
    def test_is_after_the_one_before_and_not_empty(self, made: PoolWindowTimetable) -> None:
        now = made.clock()
        found = list(islice(made.windows(now), 6))
        assert len(found) == 6
        assert all(start < end and now < end for start, end in found)
        assert all(earlier.end <= later.start for earlier, later in pairwise(found))

    @every(timetables(), few=300, many=3500)
    def test_has_the_right_times_where_no_clock_is_changed(self, made: PoolWindowTimetable) -> None:
        data = made.serialize()
        opens, closes = delta(data["opens"]), delta(data["closes"])
        start_date = made.clock().astimezone(made.zone).date() + DAY
        midnight = first_instant(datetime.combine(start_date, time()), made.zone)
        found = {}
        for start, end in islice(made.windows(midnight), 8):
            local = start.astimezone(made.zone)
            found[local.date()] = (local.replace(tzinfo=None), end.astimezone(made.zone).replace(tzinfo=None))
        for day in (start_date + n * DAY for n in range((max(found) - start_date).days + 1)):
            if not is_near_a_change(day, made.zone.key):
                begin = datetime.combine(day, time())
                expected = begin + opens, begin + closes + (DAY if closes < opens else 0 * DAY)
                assert found.get(day) == (expected if is_open_on(day, data) else None)

    @every(
        st.sampled_from(ZONES).flatmap(lambda zone: st.tuples(days_near_changes(zone), EDGE, st.just(zone))),
        few=300,
        many=3000,
    )
    def test_begins_and_ends_when_the_clocks_first_show_it(self, case: tuple[date, str, str]) -> None:
        day, clock, zone = case[0], case[1], ZoneInfo(case[2])
        shown = datetime.combine(day, time()) + delta(clock)
        found = first_instant(shown, zone)

        def is_shown(moment: datetime) -> bool:
            return moment.astimezone(zone).replace(tzinfo=None) >= shown

        # No clock is put back by more than some hours; what happens within a minute is not looked at.
        assert is_shown(found)
        assert not any(is_shown(found - n * timedelta(minutes=1)) for n in range(1, 200))


def is_open_on(day: date, data: dict[str, Any]) -> bool:
    if str(day) in data["exclude_dates"]:
        return False
    for part in ["mon-sun"] if data["days"] == "daily" else data["days"].split(","):
        first, _, last = part.partition("-")
        if DAYS.index(first) <= day.weekday() <= DAYS.index(last or first):
            return True
    return False


@st.composite
def questions(draw: st.DrawFn) -> tuple[PoolWindowTimetable, DataInterval | None, TimeRestriction]:
    """A timetable, and what the scheduler asks it at some moment."""
    made = draw(timetables())
    zone = made.zone.key
    last = None
    if draw(st.booleans()):
        last = next(made.windows(draw(moments(zone) | st.just(made.clock() - draw(st.integers(0, 90)) * HOUR))))
    earliest = draw(st.none() | moments(zone) | st.just(made.clock() + draw(st.integers(-30, 30)) * HOUR))
    latest = draw(st.none() | moments(zone) | st.just(made.clock() + draw(st.integers(-30, 90)) * HOUR))
    return made, last, TimeRestriction(earliest, latest, catchup=draw(st.booleans()))


@pytest.mark.no_cover
class TestEveryRun:
    @every(questions(), few=300, many=5000)
    def test_is_the_first_that_may_be(
        self, question: tuple[PoolWindowTimetable, DataInterval | None, TimeRestriction]
    ) -> None:
        made, last, restriction = question
        info = made.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        needed = timedelta(seconds=made.serialize()["min_open"])
        now, earliest = made.clock(), restriction.earliest or at("2000-01-01")
        last_end = last.end if last else earliest
        from_there = (w for w in made.windows(max(now, earliest, last_end) - 3 * DAY) if w.end > now)
        wanted = next(w for w in from_there if w.end - now >= needed and w.start >= max(earliest, last_end))
        if info is None:
            assert restriction.latest
            assert wanted.start > restriction.latest
        else:
            assert info.data_interval == wanted
            assert info.run_after == wanted.start >= earliest
            assert now < wanted.end
            assert not restriction.latest or wanted.start <= restriction.latest

    @every(
        timetables(),
        st.lists(st.integers(1, 60 * 40), min_size=5, max_size=15),
        st.sets(st.integers(0, 14)),
        few=300,
        many=2000,
    )
    def test_is_made_within_its_window(self, made: PoolWindowTimetable, pauses: list[int], parsed: set[int]) -> None:
        """A scheduler that works now and then, of a DAG that is parsed now and then."""
        now, served, last, stored = made.clock(), set(), None, following(made)
        for number, minutes in enumerate(pauses):
            now += timedelta(minutes=minutes)
            made.clock = lambda moment=now: moment  # type: ignore[misc]
            if number in parsed:
                stored = following(made, last)
            if stored and stored.start <= now:
                try:
                    made.generate_run_id(run_type=run_type("scheduled"), run_after=stored.start, data_interval=stored)
                except AirflowException:
                    assert stored.end - now < timedelta(seconds=max(made.serialize()["min_open"], 1e-6))
                    continue
                assert stored.start <= now < stored.end
                assert stored not in served
                served.add(stored)
                last, stored = stored, following(made, stored)

    @every(timetables(), few=300, many=2500)
    def test_by_hand_ends_within_a_day(self, made: PoolWindowTimetable) -> None:
        now = pendulum.instance(made.clock())
        start, end = made.infer_manual_data_interval(run_after=now)
        assert start <= now < end
        assert end - now <= DAY + 2 * HOUR
        is_window = next(made.windows(now)) == (start, end)
        assert is_window or start == now
        if not is_near_a_change(end.astimezone(made.zone).date(), made.zone.key):
            assert f"{end.astimezone(made.zone):%H:%M}" == made.serialize()["closes"].replace("24:", "00:")

    @every(timetables(), few=300, many=2500)
    def test_is_the_same_after_serialisation(self, made: PoolWindowTimetable) -> None:
        again = PoolWindowTimetable.deserialize(json.loads(json.dumps(made.serialize())))
        assert (again, again.serialize(), again.summary) == (made, made.serialize(), made.summary)
        assert list(islice(again.windows(made.clock()), 3)) == list(islice(made.windows(made.clock()), 3))
