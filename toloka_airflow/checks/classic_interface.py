"""
The HTML of a project's classic interface, held against the fields of the project.

Facts are those of Toloka's guide: ``{{name}}`` is a field of the input, and a radio button, ``{{field type="radio"
name="..." value="..."}}``, writes its value to a field of the output. Within a block (``{{#...}}``) names may mean
other things, and a script may do anything, so what depends on them is not said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toloka_airflow.checks.values import is_unknown_yet
from toloka_airflow.checks.wording import did_you_mean, nearest, one_of

if TYPE_CHECKING:
    from toloka_airflow.checks.documents import Document
    from toloka_airflow.checks.problems import Path, Problem

WARNINGS = {
    "markup-field": "a name in the HTML of the interface that is no field of the project",
    "markup-option": "an allowed value that no radio button of the interface gives",
}

MARKUP: Path = ("task_spec", "view_spec", "markup")
_COMMENT = re.compile(r"<!--.*?-->|{{!--.*?--}}|{{!.*?}}", re.DOTALL)
_FIELD = re.compile(r"{{\s*field\s+([^{}]*)}}")
_ATTRIBUTE = re.compile(r"""([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_INPUT = re.compile(r"{{{?\s*([A-Za-z_][\w-]*)\s*}?}}")
_WORDS = ("else", "this")
"""Names with a meaning of their own."""


def check_markup(project: Document) -> Iterator[Problem]:
    """Iterate over what is wrong with the HTML of a project; nothing if the interface is not the classic one."""
    markup = project.at(*MARKUP)
    if project.at("task_spec", "view_spec", "type") != "classic" or not isinstance(markup, str):
        return
    if not project.file and is_unknown_yet(markup):
        return
    markup = _COMMENT.sub("", markup)
    fields = [
        {name: first or second for name, first, second in _ATTRIBUTE.findall(tag)} for tag in _FIELD.findall(markup)
    ]
    has_blocks = "{{#" in markup
    if not has_blocks:
        yield from _unknown(project, "input", dict.fromkeys(_INPUT.findall(markup)))
    yield from _unknown(project, "output", dict.fromkeys(field["name"] for field in fields if field.get("name")))
    for name, spec in project.mapping("task_spec", "output_spec").items():
        writers = [field for field in fields if field.get("name") == name]
        if isinstance(spec, Mapping) and spec.get("type") == "string" and _are_radios(writers):
            is_complete = not has_blocks and not project.at("task_spec", "view_spec", "script")
            yield from _check_options(project, name, spec, [str(field["value"]) for field in writers], is_complete)


def _unknown(project: Document, side: str, names: Mapping[str, Any]) -> Iterator[Problem]:
    specs = project.mapping("task_spec", f"{side}_spec")
    for name in names:
        if name not in specs and name not in _WORDS:
            near = nearest(name, specs)
            known = f"its fields are {one_of(specs)}" if specs else "it has none"
            message = f"{name!r} is no field of {side}_spec, {known}{did_you_mean(near)}"
            yield project.problem("markup-field", MARKUP, message, "error" if near else "warning")


def _are_radios(fields: list[dict[str, str]]) -> bool:
    return bool(fields) and all(field.get("type") == "radio" and "value" in field for field in fields)


def _check_options(
    project: Document, name: str, spec: Mapping[str, Any], values: list[str], is_complete: bool
) -> Iterator[Problem]:
    allowed = spec.get("allowed_values")
    if not isinstance(allowed, list) or not all(isinstance(value, str) for value in allowed):
        return
    for value in dict.fromkeys(values):
        if value not in allowed:
            message = (
                f"a radio button gives {value!r} to {name!r}, whose allowed_values are {one_of(allowed)}: Toloka would "
                f"take no such answer{did_you_mean(nearest(value, allowed))}"
            )
            yield project.problem("markup-option", MARKUP, message)
    missing = [value for value in allowed if value not in values]
    if missing and is_complete:
        message = f"nobody can answer {one_of(missing)} in {name!r}: no radio button gives it"
        yield project.problem("markup-option", MARKUP, message, "warning")
