from __future__ import annotations

import gc

import pytest

from toloka_airflow.transfer.heap import frozen_heap


@pytest.fixture(autouse=True)
def _thawed():
    """Begin with a heap that is not frozen; tests/conftest.py has frozen it for all other tests."""
    gc.unfreeze()
    yield
    gc.freeze()


def test_freezes_what_is_there_and_thaws_it_even_after_an_error():
    with pytest.raises(ZeroDivisionError), frozen_heap():
        _ = 1 / (gc.get_freeze_count() < 1000)
    assert gc.get_freeze_count() == 0


def test_leaves_frozen_what_was_frozen_before():
    gc.freeze()
    with frozen_heap():
        pass
    assert gc.get_freeze_count() > 1000


def test_collects_what_is_made_meanwhile():
    class Node:
        alive = 0

        def __init__(self) -> None:
            Node.alive += 1
            self.me = self

        def __del__(self) -> None:
            Node.alive -= 1

    with frozen_heap():
        Node()
        gc.collect()
        assert Node.alive == 0
