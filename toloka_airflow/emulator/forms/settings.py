"""What users may say when they steer: tables of fields, and what is read from them."""

from __future__ import annotations

import re
from typing import Any

from toloka_airflow.emulator.forms.fields import must
from toloka_airflow.emulator.forms.schema import Field, Form, checked, examine
from toloka_airflow.emulator.world.clock import MAX_ADVANCE_SECONDS
from toloka_airflow.emulator.world.errors import invalid, problem
from toloka_airflow.emulator.world.progression import Progression

TOKEN = re.compile("[!-~]+")
TEXT = Field("string")
FLAG = Field("boolean")
NUMBER = Field("number")
COUNT = Field("integer", minimum=1)
PAIR = Field("array", each=NUMBER)
SHARES = Field("object", each=NUMBER)
OBJECT = Field("object", required=True)
OBJECTS = Field("array", each=Field("object"))

CLOCK: Form = {
    "speed": NUMBER,
    "frozen": FLAG,
    "advance": Field("number", minimum=0, maximum=MAX_ADVANCE_SECONDS),
}
RULE: Form = {"match": OBJECT, "output_values": OBJECT}
CROWD: Form = {
    "size": Field("integer", minimum=0),
    "accuracy": PAIR,
    "seconds_per_task": PAIR,
    "skip_rate": NUMBER,
    "expire_rate": NUMBER,
    "active_hours": PAIR,
    "careless_people": NUMBER,
    "careless_accuracy": PAIR,
    "fast_people": NUMBER,
    "fast_seconds_per_task": PAIR,
    "skipping_people": NUMBER,
    "skipping_skip_rate": NUMBER,
    "languages": SHARES,
    "countries": SHARES,
    "devices": SHARES,
}
BALANCE = Field("number", minimum=0)
REQUESTER: Form = {"balance": Field("number", required=True, minimum=0)}
FAIL: Form = {"code": Field("string", required=True), "message": TEXT}
PROGRESSION: Form = {
    "type": TEXT,
    "pool_id": Field("id"),
    "seconds": Field("number", minimum=0),
    "looks": COUNT,
    "fail": Field("object", fields=FAIL),
}
FAULT: Form = {
    "method": Field("string", required=True),
    "path": Field("string", required=True),
    "times": COUNT,
    "skip": Field("integer", minimum=0),
    "probability": NUMBER,
    "status": Field("integer"),
    "code": TEXT,
    "message": TEXT,
    "payload": Field("object"),
    "retry_after": Field("id"),
    "html": Field("integer"),
    "drop": FLAG,
    "lost_answer": FLAG,
    "half_body": FLAG,
    "delay": NUMBER,
}
SETTLE: Form = {"timeout": Field("number", minimum=0, maximum=60)}
SNAPSHOT: Form = {
    "version": Field("any"),
    "clock": Field(
        "object",
        required=True,
        fields={"now": must(Field("date")), "speed": must(NUMBER), "frozen": must(FLAG)},
    ),
    "state": OBJECT,
    "things": Field("array", required=True),
}
SEED: Form = {
    "balance": BALANCE,
    "tokens": Field("array"),
    "crowd": Field("object"),
    "truth": Field("array"),
    "operations": OBJECTS,
    "faults": OBJECTS,
    "skills": OBJECTS,
    "projects": OBJECTS,
    "user_skills": OBJECTS,
    "user_restrictions": OBJECTS,
    "webhooks": OBJECTS,
}


def crowd(body: object) -> dict[str, Any]:
    """Return changes to the crowd."""
    change = checked(body, CROWD)
    for name, field in CROWD.items():
        if field is PAIR and name in change:
            if len(change[name]) != 2:
                raise invalid({name: problem("ARRAY_SIZE_OUT_OF_BOUNDS", "Value must be [low, high]")})
            change[name] = tuple(change[name])
    return change


def tokens(body: object) -> list[str]:
    """Return the tokens that are to be accepted; what is wrong with them does not name them."""
    if not isinstance(body, list):
        raise invalid({"tokens": problem("ARRAY_EXPECTED", "Value must be an array")})
    if not all(isinstance(token, str) and TOKEN.fullmatch(token) for token in body):
        raise invalid({"tokens": problem("STRING_EXPECTED", "Each value must be a text of ASCII without spaces")})
    return body


def progression(body: object) -> tuple[Progression, dict[str, Any]]:
    """Return how operations go on, and which ones."""
    told = checked(body, PROGRESSION)
    scope = {"type": told.pop("type", None), "pool_id": told.pop("pool_id", None)}
    return Progression(**told), scope


def rules(body: object) -> list[dict[str, Any]]:
    """Return rules of what is true."""
    if not isinstance(body, list):
        raise invalid({"body": problem("ARRAY_EXPECTED", "Value must be an array")})
    examined = [examine(rule, RULE, at=f"{i}.") for i, rule in enumerate(body)]
    problems = {path: wrong for _, by_path in examined for path, wrong in by_path.items()}
    if problems:
        raise invalid(problems)
    return [rule for rule, _ in examined]
