"""The interface that Template Builder makes, held against the fields of the project."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.checked_configurations import INTERFACE, PROJECT, as_file, changed, rules
from toloka_airflow.checks import Document, Problem
from toloka_airflow.checks.template_builder import check_template

RELATIVE = {"type": "data.relative", "path": "a"}
CONFIG = "task_spec.view_spec.config"


def project(interface: Any, **outputs: Any) -> dict[str, Any]:
    return changed(PROJECT, {CONFIG: interface, **{f"task_spec.output_spec.{k}": v for k, v in outputs.items()}})


def problems(interface: Any, **outputs: Any) -> list[Problem]:
    return list(check_template(Document("project", project(interface, **outputs))))


def found(interface: Any, **outputs: Any) -> list[tuple[str, str, str]]:
    return [
        (level, rule, path.removeprefix(f"{CONFIG}.")) for level, rule, path in rules(problems(interface, **outputs))
    ]


def with_items(*items: dict[str, Any]) -> dict[str, Any]:
    """Return the interface with more items, which begin with the third."""
    interface = copy.deepcopy(INTERFACE)
    interface["view"]["items"] += items
    return interface


def view(path: str) -> dict[str, Any]:
    return {"type": "view.text", "content": {"type": "data.input", "path": path}}


def output(path: str = "extra") -> dict[str, Any]:
    return {"type": "data.output", "path": path}


@pytest.mark.parametrize("given", [INTERFACE, json.dumps(INTERFACE), json.dumps(INTERFACE, indent=2)])
def test_nothing_is_wrong_with_it(given: Any) -> None:
    assert problems(given) == []


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (view("imgae"), ("error", "template-field", "content.path")),
        (
            {"type": "view.text", "content": {"type": "data.input", "path": "imgae", "default": "a.jpg"}},
            ("warning", "template-field", "content.path"),
        ),
        (view("author"), ("warning", "template-field", "content.path")),
        (view("image.url"), ("error", "template-type", "content.path")),
        ({"type": "field.text", "data": output("coment")}, ("error", "template-field", "data.path")),
        ({"type": "field.text", "data": output("opinion")}, ("warning", "template-field", "data.path")),
        ({"type": "field.text", "data": output("comment.0")}, ("error", "template-type", "data.path")),
        ({"type": "field.checkbox", "data": output("comment")}, ("error", "template-type", "type")),
        ({"type": "field.number", "data": output("comment")}, ("error", "template-type", "type")),
        ({"type": "field.file", "data": output("comment")}, ("error", "template-type", "type")),
        ({"type": "field.quiz", "data": output("comment"), "options": []}, ("error", "template-type", "type")),
        ({"type": "action.set", "data": output("kind"), "payload": "bird"}, ("error", "template-option", "payload")),
        (
            {"type": "field.button-radio", "data": output("kind"), "valueToSet": "Cat"},
            ("error", "template-option", "valueToSet"),
        ),
        (
            {"type": "field.select", "data": output("kind"), "options": [{"label": "Bird", "value": "bird"}]},
            ("error", "template-option", "options.0.value"),
        ),
        ({"type": "field.texst", "data": output("comment")}, ("error", "template-component", "type")),
        ({"type": "field.text", "data": {"$ref": "vars.nowhere"}}, ("error", "template-ref", "data.$ref")),
        ({"$ref": "view.items.4"}, ("error", "template-ref", "$ref")),
        ({"$ref": "view.items.2"}, ("error", "template-ref", "$ref")),  # to itself
        ({"type": "view.hologram"}, ("warning", "template-component", "type")),
        ({"type": "@yandex-toloka/data.locatoin"}, ("error", "template-component", "type")),
    ],
    ids=str,
)  # fmt: skip
def test_an_item(tmp_path: Path, item: dict[str, Any], expected: tuple[str, str, str]) -> None:
    level, rule, path = expected
    assert found(with_items(item)) == [(level, rule, f"view.items.2.{path}")]
    # As text in a file, it is on the line of the text.
    document = as_file(tmp_path, "project", project(json.dumps(with_items(item))))
    [problem] = check_template(document)
    assert problem.line is not None
    assert "config:" in Path(document.file).read_text().splitlines()[problem.line - 1]


@pytest.mark.parametrize(
    "item",
    [
        view("source.author.name"),
        {"type": "view.text", "content": {"type": "data.internal", "path": "anything"}},
        view("{{ params.field }}"),
        {"type": "field.text", "data": output("comment")},
        {"type": "field.textarea", "data": {"$ref": "{{ params.where }}"}},
        # Not on the pages, but in the source; some names are near to others.
        {"type": "field.button-checkbox", "data": output("boxes.a")},
        {"type": "field.multi-select", "data": output("list")},
        {"type": "field.tumbler", "data": output("boxes.a")},
        {"type": "view.with-label", "validation": {"type": "condition.less"}},
        {"type": "view.hint", "validation": {"type": "condition.more"}},
        {"type": "field.map", "data": output("comment"), "center": {"type": "@yandex-toloka/data.location"}},
        {"type": "action.set", "data": output("kind"), "payload": None},
        {"type": "action.set", "data": output("kind"), "payload": {"type": "data.input", "path": "image"}},
        {"type": "field.select", "data": output("kind"), "options": {"$ref": "view.items.1.options"}},
        {"type": "field.list", "data": output("list"), "render": {"type": "field.text", "data": RELATIVE}},
        {"type": "condition.schema", "data": output("comment"), "schema": {"type": "string", "minLength": 3}},
        {"type": "field.checkbox-group", "data": output("boxes"), "options": [{"label": "A", "value": "a"}]},
        {"type": "field.checkbox", "data": output("boxes.a")},
    ],
    ids=str,
)  # fmt: skip
def test_an_item_with_which_nothing_is_wrong(item: dict[str, Any]) -> None:
    more = {"list": {"type": "array_json", "required": False}, "boxes": {"type": "json", "required": False}}
    assert found(with_items(item), **more) == []


@pytest.mark.parametrize(
    ("component", "fits", "does_not"),
    [
        ("checkbox", ["boolean", "json", "BOOLEAN"], ["string", "integer", "array_boolean"]),
        ("checkbox-group", ["json"], ["string", "boolean", "array_string"]),
        ("number", ["integer", "float", "json"], ["string", "boolean", "file"]),
        ("text", ["string", "url", "coordinates", "json"], ["integer", "boolean", "file", "array_string"]),
        ("textarea", ["string"], ["float"]),
        ("email", ["string"], ["float"]),
        ("phone-number", ["string"], ["integer"]),
        ("date", ["string"], ["integer"]),
        ("file", ["file", "json"], ["url", "array_file", "string"]),
        ("media-file", ["file"], ["url"]),
        ("audio", ["file"], ["string"]),
        ("quiz", ["json"], ["string"]),
        # Their pages do not say what they write.
        ("list", ["array_string", "string"], []),
        ("map", ["json", "coordinates"], []),
        ("image-annotation", ["json", "array_json"], []),
    ],
)
def test_what_a_component_writes(component: str, fits: list[str], does_not: list[str]) -> None:
    interface = with_items({"type": f"field.{component}", "data": output(), "preserveFalse": True})
    for kind in fits + does_not:
        wrong = found(interface, extra={"type": kind})
        assert wrong == ([("error", "template-type", "view.items.2.type")] if kind in does_not else []), kind
    assert found(interface, extra={"type": "{{ params.type }}"}) == []


def test_several_files() -> None:
    interface = with_items({"type": "field.file", "data": output(), "multiple": True})
    assert found(interface, extra={"type": "array_file"}) == []
    assert found(interface, extra={"type": "file"}) == [("error", "template-type", "view.items.2.type")]
    unknown = with_items({"type": "field.file", "data": output(), "multiple": {"$ref": "view.items.1.options"}})
    assert found(unknown, extra={"type": "file"}) == []


def test_a_box_that_must_be_ticked() -> None:
    interface = with_items({"type": "field.checkbox", "data": output()})
    assert found(interface, extra={"type": "boolean"}) == [("warning", "template-optional", "view.items.2")]
    assert found(interface, extra={"type": "boolean", "required": False}) == []


def test_a_required_field_that_nothing_writes(tmp_path: Path) -> None:
    document = as_file(tmp_path, "project", project(INTERFACE, extra={"type": "string"}))
    [problem] = check_template(document)
    assert (problem.level, problem.rule) == ("warning", "template-unwritten")
    assert problem.path == ("task_spec", "output_spec", "extra")
    assert problem.line is not None
    assert "extra:" in Path(document.file).read_text().splitlines()[problem.line - 1]
    # It is enough that an action writes it, or a part of it, or that the app does.
    assert found(with_items({"type": "action.set", "data": output(), "payload": "a"}), extra={"type": "string"}) == []
    assert found(with_items({"type": "field.text", "data": output("extra.0")}), extra={"type": "array_string"}) == []
    assert found(INTERFACE, extra={"type": "coordinates", "current_location": True}) == []
    # Or what refers to a reference to it does, or what writes the output as a whole.
    through = with_items({"type": "field.text", "data": {"$ref": "vars.one"}})
    through["vars"] = {"one": {"$ref": "vars.two"}, "two": output(), "kind": output("kind")}
    assert found(through, extra={"type": "string"}) == []
    assert found(with_items({"type": "field.map", "data": {"type": "data.output"}}), extra={"type": "string"}) == []
    # Reading it is not writing it.
    reads = with_items({"type": "view.text", "content": output()})
    assert [rule for _, rule, _ in found(reads, extra={"type": "string"})] == ["template-unwritten"]


def test_an_allowed_value_that_nobody_can_give() -> None:
    interface = copy.deepcopy(INTERFACE)
    interface["view"]["items"][1]["options"].pop()
    [problem] = problems(interface)
    assert (problem.level, problem.rule) == ("warning", "template-option")
    assert problem.path == ("task_spec", "output_spec", "kind", "allowed_values")
    assert 'nobody can answer "dog"' in problem.message
    # A button beside it gives the value.
    interface["view"]["items"].append({"type": "field.button-radio", "data": output("kind"), "valueToSet": "dog"})
    assert problems(interface) == []
    # Options that are not known may have it.
    interface["view"]["items"][2] = {"type": "field.text", "data": output("kind")}
    assert problems(interface) == []


def test_hidden_input() -> None:
    config = changed(project(INTERFACE), {"task_spec.input_spec.image.hidden": True})
    found = rules(check_template(Document("project", config)))
    assert found == [("warning", "template-hidden", f"{CONFIG}.view.items.0.url.path")]


def test_a_name_is_reported_once() -> None:
    text = {"type": "field.text", "data": output("coment")}
    assert found(with_items(text, text)) == [("error", "template-field", "view.items.2.data.path")]
    assert "did you mean 'comment'?" in problems(with_items(text))[0].message


@pytest.mark.parametrize(
    ("config", "rule"),
    [
        ('{"view": ', "template-config"),
        ('{"view": {"type": "view.list", "items": [1,]}}', "template-config"),
        ("[]", None),
        ('"view"', "template-config"),
        ("{}", "template-config"),
        ({"view": []}, "template-config"),
        ("[" * 100_000, "template-config"),
        (None, None),
        ([], None),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_configuration_that_is_none(config: Any, rule: str | None) -> None:
    assert [problem.rule for problem in problems(config)] == ([] if rule is None else [rule])


def test_where_text_is_no_json() -> None:
    [problem] = problems('{\n "view": {\n  "type": "view.list",\n }\n}')
    assert "line 4, column 2 of the text" in problem.message


def test_a_template_that_is_not_rendered_yet() -> None:
    text = "{{ var.value.interface }}"
    assert problems(text) == []
    in_a_file = Document("project", project(text), "project.yaml")
    assert [problem.rule for problem in check_template(in_a_file)] == ["template-config"]


def test_a_specification_that_is_wrong_itself() -> None:
    assert found(INTERFACE, kind={"type": "string", "allowed_values": 1}) == []
    assert found(INTERFACE, kind={"type": 1, "allowed_values": ["{{ params.kind }}"]}) == []


def test_another_editor() -> None:
    config = changed(project("no JSON"), {"task_spec.view_spec.type": "classic"})
    assert list(check_template(Document("project", config))) == []


def references(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Iterate over where the names are that an interface has of fields and components."""
    if isinstance(value, dict):
        for key, part in value.items():
            is_component = key == "type" and str(part).split(".")[0] in ("field", "view", "action", "condition", "data")
            if isinstance(part, str) and (is_component or key in ("path", "$ref")):
                yield (*path, key)
            yield from references(part, (*path, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from references(part, (*path, index))


@pytest.mark.parametrize("path", list(references(INTERFACE)), ids=str)
def test_each_reference_misspelt_is_found(path: tuple[Any, ...]) -> None:
    interface = copy.deepcopy(INTERFACE)
    part: Any = interface
    for key in path[:-1]:
        part = part[key]
    name = part[path[-1]]
    # Two letters in the middle change places.
    middle = len(name) // 2
    part[path[-1]] = name[: middle - 1] + name[middle] + name[middle - 1] + name[middle + 1 :]
    errors = [(problem.level, problem.path[3:]) for problem in problems(interface) if problem.level == "error"]
    assert errors == [("error", path)]
