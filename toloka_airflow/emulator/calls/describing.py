"""What the emulator's OpenAPI document tells of a call, made from its form and its list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.calls.listing import DEFAULT_LIMIT, RANGES, Attribute, Listing, flag
from toloka_airflow.emulator.world.clock import parse_date

if TYPE_CHECKING:
    from toloka_airflow.emulator.forms.schema import Field, Form
    from toloka_airflow.emulator.world.entities import Json

TEXT: Json = {"type": "string"}
FLAG: Json = {"type": "boolean"}
NUMBER: Json = {"type": "number"}
COUNT: Json = {"type": "integer", "minimum": 0}
ANY_OBJECT: Json = {"type": "object"}
DATE: Json = {
    "type": "string",
    "description": "UTC, without a zone",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?$",
}
# What the fields of a form look like in JSON; an id may be sent as a number, and is answered as a string.
KINDS: dict[str, Json] = {
    "any": {},
    "string": TEXT,
    "id": {"type": ["string", "integer"]},
    "integer": {"type": "integer"},
    "number": NUMBER,
    "boolean": FLAG,
    "date": TEXT,
    "object": ANY_OBJECT,
    "array": {"type": "array"},
}


@dataclass(frozen=True)
class Description:
    """One call as the document tells it; the schema None stands for an empty body."""

    answers: Mapping[int, Json | None]
    body: Json | None = None
    query: tuple[Json, ...] = ()
    # Some refusals have no body, or one of their own, so that nothing can be said of what comes with this status.
    unlike_others: frozenset[int] = field(default_factory=frozenset)
    # Of a success.
    media_type: str = "application/json"


# By method and path.
Descriptions = dict[tuple[str, str], Description]


def ref(name: str) -> Json:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def request(form: Form, *, extra: str | None = None) -> Json:
    """Return the schema of a body that is sent; `extra`: names that begin like this are passed over."""
    properties = {name: _request_field(wanted) for name, wanted in form.items()}
    shown: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    if extra is not None:
        shown["patternProperties"] = {f"^{extra}": {}}
    required = [name for name, wanted in form.items() if wanted.required]
    return shown | ({"required": required} if required else {})


def _request_field(wanted: Field) -> Json:
    shown = value_of(wanted, request)
    # An optional field may be null, which means the same as leaving it out.
    if wanted.required or not shown:
        return shown
    return {"anyOf": [shown, {"type": "null"}]}


def view(form: Form, required: Iterable[str] = (), **more: Json) -> Json:
    """Return the schema of an answer that shows what was sent, and more."""
    sent = {name: value_of(wanted, _view_of_form) for name, wanted in form.items() if not wanted.ignored}
    # Null is not kept, so that only the fields that must be sent are always there.
    always = [name for name, wanted in form.items() if wanted.required]
    return closed(sent | more, {*always, *required})


def _view_of_form(form: Form) -> Json:
    return view(form)


def closed(properties: Json, required: Iterable[str] | None = None) -> Json:
    """Return an object that has no other fields; all of them are there if nothing else is said."""
    wanted = sorted(properties if required is None else required)
    return {"type": "object", "properties": properties, "required": wanted, "additionalProperties": False}


def value_of(wanted: Field, of_form: Any) -> Json:
    """Return the schema of one field; `of_form` makes those of the objects in it: `request` or `view`."""
    if wanted.kind == "id" and of_form is not request:
        return TEXT
    shown = dict(KINDS[wanted.kind])
    if wanted.fields is not None:
        return dict(of_form(wanted.fields))
    if wanted.choices:
        shown["enum"] = list(wanted.choices)
    if wanted.minimum is not None:
        shown["minimum"] = wanted.minimum
    if wanted.maximum is not None:
        shown["maximum"] = wanted.maximum
    if wanted.min_length is not None:
        shown["minLength"] = wanted.min_length
    if wanted.max_length is not None:
        shown["maxLength"] = wanted.max_length
    if wanted.each is not None:
        inner = "items" if wanted.kind == "array" else "additionalProperties"
        shown[inner] = value_of(wanted.each, of_form)
    return shown


def enum(values: type[StrEnum]) -> Json:
    """Return the schema of a word out of a few."""
    return {"type": "string", "enum": [value.value for value in values]}


def many(schema: Json) -> Json:
    """Return the schema of an array."""
    return {"type": "array", "items": schema}


def page(name: str) -> Json:
    """Return the schema of an answer of a list."""
    return closed({"items": many(ref(name)), "has_more": FLAG})


def by_position(schema: Json) -> Json:
    """Return the schema of a map whose keys are places in the list that was sent."""
    return {"type": "object", "propertyNames": {"pattern": "^[0-9]+$"}, "additionalProperties": schema}


def parameter(name: str, schema: Json, *, required: bool = False) -> Json:
    """Return a parameter of the query."""
    return {"name": name, "in": "query", "required": required, "schema": schema}


def listing_query(listing: Listing) -> tuple[Json, ...]:
    """Return the parameters of a list."""
    exact = [
        parameter(name, TEXT if name in listing.many else _read(attribute), required=listing.required == (name,))
        for name, attribute in listing.exact.items()
    ]
    ranges = [
        parameter(name + suffix, _read(attribute)) for name, attribute in listing.ranges.items() for suffix in RANGES
    ]
    words = "|".join(listing.sorts)
    sort = parameter("sort", {"type": "string", "pattern": f"^(-?({words})(,-?({words}))*)?$"})
    limit: Json = {"type": "integer", "minimum": 1, "maximum": listing.maximum, "default": DEFAULT_LIMIT}
    return (*exact, *ranges, sort, parameter("limit", limit))


def _read(attribute: Attribute) -> Json:
    read: Any = attribute.read
    if isinstance(read, type) and issubclass(read, StrEnum):
        return enum(read)
    if read is flag:
        return FLAG
    if read is int:
        return {"type": "integer"}
    return DATE if read is parse_date else TEXT


READ_ONLY: Json = {"id": TEXT, "created": DATE}
OWNED = READ_ONLY | {"owner": ref("Owner")}
PROBLEM = closed({"code": TEXT, "message": TEXT, "params": {"type": "array"}}, ("code", "message"))
PROBLEMS: Json = {"type": "object", "additionalProperties": PROBLEM}


def some_of(name: str) -> Json:
    """Return the schema of the answer to a list: what was taken and what is wrong with the rest."""
    return closed({"items": by_position(ref(name)), "validation_errors": by_position(PROBLEMS)}, ("items",))


def list_of(name: str, listing: Listing, *more: Json) -> Description:
    """Describe a list; `more`: parameters that are no part of the listing."""
    return Description({200: page(name)}, query=(*more, *listing_query(listing)))
