"""How tasks are written to be sent, and cut into batches."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support import operation
from toloka_airflow.api.models import Operation
from toloka_airflow.transfer.upload.batches import (
    MAX_BYTES,
    EncodedTask,
    PreviousUpload,
    encode_task,
    split_into_batches,
)

A = {"text": "a"}


def task(size: int) -> EncodedTask:
    return EncodedTask(1, "1.", b"x" * size)


def cut(sizes: list[int], chunk_size: int, find_previous: Any = lambda key: PreviousUpload()) -> list[tuple[int, ...]]:
    return [(*batch.key, len(batch.tasks)) for batch in split_into_batches(map(task, sizes), chunk_size, find_previous)]


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
def test_batches(sizes: list[int], expected: list[tuple[int, ...]]) -> None:
    assert cut(sizes, 3) == expected


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([600_000] * 6, [(0, 0, 0, 1), (0, 1, 0, 1), (0, 1, 1, 1), (0, 2, 0, 1), (0, 3, 0, 1), (1, 0, 0, 1)]),
        ([600_000, 9, 9, 9, 9, 9], [(0, 0, 0, 1), (0, 1, 0, 2), (0, 2, 0, 2), (1, 0, 0, 1)]),
    ],
    ids=["longer", "shorter"],
)
def test_a_repaired_batch_ends_where_it_ended(sizes: list[int], expected: list[tuple[int, ...]]) -> None:
    """The second batch had two tasks; how long they are now moves no batch behind it."""
    ended = {(0, 0, 0): PreviousUpload(size=1, first_size=1), (0, 1, 0): PreviousUpload(size=2, first_size=2)}
    assert cut(sizes, 5, lambda key: ended.get(key, PreviousUpload())) == expected


KEPT = PreviousUpload(Operation.from_api(operation()), size=2, created_nothing=False)
VOID = PreviousUpload(Operation.from_api(operation("FAIL")), 1, size=1, first_size=1)


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        ({(0, 0, 0): KEPT, (0, 1, 0): VOID}, [(0, 0, 0, 2), (0, 1, 0, 1)]),
        ({(0, 0, 0): KEPT}, [(0, 0, 0, 3)]),
        ({(0, 0, 0): replace(VOID, size=2, first_size=3), (0, 0, 1): KEPT}, [(0, 0, 0, 2), (0, 0, 1, 1)]),
    ],
    ids=["the next was too long", "the source has grown", "the rest was sent when they were too long"],
)
def test_a_task_goes_where_it_was(ended: dict[Any, PreviousUpload], expected: list[tuple[int, ...]]) -> None:
    assert cut([9, 9, 9], 5, lambda key: ended.get(key, PreviousUpload())) == expected


def test_an_operation_that_is_not_done_comes_until_it_is() -> None:
    """Nobody knows yet which tasks it creates."""
    states = [operation("PENDING", id="op-2"), operation("RUNNING", id="op-2"), operation("SUCCESS", id="op-2")]
    running = iter(PreviousUpload(Operation.from_api(state), size=3, created_nothing=False) for state in states)
    found = split_into_batches(
        map(task, [9] * 6), 3, lambda key: next(running) if key == (1, 0, 0) else PreviousUpload()
    )
    kinds = [one.status.value if isinstance(one, Operation) else one.key for one in found]
    assert kinds == [(0, 0, 0), "PENDING", "RUNNING", (1, 0, 0)]


def test_a_change_shows_in_all_cursors_behind_it() -> None:
    first = [batch.cursor for batch in split_into_batches(map(task, (1, 2, 3)), 1)]
    second = [batch.cursor for batch in split_into_batches(map(task, (1, 7, 3)), 1)]
    assert [one == other for one, other in zip(first, second, strict=True)] == [True, False, False]


@pytest.mark.parametrize("text", [None, b'{ "input_values": {"text": "a"} }'])
def test_a_task_gets_its_pool_and_its_number(text: bytes | None) -> None:
    number, mark, body = encode_task(7, {"input_values": A}, "21", text)
    assert json.loads(body) == {"pool_id": "21", "__item_idx": mark, "input_values": A}
    assert mark.startswith(f"{number}.")


def test_what_is_in_the_text_is_replaced() -> None:
    given = {"input_values": A, "pool_id": 21, "__item_idx": "5"}
    assert encode_task(7, given, "21", json.dumps(given).encode()) == encode_task(7, {"input_values": A}, "21")


def test_the_size_is_that_of_the_input_values() -> None:
    hint = "x" * MAX_BYTES
    assert encode_task(1, {"input_values": A, "message_on_unknown_solution": hint}, "21")
    with pytest.raises(ValueError, match=f"input_values.big alone has {MAX_BYTES + 2}"):
        encode_task(1, {"input_values": {**A, "big": hint}}, "21")
