"""
Convert schemas of OpenAPI 3.0 to JSON Schema (draft 2020-12).

The two look alike and are not: OpenAPI 3.0 says `nullable` and `exclusiveMinimum: true`, ignores what stands beside a
`$ref`, and its formats of integers are ranges. Its `date-time` would refuse nearly every date of the API, which have no
zone; what is one is said by checks/values.py (`format: date`), as what is an id (`format: id`). A schema that is
composed of parts by `allOf` is merged to one, as an object that may have no other keys (`additionalProperties: false`)
has to know them all.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_DROPPED = {"example", "examples", "description", "default", "deprecated", "discriminator", "title", "xml"}
_KEPT = {"type", "enum", "minimum", "maximum", "minItems", "maxItems", "minLength", "maxLength", "pattern"}
_INT32 = (-(2**31), 2**31 - 1)


def converted(schema: Schema, components: dict[str, Schema]) -> Schema:
    """
    Return a schema without references.

    :raises ValueError: If it has something that is not understood; nothing is left out silently.
    """
    if "$ref" in schema:
        return converted(components[schema["$ref"].rpartition("/")[2]], components)
    if unknown := schema.keys() - _DROPPED - _KEPT - _HANDLED:
        raise ValueError(f"this script does not know {', '.join(sorted(unknown))}")
    if "oneOf" in schema:
        # Which branch is meant cannot be told when none fits, so that messages would be about a wrong one.
        return {"oneOf": [converted(branch, components) for branch in schema["oneOf"]]}
    result: Schema = {}
    for part in schema.get("allOf", ()):
        result = merged(result, converted(part, components))
    return merged(result, _own(schema, components))


_HANDLED = {"$ref", "oneOf", "allOf", "properties", "items", "required", "format", "nullable", "exclusiveMinimum"}
_HANDLED |= {"exclusiveMaximum", "additionalProperties"}


def _own(schema: Schema, components: dict[str, Schema]) -> Schema:
    result = {key: schema[key] for key in _KEPT if key in schema}
    if "properties" in schema:
        result["properties"] = {name: converted(part, components) for name, part in schema["properties"].items()}
        result["additionalProperties"] = schema.get("additionalProperties", False)
    if "items" in schema:
        result["items"] = converted(schema["items"], components)
    if schema.get("required"):
        result["required"] = list(schema["required"])
    if schema.get("format") == "date-time":
        result["format"] = "date"
    if schema.get("format") == "int32" and schema.get("type") == "integer":
        result.setdefault("maximum", _INT32[1])
        result.setdefault("minimum", _INT32[0])
    for limit, name in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if schema.get(name) is True:
            result[name] = result.pop(limit)
    if schema.get("nullable"):
        result["type"] = [result["type"], "null"]
        if "enum" in result:
            result["enum"] = [*result["enum"], None]
    return result


def merged(one: Schema, other: Schema) -> Schema:
    """Return what both say, the other going before where they say different things of the same."""
    result = dict(one)
    for key, value in other.items():
        if key == "properties":
            known = result.get(key, {})
            result[key] = known | {name: merged(known.get(name, {}), part) for name, part in value.items()}
        elif key == "items":
            result[key] = merged(result.get(key, {}), value)
        elif key == "required":
            result[key] = [*result.get(key, ()), *(name for name in value if name not in result.get(key, ()))]
        else:
            result[key] = value
    return result
