"""How tasks are written to be sent, and cut into pieces."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support import operation
from toloka_airflow.api.models import Operation
from toloka_airflow.api.pieces import MAX_BYTES, Earlier, EncodedTask, encoded, pieces

A = {"text": "a"}


def task(size: int) -> EncodedTask:
    return EncodedTask(1, "1.", b"x" * size)


def cut(sizes: list[int], chunk_size: int, look: Any = lambda place: Earlier()) -> list[tuple[int, ...]]:
    return [(*piece.place, len(piece.tasks)) for piece in pieces(map(task, sizes), chunk_size, look)]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([9] * 3, [(0, 0, 0, 3)]),
        ([9] * 7, [(0, 0, 0, 3), (1, 0, 0, 3), (2, 0, 0, 1)]),
        ([600_000] * 4, [(0, 0, 0, 1), (0, 1, 0, 1), (0, 2, 0, 1), (1, 0, 0, 1)]),
        ([9, 2_000_000, 9, 9], [(0, 0, 0, 1), (0, 1, 0, 1), (0, 2, 0, 1), (1, 0, 0, 1)]),
    ],
)
def test_pieces(sizes: list[int], expected: list[tuple[int, ...]]) -> None:
    assert cut(sizes, 3) == expected


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([600_000] * 6, [(0, 0, 0, 1), (0, 1, 0, 1), (0, 1, 1, 1), (0, 2, 0, 1), (0, 3, 0, 1), (1, 0, 0, 1)]),
        ([600_000, 9, 9, 9, 9, 9], [(0, 0, 0, 1), (0, 1, 0, 2), (0, 2, 0, 2), (1, 0, 0, 1)]),
    ],
    ids=["longer", "shorter"],
)
def test_a_repaired_piece_ends_where_it_ended(sizes: list[int], expected: list[tuple[int, ...]]) -> None:
    """The second piece had two tasks; how long they are now moves no piece behind it."""
    ended = {(0, 0, 0): Earlier(size=1, reach=1), (0, 1, 0): Earlier(size=2, reach=2)}
    assert cut(sizes, 5, lambda place: ended.get(place, Earlier())) == expected


KEPT = Earlier(Operation.from_api(operation()), size=2, created_nothing=False)
VOID = Earlier(Operation.from_api(operation("FAIL")), 1, size=1, reach=1)


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        ({(0, 0, 0): KEPT, (0, 1, 0): VOID}, [(0, 0, 0, 2), (0, 1, 0, 1)]),
        ({(0, 0, 0): KEPT}, [(0, 0, 0, 3)]),
        ({(0, 0, 0): replace(VOID, size=2, reach=3), (0, 0, 1): KEPT}, [(0, 0, 0, 2), (0, 0, 1, 1)]),
    ],
    ids=["the next was too long", "the source has grown", "the rest was sent when they were too long"],
)
def test_a_task_goes_where_it_was(ended: dict[Any, Earlier], expected: list[tuple[int, ...]]) -> None:
    assert cut([9, 9, 9], 5, lambda place: ended.get(place, Earlier())) == expected


def test_a_change_shows_in_all_cursors_behind_it() -> None:
    first = [piece.cursor for piece in pieces(map(task, (1, 2, 3)), 1)]
    second = [piece.cursor for piece in pieces(map(task, (1, 7, 3)), 1)]
    assert [one == other for one, other in zip(first, second, strict=True)] == [True, False, False]


@pytest.mark.parametrize("text", [None, b'{ "input_values": {"text": "a"} }'])
def test_a_task_gets_its_pool_and_its_number(text: bytes | None) -> None:
    number, mark, body = encoded(7, {"input_values": A}, "21", text)
    assert json.loads(body) == {"pool_id": "21", "__item_idx": mark, "input_values": A}
    assert mark.startswith(f"{number}.")


def test_what_is_in_the_text_is_replaced() -> None:
    given = {"input_values": A, "pool_id": 21, "__item_idx": "5"}
    assert encoded(7, given, "21", json.dumps(given).encode()) == encoded(7, {"input_values": A}, "21")


def test_the_size_is_that_of_the_input_values() -> None:
    hint = "x" * MAX_BYTES
    assert encoded(1, {"input_values": A, "message_on_unknown_solution": hint}, "21")
    with pytest.raises(ValueError, match=f"input_values.big alone has {MAX_BYTES + 2}"):
        encoded(1, {"input_values": {**A, "big": hint}}, "21")
