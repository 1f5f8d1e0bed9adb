"""
Write the schemas of projects, pools and trainings: ``python -m schemas.make API_DOCUMENT [OUTPUT]``.

The document is that of Toloka's requester API, in OpenAPI 3.0 and JSON. A schema has the keys of a request and those of
an answer, as what was read may be sent back, and no others, so that a misspelt key is found.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from schemas.convert import Schema, converted
from schemas.corrections import CORRECTIONS, Correction

OUTPUT = Path(__file__).resolve().parents[1] / "toloka_airflow" / "checks" / "schemas.json"
COMPONENTS = {"project": "Project", "pool": "Pool", "training": "Training"}


def schemas(document: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas by the kind of configuration."""
    components = document["components"]["schemas"]
    info = document["info"]
    made: dict[str, Any] = {"source": f"{info['title']} {info['version']}, corrected by schemas/corrections.py"}
    for kind, name in COMPONENTS.items():
        form = converted(components[f"{name}FormV1"], components)
        answer = converted(components[f"{name}ViewV1"], components)
        for key in answer["properties"].keys() - form["properties"].keys():
            answer["properties"][key]["readOnly"] = True
        form["properties"] = form["properties"] | {
            key: part for key, part in answer["properties"].items() if key not in form["properties"]
        }
        made[kind] = {"$schema": "https://json-schema.org/draft/2020-12/schema", **form}
    for correction in CORRECTIONS:
        for kind in correction.kinds:
            correct(made[kind], correction)
    for kind in COMPONENTS:
        check_is_plain(made[kind], kind)
    return made


def correct(schema: Schema, correction: Correction) -> None:
    """
    Put one thing right.

    :raises ValueError: If the document does not say what is corrected, or says what is right already.
    """
    target = target_of(schema, correction)
    for keyword, value in (correction.was or {}).items():
        if target.get(keyword) != value:
            raise ValueError(f"{correction.path}: {keyword} is {target.get(keyword)!r}, not {value!r} as expected")
    before = dict(target)
    for keyword, value in correction.now.items():
        if isinstance(value, tuple):
            value = before[value[0]][value[1]]
        if value is None:
            target.pop(keyword, None)
        else:
            target[keyword] = value
    if target == before:
        raise ValueError(f"{correction.path}: the document is right already")


def target_of(schema: Schema, correction: Correction) -> Schema:
    """Return the part of a schema that is corrected; an empty one is made for a key that the document lacks."""
    steps = [step for step in correction.path.split(".") if step]
    for step in steps[:-1]:
        schema = _below(schema, step)
    if not steps:
        return schema
    if correction.was is None and steps[-1] != "*" and steps[-1] not in schema["properties"]:
        schema["properties"][steps[-1]] = {}
    return _below(schema, steps[-1])


def _below(schema: Schema, step: str) -> Schema:
    below: Schema
    if step != "*":
        below = schema["properties"][step]
    else:
        below = schema["items"] if "items" in schema else schema["additionalProperties"]
    return below


def check_is_plain(schema: Any, at: str) -> None:
    """
    Check that a schema has no branches, of which a message could be about the wrong one, and closes all its objects.

    :raises ValueError: If it is not so.
    """
    for path, part in _parts(schema, at):
        if branches := part.keys() & {"oneOf", "anyOf", "allOf", "not", "if", "multipleOf"}:
            raise ValueError(f"{path} has {', '.join(branches)}")
        if "properties" in part and "additionalProperties" not in part:
            raise ValueError(f"{path} may have any key")


def _parts(schema: Schema, at: str) -> Iterator[tuple[str, Schema]]:
    yield at, schema
    for name, part in schema.get("properties", {}).items():
        yield from _parts(part, f"{at}.{name}")
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from _parts(schema[keyword], f"{at}.*")


def main() -> None:
    """Write the schemas."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("document", type=Path, help="the public API document, OpenAPI 3.0 in JSON")
    parser.add_argument("output", type=Path, nargs="?", default=OUTPUT)
    arguments = parser.parse_args()
    made = schemas(json.loads(arguments.document.read_text(encoding="utf-8")))
    arguments.output.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
