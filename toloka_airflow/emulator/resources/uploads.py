"""Uploads of tasks and suites: in one go or as an operation."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.calls import describing
from toloka_airflow.emulator.calls.describing import Description, Descriptions, many, parameter, ref, request, some_of
from toloka_airflow.emulator.calls.handling import Answer, Call, Handler, Routes, found
from toloka_airflow.emulator.resources import operations, overlaps
from toloka_airflow.emulator.resources.pools import pools
from toloka_airflow.emulator.world.errors import Problems, Refusal, invalid, problem

if TYPE_CHECKING:
    from toloka_airflow.emulator.forms.schema import Form
    from toloka_airflow.emulator.world.entities import Json, Operation, Pool
    from toloka_airflow.emulator.world.items import Item
    from toloka_airflow.emulator.world.world import World

PATCH_FLAGS = ("open_pool",)
UPLOAD_FLAGS = ("async_mode", "skip_invalid_items", "allow_defaults", "open_pool")
MAX_SYNCHRONOUS = 5000
# Of one request, each summed over all its tasks.
MAX_BYTES = {"input_values": 1_048_576, "output_values": 4_194_304}


@dataclass(frozen=True)
class Options:
    """The switches of an upload, as in the query."""

    skip_invalid_items: bool = False
    allow_defaults: bool = False
    open_pool: bool = False

    def view(self) -> Json:
        """Return the parameters of the operation."""
        return {
            "open_pool": self.open_pool,
            "allow_defaults": self.allow_defaults,
            "skip_invalid_items": self.skip_invalid_items,
        }


@dataclass(frozen=True)
class Kind:
    """What can be uploaded: how one is called, checked against its pool, and created."""

    name: str
    may_go_into: Callable[[Pool], None]
    check: Callable[[World, Any, Options], tuple[Json, Problems]]
    create: Callable[[World, Json], Item]
    tasks: Callable[[Json], list[Any]]


@dataclass(frozen=True)
class Checked:
    """The items of an upload: what can be created and what is wrong with the rest, by position."""

    items: list[Any]
    valid: dict[int, Json]
    problems: dict[int, Problems]

    def may_go_on(self, options: Options) -> bool:
        """Say whether anything is to be created."""
        return bool(self.valid) and (options.skip_invalid_items or not self.problems)


def create(world: World, kind: Kind, body: object, options: Options) -> Json:
    """Create the items and return the answer: one for an object, maps by position for a list."""
    items = _items(kind, body)
    if len(items) > MAX_SYNCHRONOUS:
        raise Refusal("ENTITY_TOO_LARGE")
    targets = _targets(world, kind, items)
    # Before anything is created: an error after it would invite a second upload.
    if options.open_pool:
        for pool in targets:
            pools.check_can_open(world, pool)
    done = _check_items(world, kind, items, options)
    if not done.may_go_on(options):
        raise invalid(done.problems[0] if isinstance(body, dict) else by_position(done.problems))
    created = _create_valid(world, kind, done)
    if options.open_pool:
        for pool in targets:
            pools.open_now(world, pool)
    if isinstance(body, dict):
        return created[0].view()
    answer: Json = {"items": {str(position): item.view() for position, item in created.items()}}
    if options.skip_invalid_items:
        answer["validation_errors"] = by_position(done.problems)
    return answer


def create_later(world: World, kind: Kind, body: object, options: Options, operation_id: str | None) -> Operation:
    """Start an operation that creates the items; nothing is created if its id was used before."""
    items = _items(kind, body)
    if operation_id is not None and operation_id in world.operations:
        raise Refusal("OPERATION_ALREADY_EXISTS")
    return operations.start(
        world,
        f"{kind.name}.BATCH_CREATE",
        options.view(),
        partial(_create_batch, kind=kind, items=items, options=options),
        targets=_targets(world, kind, items),
        details_if_failed=counters(Checked(items, {}, {}), 0),
        operation_id=operation_id,
    )


def _items(kind: Kind, body: object) -> list[Any]:
    items = body if isinstance(body, list) else [body]
    if not items:
        raise invalid({"body": problem("ARRAY_SIZE_LESS_THAN_MIN", "There must be at least one item", [1])})
    tasks = [task for item in items if isinstance(item, dict) for task in kind.tasks(item) if isinstance(task, dict)]
    _check_size("input_values", [task.get("input_values") for task in tasks])
    _check_size("output_values", [task.get(key) for task in tasks for key in ("known_solutions", "baseline_solutions")])
    return items


def _check_size(name: str, values: list[Any]) -> None:
    size = sum(len(_bytes(value)) for value in values if value)
    if size > MAX_BYTES[name]:
        limit = MAX_BYTES[name]
        message = f"All {name} of a request together must be at most {limit} bytes, not {size}"
        raise invalid({name: problem("OBJECT_SIZE_BYTES_GREATER_THAN_MAX", message, [limit])})


def _bytes(value: Any) -> bytes:
    # Half a surrogate pair is valid in JSON, but has no bytes.
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def _targets(world: World, kind: Kind, items: list[Any]) -> tuple[Pool, ...]:
    ids = {str(item.get("pool_id")): None for item in items if isinstance(item, dict)}
    targets = tuple(world.pools[pool_id] for pool_id in ids if pool_id in world.pools)
    for pool in targets:
        overlaps.check_changeable(pool)
        kind.may_go_into(pool)
    return targets


def _check_items(world: World, kind: Kind, items: list[Any], options: Options) -> Checked:
    done = Checked(items, {}, {})
    for position, item in enumerate(items):
        clean, problems = kind.check(world, without_marks(item), options)
        if problems:
            done.problems[position] = problems
        else:
            done.valid[position] = clean
    return done


def without_marks(item: Any) -> Any:
    """Return the item without what the official client numbers its items with, and reads back from the log."""
    if isinstance(item, dict):
        return {name: value for name, value in item.items() if not name.startswith("__")}
    return item


def _create_valid(world: World, kind: Kind, done: Checked) -> dict[int, Item]:
    created = {position: kind.create(world, item) for position, item in done.valid.items()}
    for item in created.values():
        overlaps.add(item)
    for pool_id, count in Counter(item.pool.id for item in created.values()).items():
        world.emit(f"{kind.name.lower()}s.created", pool_id=pool_id, count=count)
    return created


def _create_batch(world: World, operation: Operation, *, kind: Kind, items: list[Any], options: Options) -> None:
    done = _check_items(world, kind, items, options)
    created = _create_valid(world, kind, done) if done.may_go_on(options) else {}
    operation.details = counters(done, len(created))
    operation.log = [_step(kind, done, created, i) for i in range(len(items)) if i in created or i in done.problems]
    if not created:
        operations.fail(operation, {})
    elif options.open_pool:
        operation.log += [_open_step(world, pool) for pool in operation.targets]


def counters(done: Checked, created: int) -> Json:
    """Return the details of the operation."""
    return {
        "total_count": len(done.items),
        "valid_count": len(done.valid),
        "not_valid_count": len(done.problems),
        "success_count": created,
        "failed_count": len(done.items) - created,
    }


def _step(kind: Kind, done: Checked, created: dict[int, Item], position: int) -> Json:
    if position in created:
        output: Json = {f"{kind.name.lower()}_id": created[position].id}
        return {"type": f"{kind.name}_CREATE", "success": True, "input": done.items[position], "output": output}
    output = done.problems[position]
    return {"type": f"{kind.name}_VALIDATE", "success": False, "input": done.items[position], "output": output}


def _open_step(world: World, pool: Pool) -> Json:
    step: Json = {"type": "POOL_OPEN", "success": True, "input": {"pool_id": pool.id}, "output": {}}
    try:
        pools.check_can_open(world, pool)
        pools.open_now(world, pool)
    except Refusal as refusal:
        step |= {"success": False, "output": refusal.body(f"ao_{world.ids.request()}")}
    return step


def by_position(problems: dict[int, Problems]) -> Json:
    """Return what is wrong with the items, as an answer tells it."""
    return {str(position): by_field for position, by_field in problems.items()}


def _upload(world: World, call: Call, *, kind: Kind) -> Answer:
    options, is_async, operation_id = read_upload(call.query, UPLOAD_FLAGS)
    if not is_async:
        return Answer(201, create(world, kind, call.body, options))
    return Answer(202, create_later(world, kind, call.body, options, operation_id).view(world.now))


def read_upload(query: Mapping[str, str], names: tuple[str, ...]) -> tuple[Options, bool, str | None]:
    """Return how items are to be created, whether as an operation, and the id that it is to have."""
    query = dict(query)
    operation_id = query.pop("operation_id", None)
    flags = _flags(query, names)
    if operation_id is not None and not _is_uuid(operation_id):
        raise invalid({"operation_id": problem("UUID_EXPECTED", "Value must be a UUID")})
    is_async = flags.pop("async_mode")
    return Options(**flags), is_async, operation_id


def _flags(query: Mapping[str, str], names: tuple[str, ...]) -> dict[str, bool]:
    problems: Problems = {}
    for name, text in query.items():
        if name not in names:
            problems[name] = problem("VALUE_NOT_ALLOWED", "Unknown parameter")
        elif text not in ("true", "false"):
            problems[name] = problem("BOOLEAN_EXPECTED", "Value must be true or false")
    if problems:
        raise invalid(problems)
    return {name: query.get(name) == "true" for name in names}


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower() or uuid.UUID(text).hex == text.lower()
    except ValueError:
        return False


Change = Callable[["World", Any, object], Any]


def _change(world: World, call: Call, *, things: str, change: Change) -> Answer:
    opens = _flags(call.query, PATCH_FLAGS)["open_pool"]
    thing = found(getattr(world, things), call.id)
    if opens:
        pools.check_can_open(world, thing.pool)
    changed = change(world, thing, call.body)
    if opens:
        pools.open_now(world, thing.pool)
    return Answer(200, changed.view())


def _get(world: World, call: Call, *, things: str) -> Answer:
    return Answer(200, found(getattr(world, things), call.id).view())


def routes(prefix: str, things: str, kind: Kind, listing: Handler, change: Change, set_or_min: Change) -> Routes:
    """Return the calls of one kind."""
    return {
        ("POST", prefix): partial(_upload, kind=kind),
        ("GET", prefix): listing,
        ("GET", f"{prefix}/{{id}}"): partial(_get, things=things),
        ("PATCH", f"{prefix}/{{id}}"): partial(_change, things=things, change=change),
        ("PATCH", f"{prefix}/{{id}}/set-overlap-or-min"): partial(_change, things=things, change=set_or_min),
    }


QUERY: tuple[Json, ...] = (
    parameter("operation_id", {"type": "string", "format": "uuid"}),
    *(parameter(name, describing.FLAG) for name in UPLOAD_FLAGS),
)


def _uploaded(name: str) -> Json:
    return {"oneOf": [ref(name), some_of(name)]}


def descriptions(prefix: str, name: str, form: Form, change: Form, listing: Description) -> Descriptions:
    """Describe the calls of one kind."""
    item = request(form, extra="__")
    some_or_one = {"oneOf": [item, many(item) | {"minItems": 1}]}
    opens = (parameter("open_pool", describing.FLAG),)
    return {
        ("POST", prefix): Description({201: _uploaded(name), 202: ref("Operation")}, body=some_or_one, query=QUERY),
        ("GET", prefix): listing,
        ("GET", f"{prefix}/{{id}}"): Description({200: ref(name)}),
        ("PATCH", f"{prefix}/{{id}}"): Description({200: ref(name)}, body=request(change), query=opens),
        ("PATCH", f"{prefix}/{{id}}/set-overlap-or-min"): Description(
            {200: ref(name)}, body=request(overlaps.SET_OR_LEAST), query=opens
        ),
    }
