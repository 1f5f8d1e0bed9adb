from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.support import TaskInstance
from toloka_airflow._internal.identity import TaskIdentity


def identity(**names: Any) -> TaskIdentity:
    return TaskIdentity.of({"ti": TaskInstance(**names)})  # type: ignore[typeddict-item]


def test_it_is_the_same_in_every_attempt() -> None:
    assert identity() == identity()
    assert identity().tag == {"airflow_task": ["/dag/manual__1/task/-1"]}
    assert identity().uuid("chunk", 1) == identity().uuid("chunk", "1")
    assert len(identity().key) == 8


def test_it_is_different_for_everything_else() -> None:
    others: list[dict[str, Any]] = [{}, {"dag_id": "a"}, {"run_id": "a"}, {"task_id": "a"}, {"map_index": 1}]
    for facet in ("name", "key"):
        assert len({getattr(identity(**other), facet) for other in others}) == 5
    uuids = {identity(**other).uuid(part) for other in others for part in range(3)}
    assert len(uuids) == 15
    assert {str(uuid.UUID(value)) for value in uuids} == uuids


def test_two_deployments_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identity()
    monkeypatch.setenv("AIRFLOW__TOLOKA__NAMESPACE", "staging")
    assert identity().name == "staging/dag/manual__1/task/-1"
    assert identity().uuid("a") != before.uuid("a")


def test_the_task_of_a_run_that_created_something() -> None:
    context: Any = {"ti": TaskInstance(task_id="archive")}
    made = identity(task_id="group.make", map_index=2)
    assert TaskIdentity.of_creator(context, {"metadata": {"batch": ["7"], **made.tag}}) == made
    for other in (identity(dag_id="a"), identity(run_id="manual__11")):
        assert TaskIdentity.of_creator(context, {"metadata": other.tag}) is None


@pytest.mark.parametrize("raw", [{}, {"metadata": None}, {"metadata": {}}, {"metadata": {"airflow_task": None}}])
def test_what_it_does_not_mark(raw: dict[str, Any]) -> None:
    assert not identity().marks(raw)
    assert TaskIdentity.of_creator({"ti": TaskInstance()}, raw) is None  # type: ignore[typeddict-item]
    assert not identity().marks({"metadata": identity(map_index=3).tag})
    assert identity().marks({"metadata": {"batch": ["7"], **identity().tag}})
