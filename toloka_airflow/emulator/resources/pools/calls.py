"""The calls of pools and trainings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from toloka_airflow.emulator.calls import describing
from toloka_airflow.emulator.calls.describing import Description, Descriptions, enum, list_of, ref, request, view
from toloka_airflow.emulator.calls.handling import Answer, Call, Routes, page
from toloka_airflow.emulator.calls.listing import Attribute, Listing, moments
from toloka_airflow.emulator.resources.pools import pools
from toloka_airflow.emulator.resources.pools.form import POOL, POOL_PATCH, TRAINING
from toloka_airflow.emulator.world.entities import Json, PoolStatus

if TYPE_CHECKING:
    from toloka_airflow.emulator.forms.schema import Form
    from toloka_airflow.emulator.world.world import World

MOMENTS = moments("created", "last_started")
LISTING = Listing(
    exact={
        "status": Attribute(lambda pool: pool.shown_status, PoolStatus),
        "project_id": Attribute(lambda pool: pool.body["project_id"]),
    },
    ranges=MOMENTS,
    sorts=MOMENTS,
)


def _create_pool(world: World, call: Call, *, training: bool = False) -> Answer:
    return Answer(201, pools.create(world, call.body, training=training).view(world.owner))


def _list_pools(world: World, call: Call, *, training: bool = False) -> Answer:
    things = (pool for pool in world.pools.values() if pool.is_training is training)
    return page(LISTING, call, things, lambda pool: pool.view(world.owner))


def _get_pool(world: World, call: Call, *, training: bool = False) -> Answer:
    pool = pools.find(world, call.id, training=training)
    shown = pool.view(world.owner)
    if pool.is_training and not training:
        shown["type"] = "TRAINING"
    return Answer(200, shown)


def _put_pool(world: World, call: Call, *, training: bool = False) -> Answer:
    pool = pools.find_for_change(world, call.id, training=training)
    return Answer(200, pools.update(world, pool, call.body).view(world.owner))


def _patch_pool(world: World, call: Call) -> Answer:
    pool = pools.find_for_change(world, call.id, training=False)
    return Answer(200, pools.patch(world, pool, call.body).view(world.owner))


def _move_pool(world: World, call: Call, *, to: str, training: bool = False) -> Answer:
    operation = pools.move(world, pools.find_for_change(world, call.id, training=training), to)
    return Answer(204) if operation is None else Answer(202, operation.view(world.now))


def _clone_pool(world: World, call: Call, *, training: bool = False) -> Answer:
    pool = pools.find_for_change(world, call.id, training=training)
    return Answer(202, pools.clone(world, pool).view(world.now))


def _lifecycle(prefix: str, *, training: bool) -> Routes:
    routes: Routes = {
        ("POST", f"{prefix}/{{id}}/{call}"): partial(_move_pool, to=call, training=training)
        for call in pools.TRANSITIONS
    }
    return routes | {
        ("POST", prefix): partial(_create_pool, training=training),
        ("GET", prefix): partial(_list_pools, training=training),
        ("GET", f"{prefix}/{{id}}"): partial(_get_pool, training=training),
        ("PUT", f"{prefix}/{{id}}"): partial(_put_pool, training=training),
        ("POST", f"{prefix}/{{id}}/clone"): partial(_clone_pool, training=training),
    }


ROUTES: Routes = {
    **_lifecycle("/pools", training=False),
    ("PATCH", "/pools/{id}"): _patch_pool,
    **_lifecycle("/trainings", training=True),
}


def _described(prefix: str, name: str, form: Form) -> Descriptions:
    moved = Description({202: ref("Operation"), 204: None})
    return {("POST", f"{prefix}/{{id}}/{call}"): moved for call in pools.TRANSITIONS} | {
        ("POST", prefix): Description({201: ref(name)}, body=request(form)),
        ("GET", prefix): list_of(name, LISTING),
        ("GET", f"{prefix}/{{id}}"): Description({200: ref(name)}),
        ("PUT", f"{prefix}/{{id}}"): Description({200: ref(name)}, body=request(form)),
        ("POST", f"{prefix}/{{id}}/clone"): Description({202: ref("Operation")}),
    }


DESCRIPTIONS: Descriptions = {
    **_described("/pools", "Pool", POOL),
    # Through /pools, a training is shown as a pool.
    ("GET", "/pools/{id}"): Description({200: {"anyOf": [ref("Pool"), ref("TrainingAsPool")]}}),
    ("PATCH", "/pools/{id}"): Description({200: ref("Pool")}, body=request(POOL_PATCH), unlike_others=frozenset({409})),
    **_described("/trainings", "Training", TRAINING),
}

STARTED = describing.OWNED | {
    "status": enum(PoolStatus),
    "last_close_reason": describing.TEXT,
    "last_started": describing.DATE,
    "last_stopped": describing.DATE,
}

SCHEMAS: Json = {
    "Pool": view(
        POOL,
        ("id", "created", "owner", "status", "type"),
        **STARTED,
        type={"enum": ["REGULAR", "TRAINING"]},
    ),
    "Training": view(TRAINING, ("id", "created", "owner", "status"), **STARTED),
    "TrainingAsPool": view(
        TRAINING, ("id", "created", "owner", "status", "type"), **STARTED, type={"enum": ["TRAINING"]}
    ),
}
