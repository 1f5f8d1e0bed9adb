"""The schemas, and the script that makes them from the public API document."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas.convert import converted
from schemas.corrections import CORRECTIONS, Correction
from schemas.make import OUTPUT, check_is_plain, correct, target_of

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = json.loads(OUTPUT.read_text())


def test_what_is_shipped_is_valid_and_plain() -> None:
    for kind in ("project", "pool", "training"):
        Draft202012Validator.check_schema(SHIPPED[kind])
        check_is_plain(SHIPPED[kind], kind)


@pytest.mark.parametrize("correction", CORRECTIONS, ids=lambda correction: correction.path)
def test_every_correction_is_in_what_is_shipped_and_has_a_reason(correction: Correction) -> None:
    assert len(correction.reason) > 5
    for kind in correction.kinds:
        target = target_of(copy.deepcopy(SHIPPED[kind]), correction)
        for keyword, value in correction.now.items():
            if value is None:
                assert keyword not in target
            elif not isinstance(value, tuple):
                assert target[keyword] == value


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        (
            {"type": "string", "enum": ["a"], "nullable": True},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        ({"type": "number", "minimum": 1, "exclusiveMinimum": True}, {"type": "number", "exclusiveMinimum": 1}),
        ({"type": "number", "maximum": 1, "exclusiveMaximum": True}, {"type": "number", "exclusiveMaximum": 1}),
        ({"type": "number", "minimum": 1, "exclusiveMinimum": False}, {"type": "number", "minimum": 1}),
        (
            {"type": "integer", "format": "int32", "minimum": 5},
            {"type": "integer", "minimum": 5, "maximum": 2147483647},
        ),
        ({"type": "integer", "format": "int64"}, {"type": "integer"}),
        ({"type": "number", "format": "int32"}, {"type": "number"}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}),
        ({"type": "string", "example": "a", "description": "b", "default": "c"}, {"type": "string"}),
        ({"$ref": "#/components/schemas/Name", "description": "ignored"}, {"type": "string"}),
        (
            {"type": "object", "properties": {"a": {"$ref": "#/components/schemas/Name"}}, "required": ["a"]},
            {
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "required": ["a"],
                "additionalProperties": False,
            },
        ),
        (
            {
                "allOf": [
                    {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]},
                    {"type": "object", "properties": {"a": {"maximum": 2}, "b": {}}, "required": ["a", "b"]},
                ]
            },
            {
                "type": "object",
                "properties": {"a": {"type": "integer", "minimum": 1, "maximum": 2}, "b": {}},
                "required": ["a", "b"],
                "additionalProperties": False,
            },
        ),
    ],
)
def test_openapi_is_converted(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    assert converted(schema, {"Name": {"type": "string"}}) == expected


@pytest.mark.parametrize("keyword", ["multipleOf", "anyOf", "not", "uniqueItems", "if"])
def test_what_the_script_does_not_know_is_not_left_out_silently(keyword: str) -> None:
    with pytest.raises(ValueError, match=keyword):
        converted({"type": "number", keyword: 1}, {})


def test_a_correction_of_what_is_not_there_is_an_error() -> None:
    schema = {"type": "object", "properties": {"filter": {"type": "object"}}, "additionalProperties": False}
    was_text = Correction(("pool",), "filter", {"type": "string"}, {"type": "object"}, "all examples have an object")
    with pytest.raises(ValueError, match=r"filter: type is 'object', not 'string' as expected"):
        correct(schema, was_text)
    with pytest.raises(ValueError, match="filter: the document is right already"):
        correct(schema, was_text._replace(was={"type": "object"}))
    with pytest.raises(KeyError):
        correct(schema, was_text._replace(path="gone"))


@pytest.mark.parametrize(
    ("schema", "error"),
    [
        ({"properties": {"a": {"oneOf": []}}, "additionalProperties": False}, r"pool\.a has oneOf"),
        ({"properties": {"a": {"items": {"multipleOf": 1}}}, "additionalProperties": False}, r"pool\.a\.\* has multip"),
        ({"properties": {}}, "pool may have any key"),
    ],
)
def test_a_schema_with_branches_or_any_key_is_refused(schema: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        check_is_plain(schema, "pool")


def test_the_script_says_what_it_needs() -> None:
    done = subprocess.run([sys.executable, "-m", "schemas.make"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "document" in done.stderr
