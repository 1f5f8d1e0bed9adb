"""
The form of a configuration: its keys, types, ranges and enumerations, by JSON Schema.

``schemas.json`` is made from Toloka's public API document by ``schemas/make.py``, which has its corrections. It has no
branches (``oneOf``), as the wrong one could be complained about; what goes by a type is in `rules` and `filters`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from toloka_airflow.checks.values import (
    KIND_WORDS,
    is_array,
    is_date,
    is_id,
    is_integer,
    is_number,
    is_object,
    is_unknown_yet,
)
from toloka_airflow.checks.wording import NULL, did_you_mean, nearest, one_of, shown

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

    from toloka_airflow.checks.documents import Document, Kind
    from toloka_airflow.checks.problems import Path, Problem

WARNINGS = {
    "unknown-key": "a key that is not in the API's documentation, and near to none that is",
    "given-later": "a key that is missing, and that the operator can give",
    "null-value": "a key that need not be there, and is null, as an empty one of YAML is",
}

_FILE = FilePath(__file__).with_name("schemas.json")
_REQUIREMENT = ("quality_control", "training_requirement")
_GIVEN_BY_OPERATORS: dict[str, tuple[Path, ...]] = {
    "project": (),
    "pool": (
        ("project_id",),
        ("will_expire",),
        (*_REQUIREMENT, "training_pool_id"),
        (*_REQUIREMENT, "training_passing_skill_value"),
    ),
    "training": (("project_id",),),
}
_LIMITS = {
    "minimum": "less than {} is not possible",
    "maximum": "more than {} is not possible",
    "exclusiveMinimum": "it must be more than {}",
    "exclusiveMaximum": "it must be less than {}",
    "minLength": "it must not be empty",
    "minItems": "it must not have fewer elements than {}",
    "maxItems": "it must not have more elements than {}",
}
_FORMATS = {
    "id": "an id, which is digits, such as 83859",
    "date": "a date in UTC, such as 2030-01-01T00:00:00",
}


def check_structure(document: Document, given: Collection[str] | None = None) -> Iterator[Problem]:
    """
    Return what is wrong with the form of a configuration.

    :param given: The keys that the operator supplies; None if that is not known, and what it can supply and is missing
        is a warning only.
    """
    missing: dict[Path, None] = {}  # in their order
    meant: set[Path] = set()
    errors = [
        (tuple(error.absolute_path), error)
        for error in _validator(document.kind).iter_errors(document.value)
        if document.file or not is_unknown_yet(error.instance)
    ]
    of_wrong_type = {path for path, error in errors if error.validator == "type"}
    for path, error in errors:
        if error.validator == "required":
            missing |= {(*path, name): None for name in error.validator_value if name not in error.instance}
        elif error.validator == "additionalProperties":
            known = error.schema["properties"]
            for key in error.instance:
                if key not in known and (document.file or not is_unknown_yet(key)):
                    near = nearest(key, known.keys() - error.instance.keys())
                    meant.add((*path, near or ""))
                    yield _unknown_key(document, (*path, key), near, known)
        elif error.validator == "type" and error.instance is None and not _is_required(document.kind, path):
            yield document.problem("null-value", path, NULL.format(_named(path)), "warning")
        elif error.validator == "type" or path not in of_wrong_type:
            yield document.problem(_rule(error), path, _message(error, path))
    for path in missing:
        if path not in meant and (problem := _missing(document, path, given)):
            yield problem
    yield from _empty_names(document)


def _empty_names(document: Document) -> Iterator[Problem]:
    """Return which texts are empty that must be there: the API says that they are required."""
    schema = _schema(document.kind)
    for name in schema["required"]:
        value = document.value.get(name)
        if schema["properties"][name] == {"type": "string"} and isinstance(value, str) and not value.strip():
            message = f"{name} is {shown(value)}; {_LIMITS['minLength']}"
            yield document.problem("out-of-range", (name,), message)


def _is_required(kind: str, path: Path) -> bool:
    """Return whether a value must be there, as those of lists and of names that the requester chose must."""
    schema = _schema(kind)
    for step in path[:-1]:
        properties = schema.get("properties", {})
        schema = properties[step] if step in properties else schema.get("items") or schema["additionalProperties"]
    return path[-1] not in schema.get("properties", {}) or path[-1] in schema.get("required", ())


def _missing(document: Document, path: Path, given: Collection[str] | None) -> Problem | None:
    name = str(path[-1])
    if path in _GIVEN_BY_OPERATORS[document.kind]:
        if given is None:
            how = f"{name} is missing: give it here, or to the operator that creates the {document.kind}"
            return document.problem("given-later", path, how, "warning")
        if name in given:
            return None
    where = _owner(path[:-1]) or f"a {document.kind}"
    return document.problem("missing-key", path, f"{name} is missing, which {where} must have")


def _unknown_key(document: Document, path: Path, near: str | None, known: Collection[str]) -> Problem:
    key, owner = path[-1], _owner(path[:-1]) or f"a {document.kind}"
    homes = _homes(document.kind).get(str(key)) or _elsewhere(document.kind, str(key))
    if not near and not homes:
        near = nearest(key, known)  # which is there twice, then
    if near:
        return document.problem("unknown-key", path, f"{owner} has no key {shown(key)}{did_you_mean(near)}")
    if homes:
        return document.problem("misplaced-key", path, f"{owner} has no key {shown(key)}; it belongs to {homes[0]}")
    message = f"{owner} has no key {shown(key)} in the API's documentation; Toloka may refuse or ignore it"
    return document.problem("unknown-key", path, message, "warning")


def _rule(error: ValidationError) -> str:
    if error.validator == "enum":
        return "unknown-value"
    if error.validator == "format":
        return "wrong-form"
    return "wrong-type" if error.validator == "type" else "out-of-range"


def _message(error: ValidationError, path: Path) -> str:
    what = f"{_named(path)} is {shown(error.instance)}"
    wanted = error.validator_value
    if error.validator == "type":
        kinds = [wanted] if isinstance(wanted, str) else wanted
        return f"{what}; it must be {' or '.join(KIND_WORDS[kind] for kind in kinds)}"
    if error.validator == "enum":
        return f"{what}; it must be {one_of(wanted)}{did_you_mean(nearest(error.instance, _texts(wanted)))}"
    if error.validator == "format":
        return f"{what}; it must be {_FORMATS[wanted]}"
    return f"{what}; {_LIMITS[error.validator].format(wanted)}"


def _texts(values: Collection[Any]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def _named(path: Path) -> str:
    """Return the last key of a path, with the index behind it."""
    key = next((part for part in reversed(path) if isinstance(part, str)), "this")
    return f"an element of {key}" if path and isinstance(path[-1], int) else key


def _owner(path: Path) -> str:
    return _named(path) if path else ""


def own_keys() -> dict[Kind, set[str]]:
    """Return the keys that only projects, only pools, and only trainings are created with."""
    kinds: tuple[Kind, ...] = ("project", "pool", "training")
    keys = {
        kind: {key for key, part in _schema(kind)["properties"].items() if not part.get("readOnly")} for kind in kinds
    }
    others = {kind: set[str]().union(*(keys[other] for other in kinds if other != kind)) for kind in kinds}
    return {kind: keys[kind] - others[kind] for kind in kinds}


def languages() -> list[str]:
    """Return the codes of languages that the API knows."""
    codes: list[str] = _schema("project")["properties"]["localization_config"]["properties"]["default_language"]["enum"]
    return codes


@cache
def _schemas() -> dict[str, Any]:
    schemas: dict[str, Any] = json.loads(_FILE.read_bytes())
    return schemas


def _schema(kind: str) -> dict[str, Any]:
    schema: dict[str, Any] = _schemas()[kind]
    return schema


@cache
def _homes(kind: str) -> dict[str, list[str]]:
    """Return the objects of a configuration that have a key, by the key."""
    found: dict[str, list[str]] = {}

    def collect(schema: Mapping[str, Any], path: tuple[str, ...]) -> None:
        for key, part in schema.get("properties", {}).items():
            found.setdefault(key, []).append(".".join(path) or f"the {kind} itself")
            collect(part, (*path, key))
        for below in (schema.get("items"), schema.get("additionalProperties")):
            if isinstance(below, dict):
                collect(below, path)

    collect(_schema(kind), ())
    return found


def _elsewhere(kind: str, key: str) -> list[str]:
    """Return the other kinds of configurations that have a key."""
    return [f"a {other}" for other in _GIVEN_BY_OPERATORS if other != kind and key in _homes(other)]


@cache
def _validator(kind: str) -> Validator:
    # Imported here as not every DAG has a configuration; Airflow itself has imported it by then.
    from jsonschema import Draft202012Validator, FormatChecker
    from jsonschema.validators import extend

    types = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "object": lambda _, value: is_object(value),
            "array": lambda _, value: is_array(value),
            "number": lambda _, value: is_number(value),
            "integer": lambda _, value: is_integer(value),
        }
    )
    formats = FormatChecker(formats=())
    # What is of another type is said by its type.
    formats.checks("id")(lambda value: is_id(value) or not (isinstance(value, str) or is_integer(value)))
    formats.checks("date")(lambda value: is_date(value) or not isinstance(value, str))
    validator = extend(Draft202012Validator, type_checker=types)
    return validator(_schema(kind), format_checker=formats)
