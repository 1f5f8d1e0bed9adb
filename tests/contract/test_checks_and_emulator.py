"""
Two readings of the same documentation: what the emulator refuses is found before it is sent.

`toloka_airflow.checks` and the emulator share nothing. The checks are the stricter: they may refuse what the emulator
takes, as the API is not known to take it; never the other way round, but for what a warning says. One thing is read in
two ways: a list of languages in a filter, which a page of the documentation and the official client have, and of which
the emulator knows no example.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.documented_configurations import Example, examples
from tests.mutants import mutants, paths_of, with_value, without
from toloka_airflow.checks import check
from toloka_airflow.emulator.forms.schema import examine
from toloka_airflow.emulator.resources.pools.form import POOL, TRAINING
from toloka_airflow.emulator.resources.projects import FORM

FORMS = {"project": FORM, "pool": POOL, "training": TRAINING}
EXAMPLES = list(examples())


def refused(kind: str, config: dict[str, Any]) -> set[str]:
    """Return the fields that the emulator finds wrong."""
    return set(examine(config, FORMS[kind])[1])


def reported(example: Example, config: dict[str, Any]) -> bool:
    return bool(check(**{example.kind: config}, now=example.day_before, off=OFF))


OFF = ("rate-as-fraction", "never-met")
"""What is no more than advice, and would be said whether or not the emulator refuses anything."""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_what_the_emulator_refuses_is_found(example: Example) -> None:
    assert refused(example.kind, example.value) == set()
    both = 0
    for mutant in mutants(example.kind, example.value, example.inside):
        if refused(example.kind, mutant.value):
            both += 1
            assert reported(example, mutant.value), mutant.named
    assert both > 0


scalars = st.none() | st.booleans() | st.integers(-2, 40_000) | st.floats(-1, 101) | st.text("AEIabcdefg_ ", max_size=6)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(("type", "key", "a")), inner, max_size=2)
    ),
    max_leaves=4,
)


@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=400)
@given(st.data(), st.sampled_from(EXAMPLES))
def test_what_the_emulator_refuses_of_anything_is_found(data: st.DataObject, example: Example) -> None:
    path = data.draw(st.sampled_from(sorted(paths_of(example.value), key=str)))
    change = data.draw(values | st.just(...))
    config = without(example.value, path) if change is ... else with_value(example.value, path, change)
    is_list_of_languages = path[-1] == "value" and isinstance(change, list) and change
    if refused(example.kind, config) and not is_list_of_languages:
        assert reported(example, config)
