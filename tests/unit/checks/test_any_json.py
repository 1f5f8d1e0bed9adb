"""Whatever is in a configuration, the checks come to an end, with problems and not with an exception."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.checked_configurations import INTERFACE, NOW, POOL, PROJECT, TRAINING, changed
from tests.documented_configurations import examples
from toloka_airflow.checks import Document, check, check_config

TASKS = [{"input_values": {"image": "a"}, "known_solutions": [{"output_values": {"kind": "cat"}}], "overlap": 2}]
POOLS = [POOL, *(example.value for example in examples() if example.kind == "pool")]
PROJECTS = [PROJECT, changed(PROJECT, {"task_spec.view_spec.config": INTERFACE})]
SCALARS = st.none() | st.booleans() | st.integers(-2, 200) | st.floats() | st.sampled_from(["", "a", "1", "{{ a }}"])
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from paths(part, (*path, key))


@st.composite
def spoilt(draw: st.DrawFn, configs: list[Any]) -> Any:
    """Return a configuration in which some values are anything, or not there."""
    config = copy.deepcopy(draw(st.sampled_from(configs)))
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(list(paths(config))))
        part: Any = config
        for key in path[:-1]:
            part = part[key]
        if isinstance(part, dict) and draw(st.booleans()):
            del part[path[-1]]
        else:
            part[path[-1]] = draw(ANYTHING)
        if not config:
            break
    return config


@pytest.mark.no_cover
@settings(max_examples=100, derandomize=True, database=None, deadline=None)
@given(project=spoilt(PROJECTS), pool=spoilt(POOLS), training=spoilt([TRAINING]), tasks=spoilt([TASKS]))
def test_all_of_them(project: Any, pool: Any, training: Any, tasks: Any) -> None:
    problems = check(project, pool, training, tasks if isinstance(tasks, list) else TASKS, now=NOW, min_pay_per_hour=1)
    assert all(str(problem) and problem.as_json() for problem in problems)
    for kind, config in (("project", project), ("pool", pool), ("training", training)):
        at_parsing = check_config(Document(kind, config), given=("project_id", "will_expire"))  # type: ignore[arg-type]
        assert all(problem.level == "error" for problem in at_parsing)
