"""How often what is kept is made, and what is dropped."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from toloka_airflow.web.kept import Kept


def test_many_at_once_make_it_once() -> None:
    kept: Kept[object] = Kept(2)
    made: list[object] = []
    begin = Barrier(20)

    def make() -> object:
        made.append(object())
        return made[-1]

    def ask(_: int) -> object:
        begin.wait()
        return kept.get("a", make)

    with ThreadPoolExecutor(20) as people:
        assert set(people.map(ask, range(20))) == set(made)
    assert len(made) == 1


def test_what_was_not_used_for_longest_is_dropped() -> None:
    kept: Kept[str] = Kept(2)
    made = []

    def get(key: str) -> None:
        kept.get(key, lambda: made.append(key) or key)

    for key in "abaca":
        get(key)
    assert made == ["a", "b", "c"]
    get("b")
    assert made == ["a", "b", "c", "b"]
