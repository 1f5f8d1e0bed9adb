"""The emulator's own OpenAPI document, made from its routes, its forms and its lists."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from toloka_airflow.emulator.calls.describing import FLAG, TEXT, Description, closed, ref
from toloka_airflow.emulator.resources.routes import DESCRIPTIONS, HANDLERS, SCHEMAS, STAGING_HANDLERS
from toloka_airflow.emulator.world.errors import CODES

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json

API = "/api/v1"
COMMON: Json = {
    "Error": closed(
        {"request_id": TEXT, "code": TEXT, "message": TEXT, "payload": {"type": ["object", "null"]}},
        ("request_id", "code", "message"),
    ),
    "Owner": closed({"id": TEXT, "myself": FLAG}),
}


def document() -> Json:
    """Return the document: every call that is emulated, and nothing else."""
    paths: Json = {}
    for (method, path), described in _descriptions().items():
        paths.setdefault(path, {})[method.lower()] = _operation(path, described)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Toloka emulator",
            "version": "1",
            "description": "The calls of the Toloka API that the emulator models. Faults on request are not in here.",
        },
        "paths": dict(sorted(paths.items())),
        "security": [{"token": []}],
        "components": {
            "schemas": COMMON | SCHEMAS,
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "Authorization"}},
        },
    }


def undescribed() -> list[tuple[str, str]]:
    """Return the emulated calls of which the document knows no more than the address."""
    return sorted({*HANDLERS, *STAGING_HANDLERS} - set(DESCRIPTIONS))


@cache
def _descriptions() -> dict[tuple[str, str], Description]:
    unknown = Description({200: {}, 201: {}, 202: {}, 204: None}, body={})
    below = {(method, API + path): DESCRIPTIONS.get((method, path), unknown) for method, path in HANDLERS}
    return below | {key: DESCRIPTIONS.get(key, unknown) for key in STAGING_HANDLERS}


def _operation(path: str, described: Description) -> Json:
    answers = {
        str(status): _answer(status, schema, described.media_type) for status, schema in described.answers.items()
    }
    refusals = {
        str(status): {"description": "Refused"} if status in described.unlike_others else _answer(status, _error(codes))
        for status, codes in _codes_by_status().items()
    }
    shown: Json = {"responses": answers | refusals}
    in_path = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    parameters = [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in in_path]
    if parameters or described.query:
        shown["parameters"] = [*parameters, *described.query]
    if described.body is not None:
        shown["requestBody"] = {"required": True, "content": {"application/json": {"schema": described.body}}}
    return shown


def _answer(status: int, schema: Json | None, media_type: str = "application/json") -> Json:
    description = "Done" if status < 400 else "Refused"
    if schema is None:
        return {"description": description}
    return {"description": description, "content": {media_type: {"schema": schema}}}


def _codes_by_status() -> dict[int, list[str]]:
    by_status: dict[int, list[str]] = {}
    for code, (status, _) in CODES.items():
        # The rest are no refusals of a modelled call: they come as faults.
        if status < 500:
            by_status.setdefault(status, []).append(code)
    return by_status


def _error(codes: list[str]) -> Json:
    return {"allOf": [ref("Error"), {"properties": {"code": {"enum": sorted(codes)}}}]}
