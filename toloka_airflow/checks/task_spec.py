"""The fields of a project: what they say of their values must be possible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toloka_airflow.checks.documents import Document, number
from toloka_airflow.checks.task_values import TYPES, value_check
from toloka_airflow.checks.wording import shown

if TYPE_CHECKING:
    from toloka_airflow.checks.problems import Problem

WARNINGS = {
    "hidden-output": "a field of the output that is hidden: nobody can fill it in",
    "limit-unused": "a limit that the type of its field does not have",
}

_LIMITS = {
    "value": ("integer", "float"),
    "length": ("string", "url"),
    "size": (),
}
"""Of which types a limit is, besides the lists that each size is of."""


def check_task_spec(project: Document) -> Iterator[Problem]:
    """Iterate over what is wrong with the fields of a project."""
    for side in ("input_spec", "output_spec"):
        for name, spec in project.mapping("task_spec", side).items():
            if isinstance(spec, Mapping) and isinstance(spec.get("type"), str):
                yield from _check_field(project, side, name, spec)


def _check_field(project: Document, side: str, name: str, spec: Mapping[str, Any]) -> Iterator[Problem]:
    path, kind = ("task_spec", side, name), spec["type"].lower()
    single = kind.removeprefix("array_")
    if single not in TYPES:
        return  # that the type is none is said of the names
    if single == "file" and side == "input_spec":
        message = f"{shown(name)} is of the type {kind}, which only the output can have: give tasks a url"
        yield project.problem("input-file", (*path, "type"), message)
    if side == "output_spec" and spec.get("hidden") is True:
        yield project.problem("hidden-output", (*path, "hidden"), "the output is never hidden", "warning")
    for limit, types in _LIMITS.items():
        low, high = number(spec.get(f"min_{limit}")), number(spec.get(f"max_{limit}"))
        if low is not None and high is not None and low > high:
            message = f"min_{limit} is {low:g} and max_{limit} is {high:g}: no value can be both"
            yield project.problem("limits", (*path, f"min_{limit}"), message)
        fits = kind.startswith("array_") if limit == "size" else single in types
        for key in (f"min_{limit}", f"max_{limit}"):
            if key in spec and not fits:
                message = f"{key} means nothing for a field of the type {kind}"
                yield project.problem("limit-unused", (*path, key), message, "warning")
    yield from _check_allowed_values(project, path, kind, spec)


def _check_allowed_values(
    project: Document, path: tuple[str, str, str], kind: str, spec: Mapping[str, Any]
) -> Iterator[Problem]:
    given = spec.get("allowed_values")
    if not isinstance(given, list):
        return
    # Each must be a value of the field itself, with its other limits.
    check = value_check({**spec, "type": kind.removeprefix("array_"), "allowed_values": None})
    for index, value in enumerate(given):
        if (wrong := check(value)) is not None:
            message = f"an allowed value {wrong.message}: nobody can ever give it"
            yield project.problem("allowed-value", (*path, "allowed_values", index), message)
