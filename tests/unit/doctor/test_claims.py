"""How ids are found in what tasks left, and whose an object of the API is by its tag."""

from __future__ import annotations

from typing import Any

import pytest

from toloka_airflow._internal.identity import Creator, creators
from toloka_airflow.doctor.claims import _leaves


@pytest.mark.parametrize(
    ("value", "is_named"),
    [
        ("21", True),
        ('"21"', True),  # as Airflow stores an XCom that is a text
        (21, True),
        ('{"pool_id": "21"}', True),
        ({"pools": [{"id": 21}]}, True),
        ([["20", ("21",)]], True),
        ("2026-11-21", False),
        ("21:00", False),
        ("121", False),
        ('{"pool_id": "21', False),
        ({"21": "key"}, False),
        (21.0, False),
        (True, False),
        (None, False),
    ],
)
def test_an_id_is_a_whole_value(value: Any, is_named: bool) -> None:
    assert ("21" in _leaves(value)) == is_named


@pytest.mark.parametrize(
    ("name", "creator"),
    [
        ("/dag/manual__1/create/-1", Creator("", "dag", "manual__1", "create", -1)),
        ("staging/dag/manual__1/group.create/3", Creator("staging", "dag", "manual__1", "group.create", 3)),
        ("a/b/dag/manual__1/create/0", Creator("a/b", "dag", "manual__1", "create", 0)),
        ("dag/manual__1/create/0", None),
        ("/dag/manual__1/create/x", None),
        ("", None),
    ],
)
def test_a_tag_names_who_created_it(name: str, creator: Creator | None) -> None:
    assert creators({"metadata": {"airflow_task": [name]}}) == ([] if creator is None else [creator])


@pytest.mark.parametrize("raw", [{}, {"metadata": None}, {"metadata": {"airflow_task": "x"}}, {"metadata": {"a": []}}])
def test_what_has_no_tag_was_created_by_nobody_known(raw: dict[str, Any]) -> None:
    assert creators(raw) == []
