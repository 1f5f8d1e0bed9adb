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
    found = divide(name(after), name(last), count)
    ends = [name(after), *found, name(last)]
    assert ends == sorted(ends)
    assert len(set(found)) == len(found)
    assert name(after) not in found
    lengths = [distance(*pair) for pair in pairwise(ends)]
    assert sum(lengths) == last - after
    if last - after >= count:
        assert len(found) == count - 1
        assert max(lengths) - min(lengths) <= 1


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
