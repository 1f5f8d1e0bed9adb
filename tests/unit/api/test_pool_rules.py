"""
The rules that money depends on, as one table of cases.

Times are hours of one day. A row reads: the API answers this pool; the asker last saw it open as it was started then,
or knows that its opening began before a limit. The columns behind say what that means:

- ends: a wait for the pool ends (``u``: only if it does not ignore a close for update)
- success: the wait is a success when COMPLETED is expected
- closed: it is closed for good, so that who closes pools has nothing left to do
- other: it was opened again since, by another run or attempt, and so is not to be closed
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.support import pool as pool_answer
from toloka_airflow.api import pool_rules
from toloka_airflow.api.models import CloseReason, Pool, PoolStatus, Training
from toloka_airflow.api.pool_rules import PoolOpening

# fmt: off
TABLE = """
status    reason              started stopped | seen limit | ends success closed other
# Open or being changed: nobody is done, whatever the close before was.
OPEN      -                   9       -       | -    -     | no   no      no     no
OPEN      COMPLETED           9       8       | -    -     | no   no      no     no
LOCKED    -                   9       -       | -    -     | no   no      no     no
LOCKED    COMPLETED           9       10      | -    -     | no   no      no     no
# Closed for good.
CLOSED    COMPLETED           9       10      | -    -     | yes  yes     yes    no
CLOSED    MANUAL              9       10      | -    -     | yes  no      yes    no
CLOSED    EXPIRED             9       10      | -    -     | yes  no      yes    no
CLOSED    NOT_ENOUGH_BALANCE  9       10      | -    -     | yes  no      yes    no
CLOSED    BLOCKED             9       10      | -    -     | yes  no      yes    no
CLOSED    ASSIGNMENTS_LIMIT_EXCEEDED 9 10     | -    -     | yes  no      yes    no
CLOSED    -                   -       -       | -    -     | yes  no      yes    no
CLOSED    SOLAR_FLARE         9       10      | -    -     | yes  no      yes    no
ARCHIVED  COMPLETED           9       10      | -    -     | yes  no      yes    no
ARCHIVED  -                   -       -       | -    -     | yes  no      yes    no
ARCHIVED  FOR_UPDATE          9       10      | -    -     | yes  no      yes    no
# Closed for update: Toloka opens it again by itself.
CLOSED    FOR_UPDATE          9       10      | -    -     | u    no      no     no
# An unknown status is nobody's success, whatever else the answer says.
FROZEN    COMPLETED           9       10      | -    -     | yes  no      no     no
FROZEN    MANUAL              9       10      | -    -     | yes  no      no     no
FROZEN    FOR_UPDATE          9       10      | -    -     | yes  no      no     no
FROZEN    -                   -       -       | -    -     | yes  no      no     no

# The wait saw the pool open: another opening is one that was started later, not for an update.
OPEN      -                   9       -       | 9    -     | no   no      no     no
OPEN      COMPLETED           9       8       | 9    -     | no   no      no     no
OPEN      MANUAL              11      10      | 9    -     | no   no      no     yes
OPEN      EXPIRED             11      10      | 9    -     | no   no      no     yes
OPEN      FOR_UPDATE          11      10      | 9    -     | no   no      no     no
LOCKED    MANUAL              11      10      | 9    -     | no   no      no     yes
LOCKED    FOR_UPDATE          9       10      | 9    -     | no   no      no     no
CLOSED    FOR_UPDATE          9       10      | 9    -     | u    no      no     no
CLOSED    FOR_UPDATE          11      12      | 9    -     | u    no      no     no
# An answer from an old list is no later opening.
OPEN      -                   8       -       | 9    -     | no   no      no     no
OPEN      MANUAL              8       7       | 9    -     | no   no      no     no
OPEN      MANUAL              -       -       | 9    -     | no   no      no     no
# Nothing is left to close, so it does not matter who closed it.
CLOSED    MANUAL              11      12      | 9    -     | yes  no      yes    no
ARCHIVED  MANUAL              11      12      | 9    -     | yes  no      yes    no
FROZEN    MANUAL              11      12      | 9    -     | yes  no      no     yes
FROZEN    MANUAL              9       12      | 9    -     | yes  no      no     no

# The opening to close began before a limit: another one is one that was started at the limit or later.
OPEN      COMPLETED           17      16      | -    18    | no   no      no     no
OPEN      COMPLETED           18      16      | -    18    | no   no      no     yes
OPEN      COMPLETED           19      16      | -    18    | no   no      no     yes
OPEN      -                   19      -       | -    18    | no   no      no     yes
OPEN      COMPLETED           -       -       | -    18    | no   no      no     no
LOCKED    COMPLETED           17      16      | -    18    | no   no      no     no
LOCKED    COMPLETED           19      16      | -    18    | no   no      no     yes
CLOSED    COMPLETED           19      20      | -    18    | yes  yes     yes    no
ARCHIVED  COMPLETED           19      20      | -    18    | yes  no      yes    no
FROZEN    COMPLETED           19      16      | -    18    | yes  no      no     yes
# An update does not make it another one, if the pool was open before the limit.
OPEN      FOR_UPDATE          19      17      | -    18    | no   no      no     no
OPEN      FOR_UPDATE          19      18      | -    18    | no   no      no     yes
OPEN      FOR_UPDATE          20      19      | -    18    | no   no      no     yes
OPEN      FOR_UPDATE          19      -       | -    18    | no   no      no     yes
OPEN      FOR_UPDATE          17      16      | -    18    | no   no      no     no
CLOSED    FOR_UPDATE          17      19      | -    18    | u    no      no     no
CLOSED    FOR_UPDATE          19      20      | -    18    | u    no      no     yes
# Both are known: what was seen decides.
OPEN      MANUAL              11      10      | 9    18    | no   no      no     yes
OPEN      FOR_UPDATE          11      10      | 9    18    | no   no      no     no
OPEN      FOR_UPDATE          20      19      | 9    18    | no   no      no     no
OPEN      MANUAL              20      19      | 9    18    | no   no      no     yes
OPEN      -                   9       -       | 9    18    | no   no      no     no
"""
# fmt: on


REASONS = ["FOR_UPDATE", "MANUAL"]


def at(hour: str) -> datetime | None:
    return None if hour == "-" else datetime(2026, 1, 31, int(hour), tzinfo=UTC)


def answered(
    status: str, reason: str = "-", started: str = "-", stopped: str = "-", kind: type[Training] = Pool
) -> Any:
    times = {"last_started": at(started), "last_stopped": at(stopped)}
    given = {name: time.isoformat() for name, time in times.items() if time}
    return Pool.from_api(pool_answer(status, None if reason == "-" else reason, **given))


@dataclass(frozen=True)
class Case:
    pool: Pool
    opening: PoolOpening
    ends: str
    success: str
    closed: str
    other: str


def cases() -> list[Any]:
    lines = [line for line in TABLE.strip().splitlines()[1:] if line and not line.startswith("#")]
    found = []
    for line in lines:
        status, reason, started, stopped, seen, limit, *meaning = line.replace("|", " ").split()
        opening = PoolOpening(started=at(seen), began_before=at(limit))
        case = Case(answered(status, reason, started, stopped), opening, *meaning)
        found.append(pytest.param(case, id=" ".join(line.replace("|", " ").split()[:6])))
    assert len({param.id for param in found}) == len(found)
    return found


@pytest.mark.parametrize("case", cases())
def test_table(case: Case) -> None:
    ends = {ignore: pool_rules.has_stopped(case.pool, ignore_close_for_update=ignore) for ignore in (False, True)}
    assert (
        ends
        == {"yes": {False: True, True: True}, "no": {False: False, True: False}, "u": {False: True, True: False}}[
            case.ends
        ]
    )
    # Who asks why something that goes on is no success gets a reason as well.
    assert (pool_rules.why_not_successful(case.pool, ["COMPLETED"]) is None) == (case.success == "yes")
    assert (pool_rules.why_not_closed(case.pool) is None) == (case.closed == "yes")
    assert case.opening.was_followed_by(case.pool) == (case.other == "yes")


@pytest.mark.parametrize(
    ("reason", "is_cut_short"),
    [(None, False), ("COMPLETED", False), ("MANUAL", True), ("EXPIRED", True), ("NEWER_THAN_THIS", True)],
)
def test_a_close_before_all_was_done(reason: str | None, is_cut_short: bool) -> None:
    assert pool_rules.was_cut_short(reason) == is_cut_short


def test_the_rules_need_nothing_but_the_models() -> None:
    """Neither Airflow nor anything that reads or writes."""
    tree = ast.parse(Path(pool_rules.__file__).read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules == {
        "__future__",
        "collections.abc",
        "dataclasses",
        "datetime",
        "toloka_airflow.api.models",
        "typing",
    }
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import)]


def test_no_other_module_decides_by_a_status_or_a_close_reason() -> None:
    package = Path(pool_rules.__file__).parents[1]
    # A rehearsal reads the pools of the emulator's world, not those of the API.
    modules = [
        path
        for path in package.rglob("*.py")
        if not {"emulator", "rehearsal"} & set(path.parts) and path.name != "pool_rules.py"
    ]
    assert len(modules) > 40
    assert {path.name: comparisons for path in modules if (comparisons := state_comparisons(path.read_text()))} == {}


@pytest.mark.parametrize(
    "code",
    [
        "pool.status == PoolStatus.OPEN",
        "if pool.status in (models.PoolStatus.OPEN, PoolStatus.LOCKED): pass",
        "pool.last_close_reason != 'FOR_UPDATE'",
        "match pool.status:\n  case 'ARCHIVED': pass",
        "if not self.pool.status.is_known: pass",
    ],
)
def test_a_decision_by_a_status_is_found(code: str) -> None:
    assert state_comparisons(code)


def state_comparisons(code: str) -> list[str]:
    """Return what code compares with a status of a pool or a close reason."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute) and re.fullmatch(r"(?!operation\b).*\.status\.is_known", ast.unparse(node)):
            found.append(ast.unparse(node))
        if not isinstance(node, ast.Compare | ast.match_case):
            continue
        inner = list(ast.walk(node.pattern if isinstance(node, ast.match_case) else node))
        names = {child.id for child in inner if isinstance(child, ast.Name)}
        names |= {child.attr for child in inner if isinstance(child, ast.Attribute)}
        texts = {child.value for child in inner if isinstance(child, ast.Constant) and isinstance(child.value, str)}
        if names & {"PoolStatus", "CloseReason"} or texts & {*PoolStatus, *CloseReason}:
            found.append(ast.unparse(inner[0]))
    return found


@pytest.mark.parametrize("case", cases())
def test_the_rules_agree_with_each_other(case: Case) -> None:
    if case.success == "yes":
        assert case.ends == "yes"
        assert case.closed == "yes"
    if case.closed == "yes":
        assert case.ends == "yes"
        assert case.other == "no"
        assert not pool_rules.would_be_closed(case.pool)
    if case.ends == "u":
        assert case.closed == "no"


@pytest.mark.parametrize("case", cases())
def test_a_training_is_what_a_pool_is(case: Case) -> None:
    training = Training.from_api(case.pool.raw)
    assert pool_rules.has_stopped(training) == pool_rules.has_stopped(case.pool)
    assert pool_rules.why_not_closed(training) == pool_rules.why_not_closed(case.pool)
    assert case.opening.was_followed_by(training) == case.opening.was_followed_by(case.pool)


@pytest.mark.parametrize(
    ("status", "is_open", "is_closed", "is_idle", "would_be_opened", "would_be_closed"),
    [
        ("OPEN", True, False, False, False, True),
        ("LOCKED", False, False, False, False, False),
        ("CLOSED", False, True, True, True, False),
        ("ARCHIVED", False, False, True, False, False),
        # It is checked like one that is to be opened, and closed like one that is open.
        ("FROZEN", False, False, False, True, True),
    ],
)
def test_what_can_be_done(
    status: str, is_open: bool, is_closed: bool, is_idle: bool, would_be_opened: bool, would_be_closed: bool
) -> None:
    pool = answered(status)
    assert pool_rules.is_open(pool) is is_open
    assert pool_rules.is_closed(pool) is is_closed
    assert pool_rules.is_idle(pool) is is_idle
    assert pool_rules.would_be_opened(pool) is would_be_opened
    assert pool_rules.would_be_closed(pool) is would_be_closed


def test_the_table_has_every_status_and_reason() -> None:
    pools = [param.values[0].pool for param in cases()]
    assert {pool.status for pool in pools} == {*PoolStatus, "FROZEN"}
    assert {pool.last_close_reason for pool in pools if pool.status == "CLOSED"} == {*CloseReason, "SOLAR_FLARE", None}


@pytest.mark.parametrize(("status", "reason"), list(product(["OPEN", "LOCKED", "CLOSED", "FROZEN"], REASONS)))
def test_for_update_is_a_state_only_while_the_pool_is_closed(status: str, reason: str) -> None:
    pool = answered(status, reason, "9", "10")
    assert pool_rules.is_closed_for_update(pool) == (status == "CLOSED" and reason == "FOR_UPDATE")
    assert pool_rules.last_close_was_for_update(pool) == (reason == "FOR_UPDATE")
    assert pool_rules.was_completed(pool) == (reason == "COMPLETED")


@pytest.mark.parametrize(
    ("status", "stopped", "since", "expected"),
    [
        ("CLOSED", "10", "9", True),
        ("OPEN", "10", "9", True),
        ("ARCHIVED", "10", "9", True),
        ("CLOSED", "10", "10", False),
        ("CLOSED", "9", "10", False),
        ("CLOSED", "-", "9", False),
        ("LOCKED", "10", "9", False),
    ],
)
def test_a_close_is_known_by_its_time(status: str, stopped: str, since: str, expected: bool) -> None:
    limit = at(since)
    assert limit is not None
    assert pool_rules.has_closed_since(answered(status, "MANUAL", "8", stopped), limit) is expected


@pytest.mark.parametrize(
    ("status", "started", "expected"),
    [("OPEN", "8", False), ("OPEN", "9", True), ("OPEN", "10", True), ("OPEN", "-", True), ("LOCKED", "8", True)],
)
def test_an_opening_is_known_by_its_time(status: str, started: str, expected: bool) -> None:
    since = at("9")
    assert since is not None
    assert pool_rules.may_have_been_opened_since(answered(status, "-", started), since) is expected


def test_a_pool_that_is_being_opened_is_locked() -> None:
    pool = answered("CLOSED", "COMPLETED", "9", "10")
    opening = pool_rules.as_opening(pool)
    assert (opening.status, opening.raw) == ("LOCKED", pool.raw)
    assert not pool_rules.has_stopped(opening)


@pytest.mark.parametrize(
    ("pool", "words"),
    [
        (answered("OPEN"), "OPEN by now"),
        (answered("LOCKED"), "LOCKED by now"),
        (answered("CLOSED", "FOR_UPDATE"), "Toloka reopens it by itself within 15 minutes"),
        (answered("FROZEN"), "in the state 'FROZEN', which this version of toloka_airflow does not know"),
    ],
)
def test_why_it_is_not_closed_is_said(pool: Pool, words: str) -> None:
    assert words in (pool_rules.why_not_closed(pool) or "")


@pytest.mark.parametrize(
    ("pool", "words"),
    [
        (answered("CLOSED"), "Pool 21 is CLOSED and was never open; open it first"),
        (answered("CLOSED", "EXPIRED"), "Pool 21 was closed for EXPIRED, expected was COMPLETED or MANUAL"),
        (
            answered("ARCHIVED", "COMPLETED"),
            "Pool 21 is ARCHIVED, so it will not be completed any more; create another pool",
        ),
        (answered("FROZEN", "COMPLETED"), "Pool 21 is in the state 'FROZEN', which this version"),
    ],
)
def test_why_it_is_no_success_is_said(pool: Pool, words: str) -> None:
    assert words in (pool_rules.why_not_successful(pool, ["COMPLETED", "MANUAL"]) or "")


class TestOpeningFromPollToPoll:
    """What a wait learns: (status, reason, started, stopped) from poll to poll."""

    OPEN_AT_9 = ("OPEN", "-", "9", "-")
    OLDER = ("OPEN", "-", "8", "-")
    UNDATED = ("OPEN", "-", "-", "-")
    UPDATED = ("OPEN", "FOR_UPDATE", "11", "10")
    UPDATED_AGAIN = ("OPEN", "FOR_UPDATE", "15", "14")
    REOPENED = ("OPEN", "MANUAL", "13", "12")
    BEING_OPENED = ("LOCKED", "MANUAL", "7", "8")
    PAUSED = ("CLOSED", "FOR_UPDATE", "9", "10")

    @pytest.mark.parametrize(
        ("polls", "known"),
        [
            ([], PoolOpening()),
            ([OPEN_AT_9], PoolOpening(at("9"))),
            ([BEING_OPENED], PoolOpening()),
            ([BEING_OPENED, OPEN_AT_9], PoolOpening(at("9"))),
            ([OPEN_AT_9, OLDER, UNDATED, PAUSED], PoolOpening(at("9"))),
            ([OPEN_AT_9, UPDATED], PoolOpening(at("11"))),
            ([OPEN_AT_9, UPDATED, UPDATED_AGAIN], PoolOpening(at("15"))),
            ([OPEN_AT_9, REOPENED], PoolOpening(at("9"), is_over=True)),
            ([OPEN_AT_9, REOPENED, UPDATED_AGAIN], PoolOpening(at("9"), is_over=True)),
            ([OPEN_AT_9, UPDATED, OPEN_AT_9], PoolOpening(at("11"))),
        ],
    )
    def test_it_is_followed(self, polls: list[tuple[str, ...]], known: PoolOpening) -> None:
        opening = PoolOpening()
        for poll in polls:
            opening = opening.updated(answered(*poll))
        assert opening == known

    def test_another_opening_stays_another_one_through_updates(self) -> None:
        opening = PoolOpening(at("9")).updated(answered(*self.REOPENED))
        assert opening.was_followed_by(answered(*self.UPDATED_AGAIN))

    def test_a_limit_holds_through_updates(self) -> None:
        opening = PoolOpening(began_before=at("10")).updated(answered(*self.OPEN_AT_9))
        assert opening == PoolOpening(at("9"), at("10"))
        assert opening.was_followed_by(answered(*self.REOPENED))
