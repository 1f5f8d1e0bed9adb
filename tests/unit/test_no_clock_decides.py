"""
No assertion is about time that passed on the real clock: it would be wrong on a busy machine.

Use `tests.virtual_time.VirtualTime`, in which time passes only while somebody sleeps, or hold something until the test
has seen what it wants to. The rule is the same where the clock happens to be virtual: assert on ``virtual.now``.
A limit of patience, as in ``while time.monotonic() < give_up``, is no assertion.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
CLOCKS = ("monotonic", "perf_counter", "process_time", "thread_time")
READINGS = {
    *(f"{module}{clock}{unit}" for module in ("time.", "") for clock in CLOCKS for unit in ("", "_ns")),
    *("time.time", "time.time_ns"),
    *(f"{name}.{now}" for name in ("datetime", "datetime.datetime") for now in ("now", "utcnow", "today")),
}

Names = dict[str, set[ast.AST]]


def readings(part: ast.AST, names: Names) -> set[ast.AST]:
    """Return the calls that read the clock, in some code or behind the variables that it uses."""
    found = {node for node in ast.walk(part) if isinstance(node, ast.Call) and ast.unparse(node.func) in READINGS}
    return found.union(*(names.get(node.id, set()) for node in ast.walk(part) if isinstance(node, ast.Name)))


def names_of_readings(function: ast.AST) -> Names:
    """Return the variables that are assigned from readings of the clock, or from such variables."""
    assigned = [
        (node.targets if isinstance(node, ast.Assign) else [node.target], node.value)
        for node in ast.walk(function)
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value is not None
    ]
    names: Names = {}
    for _ in assigned:  # each round follows them by one assignment at least
        for targets, value in assigned:
            for node in (node for target in targets for node in ast.walk(target)):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    names[node.id] = names.get(node.id, set()) | readings(value, names)
    return names


def decided_by_the_clock(code: str) -> Iterator[tuple[str, int]]:
    """
    Return the functions and lines where elapsed time may decide.

    That is an assertion that reads the clock or uses two readings, and any subtraction of one reading from another.
    """
    for function in ast.walk(ast.parse(code)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        names = names_of_readings(function)
        for node in ast.walk(function):
            match node:
                case ast.Assert(test=test) if readings(test, {}) or len(readings(test, names)) > 1:
                    yield function.name, node.lineno
                case ast.BinOp(op=ast.Sub(), left=left, right=right):
                    first, second = readings(left, names), readings(right, names)
                    if first and second and first != second:
                        yield function.name, node.lineno


def test_no_assertion_is_about_elapsed_time() -> None:
    found = [
        f"{file.relative_to(TESTS)}:{line} {name}"
        for file in TESTS.rglob("*.py")
        for name, line in decided_by_the_clock(file.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    "body",
    [
        "began = time.monotonic(); act(); assert time.monotonic() - began < 2",
        "began = time.time(); act(); took = time.time() - began; assert took < 2",
        "began = time.perf_counter_ns(); act(); end = time.perf_counter_ns(); assert 1 <= end - began",
        "began = monotonic(); act(); ends.append(monotonic() - began); assert ends[0] < 2",
        "then = datetime.now(UTC) + timedelta(seconds=2); act(); assert datetime.now(UTC) >= then",
        "began: float = time.time(); act(); end = time.time(); assert end < began + 5",
        "began, more = time.time(), 1; act(); later = began + 5; assert (end := time.time()) and end < later",
        "began = time.time(); act(); assert wait(lambda: time.time() - began)",
    ],
)
def test_elapsed_time_is_found(body: str) -> None:
    assert list(decided_by_the_clock(f"def test(): {body}"))
    assert list(decided_by_the_clock(f"class Test:\n async def test(self): {body}"))


@pytest.mark.parametrize(
    "body",
    [
        "now = datetime.now(UTC); opens, closes = now + HOUR, now + 2 * HOUR; assert run(opens, closes) < closes",
        "began = virtual.now; act(); assert virtual.now - began == approx(2)",
        "until = time.time() + 60; assert wait(until).until == until",
        "give_up = time.monotonic() + 60\n while not done() and time.monotonic() < give_up: act()\n assert done()",
        "time.sleep(until - time.time()); assert done()",
        "pauses = [pause(time.time() + 60) for _ in range(20)]; assert max(pauses) - min(pauses) > 10",
    ],
)
def test_what_a_busy_machine_does_not_change_is_allowed(body: str) -> None:
    assert not list(decided_by_the_clock(f"def test():\n {body}"))
