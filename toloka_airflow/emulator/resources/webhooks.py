"""Webhooks: what happens in a pool is sent to whoever subscribed to it."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from toloka_airflow.emulator.calls import describing
from toloka_airflow.emulator.calls.describing import (
    Description,
    Descriptions,
    closed,
    list_of,
    many,
    ref,
    request,
    some_of,
    value_of,
    view,
)
from toloka_airflow.emulator.calls.handling import Answer, Call, Later, Routes, found, page
from toloka_airflow.emulator.calls.listing import ID_AND_CREATED, Attribute, Listing
from toloka_airflow.emulator.courier import TIMEOUT, Outcome, Parcel
from toloka_airflow.emulator.forms.fields import ID, READ_ONLY, TEXT, must
from toloka_airflow.emulator.forms.schema import Field, Form, examine
from toloka_airflow.emulator.world.clock import MINUTE, SECOND, format_date
from toloka_airflow.emulator.world.entities import Json, Notification, Subscription
from toloka_airflow.emulator.world.errors import Problems, invalid, problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from toloka_airflow.emulator.world.world import World

# Events of the world, and what the API calls them.
TYPES = {
    "pool.closed": "POOL_CLOSED",
    "dynamic_overlap.completed": "DYNAMIC_OVERLAP_COMPLETED",
    "assignment.created": "ASSIGNMENT_CREATED",
    "assignment.submitted": "ASSIGNMENT_SUBMITTED",
    "assignment.skipped": "ASSIGNMENT_SKIPPED",
    "assignment.expired": "ASSIGNMENT_EXPIRED",
    "assignment.accepted": "ASSIGNMENT_APPROVED",
    "assignment.rejected": "ASSIGNMENT_REJECTED",
}

FORM: Form = {
    "webhook_url": must(TEXT),
    "event_type": Field("string", required=True, choices=tuple(TYPES.values())),
    "pool_id": must(ID),
    "secret_key": TEXT,
    "id": READ_ONLY,
    "created": READ_ONLY,
}


LISTING = Listing(
    exact={
        "event_type": Attribute(lambda subscription: subscription.event_type),
        "pool_id": Attribute(lambda subscription: subscription.pool_id),
    },
    ranges=ID_AND_CREATED,
    sorts=ID_AND_CREATED,
    created_in_order=False,
)


TEST = "TEST_EVENT"
URL = re.compile(r"https?://[!-~]+", re.IGNORECASE)
KEY_VERSION = 1
# Inferred, like everything about repetition: it is not documented. Virtual time, so that a test can skip it.
MAX_EVENTS = 100
BACK_OFF = (10 * SECOND, MINUTE, 5 * MINUTE, 30 * MINUTE, 120 * MINUTE)


def put(world: World, body: object) -> tuple[Subscription, bool]:
    """Create a subscription or replace the one with the same pool, event and address; say whether it is new."""
    clean, problems = _examined(world, body)
    if problems:
        raise invalid(problems)
    return _put(world, clean)


def put_all(world: World, items: list[Any]) -> Json:
    """Create or replace subscriptions; return maps by position of them and of what is wrong with others."""
    examined = [_examined(world, item) for item in items]
    wrong = {str(position): problems for position, (_, problems) in enumerate(examined) if problems}
    put = {
        str(position): _put(world, clean)[0].view()
        for position, (clean, _) in enumerate(examined)
        if str(position) not in wrong
    }
    return {"items": put, "validation_errors": wrong}


def _examined(world: World, body: object) -> tuple[Json, Problems]:
    clean, problems = examine(body, FORM)
    # What is no object has no fields that could be looked at.
    readable = clean.keys() - problems.keys()
    if "pool_id" in readable and clean["pool_id"] not in world.pools:
        problems["pool_id"] = problem("ENTITY_DOES_NOT_EXIST", "Entity does not exist")
    if "webhook_url" in readable and not is_url(clean["webhook_url"]):
        problems["webhook_url"] = problem("INVALID_URL_SYNTAX", "Value must be an address, http or https")
    return clean, problems


def is_url(text: str) -> bool:
    """Say whether a notification can be sent there."""
    try:
        address = urlsplit(text)
        return URL.fullmatch(text) is not None and bool(address.hostname) and address.port != 0
    except ValueError:
        return False


def _put(world: World, body: Json) -> tuple[Subscription, bool]:
    identity = (body["pool_id"], body["event_type"], body["webhook_url"])
    for known in world.subscriptions.values():
        if (known.pool_id, known.event_type, known.webhook_url) == identity:
            known.secret_key = body.get("secret_key")
            return known, False
    subscription = Subscription(world.ids.event(), created=world.now, **body)
    world.subscriptions[subscription.id] = subscription
    return subscription, True


def listen(world: World) -> None:
    """Take note of everything that somebody may have subscribed to."""
    for event, name in TYPES.items():
        world.listen(event, partial(_note, world, name))


def _note(world: World, type: str, facts: Json) -> None:
    for subscription in world.subscriptions.values():
        if subscription.event_type == type and subscription.pool_id == facts["pool_id"]:
            subscription.waiting.append(_event(world, subscription, type, _details(facts)))


def _details(facts: Json) -> tuple[Json, Json]:
    """Return what an event tells besides the common facts: before and after the type, as documented."""
    if "assignment_id" in facts:
        return {name: facts[name] for name in ("task_suite_id", "assignment_id")}, {}
    if "reason" in facts:
        return {"close_reason": facts["reason"]}, {}
    more = {name: facts[name] for name in ("assignment_ids", "output_values")}
    return {name: facts[name] for name in ("task_id", "confidence")}, more


def _event(world: World, subscription: Subscription, type: str, details: tuple[Json, Json]) -> Json:
    # The order of the documented signature's example: it is the only one that is known to the byte.
    event = {
        "event_time": format_date(world.now).partition(".")[0],
        "project_id": world.pools[subscription.pool_id].body["project_id"],
        "pool_id": subscription.pool_id,
        "uuid": world.ids.event(),
        **details[0],
    }
    if type != TEST:
        event["webhook_subscription_id"] = subscription.id
    return event | {"type": type} | details[1]


def send_waiting(world: World) -> None:
    """Send what has come up, in batches; a receiver gets one after the other."""
    for subscription in world.subscriptions.values():
        if subscription.waiting and subscription.notification is None:
            batch, subscription.waiting = subscription.waiting[:MAX_EVENTS], subscription.waiting[MAX_EVENTS:]
            subscription.notification = Notification(batch)
            _send(world, subscription, subscription.notification)


def resume(world: World) -> None:
    """Send again what was under way when a snapshot was taken."""
    for subscription in world.subscriptions.values():
        if subscription.notification is not None and subscription.notification.is_under_way:
            _send(world, subscription, subscription.notification)


def _send(world: World, subscription: Subscription, notification: Notification) -> None:
    notification.is_under_way = True
    report = partial(_settle, world, subscription, notification)
    world.courier.send(parcel(subscription, notification.events, world.now), report)


def parcel(subscription: Subscription, events: list[Json], moment: int) -> Parcel:
    """Return the request that carries the events."""
    body = json.dumps({"events": events}, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json"}
    if subscription.secret_key is not None:
        headers["Toloka-Signature"] = signature(subscription.secret_key, moment, body)
    return Parcel(subscription.webhook_url, body, headers)


def signature(secret_key: str, moment: int, body: bytes) -> str:
    """Return the value of the header that proves where a notification comes from."""
    message = f"{moment}.{KEY_VERSION}.".encode() + body
    sign = hmac.new(secret_key.encode(errors="replace"), message, hashlib.sha256).hexdigest()
    return f"{{v={KEY_VERSION}, ts={moment}, sign={sign}}}"


def _settle(world: World, subscription: Subscription, notification: Notification, outcome: Outcome) -> None:
    with world.up_to_date():
        if not _is_current(world, subscription, notification):
            return
        facts = _facts(subscription, notification.events, outcome) | {"attempt": notification.attempt}
        if outcome.error is None or notification.attempt > len(BACK_OFF):
            subscription.notification = None
        else:
            notification.is_under_way = False
            moment = world.now + BACK_OFF[notification.attempt - 1]
            world.at(moment, _repeat, subscription=subscription, notification=notification)
            facts["next_attempt"] = format_date(moment)
        world.journal.add("delivery", world.now, facts)


def _repeat(world: World, subscription: Subscription, notification: Notification) -> None:
    if _is_current(world, subscription, notification):
        notification.attempt += 1
        _send(world, subscription, notification)


def _is_current(world: World, subscription: Subscription, notification: Notification) -> bool:
    """Say whether it was neither deleted nor lost by a reset while it was under way."""
    return world.subscriptions.get(subscription.id) is subscription and subscription.notification is notification


def _facts(subscription: Subscription, events: list[Json], outcome: Outcome) -> Json:
    facts = {
        "type": events[0]["type"],
        "pool_id": subscription.pool_id,
        "subscription_id": subscription.id,
        "uuids": [event["uuid"] for event in events],
    }
    told = {"status": outcome.status, "error": outcome.error}
    return facts | {name: value for name, value in told.items() if value is not None}


def test(world: World, subscription: Subscription, report: Callable[[Json], None]) -> str:
    """Send a test event once and return its id; `report` gets what the API tells of it."""
    event = _event(world, subscription, TEST, ({}, {}))

    def told(outcome: Outcome) -> None:
        with world.up_to_date():
            report(_push_result(event, outcome, world.now))
            world.journal.add("delivery", world.now, _facts(subscription, [event], outcome))

    world.courier.send(parcel(subscription, [event], world.now), told)
    return str(event["uuid"])


def _push_result(event: Json, outcome: Outcome, moment: int) -> Json:
    result = {
        "success": outcome.error is None,
        "responseReceivedAt": format_date(moment) if outcome.status is not None else None,
        "errorType": outcome.error,
        "originalStatusCode": outcome.status,
        "uuids": [event["uuid"]],
    }
    return {name: value for name, value in result.items() if value is not None}


def _put_webhooks(world: World, call: Call) -> Answer:
    if isinstance(call.body, list):
        return Answer(200, put_all(world, call.body))
    subscription, is_new = put(world, call.body)
    return Answer(201 if is_new else 200, subscription.view())


def _list_webhooks(world: World, call: Call) -> Answer:
    things = world.subscriptions.values()
    return page(LISTING, call, things, lambda subscription: subscription.view())


def _get_webhook(world: World, call: Call) -> Answer:
    return Answer(200, found(world.subscriptions, call.id).view())


def _delete_webhook(world: World, call: Call) -> Answer:
    del world.subscriptions[found(world.subscriptions, call.id).id]
    return Answer(204)


def _test_webhook(world: World, call: Call) -> Later:
    results: list[Json] = []
    event_id = test(world, found(world.subscriptions, call.id), results.append)
    given_up = {"success": False, "errorType": "REQUEST_TIMEOUT", "uuids": [event_id]}
    return Later(lambda: bool(results), 2 * TIMEOUT, lambda: Answer(200, results[0] if results else given_up))


ROUTES: Routes = {
    ("PUT", "/webhook-subscriptions"): _put_webhooks,
    ("GET", "/webhook-subscriptions"): _list_webhooks,
    ("GET", "/webhook-subscriptions/{id}"): _get_webhook,
    ("DELETE", "/webhook-subscriptions/{id}"): _delete_webhook,
    ("POST", "/webhook-subscriptions/{id}/test"): _test_webhook,
}

DESCRIPTIONS: Descriptions = {
    ("PUT", "/webhook-subscriptions"): Description(
        {
            200: {"oneOf": [ref("WebhookSubscription"), some_of("WebhookSubscription")]},
            201: ref("WebhookSubscription"),
        },
        body={"oneOf": [request(FORM), many(request(FORM))]},
    ),
    ("GET", "/webhook-subscriptions"): list_of("WebhookSubscription", LISTING),
    ("GET", "/webhook-subscriptions/{id}"): Description({200: ref("WebhookSubscription")}),
    ("DELETE", "/webhook-subscriptions/{id}"): Description({204: None}),
    ("POST", "/webhook-subscriptions/{id}/test"): Description({200: ref("PushResult")}),
}

SCHEMAS: Json = {
    "WebhookSubscription": closed(
        describing.READ_ONLY | {name: value_of(FORM[name], view) for name in ("webhook_url", "event_type", "pool_id")}
    ),
    "PushResult": closed(
        {
            "success": describing.FLAG,
            "responseReceivedAt": describing.DATE,
            "errorType": describing.TEXT,
            "originalStatusCode": {"type": "integer"},
            "uuids": many(describing.TEXT),
        },
        ("success", "uuids"),
    ),
}
