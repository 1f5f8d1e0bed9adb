"""Restrictions: who gets no more tasks, where, and until when."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from toloka_airflow.emulator.calls import describing
from toloka_airflow.emulator.calls.describing import Description, Descriptions, list_of, ref, request, view
from toloka_airflow.emulator.calls.handling import Answer, Call, Routes, found, page
from toloka_airflow.emulator.calls.listing import ID_AND_CREATED, Attribute, Listing
from toloka_airflow.emulator.forms.fields import ID, READ_ONLY, TEXT, must
from toloka_airflow.emulator.forms.schema import ABSENT, REQUIRED, Field, Form, checked
from toloka_airflow.emulator.resources.people import check_user
from toloka_airflow.emulator.world.clock import parse_date
from toloka_airflow.emulator.world.errors import Problems, Refusal, invalid, problem
from toloka_airflow.emulator.world.people import Scope, UserRestriction

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json, Pool
    from toloka_airflow.emulator.world.world import World

FORM: Form = {
    "scope": Field("string", required=True, choices=tuple(Scope)),
    "user_id": must(ID),
    "project_id": ID,
    "pool_id": ID,
    "private_comment": replace(TEXT, max_length=499),
    "will_expire": Field("date"),
    "id": READ_ONLY,
    "created": READ_ONLY,
}
# Which id says where a scope holds, and what it is an id of.
PLACES = {Scope.PROJECT: ("project_id", "projects"), Scope.POOL: ("pool_id", "pools")}
LISTING = Listing(
    exact={
        "scope": Attribute(lambda restriction: restriction.scope, Scope),
        "user_id": Attribute(lambda restriction: restriction.user_id),
        "project_id": Attribute(lambda restriction: restriction.project_id),
        "pool_id": Attribute(lambda restriction: restriction.pool_id),
    },
    ranges=ID_AND_CREATED,
    sorts=ID_AND_CREATED,
    maximum=500,
)


def may_work(world: World, user_id: str, pool: Pool) -> bool:
    """Say whether no restriction keeps somebody from the tasks of a pool or a training."""
    held = world.restrictions_of.get(user_id)
    if not held:
        return True
    everywhere = ((Scope.SYSTEM, None), (Scope.ALL_PROJECTS, None))
    return not any(
        place in held for place in (*everywhere, (Scope.PROJECT, pool.body["project_id"]), (Scope.POOL, pool.id))
    )


def put(world: World, body: object) -> tuple[UserRestriction, bool]:
    """Restrict somebody, or change the restriction in the same place; say whether it is new."""
    clean = checked(body, FORM)
    scope = Scope(clean["scope"])
    if scope is Scope.SYSTEM:
        raise Refusal("SYSTEM_SCOPE_MODIFICATION")
    problems = check_user(world, clean["user_id"]) | _check_place(world, scope, clean)
    expires = parse_date(clean["will_expire"]) if "will_expire" in clean else None
    if expires is not None and expires <= world.now:
        problems["will_expire"] = problem("INVALID_VALUE", "Value must be in the future")
    if problems:
        raise invalid(problems)
    return restrict(
        world,
        clean["user_id"],
        scope,
        clean.get("project_id") or clean.get("pool_id"),
        private_comment=clean.get("private_comment"),
        will_expire=expires,
    )


def _check_place(world: World, scope: Scope, clean: Json) -> Problems:
    problems: Problems = {}
    wanted, things = PLACES.get(scope, (None, ""))
    for name, _ in PLACES.values():
        if name != wanted and name in clean:
            problems[name] = problem("VALUE_NOT_ALLOWED", f"A restriction of scope {scope} has none")
    if wanted is not None and wanted not in clean:
        problems[wanted] = REQUIRED
    elif wanted is not None and clean[wanted] not in getattr(world, things):
        problems[wanted] = ABSENT
    return problems


def restrict(
    world: World,
    user_id: str,
    scope: Scope,
    place_id: str | None = None,
    *,
    private_comment: str | None = None,
    will_expire: int | None = None,
) -> tuple[UserRestriction, bool]:
    """
    Give somebody no more tasks; say whether the restriction is new.

    :param place_id: The id of the project or the pool, if the scope is one of these.
    :param will_expire: The moment at which it ends, in virtual milliseconds; never if None.
    """
    held = world.restrictions_of.setdefault(user_id, {})
    restriction = held.get((scope, place_id))
    is_new = restriction is None
    if restriction is None:
        restriction = UserRestriction(world.ids.number(), scope, place_id, user_id, world.now)
        world.user_restrictions[restriction.id] = held[restriction.place] = restriction
    restriction.private_comment, restriction.will_expire = private_comment, will_expire
    if will_expire is not None:
        world.at(will_expire, _expire, restriction_id=restriction.id)
    world.emit("user_restriction.set", restriction_id=restriction.id, user_id=user_id, scope=scope, place_id=place_id)
    return restriction, is_new


def _expire(world: World, restriction_id: str) -> None:
    """End the restriction if it still ends now."""
    restriction = world.user_restrictions.get(restriction_id)
    if restriction is not None and restriction.will_expire is not None and restriction.will_expire <= world.now:
        lift(world, restriction)


def lift(world: World, restriction: UserRestriction) -> None:
    """Let the person work again."""
    del world.user_restrictions[restriction.id]
    del world.restrictions_of[restriction.user_id][restriction.place]
    world.emit("user_restriction.lifted", restriction_id=restriction.id, user_id=restriction.user_id)


def _put(world: World, call: Call) -> Answer:
    restriction, is_new = put(world, call.body)
    return Answer(201 if is_new else 200, restriction.view())


def _list(world: World, call: Call) -> Answer:
    return page(LISTING, call, world.user_restrictions.values(), lambda restriction: restriction.view())


def _get(world: World, call: Call) -> Answer:
    return Answer(200, found(world.user_restrictions, call.id).view())


def _delete(world: World, call: Call) -> Answer:
    lift(world, found(world.user_restrictions, call.id))
    return Answer(204)


ROUTES: Routes = {
    ("PUT", "/user-restrictions"): _put,
    ("GET", "/user-restrictions"): _list,
    ("GET", "/user-restrictions/{id}"): _get,
    ("DELETE", "/user-restrictions/{id}"): _delete,
}

DESCRIPTIONS: Descriptions = {
    ("PUT", "/user-restrictions"): Description(
        {200: ref("UserRestriction"), 201: ref("UserRestriction")}, body=request(FORM)
    ),
    ("GET", "/user-restrictions"): list_of("UserRestriction", LISTING),
    ("GET", "/user-restrictions/{id}"): Description({200: ref("UserRestriction")}),
    ("DELETE", "/user-restrictions/{id}"): Description({204: None}),
}

SCHEMAS: Json = {
    "UserRestriction": view(FORM, ("id", "created"), **describing.READ_ONLY, will_expire=describing.DATE),
}
