"""
Names that go with other names: the rules of quality control, the filter, the balance of speed and quality.

Their form is checked by `structure`; what is not of it is passed over here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from toloka_airflow.checks import filters
from toloka_airflow.checks.filters import check_filter
from toloka_airflow.checks.rules import ACTIONS, COLLECTORS, CONDITIONS, UNDOCUMENTED_ACTIONS, Collector
from toloka_airflow.checks.specs import Spec, check_fields, check_value
from toloka_airflow.checks.values import is_object, is_unknown_yet, items, part
from toloka_airflow.checks.wording import did_you_mean, nearest, one_of, shown

if TYPE_CHECKING:
    from toloka_airflow.checks.documents import Document
    from toloka_airflow.checks.problems import Path, Problem

WARNINGS: dict[str, str] = {
    **filters.WARNINGS,
    "unknown-value": "a value that is not in the API's documentation, where that does not have all of them",
}

_PARAMETER_HOMES = {
    parameter: f"the collector {name}" for name, collector in COLLECTORS.items() for parameter in collector.parameters
}
_ACTION_HOMES = {
    parameter: f"the action {name}" for name, parameters in ACTIONS.items() for parameter in parameters or ()
}
_INTERFACE = ("task_spec", "view_spec")
_BALANCES = {"TOP_PERCENTAGE_BY_QUALITY": "percent", "BEST_CONCURRENT_USERS_BY_QUALITY": "count"}


def check_names(document: Document) -> Iterator[Problem]:
    """Return what is wrong with names that go with each other."""
    at: Path = ("quality_control", "configs")
    for index, config in items(part(document.value, *map(str, at))):
        yield from _check_config(document, (*at, index), config)
    if document.kind == "pool":
        yield from check_filter(document)
        yield from _check_balance(document)
    elif document.kind == "project":
        yield from _check_interface(document)


def _check_config(document: Document, at: Path, config: Any) -> Iterator[Problem]:
    kind = part(config, "collector_config", "type")
    path = (*at, "collector_config", "type")
    yield from _check_name(document, path, "the type of a collector", kind, COLLECTORS)
    collector = COLLECTORS.get(kind) if isinstance(kind, str) else None
    if collector:
        path = (*at, "collector_config", "parameters")
        # Without parameters, those that are required are missing as well.
        parameters = part(config, "collector_config", "parameters")
        owner = f"the collector {kind}"
        yield from check_fields(document, path, _or_none(parameters), collector.parameters, owner, _PARAMETER_HOMES)
    for index, rule in items(part(config, "rules")):
        of_rule = (*at, "rules", index)
        for number, condition in items(part(rule, "conditions")):
            yield from _check_condition(document, (*of_rule, "conditions", number), condition, kind, collector)
        if is_object(part(rule, "action")):
            yield from _check_action(document, (*of_rule, "action"), rule["action"], kind, collector)


def _check_condition(
    document: Document, at: Path, given: Any, kind: Any, collector: Collector | None
) -> Iterator[Problem]:
    key = part(given, "key")
    known = collector.conditions if collector else CONDITIONS
    yield from _check_name(document, (*at, "key"), "the key of a condition", key, CONDITIONS, known)
    condition = CONDITIONS.get(key) if isinstance(key, str) else None
    if not condition:
        return
    if key not in known:
        message = f"{key} is not counted by {kind}, whose conditions are on {one_of(known)}{_others(key)}"
        yield document.problem("not-of-collector", (*at, "key"), message)
        return
    operator = given.get("operator")
    if operator in CONDITIONS["fail_rate"].operators and operator not in condition.operators:
        message = f"{key} cannot be compared by {operator}; it must be {one_of(condition.operators)}"
        yield document.problem("wrong-operator", (*at, "operator"), message)
    if given.get("value") is not None:
        yield from check_value(document, (*at, "value"), f"the value of {key}", given["value"], condition.value)


def _check_action(
    document: Document, at: Path, action: Any, kind: Any, collector: Collector | None
) -> Iterator[Problem]:
    name = action.get("type")
    fitting = (*collector.actions, *UNDOCUMENTED_ACTIONS) if collector else tuple(ACTIONS)
    yield from _check_name(document, (*at, "type"), "the type of an action", name, ACTIONS, fitting)
    if not isinstance(name, str) or name not in ACTIONS:
        return
    if name not in fitting:
        message = f"{name} does not go with {kind}, but {one_of(fitting)} do"
        yield document.problem("not-of-collector", (*at, "type"), message)
    specs = ACTIONS[name]
    if specs is None:
        return
    path = (*at, "parameters")
    parameters = _or_none(action.get("parameters"))
    yield from check_fields(document, path, parameters, specs, f"the action {name}", _ACTION_HOMES)
    if name == "RESTRICTION_V2" and is_object(parameters):
        yield from _check_duration(document, path, parameters)
    if name == "SET_SKILL_FROM_OUTPUT_FIELD" and collector and name in fitting:
        source = part(parameters, "from_field")
        if isinstance(source, str):
            spec = Spec("text", choices=collector.output_fields)
            yield from check_value(document, (*path, "from_field"), "from_field", source, spec)


def _or_none(parameters: Any) -> Any:
    return {} if parameters is None else parameters


def _check_duration(document: Document, at: Path, parameters: Any) -> Iterator[Problem]:
    unit, known = parameters.get("duration_unit"), ("MINUTES", "HOURS", "DAYS")
    if unit in known and "duration" not in parameters and not _misspelt("duration", parameters):
        message = f"duration is missing: how many {unit.lower()} people are banned"
        yield document.problem("missing-key", (*at, "duration"), message)


def _misspelt(name: str, value: Any) -> bool:
    return any(nearest(key, (name,)) for key in value if key not in _ACTION_HOMES)


def _check_balance(document: Document) -> Iterator[Problem]:
    kind = part(document.value, "speed_quality_balance", "type")
    if isinstance(kind, str) and kind in _BALANCES:
        yield from _check_needed(document, ("speed_quality_balance",), _BALANCES[kind], f"a balance by {kind}")


def _check_interface(document: Document) -> Iterator[Problem]:
    if part(document.value, *_INTERFACE, "type") == "tb":
        yield from _check_needed(document, _INTERFACE, "config", "an interface of Template Builder")


def _check_needed(document: Document, at: tuple[str, ...], name: str, owner: str) -> Iterator[Problem]:
    """Return that a key is missing which goes with another one's value, unless it is only misspelt."""
    having = part(document.value, *at)
    if having.get(name) is None and not any(nearest(key, (name,)) for key in having if key != name):
        yield document.problem("missing-key", (*at, name), f"{name} is missing, which {owner} must have")


def _check_name(
    document: Document,
    path: Path,
    what: str,
    name: Any,
    known: Collection[str],
    fitting: Collection[str] = (),
) -> Iterator[Problem]:
    """Return that there is no such name; the nearest is of those that fit, if one of them is near."""
    if not isinstance(name, str) or name in known or (not document.file and is_unknown_yet(name)):
        return
    near = nearest(name, fitting) or nearest(name, known)
    message = f"{what} is {shown(name)}; it must be {one_of(fitting or known)}{did_you_mean(near)}"
    yield document.problem("unknown-value", path, message)


def _others(key: str) -> str:
    having = [name for name, collector in COLLECTORS.items() if key in collector.conditions]
    return f"; {key} is counted by {one_of(having)}"
