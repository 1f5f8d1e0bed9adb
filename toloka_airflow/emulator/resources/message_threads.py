"""Messages to people; the simulated ones read them and never answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_airflow.emulator.calls import describing
from toloka_airflow.emulator.calls.describing import (
    Description,
    Descriptions,
    closed,
    list_of,
    many,
    parameter,
    ref,
    request,
)
from toloka_airflow.emulator.calls.handling import Answer, Call, Routes, found, page
from toloka_airflow.emulator.calls.listing import ID_AND_CREATED, Listing
from toloka_airflow.emulator.forms.fields import FLAG, ID, TEXTS, must
from toloka_airflow.emulator.forms.filters import check_filter
from toloka_airflow.emulator.forms.schema import REQUIRED, Field, Form, checked
from toloka_airflow.emulator.resources.people import check_user
from toloka_airflow.emulator.world.errors import Problems, invalid, problem
from toloka_airflow.emulator.world.people import MessageThread
from toloka_airflow.emulator.world.quotas import MESSAGE_TO_ALL, MESSAGE_TO_CHOSEN

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json
    from toloka_airflow.emulator.world.world import World

FOLDERS = ("INBOX", "OUTBOX", "AUTOMATIC_NOTIFICATION", "IMPORTANT", "UNREAD")
MAX_RECIPIENTS = 100
# Which field tells the recipients.
RECIPIENTS = {"DIRECT": "recipients_ids", "FILTER": "recipients_filter"}
FORM: Form = {
    "topic": must(TEXTS),
    "text": must(TEXTS),
    "recipients_select_type": Field("string", required=True, choices=("ALL", *RECIPIENTS)),
    "recipients_ids": Field("array", each=ID),
    "recipients_filter": Field("object", also=check_filter),
    "answerable": FLAG,
}
REPLY: Form = {"text": must(TEXTS)}
MOVE: Form = {"folders": Field("array", required=True, each=Field("string", choices=FOLDERS))}
# Which folders a thread is in is looked up before the list is asked.
LISTING = Listing(ranges=ID_AND_CREATED, sorts=ID_AND_CREATED)


def compose(world: World, body: object) -> MessageThread:
    """Send a message to all, to some, or to whom a filter fits."""
    clean = checked(body, FORM)
    kind = clean["recipients_select_type"]
    problems = _check_recipients(world, kind, clean)
    if problems:
        raise invalid(problems)
    world.quotas.charge(MESSAGE_TO_ALL if kind == "ALL" else MESSAGE_TO_CHOSEN, world.now)
    details = {name: clean[name] for name in ("recipients_select_type", *RECIPIENTS.values()) if name in clean}
    thread = MessageThread(
        world.ids.message(world.now),
        clean["topic"],
        details,
        clean.get("answerable", True),
        world.now,
        [(clean["text"], world.now)],
    )
    world.message_threads[thread.id] = thread
    world.emit("message_thread.composed", message_thread_id=thread.id)
    return thread


def _check_recipients(world: World, kind: str, clean: Json) -> Problems:
    problems: Problems = {}
    wanted = RECIPIENTS.get(kind)
    for name in RECIPIENTS.values():
        if name != wanted and name in clean:
            problems[name] = problem("VALUE_NOT_ALLOWED", f"Recipients of type {kind} have none")
    if wanted is not None and not clean.get(wanted):
        problems[wanted] = REQUIRED
    recipients = clean.get("recipients_ids", [])
    if len(recipients) > MAX_RECIPIENTS:
        message = f"There must be at most {MAX_RECIPIENTS} items"
        problems["recipients_ids"] = problem("ARRAY_SIZE_GREATER_THAN_MAX", message, [MAX_RECIPIENTS])
    for i, user_id in enumerate(recipients):
        problems |= check_user(world, user_id, at=f"recipients_ids.{i}")
    return problems


def _compose(world: World, call: Call) -> Answer:
    return Answer(201, compose(world, call.body).view(world.owner))


def _reply(world: World, call: Call) -> Answer:
    thread: MessageThread = found(world.message_threads, call.id)
    thread.messages.append((checked(call.body, REPLY)["text"], world.now))
    return Answer(200, thread.view(world.owner))


def _add_to_folders(world: World, call: Call) -> Answer:
    thread: MessageThread = found(world.message_threads, call.id)
    folders = checked(call.body, MOVE)["folders"]
    thread.folders = list(dict.fromkeys((*thread.folders, *folders)))
    return Answer(200, thread.view(world.owner))


def _remove_from_folders(world: World, call: Call) -> Answer:
    thread: MessageThread = found(world.message_threads, call.id)
    folders = checked(call.body, MOVE)["folders"]
    thread.folders = [folder for folder in thread.folders if folder not in folders]
    return Answer(200, thread.view(world.owner))


def _list(world: World, call: Call) -> Answer:
    query = dict(call.query)
    inside, outside = (_folders(query, name) for name in ("folder", "folder_ne"))
    threads = [
        thread
        for thread in world.message_threads.values()
        if (inside is None or inside & set(thread.folders)) and not (outside or set()) & set(thread.folders)
    ]
    return page(LISTING, Call(call.path, query), threads, lambda thread: thread.view(world.owner))


def _folders(query: dict[str, str], name: str) -> set[str] | None:
    text = query.pop(name, None)
    if text is None:
        return None
    folders = {folder.strip() for folder in text.split(",")}
    if not folders <= set(FOLDERS):
        raise invalid({name: problem("INVALID_VALUE", f"Value must be some of {', '.join(FOLDERS)}")})
    return folders


ROUTES: Routes = {
    ("POST", "/message-threads/compose"): _compose,
    ("GET", "/message-threads"): _list,
    ("POST", "/message-threads/{id}/reply"): _reply,
    ("POST", "/message-threads/{id}/add-to-folders"): _add_to_folders,
    ("POST", "/message-threads/{id}/remove-from-folders"): _remove_from_folders,
}

_CHANGED = {200: ref("MessageThread")}
_TEXTS = describing.value_of(TEXTS, describing.view)
_PERSON = closed(
    {"id": describing.TEXT, "role": {"enum": ["REQUESTER", "USER"]}, "myself": describing.FLAG}, ("id", "role")
)

DESCRIPTIONS: Descriptions = {
    ("POST", "/message-threads/compose"): Description({201: ref("MessageThread")}, body=request(FORM)),
    ("GET", "/message-threads"): list_of(
        "MessageThread", LISTING, *(parameter(name, describing.TEXT) for name in ("folder", "folder_ne"))
    ),
    ("POST", "/message-threads/{id}/reply"): Description(_CHANGED, body=request(REPLY)),
    ("POST", "/message-threads/{id}/add-to-folders"): Description(_CHANGED, body=request(MOVE)),
    ("POST", "/message-threads/{id}/remove-from-folders"): Description(_CHANGED, body=request(MOVE)),
}

SCHEMAS: Json = {
    "MessageThread": closed(
        describing.READ_ONLY
        | {
            "topic": _TEXTS,
            "interlocutors_inlined": describing.FLAG,
            "interlocutors": many(_PERSON),
            "messages_inlined": describing.FLAG,
            "messages": many(closed({"text": _TEXTS, "from": _PERSON, "created": describing.DATE})),
            "compose_details": describing.ANY_OBJECT,
            "meta": describing.ANY_OBJECT,
            "folders": many({"enum": list(FOLDERS)}),
            "answerable": describing.FLAG,
        }
    ),
}
