"""Ids that divide those of a pool."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toloka_airflow.transfer.download.id_spans import distance, divide, is_divisible

POOL = "00022cfa46--"
NUMBERS = st.integers(0, 16**24 - 1)


def name(number: int) -> str:
    return f"{POOL}{number:024x}"


@given(NUMBERS, NUMBERS, st.integers(1, 64))
def test_stretches_are_equal_and_in_order(one: int, other: int, count: int) -> None:
    after, last = sorted((one, other))
    length = max(1, (last - after) // count)
    ends = [name(after), *divide(name(after), name(last), length), name(last)]
    *lengths, rest = [distance(*pair) for pair in pairwise(ends)]
    assert set(lengths) <= {length}
    assert 0 < rest <= length or one == other
    assert sum(lengths) + rest == last - after


@pytest.mark.parametrize(
    "other",
    [
        None,
        "",
        "a-1",
        "5241f238-6640-43e4-80bb-3283893cd221",
        f"{POOL}637CF4098CCDEB4A260737DE",
        "00022cfa47" + "--" + "0" * 24,
    ],
)
def test_ids_that_are_not_to_be_divided_are_nowhere_from_each_other(other: str | None) -> None:
    """Nobody knows how the API sorts them, or they are of another pool."""
    assert distance(name(1), other) == distance(other, name(1)) == 0


def test_an_id_as_documented() -> None:
    assert is_divisible("00022cfa46--637cf4098ccdeb4a260737de")
    assert not is_divisible("36502086")
